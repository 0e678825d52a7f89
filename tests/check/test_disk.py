"""Disks that are full, far away, or forget."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from service.check import disk
from service.config import Config
from service.errors import ConfigError
from service.outbox.message import OutboxStats
from service.outbox.outbox import Outbox

MOUNTS = """overlay / overlay rw 0 0
proc /proc proc rw 0 0
server:/export /srv/shared\\040files nfs4 rw 0 0
tmpfs /var/lib/claimline/scratch tmpfs rw 0 0
/dev/sdb1 /var/lib/claimline ext4 rw 0 0
"""
OUTBOX = Path("/var/lib/claimline/outbox.db")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (str(OUTBOX), "ext4"),
        ("/var/lib/claimline/scratch/outbox.db", "tmpfs"),
        ("/var/lib/claimline-other/outbox.db", "overlay"),
        ("/srv/shared files/outbox.db", "nfs4"),
    ],
)
def test_a_file_is_on_the_deepest_mount_above_it(path: str, kind: str) -> None:
    assert disk.file_system_of(Path(path), MOUNTS) == kind


@pytest.mark.parametrize(
    ("kind", "free_bytes", "level", "mend"),
    [
        ("ext4", 2_000_000_000, "ok", ""),
        ("", 2_000_000_000, "ok", ""),
        ("ext4", 900_000_000, "warning", "make room"),
        ("ext4", 40_000_000, "failed", "make room"),
        ("nfs4", 2_000_000_000, "failed", "local disk"),
        ("tmpfs", 2_000_000_000, "warning", "put it on a disk"),
        ("overlay", 2_000_000_000, "warning", "volume"),
    ],
)
def test_the_outboxs_place_is_judged(kind: str, free_bytes: int, level: str, mend: str) -> None:
    finding = disk.judge_place(OUTBOX, kind, free_bytes)
    assert finding.level == level
    assert mend in finding.mend


@pytest.mark.parametrize(
    ("stats", "level", "mend"),
    [
        (OutboxStats(3, 4.0, 0, "ok", None), "ok", ""),
        (OutboxStats(3, 4.0, 2, "failing", "HTTP 503"), "warning", "outbox list --dead"),
        (OutboxStats(3, 4.0, 0, "disabled", "HTTP 410"), "failed", "outbox resume"),
    ],
)
def test_what_waits_is_judged(stats: OutboxStats, level: str, mend: str) -> None:
    finding = disk.judge_stats(stats)
    assert finding.level == level
    assert mend in finding.mend


async def test_a_look_at_an_outbox_that_is_not_there_makes_none(tmp_path: Path) -> None:
    config = Config(outbox={"path": tmp_path / "outbox.db"})  # type: ignore[arg-type]
    assert [finding.subject for finding in await disk.outbox(config)] == ["outbox"]
    assert os.listdir(tmp_path) == []  # noqa: PTH208 -- in an async test


async def test_an_older_outbox_is_not_migrated_by_a_look_at_it(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 1")
    findings = await disk.outbox(Config(outbox={"path": path}))  # type: ignore[arg-type]
    assert [(finding.subject, finding.level) for finding in findings][1:] == [("deliveries", "warning")]
    assert disk.schema_version(path) == 1


async def test_what_waits_in_an_outbox_that_is_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    async with await Outbox.open(path) as outbox:
        await outbox.open_call("call_1", "w")
        await outbox.append("call_1", "call.started", {})
        findings = await disk.outbox(Config(outbox={"path": path}))  # type: ignore[arg-type]
    assert findings[1].says == "1 messages to deliver, 0 given up, endpoint ok"


async def test_a_directory_that_is_not_there_fails(tmp_path: Path) -> None:
    config = Config(outbox={"path": tmp_path / "none" / "outbox.db"})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"outbox\.path: cannot write to .*/none as user \d+: No such file"):
        await disk.outbox(config)


async def test_recordings_have_room(tmp_path: Path) -> None:
    (finding,) = await disk.recording(Config(recording={"directory": tmp_path}))  # type: ignore[arg-type]
    assert "hours of calls" in finding.says
    (finding,) = await disk.recording(Config())
    assert finding.level == "ok"


def test_a_directory_that_serve_makes_is_not_made_by_whoever_checks(tmp_path: Path) -> None:
    directory = tmp_path / "not" / "yet"
    (recording,) = asyncio.run(disk.recording(Config(recording={"directory": directory})))  # type: ignore[arg-type]
    (events,) = asyncio.run(disk.event_log(Config(realtime={"event_log": directory})))  # type: ignore[arg-type]
    assert (recording.level, events.level) == ("ok", "ok")
    assert list(tmp_path.iterdir()) == []


async def test_a_directory_that_cannot_be_made_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    below = tmp_path / "file" / "below"
    with pytest.raises(ConfigError, match=r"recording\.directory: cannot write"):
        await disk.recording(Config(recording={"directory": below}))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"realtime\.event_log: cannot write"):
        await disk.event_log(Config(realtime={"event_log": below}))  # type: ignore[arg-type]
    assert await disk.event_log(Config()) == []
