"""Where messages and recordings are kept: writable, with room, and not somewhere that forgets."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from service.check.finding import Finding
from service.config import Config
from service.errors import ConfigError
from service.outbox.message import OutboxStats
from service.outbox.outbox import Outbox
from service.outbox.schema import MIGRATIONS
from service.recording.wav import BYTES_PER_S

MOUNTS = Path("/proc/self/mounts")
NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "gfs2", "glusterfs", "lustre"}
    | {"ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs", "virtiofs"}
)
"""SQLite's WAL needs memory that all its processes share (sqlite.org/wal.html), and locks that hold."""
FORGETFUL_FILE_SYSTEMS = {"tmpfs": "after a restart of the machine", "ramfs": "after a restart of the machine"}
CONTAINER_LAYER = "overlay"
FREE_LEAST_BYTES = 50_000_000
FREE_LOW_BYTES = 1_000_000_000
"""A call of some minutes takes 80 kB: room for days without an endpoint, and for other files to grow."""
RECORDING_LOW_H = 24


def file_system_of(path: Path, mounts: str) -> str:
    """The type of the file system that `path` (absolute) is on, by the text of /proc/self/mounts; "" if unknown."""
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        if (path == Path(point) or Path(point) in path.parents) and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind


async def outbox(config: Config) -> list[Finding]:
    """The outbox's file system, its room, and what waits in it."""
    path = config.outbox.path.absolute()
    _try_directory(path.parent, "outbox.path")
    findings = [judge_place(path, file_system_of(path.resolve(), _mounts()), shutil.disk_usage(path.parent).free)]
    if path.exists():
        version = schema_version(path)
        if version is not None and version < len(MIGRATIONS):
            findings.append(judge_schema(version))
            return findings
        async with await Outbox.open(path) as opened:
            if not await opened.check():
                raise ConfigError(f"outbox.path {path} cannot be written")
            findings.append(judge_stats(await opened.stats()))
    return findings


def schema_version(path: Path) -> int | None:
    """Of a file that nothing is done to; None where it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            return int(database.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        return None


def judge_schema(version: int) -> Finding:
    """An older file. Opening would migrate it, and shut out workers of the older release."""
    return Finding(
        "deliveries",
        "warning",
        f"the outbox is of schema version {version}; the first start of this release makes it {len(MIGRATIONS)}",
        "end the older release's workers before that, and keep a copy of the file",
    )


def judge_place(path: Path, file_system: str, free_bytes: int) -> Finding:
    """Where the file is or will be."""
    says = f"outbox.path {path} has {free_bytes / 1e9:.1f} GB of room on {file_system or 'a file system of its own'}"
    if file_system in NETWORK_FILE_SYSTEMS:
        return Finding("outbox", "failed", f"{says}, which is a network file system", "put it on a local disk")
    if free_bytes < FREE_LEAST_BYTES:
        return Finding("outbox", "failed", says, "make room: when the disk is full, calls are refused")
    if file_system in FORGETFUL_FILE_SYSTEMS:
        gone = FORGETFUL_FILE_SYSTEMS[file_system]
        return Finding("outbox", "warning", f"{says}: undelivered messages are gone {gone}", "put it on a disk")
    if file_system == CONTAINER_LAYER:
        return Finding(
            "outbox", "warning", f"{says}: undelivered messages go with the container", "mount a volume there"
        )
    if free_bytes < FREE_LOW_BYTES:
        return Finding("outbox", "warning", says, "make room: when the disk is full, calls are refused")
    return Finding("outbox", "ok", says)


def judge_stats(stats: OutboxStats) -> Finding:
    """What waits in it."""
    says = f"{stats.pending} messages to deliver, {stats.dead} given up, endpoint {stats.endpoint}"
    if stats.endpoint == "disabled":
        return Finding("deliveries", "failed", says, "mend the endpoint, then: claimline outbox resume")
    if stats.dead:
        return Finding("deliveries", "warning", says, "claimline outbox list --dead says why; then outbox replay")
    return Finding("deliveries", "ok", says)


async def recording(config: Config) -> list[Finding]:
    """Raises `ConfigError` where recordings cannot be written."""
    directory = config.recording.directory
    if directory is None:
        return [Finding("recording", "ok", "recording.directory is not set: calls are not recorded")]
    tried = _try_nearest(directory, "recording.directory")
    hours = shutil.disk_usage(tried).free / BYTES_PER_S / 3600
    says = f"{directory} has room for {hours:,.0f} hours of calls"
    if hours < RECORDING_LOW_H:
        return [Finding("recording", "warning", says, "make room: nothing is deleted by claimline")]
    return [Finding("recording", "ok", says)]


async def event_log(config: Config) -> list[Finding]:
    """Nothing where it is off. Raises `ConfigError` where events cannot be written."""
    directory = config.realtime.event_log
    if directory is None:
        return []
    _try_nearest(directory, "realtime.event_log")
    return [Finding("event_log", "ok", f"{directory} takes the events of each call, callers' words included")]


def _try_nearest(directory: Path, setting: str) -> Path:
    """Try a directory that `serve` makes, or what it would be made in. Gives what was tried.

    Made here, it would belong to whoever runs the check, root perhaps, and be closed to the service.
    """
    tried = next(one for one in (directory.absolute(), *directory.absolute().parents) if one.exists())
    _try_directory(tried, setting)
    return tried


def _try_directory(directory: Path, setting: str) -> None:
    try:
        with tempfile.TemporaryFile(dir=directory) as probe:
            probe.write(b"\0")
    except OSError as error:
        raise ConfigError(f"{setting}: cannot write to {directory} as user {os.getuid()}: {error.strerror}") from None


def _mounts() -> str:
    try:
        return MOUNTS.read_text("utf-8", "surrogateescape")
    except OSError:
        return ""
