"""PJSIP itself: library, transports, accounts, dialogs. Every method here runs on the SIP thread."""

from __future__ import annotations

import gc
import ipaddress
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pjsua2 as pj

from service import config
from service.call.leg import Ended, Invite
from service.errors import ConfigError
from service.media.ring import FRAME_MS, LINE_RATE_HZ
from sip import native
from sip.admission import Admission, Refusal, Verdict, reason_of_status
from sip.clock import BridgeClock
from sip.dialog import Dialog, call_param, destroy
from sip.faults import Faults, guarded
from sip.frames import SlowCopy, fastest_copy
from sip.invite import host_of, parse_invite
from sip.leg import Order, SipLeg
from sip.log import PJSIP_LEVEL, LogLines
from sip.port import LinePort

HANGUP_TIMEOUT_S = 1.5
"""How long `close` waits for dialogs to end."""
LINGER_S = 0.6
"""Between our last BYE and the end of the library: one that is lost is sent again after 0.5 s (RFC 3261 §17.1.2.2)."""
MAX_ROUTES = 8
"""Local addresses that get an account of their own."""
MAX_PREFETCH_MS = 160
"""How much may be gathered anew once the jitter buffer has run empty. PJSIP takes the burst behind a stall of our own
for the network's jitter, and would gather as much as the stall was long."""
BIND_TRIES = 20
_WILDCARD = "0.0.0.0"
_CODEC_PRIORITY = {"PCMU": 255, "PCMA": 254}
"""PJSIP's scale: 0 disables; the others are not offered."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Where the endpoint listens and what it can hold."""

    host: str
    udp_port: int
    tcp_port: int
    slots: int
    """Calls the PJSIP build can hold."""
    max_calls: int
    """Calls that are answered at once."""


class Stack:
    """One PJSIP library in this process: there can be only one at a time.

    `new_leg` makes the loop's side of an admitted INVITE, `on_invite` takes it once its dialog exists, `on_refused` is
    told of every INVITE that did not become a leg. `on_tick` is called on the clock thread once per 20 ms while audio
    flows.
    """

    def __init__(
        self,
        settings: config.Sip,
        *,
        user_agent: str,
        new_leg: Callable[[Invite], SipLeg],
        on_invite: Callable[[SipLeg], None],
        on_refused: Callable[[Refusal], None],
        on_line: Callable[[int, str], None],
        on_tick: Callable[[], None],
        faults: Faults,
    ) -> None:
        self.settings = settings
        self.faults = faults
        self.new_leg = new_leg
        self.on_invite = on_invite
        self.on_refused = on_refused
        self.on_line = on_line
        self.dialogs: dict[SipLeg, Dialog] = {}
        self._user_agent = user_agent
        self._gone: list[pj.Call] = []
        self._without_offer: list[_RefusedCall] = []
        """To be refused once the callback that brought them has returned."""
        self._log = LogLines(on_line)
        self._admission = Admission((), 0, settings.retry_after_s)
        self._library: _Library | None = None
        self._refusing: _Account | None = None
        self._accounts: dict[str, _Account] = {}
        self._ports: list[LinePort] = []
        self._free_ports: list[LinePort] = []
        self._verdict: Verdict | None = None
        self._udp_port = 0
        self._last_bye_s = -LINGER_S
        self._errors_of_gone_ports = 0
        self._clock = BridgeClock(on_tick)

    # -- life ------------------------------------------------------------------------------------------------------

    def open(self) -> Bound:
        """Start the library, bind, and make accounts and ports. Raises `ConfigError` naming the setting to mend."""
        settings = self.settings
        if _Library.runs:
            raise ConfigError("a SIP endpoint already runs in this process: PJSIP can be there only once")
        _require_ipv4(settings)
        native.silence_start()
        self._library = library = _Library(self)
        library.libCreate()
        library.libInit(self._library_config())
        slots = settings.pjsua_slots or native.call_slots()
        max_calls = settings.max_calls or max(1, slots - 1)
        if max_calls > slots:
            raise ConfigError(f"sip.max_calls is {max_calls}, but this PJSIP build holds {slots} calls at once")
        self._admission = Admission(settings.allowed_peers, max_calls, settings.retry_after_s)
        self._udp_port, tcp_port = self._bind(library)
        library.libStart()
        library.audDevManager().setNullDev()
        self._offer_codecs(None)
        self._refusing = self._account(refusing=True, address="")
        self._accounts[""] = self._account(refusing=False, address="")
        copy = fastest_copy()
        if copy is SlowCopy:
            self.on_line(2, "this pjsua2 build hides its frame buffers: audio is copied bytewise, 50 times slower")
        self._ports = [
            LinePort(copy(), self._clock, f"line-{number}", is_last=number == slots - 1) for number in range(slots)
        ]
        self._free_ports = list(self._ports)
        return Bound(settings.bind, self._udp_port, tcp_port, slots, max_calls)

    def poll(self, timeout_ms: int) -> None:
        """Let PJSIP work for at most `timeout_ms`."""
        if self._library is not None:
            self._library.libHandleEvents(timeout_ms)
        self._refuse_waiting()
        self._bury()
        now_s = time.monotonic()
        for dialog in list(self.dialogs.values()):
            dialog.expire_digit(now_s)
            try:
                dialog.watch_media(now_s)
            except pj.Error as error:
                self.faults.swallow("stream statistics", RuntimeError(error.reason))

    def close(self) -> None:
        """Hang up what is left and put the library away, so that another `Stack` may open."""
        if self._library is None:
            return
        self._admission.draining = True
        for leg, dialog in list(self.dialogs.items()):
            try:
                dialog.shut_down()
            except Exception as error:  # noqa: BLE001
                self.faults.swallow(f"hang up {leg.invite.sip_call_id}", error)
        end_s = time.monotonic() + HANGUP_TIMEOUT_S
        while time.monotonic() < (end_s if self.dialogs else self._last_bye_s + LINGER_S):
            self.poll(10)
        for leg, dialog in list(self.dialogs.items()):
            leg.tell(Ended(408, "Request Timeout", "us"))
            self._on_gone(dialog)
        self._bury()
        # No clock, no callback of a port: only now may ports go.
        library = self._library
        try:
            library.audDevManager().setNoDev()
        except pj.Error as error:
            self.faults.swallow("setNoDev", error)
        self._free_ports.clear()
        for port in self._ports:
            self._errors_of_gone_ports += port.errors
            destroy(port)
        self._ports.clear()
        for account in (*self._accounts.values(), self._refusing):
            if account is not None:
                destroy(account)
        self._accounts.clear()
        self._refusing = None
        gc.collect()
        try:
            library.libDestroy(pj.PJSUA_DESTROY_NO_NETWORK)  # All dialogs are over: nothing to wait for.
        finally:
            destroy(library)
            self._library = None
            _Library.runs = False

    @property
    def port_errors(self) -> int:
        """Exceptions that the ports swallowed on the clock thread."""
        return self._errors_of_gone_ports + sum(port.errors for port in self._ports)

    @property
    def missed_deadlines(self) -> int:
        """Of the clock, while legs were carried. May be read on any thread."""
        return self._clock.missed_deadlines

    # -- what the loop asks for ------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Refuse every INVITE from now on."""
        self._admission.draining = True

    def obey(self, leg: SipLeg, order: Order) -> None:
        """Carry out an order for a leg; nothing where it is gone."""
        dialog = self.dialogs.get(leg)
        if dialog is None:
            return
        try:
            dialog.obey(order)
        except pj.Error as error:
            self.faults.swallow(f"{order}", RuntimeError(error.info(False)))

    def dial(self, leg: SipLeg, uri: str, codec: str | None) -> None:
        """Send an INVITE; a URI that cannot be dialled ends the leg at once."""
        library = self._library
        if library is None or not self._free_ports:
            leg.tell(Ended(503, "No call slot is free", "us"))
            return
        self._bury()
        port = self._free_ports.pop()
        dialog = Dialog(
            self._account_towards(leg.invite.peer),
            pj.PJSUA_INVALID_ID,
            leg,
            port,
            self.faults,
            self.settings.media_timeout_s,
        )
        dialog.on_gone = self._on_gone
        self.dialogs[leg] = dialog
        param = call_param(0, "", {})
        param.opt.customCallId = leg.invite.sip_call_id
        try:
            self._offer_codecs(codec)
            dialog.makeCall(uri, param)
        except pj.Error as error:
            leg.tell(Ended(400, f"cannot dial {uri}: {error.reason}", "us"))
            self._on_gone(dialog)
        finally:
            self._offer_codecs(None)

    # -- INVITEs ---------------------------------------------------------------------------------------------------

    def judge(self, source: str) -> Any:
        """The account that takes an INVITE from `source`: one with sockets, or the one that refuses."""
        self._bury()  # The INVITE may have been given the slot of a call just gone.
        peer = host_of(source)
        self._verdict = self._admission.judge(peer, len(self.dialogs), time.monotonic())
        if self._verdict is None and not self._free_ports:
            self._verdict = Verdict(503, "Service Unavailable", "capacity", self.settings.retry_after_s)
        return self._refusing if self._verdict is not None else self._account_towards(peer)

    def take(self, account: Any, call_id: int, invite: Invite) -> None:
        """A judged INVITE has become a `pjsua2.Call`."""
        verdict, self._verdict = self._verdict, None
        if verdict is None and not self._free_ports:
            verdict = Verdict(503, "Service Unavailable", "capacity", self.settings.retry_after_s)
        if verdict is not None:
            refused = _RefusedCall(account, call_id, verdict, self.faults)
            if refused.getInfo().remOfferer:
                self._gone.append(refused)
                refused.refuse()
            else:
                self._without_offer.append(refused)
            self.on_refused(Refusal(invite, verdict.code, verdict.reason))
            return
        leg = self.new_leg(invite)
        dialog = Dialog(account, call_id, leg, self._free_ports.pop(), self.faults, self.settings.media_timeout_s)
        dialog.on_gone = self._on_gone
        self.dialogs[leg] = dialog
        self.on_invite(leg)

    def refused_by_pjsip(self, invite: Invite, code: int) -> None:
        """PJSIP has refused an INVITE by itself: no slot, or an offer it cannot use."""
        self._verdict = None
        self.on_refused(Refusal(invite, code, reason_of_status(code)))

    def _on_gone(self, dialog: Dialog) -> None:
        for leg, known in list(self.dialogs.items()):
            if known is dialog:
                del self.dialogs[leg]
                if dialog.ended_by_us:
                    self._last_bye_s = time.monotonic()
                dialog.port.give_back()
                self._free_ports.append(dialog.port)
                self._gone.append(dialog)

    def _refuse_waiting(self) -> None:
        waiting, self._without_offer = self._without_offer, []
        self._gone += waiting
        for refused in waiting:
            try:
                refused.refuse()
            except pj.Error as error:
                self.faults.swallow("refuse", RuntimeError(error.info(False)))

    def _bury(self) -> None:
        """Destroy the calls that ended, now that no callback of theirs is running.

        It has to be done before their slots hold other calls: pjsua2 hangs up whatever is in the slot of a call that it
        destroys.
        """
        self._gone += [refused for refused in self._without_offer if refused.over]
        self._without_offer = [refused for refused in self._without_offer if not refused.over]
        if self._gone:
            gone, self._gone = self._gone, []
            for call in gone:
                destroy(call)

    # -- making ----------------------------------------------------------------------------------------------------

    def _library_config(self) -> Any:
        settings, ep = self.settings, pj.EpConfig()
        ep.uaConfig.maxCalls = 1024  # PJSIP clamps it to what the build holds.
        ep.uaConfig.threadCnt = 0
        ep.uaConfig.mainThreadOnly = True
        ep.uaConfig.userAgent = self._user_agent
        ep.logConfig.level = ep.logConfig.consoleLevel = PJSIP_LEVEL
        ep.logConfig.msgLogging = 0
        ep.logConfig.decor = pj.PJ_LOG_HAS_SENDER
        ep.logConfig.writer = self._log
        self._log.__disown__()  # The library deletes it.
        media, prefetch_ms = ep.medConfig, settings.jitter_buffer_prefetch_frames * FRAME_MS
        media.clockRate = media.sndClockRate = LINE_RATE_HZ
        media.channelCount = 1
        media.audioFramePtime = media.ptime = FRAME_MS
        media.noVad = True
        media.ecTailLen = 0
        media.jbInit = media.jbMinPre = prefetch_ms
        media.jbMax = settings.jitter_buffer_max_ms
        media.jbMaxPre = max(prefetch_ms, min(MAX_PREFETCH_MS, settings.jitter_buffer_max_ms * 4 // 5))
        return ep

    def _bind(self, library: Any) -> tuple[int, int]:
        """UDP and TCP on one port; with `sip.port` 0 on one that is free for both."""
        settings = self.settings
        for _ in range(BIND_TRIES):
            port = settings.port or _free_port(settings.bind)
            transport = pj.TransportConfig()
            transport.port = port
            transport.boundAddress = "" if settings.bind == _WILDCARD else settings.bind
            transport.publicAddress = settings.public_address or ""
            try:
                tcp = library.transportCreate(pj.PJSIP_TRANSPORT_TCP, transport)
            except pj.Error as error:
                failure = error
                if settings.port:
                    break
                continue
            try:
                library.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
            except pj.Error as error:
                library.transportClose(tcp)
                failure = error
                if settings.port:
                    break
                continue
            return port, port
        raise ConfigError(f"sip.bind and sip.port: cannot listen on {settings.bind}:{settings.port} ({failure.reason})")

    def _offer_codecs(self, only: str | None) -> None:
        """G.711 alone, µ-law first; `only` narrows it to one of the two."""
        if self._library is not None:
            for codec in self._library.codecEnum2():
                name = codec.codecId.partition("/")[0]
                priority = _CODEC_PRIORITY.get(name, 0) if only in {None, name} else 0
                self._library.codecSetPriority(codec.codecId, priority)

    def _account(self, *, refusing: bool, address: str) -> _Account:
        """An account whose SDP names `address` (empty: what PJSIP chooses)."""
        settings, account = self.settings, pj.AccountConfig()
        account.idUri = (
            f"sip:claimline@{settings.public_address or address or config.local_host(settings.bind)}:{self._udp_port}"
        )
        account.regConfig.registerOnAdd = False
        account.callConfig.timerUse = pj.PJSUA_SIP_TIMER_OPTIONAL
        media = account.mediaConfig
        # A refused INVITE must not cost RTP sockets: PJSIP's I/O queue is small and an overflow aborts the process.
        media.useLoopMedTp = refusing
        media.srtpUse = pj.PJMEDIA_SRTP_DISABLED
        media.transportConfig.port = settings.rtp_port_min
        media.transportConfig.portRange = settings.rtp_port_max - settings.rtp_port_min
        media.transportConfig.boundAddress = "" if settings.bind == _WILDCARD else settings.bind
        media.transportConfig.publicAddress = settings.public_address or address
        made = _Account(self)
        made.create(account)
        return made

    def _account_towards(self, peer: str) -> _Account:
        """The account whose SDP names the local address on the route to `peer`."""
        settings = self.settings
        if settings.public_address or settings.bind != _WILDCARD:
            return self._accounts[""]
        address = _route_to(peer)
        if address not in self._accounts:
            if len(self._accounts) > MAX_ROUTES:
                return self._accounts[""]
            self._accounts[address] = self._account(refusing=False, address=address)
        return self._accounts[address]


class _Library(pj.Endpoint):  # type: ignore[misc]
    runs = False
    """PJSIP aborts the process when it is created twice."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        _Library.runs = True
        self._stack = stack
        self.faults = stack.faults

    @guarded
    def onSelectAccount(self, prm: Any) -> None:  # noqa: N802
        """PJSIP asks whose a request is, before it opens sockets for its media."""
        if prm.rdata.info.startswith("Request msg INVITE"):
            prm.accountIndex = self._stack.judge(prm.rdata.srcAddress).getId()

    @guarded
    def onRejectedIncomingCall(self, prm: Any) -> None:  # noqa: N802
        """PJSIP has refused an INVITE before there was a call."""
        stack = self._stack
        invite = parse_invite(prm.rdata.wholeMsg, prm.rdata.srcAddress, stack.settings.record_headers)
        stack.refused_by_pjsip(invite, prm.statusCode)


class _Account(pj.Account):  # type: ignore[misc]
    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self._stack = stack
        self.faults = stack.faults

    @guarded
    def onIncomingCall(self, prm: Any) -> None:  # noqa: N802
        """An INVITE has a slot."""
        stack = self._stack
        invite = parse_invite(prm.rdata.wholeMsg, prm.rdata.srcAddress, stack.settings.record_headers)
        stack.take(self, prm.callId, invite)


class _RefusedCall(pj.Call):  # type: ignore[misc]
    """A call that gets a final failure, and is kept until that is out.

    An INVITE without an offer must not be refused in the callback that brings it: PJSIP then aborts the process.
    """

    def __init__(self, account: Any, call_id: int, verdict: Verdict, faults: Faults) -> None:
        super().__init__(account, call_id)
        self.faults = faults
        self._verdict = verdict
        self.over = False
        """Its slot may hold another call by now."""

    def refuse(self) -> None:
        """Send the failure, unless the caller has given up."""
        if not self.over:
            retry_after_s = self._verdict.retry_after_s
            headers = {"Retry-After": str(retry_after_s)} if retry_after_s else {}
            self.answer(call_param(self._verdict.code, self._verdict.phrase, headers))

    @guarded
    def onCallState(self, prm: Any) -> None:  # noqa: N802
        """Refused, or given up by the caller."""
        self.over = self.getInfo().state == pj.PJSIP_INV_STATE_DISCONNECTED


def _require_ipv4(settings: config.Sip) -> None:
    for name, value in (("bind", settings.bind), ("public_address", settings.public_address)):
        try:
            if value is not None:
                ipaddress.IPv4Address(value)
        except ValueError:
            raise ConfigError(f"sip.{name} is {value!r}: it must be an IPv4 address") from None


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _route_to(peer: str) -> str:
    """The local address from which `peer` is reached; empty where there is none or `peer` is no IPv4 address."""
    try:
        if ipaddress.ip_address(peer).version != 4:
            return ""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((peer, 9))  # Sends nothing.
            return str(probe.getsockname()[0])
    except (ValueError, OSError):
        return ""
