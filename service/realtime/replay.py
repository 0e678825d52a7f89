"""A conversation told to a new session: as text where the words are known, as audio where they are not yet."""

from __future__ import annotations

from base64 import b64encode
from typing import Literal

from service.realtime.commands import ItemCreate


def text_item(item_id: str | None, speaker: Literal["agent", "caller"], text: str) -> ItemCreate:
    """What one side said, under an id of the server's where `item_id` is None.

    The agent's audio cannot be given back to a session; its words can.
    """
    role, kind = ("assistant", "output_text") if speaker == "agent" else ("user", "input_text")
    name = {"id": item_id} if item_id is not None else {}
    return ItemCreate(item={**name, "type": "message", "role": role, "content": [{"type": kind, "text": text}]})


def audio_item(item_id: str, pcm24k: bytes) -> ItemCreate:
    """A caller turn that has no transcript yet: PCM16 mono 24 kHz."""
    audio = b64encode(pcm24k).decode("ascii")
    content = [{"type": "input_audio", "audio": audio}]
    return ItemCreate(item={"id": item_id, "type": "message", "role": "user", "content": content})
