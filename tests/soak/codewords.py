"""Turns whose words are tones: what is read back shows which audio arrived, and how much of it.

A codeword is a row of tones, one a digit, between a tone that begins it and one that ends it: a turn of which the head
or the tail is missing, or that holds something twice, reads differently. Its length tells of smaller pieces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LINE_HZ = 8000
WIRE_HZ = 24_000
SYMBOLS = "0123456789<>"
FIRST_HZ, STEP_HZ = 600.0, 200.0
TONE_MS, REST_MS = 100, 60
AMPLITUDE = 8000
LOUD = 1000
"""RMS above which a window holds a tone."""
WINDOW_MS = 10
SHORTEST_MS = 30
"""Of a tone that is still read."""

Pcm16 = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Heard:
    """A codeword as it was read: `digits` has a `?` for every mark that is missing and every tone too short."""

    digits: str
    length_ms: int

    def __str__(self) -> str:
        return f"{self.digits} {self.length_ms}"


def parsed(text: str) -> Heard:
    """What `str` of a `Heard` wrote; anything else reads as nothing heard."""
    digits, _, length = text.partition(" ")
    return Heard(digits, int(length)) if length.isdigit() else Heard(f"?{text}", 0)


def length_ms(digits: str) -> int:
    """From the first tone's begin to the last one's end."""
    return (len(digits) + 2) * (TONE_MS + REST_MS) - REST_MS


def spoken(digits: str) -> Pcm16:
    """PCM16 at 8 kHz, `length_ms` long."""
    seconds = np.arange(TONE_MS * LINE_HZ // 1000) / LINE_HZ
    rest = np.zeros(REST_MS * LINE_HZ // 1000)
    parts = [part for symbol in f"<{digits}>" for part in (np.sin(2 * np.pi * _hz(symbol) * seconds), rest)]
    return (AMPLITUDE * np.concatenate(parts[:-1])).astype(np.int16)


def read(pcm24k: Pcm16) -> Heard:
    """The codeword in PCM16 at 24 kHz."""
    window = WINDOW_MS * WIRE_HZ // 1000
    windows = pcm24k[: len(pcm24k) // window * window].reshape(-1, window).astype(np.float64)
    loud = np.concatenate(([False], np.sqrt(np.mean(windows**2, axis=1)) > LOUD, [False]))
    begins, ends = np.flatnonzero(~loud[:-1] & loud[1:]), np.flatnonzero(loud[:-1] & ~loud[1:])
    if not begins.size:
        return Heard("?", 0)
    symbols = "".join(_symbol(windows[begin:end].ravel()) for begin, end in zip(begins, ends, strict=True))
    head, tail = symbols.startswith("<"), symbols.endswith(">")
    digits = ("" if head else "?") + symbols[head : len(symbols) - tail] + ("" if tail else "?")
    return Heard(digits, int(ends[-1] - begins[0]) * WINDOW_MS)


def _symbol(tone: NDArray[np.float64]) -> str:
    if tone.size < SHORTEST_MS * WIRE_HZ // 1000:
        return "?"
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(tone.size), 4096))
    place = round((float(np.argmax(spectrum)) * WIRE_HZ / 4096 - FIRST_HZ) / STEP_HZ)
    return SYMBOLS[place] if 0 <= place < len(SYMBOLS) else "?"


def _hz(symbol: str) -> float:
    return FIRST_HZ + STEP_HZ * SYMBOLS.index(symbol)
