"""The loop's side of a leg: events in order, orders passed on."""

from __future__ import annotations

import asyncio

from service.call.leg import Confirmed, Ended, Invite, LegEvent, MediaActive
from sip.leg import Answer, Hangup, Order, Refuse, Ring, SipLeg

INVITE = Invite("id", "sip:a@h", "sip:b@h", "b", "127.0.0.1", "udp")


def a_leg(orders: list[Order] | None = None) -> SipLeg:
    taken = [] if orders is None else orders
    return SipLeg(INVITE, asyncio.get_running_loop(), lambda _, order: taken.append(order))


async def turn_of_the_loop() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_events_before_listen_are_not_lost() -> None:
    leg, events = a_leg(), list[LegEvent]()
    leg.tell(MediaActive("PCMU"))
    await turn_of_the_loop()
    leg.listen(events.append, lambda: None)
    leg.tell(Confirmed())
    await turn_of_the_loop()
    assert events == [MediaActive("PCMU"), Confirmed()]


async def test_nothing_follows_ended() -> None:
    leg, events, ticks = a_leg(), list[LegEvent](), list[int]()
    leg.listen(events.append, lambda: ticks.append(1))
    ended = Ended(200, "OK", "caller")
    leg.tell(ended)
    leg.tell(Confirmed())
    leg.tell(ended)
    await turn_of_the_loop()
    leg.tick()
    assert events == [ended]
    assert not ticks


async def test_orders_are_passed_on() -> None:
    orders: list[Order] = []
    leg = a_leg(orders)
    leg.ring()
    leg.answer()
    leg.refuse(503, "Service Unavailable", 5)
    leg.hangup("done")
    assert orders == [Ring(), Answer(), Refuse(503, "Service Unavailable", 5), Hangup("done")]


def test_an_event_after_the_loop_has_closed_is_no_error() -> None:
    loop = asyncio.new_event_loop()
    leg = SipLeg(INVITE, loop, lambda _, order: None)
    loop.close()
    leg.tell(Confirmed())
