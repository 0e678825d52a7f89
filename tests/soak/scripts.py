"""What a caller says, and when: codewords and pauses by a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tests.soak.codewords import LINE_HZ, Pcm16, length_ms, spoken


@dataclass(frozen=True, slots=True)
class Turn:
    """A codeword and when it begins, milliseconds after the caller's first packet."""

    digits: str
    begin_ms: int

    @property
    def end_ms(self) -> int:
        """When its last tone ends."""
        return self.begin_ms + length_ms(self.digits)


def turns(caller: int, until_ms: int, pause_ms: Callable[[], int], chance: random.Random) -> Iterator[Turn]:
    """Turns with pauses between; the last ends before `until_ms`. Its number, and the caller's, make a codeword."""
    begin_ms = pause_ms()
    number = 1
    while True:
        # Of four to eight digits, so that turns differ in length.
        turn = Turn(f"{caller}{number:03d}{'9' * chance.randint(0, 4)}", begin_ms)
        if turn.end_ms > until_ms:
            return
        yield turn
        number += 1
        begin_ms = turn.end_ms + pause_ms()


def track(said: Sequence[Turn], length_s: float) -> Pcm16:
    """PCM16 at 8 kHz of the whole call."""
    pcm = np.zeros(round(length_s * LINE_HZ), np.int16)
    for turn in said:
        words = spoken(turn.digits)
        at = turn.begin_ms * LINE_HZ // 1000
        pcm[at : at + words.size] = words
    return pcm
