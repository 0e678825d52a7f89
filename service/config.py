"""Every setting: its name, unit, range, default and where the default comes from.

Defaults stand here and nowhere else. One TOML file, every key overridable as ``CLAIMLINE_<SECTION>__<KEY>``; unknown
and wrong keys are refused with the key's name.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from service.errors import ConfigError

ENV_PREFIX = "CLAIMLINE_"
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

Port = Annotated[int, Field(ge=0, le=65535)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(gt=0.0)]
Usd = Annotated[Decimal, Field(gt=0, le=1_000_000)]


def _pattern(value: str) -> str:
    try:
        pattern = re.compile(value)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    if pattern.search("") is not None:
        raise ValueError("finds an empty text, so it would be found everywhere")
    return value


def _url(value: str | None, *schemes: str) -> str | None:
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.scheme not in schemes:
        raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if not parts.hostname:
        raise ValueError("names no host")
    # Both raise ValueError: later it would be raised in the middle of a call.
    _ = parts.port, parts.hostname.encode("idna")
    return value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sip(_Section):
    """Where SIP and RTP listen, who may call, how many at once."""

    bind: str = "0.0.0.0"
    port: Port = 5060
    """UDP and TCP; 0 takes a free port."""
    public_address: str | None = None
    """Address put into Contact and SDP; without it, what the route to the peer uses."""
    rtp_port_min: Port = 10000
    rtp_port_max: Port = 10999
    allowed_peers: tuple[IPvAnyNetwork, ...] = LOOPBACK
    max_calls: PositiveInt | None = None
    """Without it, one less than the PJSIP build allows."""
    pjsua_slots: PositiveInt | None = None
    """Calls the PJSIP build can hold; without it, the library is asked."""
    retry_after_s: PositiveInt = 5
    """Sent with 503."""
    drain_timeout_s: Seconds = 180.0
    media_timeout_s: Seconds = 30.0
    """Without RTP from the caller for this long, and not on hold, the call is ended."""
    jitter_buffer_prefetch_frames: Annotated[int, Field(ge=0, le=20)] = 1
    """20 ms frames gathered before playing; 1 measured 34-49 ms round trip, PJSIP's default 42-72 ms."""
    jitter_buffer_max_ms: Annotated[int, Field(ge=40, le=1000)] = 500
    """Room for what arrives while the process stands still; with 200 ms a stall of 300 ms left delay for good."""
    echo_tail_ms: Annotated[int, Field(ge=0, le=1000)] = 400
    """How late the agent's own voice may come back from the caller; 0: echo is not cancelled. 250 ms of line and room
    were measured; a longer tail costs 0.05 us a frame for each ms, and holds quiet callers back for longer."""
    record_headers: tuple[str, ...] = (
        "X-Twilio-CallSid",
        "X-Twilio-AccountSid",
        "P-Asserted-Identity",
        "P-Called-Party-ID",
        "Diversion",
    )
    """INVITE headers copied into the call's record."""

    @model_validator(mode="after")
    def _range(self) -> Sip:
        if self.rtp_port_max - self.rtp_port_min < 16:
            raise ValueError("sip.rtp_port_max must be at least 16 above sip.rtp_port_min")
        return self


class ServerVad(_Section):
    """Turn detection by silence. Defaults as documented for the GA protocol."""

    type: Literal["server_vad"] = "server_vad"
    threshold: Fraction = 0.5
    prefix_padding_ms: Annotated[int, Field(ge=0)] = 300
    silence_duration_ms: Annotated[int, Field(ge=0)] = 500
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: Annotated[int, Field(ge=5000, le=30000)] | None = None


class SemanticVad(_Section):
    """Turn detection by meaning."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


class NoiseReduction(_Section):
    """``near_field`` or ``far_field``."""

    type: Literal["near_field", "far_field"]
    strength: Fraction | None = None


class InputTranscription(_Section):
    """Options of the server's built-in transcription; its model is ``transcription.asr_model``."""

    language: str | None = None
    languages: tuple[str, ...] | None = None
    keywords: tuple[str, ...] | None = None
    prompt: str | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class AudioInput(_Section):
    """``session.audio.input``; the format is fixed to 24 kHz PCM16."""

    noise_reduction: NoiseReduction | None = None
    transcription: InputTranscription = InputTranscription()
    turn_detection: Annotated[ServerVad | SemanticVad, Field(discriminator="type")] = ServerVad()

    @field_validator("turn_detection", mode="before")
    @classmethod
    def _default_kind(cls, value: Any) -> Any:
        # A table that only tunes numbers means server_vad.
        return {"type": "server_vad", **value} if isinstance(value, Mapping) else value


class AudioOutput(_Section):
    """``session.audio.output``; the voice is ``realtime.voice``."""

    speed: Annotated[float, Field(ge=0.25, le=1.5)] = 1.0


class SessionAudio(_Section):
    """``session.audio``."""

    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class Reasoning(_Section):
    """Only reasoning models take it."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"]


class TokenLimits(_Section):
    """``session.truncation.token_limits``."""

    post_instructions: PositiveInt


class RetentionRatio(_Section):
    """Drop down to this share when the context is full, so that the cache survives longer."""

    type: Literal["retention_ratio"] = "retention_ratio"
    retention_ratio: Fraction
    token_limits: TokenLimits | None = None


class Session(_Section):
    """Every other field of ``session.update``, by its own name."""

    audio: SessionAudio = SessionAudio()
    max_output_tokens: Annotated[int, Field(ge=1, le=4096)] | Literal["inf"] = "inf"
    tool_choice: Literal["auto", "none", "required"] = "auto"
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    truncation: Literal["auto", "disabled"] | RetentionRatio = "auto"
    tracing: Literal["auto"] | dict[str, Any] | None = None
    include: tuple[Literal["item.input_audio_transcription.logprobs"], ...] | None = None
    tools: tuple[dict[str, Any], ...] = ()
    """Added to the built-in tools; the service only answers the built-in ones."""


class Realtime(_Section):
    """The model's side: one websocket per call."""

    url: str | None = None
    """``wss://…/v1/realtime``; without it, the embedded engine's."""
    api_key: SecretStr | None = None
    """Bearer token; ``OPENAI_API_KEY`` is read too."""
    api_key_file: Path | None = None
    model: str = "gpt-realtime-2.1"
    voice: str = "marin"
    session: Session = Session()
    connect_timeout_s: Seconds = 5.0
    """From INVITE to ``session.updated``; beyond it the caller gets 503."""
    reconnect_timeout_s: Seconds = 20.0
    """How long a call waits for a new session after its own broke."""
    session_max_s: Seconds = 3000.0
    """Before this age a session is exchanged in a pause of the talk; OpenAI ends sessions after 60 minutes."""
    event_log: Path | None = None
    """Directory; one JSON-lines file per call of all events both ways, audio replaced by its length."""

    @field_validator("url")
    @classmethod
    def _websocket(cls, value: str | None) -> str | None:
        return _url(value, "ws", "wss")


class Agent(_Section):
    """What the voice agent is told."""

    name: str = "Claire"
    """How the agent introduces itself."""
    company: str = "Claimline Insurance"
    instructions_file: Path | None = None
    max_call_s: Seconds = 3600.0
    """Then the agent is asked to say goodbye, and half a minute later the call is ended."""
    summarize_above_tokens: PositiveInt | None = None
    """Above this input of a response of the agent, a summary takes the place of the older turns; without it, never."""


class Transcription(_Section):
    """The sidecar: out-of-band transcripts of the caller's turns."""

    instructions_file: Path | None = None
    context: Literal["turn", "full"] | PositiveInt = "turn"
    asr_model: str = ""
    """The server's built-in transcription beside it; empty: off."""
    timeout_s: Seconds = 15.0
    """A request without a result for this long has failed, and is made once more."""
    flush_timeout_s: Seconds = 8.0
    """After the caller hung up, how long the last transcripts are waited for."""
    max_output_tokens: Annotated[int, Field(ge=16, le=4096)] = 1024
    max_open: PositiveInt = 4
    """Requests of one call on their way at once; turns beyond it wait their turn. A caller who speaks every two seconds
    fills four only where an answer takes eight."""


class Redaction(_Section):
    """What is taken out of transcripts before they leave: webhooks, log, event log, ``GET /calls``."""

    patterns: dict[str, Annotated[str, AfterValidator(_pattern)]] = {}
    """Regular expressions by name; what one finds becomes ``[name]``."""
    card_numbers: bool = True
    """13 to 19 digits, written or spoken, whose check digit is right, become ``[card number]``."""


class Claim(_Section):
    """The claim: filled from the transcripts by requests of its own, out of band."""

    extract: Literal["turn", "end", "off"] = "turn"
    """After each caller turn, once at the end of the call (and before a submission), or not at all."""
    timeout_s: Seconds = 15.0
    """A request without a result for this long has failed."""


class Webhook(_Section):
    """The claims-intake endpoint."""

    url: str | None = None
    """Without it, messages stay in the outbox."""
    secret: SecretStr | None = None
    """``whsec_`` and base64 of 24 to 64 bytes."""
    secret_file: Path | None = None
    connect_timeout_s: Seconds = 5.0
    read_timeout_s: Seconds = 15.0
    """Without a byte of the answer."""
    timeout_s: Seconds = 20.0
    """Of one try, whole; the Standard Webhooks specification names 15-30 s."""
    parallel_calls: PositiveInt = 8
    """Calls delivered side by side; within a call messages go one by one."""
    max_per_s: Annotated[float, Field(gt=0, le=10_000)] = 100.0
    """How fast a backlog drains when the endpoint answers again: live calls on the same cores hear more than this."""
    max_age_s: Seconds = 14 * 86_400.0
    """A message that was not delivered by then is given up."""
    allowed_networks: tuple[IPvAnyNetwork, ...] = LOOPBACK
    """Where webhooks may go without TLS, and though the address is private."""

    @field_validator("url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        return _url(value, "http", "https")


class Recording(_Section):
    """A stereo WAV of each call, left the caller, right the agent."""

    directory: Path | None = None
    """Without it, calls are not recorded; with it, the greeting says that they are."""


class Outbox(_Section):
    """Where messages wait."""

    path: Path = Path("claimline.db")
    retention_days: Annotated[float, Field(ge=0)] = 30.0
    """Delivered messages are removed at this age; 0 keeps them."""


class Http(_Section):
    """Health, metrics and calls."""

    bind: str = "127.0.0.1"
    port: Port = 8080
    token: SecretStr | None = None
    token_file: Path | None = None
    recent_calls: PositiveInt = 200
    """Ended calls kept for ``GET /calls``."""


class Engine(_Section):
    """The embedded local Realtime server."""

    bind: str = "127.0.0.1"
    port: Port = 8765
    recognizer: Literal["base"] = "base"
    workers: Annotated[int, Field(ge=1, le=16)] = 1
    """Threads of speech recognition, each on one core."""


class Prices(_Section):
    """Own prices, by model: USD per million tokens or per minute, over the built-in table."""

    overrides: dict[str, dict[str, Decimal]] = {}


class Limits(_Section):
    """What calls may cost, in USD; only what has a price is counted."""

    call_usd: Usd | None = None
    hour_usd: Usd | None = None
    """Of all calls of a worker within any 3,600 s."""
    warn_share: Fraction = 0.8
    """Of a limit: from here on it is warned of."""
    then: Literal["hang_up", "turn_context"] = "hang_up"
    """The agent says goodbye; or the call goes on, its turns transcribed without those before them."""


class Log(_Section):
    """Log lines."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    """auto: readable on a terminal, JSON elsewhere."""
    transcripts: bool = False
    """Callers' words in the log; off, since they are personal data."""


class _Environment(EnvSettingsSource):
    """Variables; one that should hold JSON and does not is passed on, to be refused by its key like any wrong value."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """See `EnvSettingsSource`."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class Config(BaseSettings):
    """The whole configuration, checked and frozen. Made by `load`."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    sip: Sip = Sip()
    realtime: Realtime = Realtime()
    agent: Agent = Agent()
    transcription: Transcription = Transcription()
    claim: Claim = Claim()
    redaction: Redaction = Redaction()
    webhook: Webhook = Webhook()
    recording: Recording = Recording()
    outbox: Outbox = Outbox()
    http: Http = Http()
    engine: Engine = Engine()
    prices: Prices = Prices()
    limits: Limits = Limits()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment stands over the file, which comes in as keyword arguments."""
        return _Environment(settings_cls), init_settings

    @property
    def realtime_url(self) -> str:
        """Where the Realtime server listens: the configured one, or the embedded engine."""
        return self.realtime.url or f"ws://{local_host(self.engine.bind)}:{self.engine.port}/v1/realtime"

    def secrets(self) -> tuple[str, ...]:
        """Every secret value in force, for the log's redaction."""
        held = (self.realtime.api_key, self.webhook.secret, self.http.token)
        values = [secret.get_secret_value() for secret in held if secret is not None]
        # While it rotates webhook.secret is several.
        rotating = self.webhook.secret.get_secret_value().split() if self.webhook.secret is not None else []
        return (*values, *rotating)


_HEADER_VALUE = re.compile(r"[ -~]*")
_ALTERNATIVE = re.compile(r"server_vad|semantic_vad|RetentionRatio|int|constrained-int|(literal|dict)\[.*\]")
"""What pydantic puts into the place of an error in a value that may be of several types: no key of ours."""


def load(path: Path | None = None) -> Config:
    """Read the TOML file (if one is given) and the environment.

    Raises `ConfigError` with one sentence that names the key to mend.
    """
    try:
        file_values = tomllib.loads(path.read_text("utf-8")) if path is not None else {}
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    for name in os.environ:
        section = name.removeprefix(ENV_PREFIX).partition("__")[0].lower()
        if name.startswith(ENV_PREFIX) and section not in Config.model_fields:
            raise ConfigError(f"{name}: there is no such setting")
    try:
        config = Config(**file_values)
    except ValidationError as error:
        raise ConfigError(_sentence(error)) from None
    return _with_secrets(config)


def _sentence(error: ValidationError) -> str:
    wrong = error.errors(include_url=False, include_context=False, include_input=False)
    keys = [".".join(str(part) for part in one["loc"] if not _ALTERNATIVE.fullmatch(str(part))) for one in wrong]
    # Of a value that may be one thing or another, each is refused in turn; the deepest came nearest.
    key = max((key for key in keys if key.startswith(keys[0])), key=lambda key: key.count("."))
    return f"{key}: {', or '.join(dict.fromkeys(_said(one) for one, at in zip(wrong, keys, strict=True) if at == key))}"


def _said(error: ErrorDetails) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "there is no such setting"
        case "tuple_type":
            return 'must be a list (in the environment as JSON, such as \'["a", "b"]\')'
        case "dict_type" | "model_type":
            return "must be a table (in the environment as JSON, or key by key)"
        case _:
            message = error["msg"].removeprefix("Value error, ")
            return f"{message[0].lower()}{message[1:]}"


def _with_secrets(config: Config) -> Config:
    """Resolve the `..._file` settings and the environment variable that OpenAI's own clients read."""
    fallback = os.environ.get("OPENAI_API_KEY")
    if fallback is None and (file := os.environ.get("OPENAI_API_KEY_FILE")):
        fallback = _read_secret("OPENAI_API_KEY_FILE", Path(file))
    api_key = _resolve("realtime.api_key", config.realtime.api_key, config.realtime.api_key_file)
    if api_key is None and fallback:
        api_key = SecretStr(fallback)
    if api_key is not None and not _HEADER_VALUE.fullmatch(api_key.get_secret_value()):
        # A websocket library that refuses the header quotes it in its error.
        raise ConfigError(
            "realtime.api_key: must be printable ASCII on one line: one key, no typographic quotes, no byte order mark"
        )
    secret = _resolve("webhook.secret", config.webhook.secret, config.webhook.secret_file)
    token = _resolve("http.token", config.http.token, config.http.token_file)
    return config.model_copy(
        update={
            "realtime": config.realtime.model_copy(update={"api_key": api_key}),
            "webhook": config.webhook.model_copy(update={"secret": secret}),
            "http": config.http.model_copy(update={"token": token}),
        }
    )


def _resolve(key: str, value: SecretStr | None, file: Path | None) -> SecretStr | None:
    if value is not None and file is not None:
        raise ConfigError(f"{key} and {key}_file are both set; keep one")
    return SecretStr(_read_secret(f"{key}_file", file)) if file is not None else value


def _read_secret(key: str, file: Path) -> str:
    try:
        text = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key}: cannot read {file}: {error}") from None
    if not text:
        raise ConfigError(f"{key}: {file} is empty")
    return text


def local_host(bind: str) -> str:
    """The host in a URL that leads to what listens on this machine's address `bind`; by loopback where that is all."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)
    return f"[{host}]" if ":" in host else host


def is_loopback_url(url: str) -> bool:
    """Whether the URL's host is this machine."""
    return is_loopback(urlsplit(url).hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a name or an address can only be this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_serve(config: Config) -> None:
    """Refuse combinations that would cost money or leak: called before `serve` binds anything."""
    explicit_peers = "allowed_peers" in config.sip.model_fields_set
    if config.realtime.url is not None and not is_loopback_url(config.realtime.url) and not explicit_peers:
        raise ConfigError(
            "sip.allowed_peers: name the networks that may call; realtime.url is not on loopback, so calls cost money"
        )
    if config.webhook.url is not None and config.webhook.secret is None:
        raise ConfigError("webhook.secret: set it (or webhook.secret_file), since webhook.url is set")
