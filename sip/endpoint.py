"""The SIP endpoint as the loop sees it: one thread owns PJSIP; orders go there by a queue, events come back."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import queue
import sys
import threading
import uuid
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, TypeVarTuple, Unpack

from service import config
from service.call.leg import Invite, Leg
from service.errors import LocalProtocolError
from sip import native
from sip.admission import Refusal
from sip.faults import Faults
from sip.invite import address_in, user_of
from sip.leg import Order, SipLeg
from sip.stack import Bound, Stack

Ts = TypeVarTuple("Ts")

POLL_MS = 20
"""How long an order may wait while there are legs."""
IDLE_POLL_MS = 50
MAX_ORDERS = 4096
SWITCH_INTERVAL_S = 0.0005
"""How long the interpreter lock may be kept from PJSIP's clock thread (CPython's default is 5 ms)."""
EXIT_TIMEOUT_S = 5.0


class Endpoint:
    """Takes INVITEs and places calls. Only one may run in a process at a time; after `stop` another may start.

    `on_invite` gets each admitted INVITE as a `Leg` (nothing has been answered yet), `on_refused` each that was not
    admitted, `on_log` PJSIP's own lines with their level (1 error, 2 warning) and swallowed exceptions (0). All three
    are called on the loop that called `start`.
    """

    def __init__(
        self,
        settings: config.Sip,
        on_invite: Callable[[Leg], None],
        on_refused: Callable[[Refusal], None],
        on_log: Callable[[int, str], None],
    ) -> None:
        self._on_invite = on_invite
        self._on_refused = on_refused
        self._on_log = on_log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._tick_is_pending = False
        self._orders: queue.Queue[Callable[[], None]] = queue.Queue(MAX_ORDERS)
        self._faults = Faults(lambda where, error: self._tell(self._on_log, 0, f"{where}: {error!r}"))
        self._stack = Stack(
            settings,
            user_agent=f"claimline/{_version()}",
            new_leg=self._leg,
            on_invite=lambda leg: self._tell(self._on_invite, leg),
            on_refused=lambda refusal: self._tell(self._on_refused, refusal),
            on_line=lambda level, line: self._tell(self._on_log, level, line),
            on_tick=self._on_tick,
            faults=self._faults,
        )

    @property
    def active(self) -> int:
        """Legs that live now. May be read on any thread."""
        return len(self._stack.dialogs)

    @property
    def slots_used(self) -> int:
        """PJSIP's call slots that are taken now, by legs and by calls that are being refused."""
        used = native.used_slots()
        return self.active if used is None else used

    @property
    def missed_deadlines(self) -> int:
        """20 ms deadlines that the media clock let pass while there were legs, since the start."""
        return self._stack.missed_deadlines

    @property
    def faults(self) -> int:
        """Exceptions that PJSIP's callbacks swallowed so far."""
        return self._faults.count + self._stack.port_errors

    async def start(self) -> Bound:
        """Open the library and listen. Raises `ConfigError` naming the setting to mend."""
        if self._thread is not None:
            raise LocalProtocolError("the SIP endpoint was started twice")
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[Bound] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="sip", daemon=True)
        self._thread.start()
        atexit.register(self._stop_at_exit)
        return await opened

    def drain(self) -> None:
        """Refuse every new INVITE with 503 from now on; live calls go on."""
        self._order(self._stack.drain)

    def dial(self, uri: str, codec: Literal["PCMU", "PCMA"] | None = None) -> Leg:
        """Place a call to a SIP URI. A failure comes as the leg's `Ended`, with the status code."""
        invite = Invite(
            sip_call_id=uuid.uuid4().hex,
            from_uri="",
            to_uri=uri,
            line=user_of(uri),
            peer=address_in(uri),
            transport="tcp" if "transport=tcp" in uri.lower() else "udp",
        )
        leg = self._leg(invite)
        self._order(lambda: self._stack.dial(leg, uri, codec))
        return leg

    async def stop(self) -> None:
        """Hang up what is left, put PJSIP away and end its thread. Harmless when repeated."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping.set()
        await asyncio.to_thread(thread.join)
        atexit.unregister(self._stop_at_exit)

    def _leg(self, invite: Invite) -> SipLeg:
        if self._loop is None:
            raise LocalProtocolError("the SIP endpoint was used before it was started")
        return SipLeg(invite, self._loop, self._send)

    def _send(self, leg: SipLeg, order: Order) -> None:
        self._order(lambda: self._stack.obey(leg, order))

    def _order(self, order: Callable[[], None]) -> None:
        try:
            self._orders.put_nowait(order)
        except queue.Full:
            raise LocalProtocolError(f"{MAX_ORDERS} orders wait for the SIP thread: it has stopped") from None

    def _tick_legs(self) -> None:
        self._tick_is_pending = False
        for leg in list(self._stack.dialogs):
            leg.tick()

    # -- the clock thread ------------------------------------------------------------------------------------------

    def _on_tick(self) -> None:
        """One wake-up for all legs, unless one is already on its way."""
        if not self._tick_is_pending:
            self._tick_is_pending = True
            self._tell(self._tick_legs)

    # -- the SIP thread --------------------------------------------------------------------------------------------

    def _run(self, opened: asyncio.Future[Bound]) -> None:
        try:
            bound = self._stack.open()
        except BaseException as error:  # noqa: BLE001
            self._close()
            self._tell(_fail, opened, error)
            return
        self._tell(_succeed, opened, bound)
        while not self._stopping.is_set():
            self._turn()
        self._drain_orders()
        self._close()

    def _turn(self) -> None:
        try:
            self._stack.poll(POLL_MS if self._stack.dialogs else IDLE_POLL_MS)
        except BaseException as error:  # noqa: BLE001
            self._faults.swallow("poll", error)
        self._drain_orders()

    def _drain_orders(self) -> None:
        while True:
            try:
                order = self._orders.get_nowait()
            except queue.Empty:
                return
            try:
                order()
            except BaseException as error:  # noqa: BLE001
                self._faults.swallow("order", error)

    def _close(self) -> None:
        try:
            self._stack.close()
        except BaseException as error:  # noqa: BLE001
            self._faults.swallow("close", error)

    def _tell(self, listener: Callable[[Unpack[Ts]], None], *values: *Ts) -> None:
        if self._loop is None:
            return
        with contextlib.suppress(RuntimeError):  # The loop may be closed: nobody is left to be told.
            self._loop.call_soon_threadsafe(listener, *values)

    def _stop_at_exit(self) -> None:
        thread = self._thread
        if thread is not None:
            self._stopping.set()
            thread.join(EXIT_TIMEOUT_S)


def _succeed(opened: asyncio.Future[Bound], bound: Bound) -> None:
    if not opened.done():
        opened.set_result(bound)


def _fail(opened: asyncio.Future[Bound], error: BaseException) -> None:
    if not opened.done():
        opened.set_exception(error)


def _version() -> str:
    try:
        return version("claimline")
    except PackageNotFoundError:
        return "0"
