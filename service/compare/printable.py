"""Words of strangers, made fit to be shown: a terminal obeys control characters, and a spreadsheet formulas."""

from __future__ import annotations


def printable(text: str) -> str:
    """On one line, without control and formatting characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
