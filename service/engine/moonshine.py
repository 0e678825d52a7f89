"""Moonshine base-en: 16 kHz speech in, text and its likelihood out.

The weights are those in the wheel of moonshine-cpp, whose own library is never loaded: it leaks 15 MB per second of
audio. Paper: arXiv 2410.15608.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.engine.onnx_names import name_subgraphs
from service.engine.rates import Samples
from service.engine.recognition import Token, spelled_by, text_of
from service.engine.runtime import Session, load_session, package_folder, return_freed_memory, to_onnx

MOONSHINE_HZ = 16_000

_START_TOKEN = 1
_END_TOKEN = 2
_LAYERS = 8
_HEADS = 8
_HEAD_SIZE = 52
_TOKENS_PER_S = 6.5
"""More is no speech: the model's authors cap there against endless repetition."""
_SHORTEST_SAMPLES = 1_600
"""The encoder's convolutions need about 60 ms."""


class AbandonedError(Exception):
    """Nobody waits for this transcript any more."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the network heard. `log_likelihood` is the mean per token, natural logarithm, 0 for certain."""

    tokens: tuple[Token, ...]
    log_likelihood: float
    """With that of the end of the text, which is none of `tokens`."""

    @property
    def text(self) -> str:
        """What the tokens spell."""
        return text_of(self.tokens)


class Moonshine:
    """The networks and the vocabulary, loaded; usable from several threads at once."""

    def __init__(self) -> None:
        folder = package_folder("moonshine_cpp", "moonshine-cpp") / "models" / "base-en"
        self._encoder = load_session(folder / "encoder_model.ort")
        self._decoder = _load_decoder(folder / "decoder_model_merged.ort")
        self._vocabulary = read_vocabulary((folder / "tokenizer.bin").read_bytes())
        outputs = [output.name for output in self._decoder.get_outputs()]
        self._first_outputs = outputs
        self._next_outputs = [name for name in outputs if ".encoder." not in name]
        return_freed_memory()

    def decode(self, samples: Samples, abandoned: threading.Event | None = None) -> Decoded:
        """Speech (n,) at 16 kHz, best below 12 s and with at most 0.2 s of silence around it.

        Raises AbandonedError soon after the event is set.
        """
        if samples.size < _SHORTEST_SAMPLES:
            samples = np.pad(samples, (0, _SHORTEST_SAMPLES - samples.size))
        hidden = self._encoder.run(None, {"input_values": samples[None]})[0]
        feed: dict[str, NDArray[np.generic]] = {
            "encoder_hidden_states": hidden,
            "use_cache_branch": np.array([False]),
            **_empty_cache(),
        }
        names = self._first_outputs
        token, tokens, likelihoods = _START_TOKEN, list[int](), list[float]()
        for _ in range(int(samples.size / MOONSHINE_HZ * _TOKENS_PER_S) + 2):
            if abandoned is not None and abandoned.is_set():
                raise AbandonedError
            feed["input_ids"] = np.array([[token]], np.int64)
            logits, *cache = self._decoder.run(names, feed)
            token, likelihood = most_likely(logits[0, -1], bar_end=not tokens)
            likelihoods.append(likelihood)
            if token == _END_TOKEN:
                break
            tokens.append(token)
            if (length := unlooped(tokens)) < len(tokens):
                del tokens[length:]
                break
            # The encoder's half of the cache is made by the first step and only read by the others.
            feed.update(
                (name.replace("present", "past_key_values"), value)
                for name, value in zip(names[1:], cache, strict=True)
            )
            feed["use_cache_branch"] = np.array([True])
            names = self._next_outputs
        known = tuple(
            Token(spelled_by(self._vocabulary[token]), likelihood)
            for token, likelihood in zip(tokens, likelihoods, strict=False)
            if token < len(self._vocabulary)
        )
        return Decoded(known, sum(likelihoods) / (len(tokens) + 1))


def unlooped(tokens: list[int]) -> int:
    """Length to keep: all, or up to one round where a phrase stands at the end four times and fills 16 tokens or more.

    Callers do repeat themselves; sixteen tokens of the same are the network's.
    """
    for period in range(1, len(tokens) // 4 + 1):
        rounds = max(4, -(-16 // period))
        span = period * rounds
        if span <= len(tokens) and tokens[-span:-period] == tokens[-span + period :]:
            return len(tokens) - span + period
    return len(tokens)


def read_vocabulary(data: bytes) -> list[bytes]:
    """Tokens of moonshine's tokenizer.bin: each its length (a byte, or two from 128 on, low first) and its bytes."""
    vocabulary, at = [], 0
    while at < len(data):
        length = data[at]
        at += 1
        if length >= 128:
            length += (data[at] - 1) * 128
            at += 1
        vocabulary.append(data[at : at + length])
        at += length
    return vocabulary


def _load_decoder(path: Path) -> Session:
    # Its weights are int8 behind Cast, Mul and Add. Of an ONNX file onnxruntime folds these into float32 on loading;
    # of an .ort file it repeats them for every token, which takes nine tenths of the time.
    return load_session(name_subgraphs(to_onnx(path)))


def _empty_cache() -> dict[str, NDArray[np.float32]]:
    empty = np.zeros((1, _HEADS, 0, _HEAD_SIZE), np.float32)
    return {
        f"past_key_values.{layer}.{side}.{part}": empty
        for layer in range(_LAYERS)
        for side in ("decoder", "encoder")
        for part in ("key", "value")
    }


def most_likely(logits: Samples, *, bar_end: bool) -> tuple[int, float]:
    """The best token and its log-likelihood; with `bar_end`, the best but the end of the text."""
    if bar_end:
        # Turns of digits alone were seen to come back empty without this.
        logits = logits.copy()
        logits[_END_TOKEN] = -np.inf
    token = int(logits.argmax())
    return token, -float(np.log(np.exp(logits - logits[token]).sum()))
