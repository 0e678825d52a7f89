"""The session object: its defaults as the service sends them, and what `session.update` may change.

The order of the fields is that of a real `session.created`, so that a reader can lay both side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.engine.refusal import Refusal, refusal

DEFAULT_INSTRUCTIONS = (
    "You are a deterministic claims-intake dialogue, not a language model. You take an insurance claim by telephone: "
    "you ask for one thing at a time, read it back, correct it when told so, and say goodbye."
)
"""In force until a client sends its own; an empty string brings it back."""

EAGERNESS_SILENCE_MS = {"low": 1500, "medium": 800, "auto": 800, "high": 500}
"""This engine hears no meaning: semantic_vad waits for silence, the less eager the longer."""
SEMANTIC_THRESHOLD = 0.5
SEMANTIC_PREFIX_PADDING_MS = 300


LOGPROBS = "item.input_audio_transcription.logprobs"
"""The only thing that `include` can ask for."""


class Part(BaseModel):
    """A part of the protocol that came from a client: no unknown field, no conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PcmFormat(Part):
    """PCM16 mono little-endian; the only rate the protocol knows. This engine takes no G.711."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] = 24000


class Transcription(Part):
    """Built-in transcription of committed turns."""

    model: Annotated[str, Field(min_length=1)]
    language: str | None = None
    prompt: str | None = None
    languages: list[str] | None = None
    keywords: list[str] | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class NoiseReduction(Part):
    """Accepted and echoed; this engine does none."""

    type: Literal["near_field", "far_field"]
    strength: float | None = None


class ServerVad(Part):
    """Turn detection by silence."""

    type: Literal["server_vad"] = "server_vad"
    threshold: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    prefix_padding_ms: Annotated[int, Field(ge=0, le=10_000)] = 300
    silence_duration_ms: Annotated[int, Field(ge=0, le=30_000)] = 200
    idle_timeout_ms: Annotated[int, Field(ge=5_000, le=30_000)] | None = None
    create_response: bool = True
    interrupt_response: bool = True

    @property
    def detector(self) -> tuple[float, int, int]:
        """`threshold`, `prefix_padding_ms`, `silence_duration_ms` for the turn detector."""
        return self.threshold, self.prefix_padding_ms, self.silence_duration_ms


class SemanticVad(Part):
    """Turn detection by meaning, here approximated by silence."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True

    @property
    def detector(self) -> tuple[float, int, int]:
        """`threshold`, `prefix_padding_ms`, `silence_duration_ms` for the turn detector."""
        return SEMANTIC_THRESHOLD, SEMANTIC_PREFIX_PADDING_MS, EAGERNESS_SILENCE_MS[self.eagerness]


class AudioInput(Part):
    """`session.audio.input`."""

    format: PcmFormat = PcmFormat()
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: Annotated[ServerVad | SemanticVad, Field(discriminator="type")] | None = ServerVad()


class VoiceId(Part):
    """A voice of one's own."""

    id: str


Voice = str | VoiceId


class AudioOutput(Part):
    """`session.audio.output`. Any name of a voice is taken: this engine has one voice."""

    format: PcmFormat = PcmFormat()
    voice: Voice = "alloy"
    speed: Annotated[float, Field(ge=0.25, le=1.5)] = 1.0


class SessionAudio(Part):
    """`session.audio`."""

    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class FunctionTool(Part):
    """A function that the client can run."""

    type: Literal["function"]
    name: Annotated[str, Field(min_length=1)]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class NamedTool(Part):
    """A function that must be called."""

    type: Literal["function"]
    name: str


ToolChoice = Literal["auto", "none", "required"] | NamedTool
MaxOutputTokens = Annotated[int, Field(ge=1, le=4096)] | Literal["inf"]
Modalities = Annotated[list[Literal["text", "audio"]], Field(min_length=1, max_length=1)]


class Reasoning(Part):
    """Accepted and echoed."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class Prompt(Part):
    """Accepted and echoed."""

    id: str
    version: str | None = None
    variables: dict[str, Any] | None = None


class TokenLimits(Part):
    """Of `truncation`."""

    post_instructions: Annotated[int, Field(ge=0)] | None = None


class RetentionRatio(Part):
    """Leave out more of the oldest items than must be, so that the next requests share a longer prefix."""

    type: Literal["retention_ratio"]
    retention_ratio: Annotated[float, Field(ge=0.0, le=1.0)]
    token_limits: TokenLimits | None = None


class Tracing(Part):
    """Accepted and echoed."""

    workflow_name: str | None = None
    group_id: str | None = None
    metadata: dict[str, Any] | None = None


class SessionConfig(Part):
    """Everything a client may set, with the defaults of the service."""

    type: Literal["realtime"] = "realtime"
    model: str
    output_modalities: Modalities = ["audio"]
    instructions: str = DEFAULT_INSTRUCTIONS
    tools: list[FunctionTool] = []
    tool_choice: ToolChoice = "auto"
    max_output_tokens: MaxOutputTokens = "inf"
    tracing: Literal["auto"] | Tracing | None = None
    truncation: Literal["auto", "disabled"] | RetentionRatio = "auto"
    prompt: Prompt | None = None
    audio: SessionAudio = SessionAudio()
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None

    def tool_names(self) -> frozenset[str]:
        """Functions that may be called."""
        return frozenset(tool.name for tool in self.tools)

    def wire(self, session_id: str, expires_at: int) -> dict[str, Any]:
        """The session object as it is echoed. `expires_at` is Unix time in seconds."""
        wire = self.model_dump(mode="json")
        for name in ("parallel_tool_calls", "reasoning"):
            if wire[name] is None:
                del wire[name]
        wire["tools"] = [tool.model_dump(mode="json", exclude_none=True) for tool in self.tools]
        for name in ("transcription", "noise_reduction"):
            if wire["audio"]["input"][name] is not None:
                kept = {"language", "prompt"}
                wire["audio"]["input"][name] = {
                    k: v for k, v in wire["audio"]["input"][name].items() if v is not None or k in kept
                }
        for name in ("tracing", "truncation", "tool_choice", "prompt"):
            if isinstance(getattr(self, name), Part):
                wire[name] = getattr(self, name).model_dump(mode="json", exclude_none=True)
        return {
            "type": wire.pop("type"),
            "object": "realtime.session",
            "id": session_id,
            "model": wire.pop("model"),
            "expires_at": expires_at,
            **wire,
        }


def updated(current: SessionConfig, patch: Mapping[str, Any]) -> SessionConfig:
    """`current` with the fields of a `session.update` laid over it, nested ones too; null where the client wrote null.

    Raises Refusal, naming the field.
    """
    if "type" not in patch:
        raise Refusal("missing_required_parameter", "Missing required parameter: 'session.type'.", "session.type")
    merged = _merged(current.model_dump(), patch)
    if merged.get("instructions") == "":
        merged["instructions"] = DEFAULT_INSTRUCTIONS
    try:
        config = SessionConfig.model_validate(merged)
    except ValidationError as error:
        raise refusal(error, merged, "session") from None
    if config.model != current.model:
        message = "The model of a session cannot be changed: open another session with ?model= instead."
        raise Refusal("invalid_value", message, "session.model")
    return config


_NESTED = frozenset({"audio", "input", "output", "transcription", "noise_reduction", "turn_detection"})
"""Objects whose fields can be set one by one; every other field is replaced whole."""


def _merged(current: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(current)
    for name, value in patch.items():
        before = current.get(name)
        if (
            name in _NESTED
            and isinstance(value, Mapping)
            and isinstance(before, Mapping)
            and not _other_kind(before, value)
        ):
            merged[name] = _merged(before, value)
        else:
            merged[name] = value
    return merged


def _other_kind(before: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return "type" in value and value["type"] != before.get("type")
