"""The Dockerfile and the compose file keep what they promise: pinned, rootless, healthy, small."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from service.config import Config

ROOT = Path(__file__).parents[2]


@dataclass
class Stage:
    """One FROM with the instructions under it, those of the stage it builds upon first."""

    image: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        return [argument for instruction, argument in self.instructions if instruction == word]


def _stages() -> dict[str, Stage]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    stages: dict[str, Stage] = {}
    current = Stage("")
    for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines():
        word, _, argument = line.partition(" ")
        if word == "FROM":
            image, name = re.fullmatch(r"(\S+) AS (\S+)", argument).groups()  # type: ignore[union-attr]
            parent = stages.get(image, Stage(image))
            current = stages[name] = Stage(parent.image, list(parent.instructions))
        elif word:
            current.instructions.append((word, argument))
    return stages


STAGES = _stages()
SHIPPED = {name: STAGES[name] for name in ("engine", "service")}


def test_every_image_is_a_named_release() -> None:
    compose = (ROOT / "deploy" / "compose.yaml").read_text("utf-8")
    images = {stage.image for stage in STAGES.values()} | set(re.findall(r"image: (\S+)", compose))
    assert images
    for image in images:
        assert re.search(r":v?\d+\.\d+", image), image


def test_shipped_images_run_as_nobody_special_and_tell_their_health() -> None:
    assert list(STAGES)[-1] == "service", "a plain `docker build` takes the last stage"
    for name, stage in SHIPPED.items():
        uid = int(stage.all("USER")[-1].split(":")[0])
        assert uid >= 1000
        assert stage.all("HEALTHCHECK"), name
        assert not stage.all("ADD")
        assert all("pip" not in step for step in stage.all("RUN")), "installing belongs to the build stages"
    assert "/healthz" in SHIPPED["service"].all("HEALTHCHECK")[-1]


def test_what_is_installed_is_locked() -> None:
    installs = [step for stage in STAGES.values() for step in stage.all("RUN") if "pip install" in step]
    assert installs
    for step in installs:
        for command in step.split("&&"):
            if "pip install" in command:
                assert "--require-hashes" in command or "--no-deps --no-build-isolation" in command
                assert "--no-cache-dir" in command


def test_what_is_copied_is_there_and_passes_the_ignore_file() -> None:
    passed = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    copies = [argument for stage in STAGES.values() for argument in stage.all("COPY") if "--from" not in argument]
    sources = {source for argument in copies for source in argument.split()[:-1]}
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(Path(source).match(pattern) for pattern in passed), f"{source} is in .dockerignore"


def test_the_exposed_ports_are_the_defaults() -> None:
    config = Config()
    sip, http, engine = config.sip.port, config.http.port, config.engine.port
    assert SHIPPED["service"].all("EXPOSE") == [f"{sip}/udp {sip}/tcp {http}/tcp"]
    assert SHIPPED["engine"].all("EXPOSE") == [f"{engine}/tcp"]


def test_compose_sets_only_settings_that_exist() -> None:
    compose = (ROOT / "deploy" / "compose.yaml").read_text("utf-8")
    for name in set(re.findall(r"^ +(CLAIMLINE_\w+):", compose, re.MULTILINE)):
        section, key = name.removeprefix("CLAIMLINE_").lower().split("__")
        assert key in type(getattr(Config(), section)).model_fields, name
