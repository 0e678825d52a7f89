"""Cuts the caller's side of a recorded call into turns, by energy.

Frames of 20 ms are loud above a threshold that follows the noise of the line. The silence that ends a turn, and what is
kept around one, are the defaults of the protocol's `server_vad`, so that the turns are about those of the call.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from service.media.resample import Pcm

FRAME_MS = 20
ABOVE_NOISE_DB = 12.0
NOISE_PERCENTILE = 10
"""In a call the caller is silent for more than a tenth of the time."""
MIN_THRESHOLD_DBFS = -48.0
"""A line that carries digital silence must not make speech of a breath."""
MAX_THRESHOLD_DBFS = -30.0
"""A caller who never pauses must not be taken for noise."""
MIN_SPEECH_MS = 200
"""Of loud frames; less is a click or a cough."""
SILENCE_MS = 500
PADDING_MS = 300
_SILENT_DBFS = -96.0


def speech_stretches(pcm: Pcm, rate_hz: int) -> list[tuple[int, int]]:
    """Where somebody speaks in PCM16 mono `pcm`: sample ranges (begin, end), in order, apart, padding included."""
    frame = rate_hz * FRAME_MS // 1000
    loud = np.flatnonzero(_loud(pcm[: pcm.size // frame * frame].reshape(-1, frame)))
    if not loud.size:
        return []
    last_of_each = np.flatnonzero(np.diff(loud) > SILENCE_MS // FRAME_MS)
    runs = np.split(loud, last_of_each + 1)
    spoken = [run for run in runs if run.size * FRAME_MS >= MIN_SPEECH_MS]
    padding = PADDING_MS // FRAME_MS
    ranges = [(max(0, int(run[0]) - padding), int(run[-1]) + 1 + padding) for run in spoken]
    begins = [begin for begin, _ in ranges[:1]] + [max(one[1], other[0]) for one, other in pairwise(ranges)]
    return [(begin * frame, min(pcm.size, end * frame)) for begin, (_, end) in zip(begins, ranges, strict=True)]


def _loud(frames: Pcm) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which frames (n, samples) are speech."""
    power = np.mean((frames / 32768.0) ** 2, axis=1)
    level_dbfs = 10 * np.log10(np.maximum(power, 10 ** (_SILENT_DBFS / 10)))
    if not level_dbfs.size:
        return np.zeros(0, np.bool_)
    noise_dbfs = float(np.percentile(level_dbfs, NOISE_PERCENTILE))
    threshold_dbfs = min(max(noise_dbfs + ABOVE_NOISE_DB, MIN_THRESHOLD_DBFS), MAX_THRESHOLD_DBFS)
    return np.asarray(level_dbfs > threshold_dbfs, np.bool_)
