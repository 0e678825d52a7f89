"""A recorded call says so in its record and its last webhook; a disk that fails is not felt by it."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import os
import wave
from pathlib import Path
from typing import Any

import pytest

from service.call.runner import CallRunner
from service.media.ring import FRAME_MS, SILENCE
from service.outbox.outbox import Outbox
from service.realtime.commands import SessionUpdate
from tests.call.test_runner import MemorySession, World, opens, settle

TICKS = 50


async def carry(outbox: Outbox, directory: Path | None) -> tuple[World, dict[str, Any], dict[str, Any]]:
    """A short call: what `GET /calls/…` said while it lived, and the data of its last webhook."""
    session = MemorySession()
    session.react = lambda event: (
        session.says("session.updated", session={}) if isinstance(event, SessionUpdate) else None
    )
    world = World(outbox, opens(session))
    world.runner = CallRunner("call_1", world.leg, dataclasses.replace(world.services, recordings=directory))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(world.runner.run())
        await settle(lambda: world.runner.record.answered_s is not None)
        begun_s = world.runner.record.answered_s or 0.0
        for tick in range(TICKS):
            world.leg.audio.take_downlink(begun_s + tick * FRAME_MS / 1000)
            world.leg.audio.put_uplink(SILENCE, begun_s + tick * FRAME_MS / 1000)
            world.leg.on_tick()
        live = world.registry.find("call_1")
        world.leg.caller_hangs_up()
    assert live is not None
    return world, live, (await world.messages())[-1]["data"]


async def test_the_record_and_the_last_webhook_name_the_file(outbox: Outbox, tmp_path: Path) -> None:
    world, live, ended = await carry(outbox, tmp_path)
    assert (live["recording"], live["recording_complete"]) == ("call_1.wav", None)
    assert (ended["recording"], ended["recording_complete"]) == ("call_1.wav", True)
    with wave.open(str(tmp_path / "call_1.wav")) as file:
        assert file.getnframes() == TICKS * 160
    assert world.counted("claimline_recordings_total", complete="true") == 1


async def test_without_a_directory_nothing_is_recorded(outbox: Outbox) -> None:
    world, live, ended = await carry(outbox, None)
    assert live["recording"] is ended["recording"] is ended["recording_complete"] is None
    assert world.leg.audio.tap is None
    assert world.counted("claimline_recordings_total", complete="false") == 0


async def test_a_full_disk_is_said_and_does_not_end_the_call(
    outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def has_room_for_a_header(file: int, content: bytes, offset: int) -> int:
        if offset:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(file, content, offset)

    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", has_room_for_a_header)
    world, _, ended = await carry(outbox, tmp_path)
    assert (ended["recording"], ended["recording_complete"]) == ("call_1.wav", False)
    assert (ended["reason"], ended["quality"]["uplink_frames_dropped"]) == ("hung_up_early", 0)
    assert world.leg.did == ["180", "200"]
    assert world.counted("claimline_recordings_total", complete="false") == 1
