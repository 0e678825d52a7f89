"""Recognition of human speech as a telephone delivers it, and what it must not make up."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from service.engine.asr import Recognizer, RecognizerBusyError, RecognizerPool, pieces, tidied
from service.engine.moonshine import AbandonedError, most_likely, read_vocabulary, unlooped
from service.engine.rates import WIRE_HZ
from service.engine.recognition import Transcript
from service.engine.vad import SpeechStarted, SpeechStopped, TurnDetector
from tests.speech_material import (
    CALL_PROMPTS,
    POLICY_NUMBERS,
    PROMPTS,
    characters,
    digits,
    load,
    over_the_telephone,
    recognizer,
    spell,
    word_error_rate,
)

MS = 24
"""Samples per millisecond."""
WINDOW = 768
Pcm16 = NDArray[np.int16]


@pytest.fixture(name="recognizer")
def _recognizer() -> Recognizer:
    return recognizer()


def heard(recognizer: Recognizer, pcm: Pcm16) -> list[str]:
    """The transcript of each turn that turn detection finds."""
    texts, start_ms = [], 0
    for event in TurnDetector().feed(pcm):
        match event:
            case SpeechStarted(start_ms):
                pass
            case SpeechStopped(end_ms, _):
                texts.append(recognizer.transcribe(pcm[start_ms * MS : end_ms * MS]).text)
    return texts


@pytest.mark.speech
def test_human_speech_over_g711_is_recognised(recognizer: Recognizer) -> None:
    pairs = [(prompt.text, " ".join(heard(recognizer, over_the_telephone(load(prompt))))) for prompt in CALL_PROMPTS]
    assert len({prompt.source for prompt in CALL_PROMPTS}) == 2
    assert word_error_rate(pairs) <= 0.05, [pair for pair in pairs if word_error_rate([pair])]


@pytest.mark.speech
@pytest.mark.parametrize("number", POLICY_NUMBERS)
def test_spoken_policy_numbers_keep_their_digits(recognizer: Recognizer, number: str) -> None:
    transcript = " ".join(heard(recognizer, over_the_telephone(spell(number))))
    assert digits(transcript) == "".join(character for character in number if character.isdigit())
    assert characters(transcript) == number.replace("-", "")


@pytest.mark.speech
def test_long_speech_is_recognised_to_its_end(recognizer: Recognizer) -> None:
    prompts = [prompt for prompt in PROMPTS if prompt.source in {"librivox", "beckett"}]
    pcm = np.concatenate([over_the_telephone(load(prompt), lead_ms=0, trail_ms=150) for prompt in prompts])
    assert pcm.size > 30 * WIRE_HZ
    text = recognizer.transcribe(pcm).text
    assert word_error_rate([(" ".join(prompt.text for prompt in prompts), text)]) <= 0.08


@pytest.mark.speech
@pytest.mark.parametrize("sound", ["nothing", "one sample", "silence", "noise", "tone", "hum", "speech too short"])
def test_nothing_is_made_up(recognizer: Recognizer, sound: str) -> None:
    rng = np.random.default_rng(1)
    time_s = np.arange(3 * WIRE_HZ) / WIRE_HZ
    clips = {
        "nothing": np.zeros(0),
        "one sample": np.ones(1) * 9000,
        "silence": np.zeros(time_s.size),
        "noise": rng.standard_normal(time_s.size) * 1500,
        "tone": np.sin(2 * np.pi * 440 * time_s) * 6000,
        "hum": np.sign(np.sin(2 * np.pi * 50 * time_s)) * 2000,
        "speech too short": over_the_telephone(load(CALL_PROMPTS[0]))[700 * MS : 860 * MS],
    }
    assert recognizer.transcribe(clips[sound].astype(np.int16)) == Transcript("")


@pytest.mark.speech
def test_silence_around_speech_changes_nothing(recognizer: Recognizer) -> None:
    speech = spell("B4U0-495J")
    short = recognizer.transcribe(over_the_telephone(speech, lead_ms=300, trail_ms=300)).text
    assert recognizer.transcribe(over_the_telephone(speech, lead_ms=3000, trail_ms=3000)).text == short


@pytest.mark.speech
def test_threads_do_not_disturb_each_other(recognizer: Recognizer) -> None:
    async def both() -> list[Transcript]:
        pool = RecognizerPool(2, recognizer=recognizer)
        try:
            return await asyncio.gather(*(pool.transcribe(clip) for clip in clips))
        finally:
            pool.close()

    clips = [over_the_telephone(load(prompt)) for prompt in CALL_PROMPTS[:4]]
    assert asyncio.run(both()) == [recognizer.transcribe(clip) for clip in clips]


@pytest.mark.speech
def test_abandoned_recognition_ends_early(recognizer: Recognizer) -> None:
    abandoned = threading.Event()
    abandoned.set()
    with pytest.raises(AbandonedError):
        recognizer.transcribe(over_the_telephone(load(CALL_PROMPTS[0])), abandoned)


def test_transcribing_before_loading_is_refused() -> None:
    with pytest.raises(RuntimeError, match="load"):
        Recognizer().transcribe(np.zeros(24_000, np.int16))


# -- the pool, with a recogniser that waits to be told


class Gate(Recognizer):
    """Returns when it is opened; tells when it is abandoned."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.begun = threading.Event()
        self.abandoned = threading.Event()

    def transcribe(self, pcm24k: Pcm16, abandoned: threading.Event | None = None) -> Transcript:
        self.begun.set()
        assert abandoned is not None
        for _ in range(5_000):
            if self.open.wait(0.001):
                return Transcript(str(pcm24k.size))
            if abandoned.is_set():
                self.abandoned.set()
                raise AbandonedError
        raise TimeoutError("nobody opened the gate")


CLIP = np.zeros(5, np.int16)


async def comes(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 5.0)


async def test_the_queue_is_bounded_and_refusals_are_counted() -> None:
    gate = Gate()
    pool = RecognizerPool(1, waiting=1, recognizer=gate)
    tasks = [asyncio.create_task(pool.transcribe(CLIP)) for _ in range(2)]
    await comes(gate.begun)
    with pytest.raises(RecognizerBusyError, match=r"engine\.workers"):
        await pool.transcribe(CLIP)
    assert pool.refused == 1
    gate.open.set()
    assert await asyncio.gather(*tasks) == [Transcript("5"), Transcript("5")]
    assert await pool.transcribe(CLIP) == Transcript("5")
    pool.close()


async def test_a_cancelled_turn_frees_its_thread() -> None:
    gate = Gate()
    pool = RecognizerPool(1, waiting=1, recognizer=gate)
    task = asyncio.create_task(pool.transcribe(CLIP))
    await comes(gate.begun)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await comes(gate.abandoned)
    gate.open.set()
    assert await pool.transcribe(CLIP) == Transcript("5")
    pool.close()


async def test_closing_ends_what_runs_and_what_waits() -> None:
    gate = Gate()
    pool = RecognizerPool(1, waiting=3, recognizer=gate)
    tasks = [asyncio.create_task(pool.transcribe(CLIP)) for _ in range(3)]
    await comes(gate.begun)
    pool.close()
    async with asyncio.timeout(5.0):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [AbandonedError] * 3
    with pytest.raises(AbandonedError):
        await pool.transcribe(CLIP)


# -- the rules


def test_speech_is_cut_out_with_small_margins() -> None:
    pcm = np.arange(100 * WINDOW, dtype=np.int64).astype(np.int16)
    probabilities = np.zeros(100, np.float32)
    probabilities[40:60] = 0.9
    (piece,) = pieces(pcm, probabilities)
    margin = 200 * MS
    np.testing.assert_array_equal(piece, pcm[40 * WINDOW - margin : 60 * WINDOW + margin])


def test_long_speech_is_split_where_it_is_quiet_and_nothing_is_lost() -> None:
    rng = np.random.default_rng(2)
    pcm = (rng.standard_normal(30 * WIRE_HZ) * 3000).astype(np.int16)
    gap = slice(11 * WIRE_HZ, 11 * WIRE_HZ + WIRE_HZ // 4)
    pcm[gap] = 0
    split = pieces(pcm, np.ones(pcm.size // WINDOW, np.float32))
    np.testing.assert_array_equal(np.concatenate(split), pcm)
    assert gap.start < split[0].size < gap.stop
    assert max(piece.size for piece in split) <= 15 * WIRE_HZ


def test_less_than_a_quarter_second_of_speech_is_no_piece() -> None:
    pcm = np.ones(50 * WINDOW, np.int16)
    probabilities = np.zeros(50, np.float32)
    probabilities[10:17] = 0.99
    assert pieces(pcm, probabilities) == []
    probabilities[17] = 0.99
    assert len(pieces(pcm, probabilities)) == 1


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        ([], 0),
        ([5, 6, 7], 3),
        ([5] * 12, 12),
        ([9, 8, *[5] * 16], 3),
        ([9, *[5, 6] * 7], 15),
        ([9, *[5, 6] * 8], 3),
        ([9, *[1, 2, 3, 4, 5] * 4], 6),
        ([9, *[1, 2, 3, 4, 5] * 3], 16),
    ],
)
def test_only_endless_repetition_is_cut(tokens: list[int], kept: int) -> None:
    assert unlooped(tokens) == kept


@pytest.mark.parametrize(
    ("text", "tidy"),
    [
        ("  Hello,  world ", "Hello, world"),
        ("Q..", "Q."),
        ("Well...", "Well..."),
        ("Unknown, or withheld,, sir.", "Unknown, or withheld, sir."),
        ("Hold time,", "Hold time"),
        ("♪♪", ""),
        (" . ", ""),
        ("K7M2-", "K7M2"),
    ],
)
def test_transcripts_are_tidied(text: str, tidy: str) -> None:
    assert tidied(text) == tidy


def test_a_transcript_never_begins_with_its_end() -> None:
    logits = np.array([0.0, 1.0, 9.0, 5.0], np.float32)
    assert most_likely(logits, bar_end=False)[0] == 2
    assert most_likely(logits, bar_end=True)[0] == 3
    assert logits[2] == 9.0


def test_likelihood_is_a_natural_logarithm() -> None:
    token, log_likelihood = most_likely(np.log(np.array([0.1, 0.7, 0.2], np.float32)), bar_end=False)
    assert token == 1
    assert log_likelihood == pytest.approx(np.log(0.7), abs=1e-5)


def test_vocabulary_has_tokens_of_both_lengths() -> None:
    assert read_vocabulary(b"\x02ab\x00\x81\x01" + b"x" * 129) == [b"ab", b"", b"x" * 129]
