"""Recognition: a turn of 24 kHz audio in, its text out; on threads of its own, never on the event loop."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from asyncio import CancelledError
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from service.engine.moonshine import MOONSHINE_HZ, AbandonedError, Moonshine
from service.engine.rates import WIRE_HZ, Pcm16, from_pcm16, resample
from service.engine.recognition import Transcript, joined
from service.engine.vad import WINDOW_MS, WINDOW_WIRE_SAMPLES, speech_probabilities

SPEECH_LEVEL = 0.35
"""Silero's probability from which a window counts as speech; turn detection ends a turn below it."""
SHORTEST_SPEECH_MS = 250
"""Below it the network invents words."""
MARGIN_MS = 200
"""Silence kept around speech; more raised the error rate of digits from 0 to 12 %."""
LONGEST_PIECE_MS = 12_000
_SEARCH_MS = 2_500
"""How far from the even split the quietest point is looked for."""
LEAST_LOG_LIKELIHOOD = -1.0
"""Mean per token; 700 human clips lie between -0.86 and 0, most above -0.3."""


class Recognizer:
    """Moonshine behind the rules that keep it honest. Usable from several threads at once after `load`."""

    def __init__(self) -> None:
        self._network: Moonshine | None = None

    def load(self) -> float:
        """Load the networks, if they are not; returns the seconds it took."""
        begun_s = time.perf_counter()
        if self._network is None:
            self._network = Moonshine()
        return time.perf_counter() - begun_s

    def transcribe(self, pcm24k: Pcm16, abandoned: threading.Event | None = None) -> Transcript:
        """One turn (n,), empty where there is no speech in it.

        Raises RuntimeError before `load`, and AbandonedError soon after the event is set.
        """
        if self._network is None:
            raise RuntimeError("Recognizer.load() comes before transcribe()")
        heard = []
        for piece in pieces(pcm24k, speech_probabilities(pcm24k)):
            decoded = self._network.decode(resample(from_pcm16(piece), WIRE_HZ, MOONSHINE_HZ), abandoned)
            if decoded.log_likelihood >= LEAST_LOG_LIKELIHOOD:
                heard.append(decoded)
        text = tidied(" ".join(decoded.text for decoded in heard))
        return Transcript(text, joined([decoded.tokens for decoded in heard]) if text else ())


class RecognizerBusyError(Exception):
    """More turns are waiting than the pool holds."""


class RecognizerPool:
    """`transcribe` for the event loop: worker threads around one recogniser, and a bounded queue before them."""

    def __init__(self, workers: int = 1, *, waiting: int = 32, recognizer: Recognizer | None = None) -> None:
        self._recognizer = recognizer or Recognizer()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="asr")
        self._room = threading.BoundedSemaphore(workers + waiting)
        self._running: set[threading.Event] = set()
        self.refused = 0
        """Turns that found the queue full."""

    async def load(self) -> float:
        """Load the networks off the loop; returns the seconds it took."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._recognizer.load)

    async def transcribe(self, pcm24k: Pcm16) -> Transcript:
        """One turn, empty where there is no speech in it. Cancelled, it soon leaves its thread to others.

        Raises RecognizerBusyError where the queue is full, and AbandonedError where the pool was closed meanwhile.
        """
        if not self._room.acquire(blocking=False):
            self.refused += 1
            raise RecognizerBusyError("Too many turns are waiting for recognition; raise engine.workers")
        abandoned = threading.Event()
        try:
            future = self._threads.submit(self._recognizer.transcribe, pcm24k, abandoned)
        except RuntimeError as error:
            self._room.release()
            raise AbandonedError from error
        # On the worker's thread, when the work is really over: a cancelled turn holds its place until then.
        future.add_done_callback(lambda _: self._room.release())
        self._running.add(abandoned)
        try:
            return await asyncio.wrap_future(future)
        except CancelledError as error:
            if future.cancelled() and not _cancelling():
                raise AbandonedError from error
            raise
        finally:
            abandoned.set()
            self._running.discard(abandoned)

    def close(self) -> None:
        """Drop what waits, abandon what runs, and take no more."""
        for abandoned in self._running:
            abandoned.set()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def pieces(pcm24k: Pcm16, probabilities: NDArray[np.float32]) -> list[Pcm16]:
    """The speech in a clip with at most `MARGIN_MS` around it, in pieces no longer than about `LONGEST_PIECE_MS`.

    `probabilities` are Silero's, one per 32 ms. Less than `SHORTEST_SPEECH_MS` of speech gives no piece.
    """
    spoken = np.flatnonzero(probabilities >= SPEECH_LEVEL)
    if spoken.size * WINDOW_MS < SHORTEST_SPEECH_MS:
        return []
    margin = WIRE_HZ * MARGIN_MS // 1000
    first = max(0, int(spoken[0]) * WINDOW_WIRE_SAMPLES - margin)
    last = min(pcm24k.size, (int(spoken[-1]) + 1) * WINDOW_WIRE_SAMPLES + margin)
    return _split(pcm24k[first:last])


def tidied(text: str) -> str:
    """Single spaces, no punctuation that hangs over, and nothing where no letter or digit is left."""
    text = re.sub(r"\s+", " ", re.sub("[\ufffd♪]", "", text))
    text = re.sub(r"([,;:])\1+", r"\1", text)
    text = re.sub(r"(?<!\.)\.\.(?!\.)", ".", text).strip().rstrip(",;:- ")
    return text if any(character.isalnum() for character in text) else ""


def _split(pcm: Pcm16) -> list[Pcm16]:
    longest = WIRE_HZ * LONGEST_PIECE_MS // 1000
    count = -(-pcm.size // longest)
    out, begin = [], 0
    for number in range(1, count):
        even = pcm.size * number // count
        end = _quietest(pcm, even - WIRE_HZ * _SEARCH_MS // 1000, even + WIRE_HZ * _SEARCH_MS // 1000)
        out.append(pcm[begin:end])
        begin = end
    out.append(pcm[begin:])
    return out


def _quietest(pcm: Pcm16, first: int, last: int) -> int:
    """Middle of the 200 ms of least energy between two samples."""
    step = WIRE_HZ // 50
    energy = (
        np.square(pcm[first:last].astype(np.float64))[: (last - first) // step * step].reshape(-1, step).sum(axis=1)
    )
    smooth = np.convolve(energy, np.ones(10), mode="valid")
    return first + (int(smooth.argmin()) + 5) * step
