"""Settings: where they come from, and one clear sentence for each that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.config import Config, SemanticVad, ServerVad, check_serve, load
from service.errors import ConfigError

KEY = "sk-" + "a" * 20


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY_FILE", raising=False)


def toml(path: Path, text: str) -> Path:
    file = path / "claimline.toml"
    file.write_text(text)
    return file


def test_without_anything_the_embedded_engine_is_used() -> None:
    config = load()
    assert config.realtime_url == "ws://127.0.0.1:8765/v1/realtime"
    assert config.realtime.model == "gpt-realtime-2.1"
    check_serve(config)


def test_the_environment_stands_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = toml(tmp_path, '[sip]\nport = 5070\nbind = "127.0.0.1"\n')
    monkeypatch.setenv("CLAIMLINE_SIP__PORT", "5080")
    config = load(file)
    assert (config.sip.port, config.sip.bind) == (5080, "127.0.0.1")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[sip]\nprot = 1\n", "sip.prot: there is no such setting"),
        ("[spi]\nport = 1\n", "spi: there is no such setting"),
        ("[sip]\nport = 70000\n", "sip.port: input should be less than or equal to 65535"),
        ('[sip]\nallowed_peers = ["10.0.0.0/99"]\n', "sip.allowed_peers.0: "),
        ('[realtime]\nurl = "http://x"\n', "realtime.url: must begin with ws:// or wss://"),
        ("[realtime.session.audio.input.turn_detection]\nsilence = 5\n", "silence: there is no such setting"),
        ('[realtime]\nurl = "wss:///v1"\n', "realtime.url: names no host"),
        ('[webhook]\nurl = "https://x:http/"\n', "webhook.url: port could not be cast"),
        ('[webhook]\nurl = "ftp://x"\n', "webhook.url: must begin with http:// or https://"),
        ('[webhook]\nurl = "https://"\n', "webhook.url: names no host"),
        ('[realtime]\nurl = "wss://x:99999/"\n', "realtime.url: port out of range 0-65535"),
        ('[realtime]\nurl = "wss://a..b/"\n', "realtime.url: "),
        ("[transcription]\ncontext = 0\n", "transcription.context: input should be 'turn' or 'full', or input"),
        ("[realtime.session.truncation]\nretention_ratio = 2\n", "realtime.session.truncation.retention_ratio: input"),
        ('[sip]\nallowed_peers = "10.0.0.0/8"\n', "sip.allowed_peers: must be a list"),
        ('[redaction]\npatterns = { iban = "(" }\n', "redaction.patterns.iban: is no regular expression: missing )"),
        ('[redaction.patterns]\nx = "a*"\n', "redaction.patterns.x: finds an empty text"),
        ("sip = 5\n", "sip: "),
        ("[sip\n", "is not valid TOML"),
    ],
)
def test_a_wrong_key_is_refused_by_name(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(toml(tmp_path, text))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["CLAIMLINE_SIP__PROT", "CLAIMLINE_NONSENSE", "CLAIMLINE_SPI__PORT"])
def test_a_wrong_variable_is_refused_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match="there is no such setting"):
        load()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("CLAIMLINE_SIP__ALLOWED_PEERS", "10.0.0.0/8", r"sip\.allowed_peers: must be a list \(in the environment"),
        ("CLAIMLINE_PRICES__OVERRIDES", "gpt", r"prices\.overrides: must be a table"),
        ("CLAIMLINE_SIP", "{port: 5", r"sip: must be a table"),
    ],
)
def test_a_variable_that_is_no_json_is_refused_by_name(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=sentence):
        load()


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        load(tmp_path / "absent.toml")


def test_turn_detection_of_both_kinds(tmp_path: Path) -> None:
    tuned = load(toml(tmp_path, "[realtime.session.audio.input.turn_detection]\nsilence_duration_ms = 700\n"))
    assert tuned.realtime.session.audio.input.turn_detection == ServerVad(silence_duration_ms=700)
    semantic = load(
        toml(tmp_path, '[realtime.session.audio.input.turn_detection]\ntype = "semantic_vad"\neagerness = "low"\n')
    )
    assert semantic.realtime.session.audio.input.turn_detection == SemanticVad(type="semantic_vad", eagerness="low")


def test_secrets_come_from_files_and_never_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text(KEY + "\n")
    monkeypatch.setenv("CLAIMLINE_REALTIME__API_KEY_FILE", str(secret))
    config = load()
    assert config.realtime.api_key is not None
    assert config.realtime.api_key.get_secret_value() == KEY
    assert config.secrets() == (KEY,)
    assert KEY not in repr(config)
    assert KEY not in config.model_dump_json()


def test_a_secret_given_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAIMLINE_REALTIME__API_KEY", KEY)
    monkeypatch.setenv("CLAIMLINE_REALTIME__API_KEY_FILE", str(tmp_path / "x"))
    with pytest.raises(ConfigError, match="both set"):
        load()


@pytest.mark.parametrize("content", [None, ""])
def test_a_secret_file_that_cannot_be_used_is_named(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("CLAIMLINE_WEBHOOK__SECRET_FILE", str(file))
    with pytest.raises(ConfigError, match=r"webhook\.secret_file"):
        load()


@pytest.mark.parametrize("key", [f"\ufeff{KEY}", f"{KEY}\n{KEY}", f"“{KEY}”"], ids=["bom", "two lines", "quotes"])
def test_a_key_that_no_header_takes_is_refused_and_not_shown(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(key, "utf-8")
    monkeypatch.setenv("CLAIMLINE_REALTIME__API_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(ConfigError, match=r"realtime\.api_key: must be printable ASCII") as refused:
        load()
    assert KEY not in str(refused.value)


def test_openais_own_variable_is_read_unless_ours_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    config = load()
    assert config.realtime.api_key is not None
    assert config.realtime.api_key.get_secret_value() == KEY
    monkeypatch.setenv("CLAIMLINE_REALTIME__API_KEY", "ours")
    config = load()
    assert config.realtime.api_key is not None
    assert config.realtime.api_key.get_secret_value() == "ours"


def test_strangers_may_not_spend_money(tmp_path: Path) -> None:
    remote = '[realtime]\nurl = "wss://api.openai.com/v1/realtime"\n'
    with pytest.raises(ConfigError, match=r"sip\.allowed_peers"):
        check_serve(load(toml(tmp_path, remote)))
    check_serve(load(toml(tmp_path, remote + '[sip]\nallowed_peers = ["192.0.2.0/24"]\n')))


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        ("0.0.0.0", "ws://127.0.0.1:8765/v1/realtime"),
        ("::1", "ws://[::1]:8765/v1/realtime"),
        ("::", "ws://[::1]:8765/v1/realtime"),
        ("10.0.0.5", "ws://10.0.0.5:8765/v1/realtime"),
    ],
)
def test_the_embedded_engine_is_reached_wherever_it_listens_and_costs_nothing(bind: str, url: str) -> None:
    config = Config(engine={"bind": bind})  # type: ignore[arg-type]
    assert config.realtime_url == url
    check_serve(config)


def test_a_webhook_needs_its_secret(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"webhook\.secret"):
        check_serve(load(toml(tmp_path, '[webhook]\nurl = "https://claims.example/in"\n')))


def test_the_configuration_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().sip.port = 1


def test_each_webhook_secret_of_a_rotation_is_kept_out_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAIMLINE_WEBHOOK__SECRET", "whsec_new whsec_old")
    assert {"whsec_new", "whsec_old"} <= set(load().secrets())
