"""The prompts: packaged with the service, or from the files that the configuration names."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from service.errors import ConfigError

RECORDED = "This call is recorded."
"""The sentence that says so to the agent. The embedded engine looks for it in the session's instructions."""


def load_instructions(package: str, name: str, override: Path | None, setting: str) -> str:
    """The text of a prompt: the override's if one is configured, else the packaged file's.

    Raises `ConfigError` naming `setting` where the override cannot be read or is empty.
    """
    if override is None:
        return packaged_instructions(package, name)
    try:
        text = override.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{setting}: cannot read {override}: {error}") from None
    if not text.strip():
        raise ConfigError(f"{setting}: {override} is empty")
    return text


def packaged_instructions(package: str, name: str = "instructions.txt") -> str:
    """The text of a prompt that comes with the service."""
    return resources.files(package).joinpath(name).read_text("utf-8")


def announcing_recording(instructions: str) -> str:
    """The agent's prompt for calls that are recorded, whoever wrote it."""
    return f"{instructions.rstrip()}\n\n{RECORDED} Say so in your greeting, before you ask anything.\n"
