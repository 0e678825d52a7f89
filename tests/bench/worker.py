"""The worker under test: `claimline serve` as a user starts it."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 25.0


class Worker:
    """A process that answers calls on a port of its own; its log is kept in `directory`.

    No webhook, unless `chosen` settings (environment names without the prefix) name one.
    """

    def __init__(self, engine_url: str, directory: Path, **chosen: str) -> None:
        settings = {
            "CLAIMLINE_REALTIME__URL": engine_url,
            "CLAIMLINE_SIP__BIND": "127.0.0.1",
            "CLAIMLINE_SIP__PORT": "0",
            "CLAIMLINE_HTTP__PORT": "0",
            "CLAIMLINE_OUTBOX__PATH": str(directory / "outbox.db"),
            **{f"CLAIMLINE_{name}": value for name, value in chosen.items()},
        }
        # Settings of the user's would be measured with it; those named on purpose begin with BENCH_.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CLAIMLINE_")}
        on_purpose = {f"CLAIMLINE_{key[6:]}": value for key, value in os.environ.items() if key.startswith("BENCH_")}
        with (directory / "worker.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service", "serve"],
                env=environment | settings | on_purpose,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        try:
            self.sip_port, self.http_url = self._until_ready(directory)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def close(self) -> None:
        """Drain and end it."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _until_ready(self, directory: Path) -> tuple[int, str]:
        output = self._process.stdout
        assert output is not None
        end_s = time.monotonic() + READY_TIMEOUT_S
        said = b""
        while time.monotonic() < end_s and self._process.poll() is None:
            if select.select([output], [], [], 0.2)[0]:
                said += os.read(output.fileno(), 4096)
                if found := re.search(rb"sip:claims@[^:]+:(\d+).*?(http://[^/\s]+)", said):
                    return int(found[1]), found[2].decode()
        raise RuntimeError(f"claimline serve did not get ready: {(directory / 'worker.log').read_text()[-500:]}")
