"""What the runner does about the recording of its call: begin, end, and note in the record what became of it."""

from __future__ import annotations

from pathlib import Path

from service.call.record import CallRecord
from service.media.ring import AudioHandover
from service.recording.recorder import Recorder


class CallRecording:
    """Without a directory calls are not recorded, and nothing here has an effect."""

    def __init__(self, directory: Path | None, record: CallRecord, audio: AudioHandover) -> None:
        self._directory = directory
        self._record = record
        self._audio = audio
        self._recorder: Recorder | None = None

    def begin(self, now_s: float) -> None:
        """The caller is connected."""
        if self._directory is not None and self._recorder is None:
            self._recorder = Recorder(self._directory, self._record.call_id, self._audio, now_s)
            self._record.recording = self._recorder.file

    async def finish(self) -> None:
        """The call is over."""
        if self._recorder is not None:
            recorded = await self._recorder.finish()
            self._record.recording, self._record.recording_complete = recorded.file, recorded.complete
