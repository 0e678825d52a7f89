"""The E-model of ITU-T G.107 for a G.711 line: from delay and loss to a rating and to what listeners would say of it.

All parameters that are not named here have their default values (table 3), which leaves R = 93.2 - Id - Ie_eff.
"""

from __future__ import annotations

BEST_R = 93.2
"""With every parameter at its default."""
LATE_MS = 177.3
"""One-way delay from which people begin to talk over each other."""
IE = 0.0
"""Equipment impairment of G.711 (G.113, appendix I)."""
BPL = 25.1
"""How well G.711 bears loss when it is concealed (G.113, appendix I)."""


def r_factor(delay_ms: float, loss_percent: float) -> float:
    """Transmission rating, 0 to 93.2: 80 is good, below 70 many listeners are dissatisfied (G.109).

    `delay_ms` is mouth to ear, one way; `loss_percent` counts late packets too, and losses as spread at random.
    """
    late_ms = max(0.0, delay_ms - LATE_MS)
    delay_impairment = 0.024 * delay_ms + 0.11 * late_ms
    loss_impairment = IE + (95 - IE) * loss_percent / (loss_percent + BPL)
    return max(0.0, BEST_R - delay_impairment - loss_impairment)


def mos(r: float) -> float:
    """Mean opinion score, 1 (bad) to 4.5 (G.107, annex B)."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)
