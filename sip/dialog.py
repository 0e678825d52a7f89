"""The SIP thread's side of a dialog: PJSIP's callbacks become events, orders become answers and requests."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

import pjsua2 as pj

from service.call.leg import Confirmed, Digit, Ended, LegEvent, MediaActive, MediaHeld, MediaLost, StreamStats
from service.media.ring import AudioHandover
from sip import native
from sip.digits import Tones, info_digit
from sip.faults import Faults, guarded
from sip.leg import Answer, Hangup, Order, Refuse, Ring
from sip.port import LinePort
from sip.silence import RtpWatch
from sip.stats import joined, stream_stats

_UNSAFE = re.compile(r'[\x00-\x1f\x7f"\\]+')
# pjmedia/stream_common.h; pjsua2 does not wrap them.
_IS_UPDATE, _IS_END = 1, 2


class LegSide(Protocol):
    """What a dialog tells its leg."""

    audio: AudioHandover

    def tell(self, event: LegEvent) -> None:
        """Hand an event to the loop."""


class Dialog(pj.Call):  # type: ignore[misc]
    """One `pjsua2.Call`. Lives until `on_gone` has been called and the callback has returned."""

    def __init__(  # noqa: PLR0917 -- what every dialog needs, in the order of the layers
        self, account: Any, call_id: int, leg: LegSide, port: LinePort, faults: Faults, media_timeout_s: float
    ) -> None:
        super().__init__(account, call_id)
        self.leg = leg
        self.faults = faults
        self.port = port
        self.on_gone: Callable[[Dialog], None] = _nobody
        self._incoming = call_id != pj.PJSUA_INVALID_ID
        self._ended_by: Literal["caller", "us"] = "caller"
        self._final_was_sent = False
        self._media: LegEvent | None = None
        self._media_index = -1
        self._confirmed = False
        self._rtp = RtpWatch(media_timeout_s)
        self._codec = ""
        self._stats: StreamStats | None = None
        self._tones = Tones()
        port.lend(leg.audio)

    @property
    def ended_by_us(self) -> bool:
        """Whether the last word was ours."""
        return self._ended_by == "us"

    # -- orders ----------------------------------------------------------------------------------------------------

    def obey(self, order: Order) -> None:
        """Carry out an order; one that no longer fits the dialog's state has no effect."""
        if not self.isActive():
            return
        state = self.getInfo().state
        unanswered = self._incoming and state in {pj.PJSIP_INV_STATE_INCOMING, pj.PJSIP_INV_STATE_EARLY}
        match order:
            case Ring() if unanswered and not self._final_was_sent:
                self._answer(180, "")
            case Answer() if unanswered and not self._final_was_sent:
                self._final_was_sent = True
                self._answer(200, "")
            case Refuse(code, phrase, retry_after_s) if unanswered and not self._final_was_sent:
                self._refuse(code, phrase, retry_after_s)
            case Hangup(reason) if unanswered and not self._final_was_sent:
                self._refuse(480, reason or "Temporarily Unavailable", None)
            case Hangup(reason):
                self._bye(reason)
            case _:
                pass

    def _refuse(self, code: int, phrase: str, retry_after_s: int | None) -> None:
        self._ended_by, self._final_was_sent = "us", True
        self._answer(min(max(code, 300), 699), phrase, {"Retry-After": str(retry_after_s)} if retry_after_s else {})

    def _answer(self, code: int, phrase: str, headers: dict[str, str] | None = None) -> None:
        self.answer(call_param(code, phrase, headers or {}))

    def _bye(self, reason: str | None) -> None:
        self._ended_by = "us"
        # RFC 3326: the protocol, then parameters.
        headers = {"Reason": f'SIP;text="{_UNSAFE.sub(" ", reason)[:120]}"'} if reason else {}
        self.hangup(call_param(0, "", headers))

    def shut_down(self) -> None:
        """End the dialog because the endpoint stops."""
        self.obey(Hangup("shutting down"))

    # -- PJSIP's callbacks -----------------------------------------------------------------------------------------

    @guarded
    def onCallState(self, prm: Any) -> None:  # noqa: N802
        """The dialog is confirmed or gone."""
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            self._confirmed = True
            self.leg.tell(Confirmed())
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self._tell_digits(self._tones.finish())
            self.port.give_back()
            try:
                self.leg.tell(Ended(info.lastStatusCode, info.lastReason, self._ended_by, self._stats))
            finally:
                self.on_gone(self)

    @guarded
    def onCallMediaState(self, prm: Any) -> None:  # noqa: N802
        """The offer/answer is done, the first time or by re-INVITE."""
        info = self.getInfo()  # Owns the list below: it must outlive the loop.
        for media in info.media:
            if media.type != pj.PJMEDIA_TYPE_AUDIO or media.status == pj.PJSUA_CALL_MEDIA_NONE:
                continue
            flows = media.status == pj.PJSUA_CALL_MEDIA_ACTIVE and media.dir == pj.PJMEDIA_DIR_ENCODING_DECODING
            if media.audioConfSlot != pj.PJSUA_INVALID_ID:
                # The first audio there is: pjsua2 counts media without the lines that this build cannot do, as video.
                self._connect(self.getAudioMedia(-1), flows)
            self._media_index = media.index
            if flows:
                self._codec = str(self.getStreamInfo(media.index).codecName)
            event: LegEvent = MediaActive(self._codec) if flows else MediaHeld()
            if event != self._media:
                self._media = event
                self.leg.tell(event)
            return

    def _connect(self, line: Any, flows: bool) -> None:
        if flows:
            line.startTransmit(self.port)
            self.port.startTransmit(line)
        elif isinstance(self._media, MediaActive):
            line.stopTransmit(self.port)
            self.port.stopTransmit(line)

    @guarded
    def onStreamDestroyed(self, prm: Any) -> None:  # noqa: N802
        """The last moment at which PJSIP still knows the stream's statistics."""
        index = prm.streamIdx
        codec = str(self.getStreamInfo(index).codecName)
        self._stats = joined(self._stats, stream_stats(self.getStreamStat(index), codec))

    @guarded
    def onDtmfEvent(self, prm: Any) -> None:  # noqa: N802
        """A telephone-event begins, goes on or ends."""
        goes_on, ends = bool(prm.flags & _IS_UPDATE), bool(prm.flags & _IS_END)
        now_s = time.monotonic()
        self._tell_digits(self._tones.heard(str(prm.digit), prm.duration, goes_on=goes_on, ends=ends, now_s=now_s))

    @guarded
    def onCallTsxState(self, prm: Any) -> None:  # noqa: N802
        """An INFO is answered here: PJSIP's own reading of one whose body lacks a line end aborts the process."""
        event = prm.e.body.tsxState
        transaction = event.tsx
        if (
            transaction.method == "INFO"
            and transaction.role == pj.PJSIP_ROLE_UAS
            and transaction.state == pj.PJSIP_TSX_STATE_TRYING
            and event.type == pj.PJSIP_EVENT_RX_MSG
        ):
            request = event.src.rdata
            digit = info_digit(request.wholeMsg)
            bare = not request.wholeMsg.partition("\r\n\r\n")[2]
            native.respond_in_dialog(request.pjRxData, 200 if bare or digit is not None else 415)
            if digit is not None:
                self._tell_digits([digit])

    def watch_media(self, now_s: float) -> None:
        """Tell when the caller's RTP has stopped; called often, looks once a second.

        Without an ACK nothing has to come: the call ends for that, when PJSIP has waited long enough.
        """
        if not self._confirmed:
            return
        if not isinstance(self._media, MediaActive) or not self._rtp.is_due(now_s):
            if isinstance(self._media, MediaHeld):
                self._rtp.pause(now_s)
            return
        if self.isActive() and self._rtp.look(self.getStreamStat(self._media_index).rtcp.rxStat.pkt, now_s):
            self.leg.tell(MediaLost())

    def expire_digit(self, now_s: float) -> None:
        """Tell a digit whose end has not come."""
        self._tell_digits(self._tones.expire(now_s))

    def _tell_digits(self, digits: list[Digit]) -> None:
        for digit in digits:
            self.leg.tell(digit)

    @guarded
    def onCallReplaceRequest(self, prm: Any) -> None:  # noqa: N802
        """INVITE with Replaces: nobody may take over a call."""
        prm.statusCode = 486
        prm.reason = "Busy Here"

    @guarded
    def onCallTransferRequest(self, prm: Any) -> None:  # noqa: N802
        """REFER: the caller does not get us to dial."""
        prm.statusCode = 603

    def onCallRedirected(self, prm: Any) -> int:  # noqa: N802
        """3xx: not followed."""
        return int(pj.PJSIP_REDIRECT_STOP)


def call_param(code: int, phrase: str, headers: dict[str, str]) -> Any:
    """A `pjsua2.CallOpParam` (default call setting, so that the media lines stay as negotiated)."""
    param = pj.CallOpParam(True)
    param.opt.audioCount = 1
    param.opt.videoCount = 0
    param.statusCode = code
    param.reason = _UNSAFE.sub(" ", phrase)[:120]
    for name, value in headers.items():
        header = pj.SipHeader()
        header.hName, header.hValue = name, value
        param.txOption.headers.append(header)
    return param


def destroy(proxy: Any) -> None:
    """End the C++ object now; a pjsua2 object that outlives `libDestroy` aborts the process."""
    if proxy.thisown:
        type(proxy).__swig_destroy__(proxy)
        proxy.thisown = False


def _nobody(dialog: Dialog) -> None:
    """Nobody is told."""
