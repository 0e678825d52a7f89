"""WAV files as the line's audio: PCM16 mono 8 kHz in, PCM16 mono or stereo 8 kHz out."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from service.errors import ClaimlineError
from service.media.resample import Pcm, resample
from service.media.ring import LINE_RATE_HZ


def read_line_audio(path: Path) -> Pcm:
    """Samples at 8 kHz of a PCM16 mono WAV of any rate. Raises `ClaimlineError` for anything else."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getnchannels() != 1 or file.getsampwidth() != 2:
                raise ClaimlineError(f"{path} must be mono, 16 bits a sample")
            rate_hz = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    except FileNotFoundError:
        raise ClaimlineError(f"{path} does not exist") from None
    except (wave.Error, EOFError, OSError) as error:
        raise ClaimlineError(f"{path} is no WAV file that can be read: {error}") from error
    return resample(samples.astype(np.int16), rate_hz, LINE_RATE_HZ)


def write_line_audio(path: Path, *channels: Pcm) -> None:
    """Write one WAV at 8 kHz with the given channels; the shorter ones end in silence."""
    length = max(len(channel) for channel in channels)
    together = np.zeros((length, len(channels)), dtype="<i2")
    for index, channel in enumerate(channels):
        together[: len(channel), index] = channel
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(LINE_RATE_HZ)
        file.writeframes(together.tobytes())
