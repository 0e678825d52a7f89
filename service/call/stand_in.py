"""What the caller hears while there is no session: a soft tone so that the line is not dead, and an apology."""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np

from service.media.playout import ENGINE_RATE_HZ
from service.media.resample import LOW_HZ, resample

PREFIX = "claimline_"
"""Of the playout items here: the server knows nothing of them."""
BRIDGE = PREFIX + "bridge_"
APOLOGY = PREFIX + "apology"
BRIDGE_AFTER_S = 0.8
"""A shorter silence is a pause, not a dead line."""
BRIDGE_EVERY_S = 2.5

_PIP_HZ = (523.25, 659.25)
_PIP_MS = 120
_RAMP_MS = 20
_LEVEL = 0.06
"""About -24 dB of full scale: below speech."""


@cache
def bridge_tone() -> bytes:
    """Two soft pips, PCM16 mono 24 kHz."""
    ramp = np.linspace(0.0, 1.0, _RAMP_MS * ENGINE_RATE_HZ // 1000)
    seconds = np.arange(_PIP_MS * ENGINE_RATE_HZ // 1000) / ENGINE_RATE_HZ
    envelope = np.ones(len(seconds))
    envelope[: len(ramp)] = ramp
    envelope[-len(ramp) :] = ramp[::-1]
    pips = [np.sin(2 * np.pi * hz * seconds) * envelope for hz in _PIP_HZ]
    return (np.concatenate(pips) * _LEVEL * 32767).astype("<i2").tobytes()


@cache
def apology() -> bytes:
    """The stored apology, PCM16 mono 24 kHz. The file is raw PCM16 mono 8 kHz."""
    raw = resources.files("service.call").joinpath("apology.pcm").read_bytes()
    return resample(np.frombuffer(raw, "<i2"), LOW_HZ, ENGINE_RATE_HZ).astype("<i2").tobytes()
