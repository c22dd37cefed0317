"""What it costs to ask whether two agents may talk, and to guard a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from coordq import clock
from coordq.client.client import Client, connect
from coordq.client.client_async import connect_async
from coordq.errors import BreakerOpen
from coordq.fleet.topology.check import check
from coordq.fleet.topology.make import make
from coordq.fleet.topology.view import View
from coordq.interfaces.bench.measure import Figures
from coordq.interfaces.bench.server import Server

AGENTS: Final = 1_000
ASKED: Final = 200_000
CALLS: Final = 20_000
REPORTS: Final = 2_000
LEARNERS: Final = 10
KINDS: Final = ("mesh", "tree", "groups")


class _Broken(Exception):
    """What the subject raises."""


def _fail() -> None:
    raise _Broken


def guards(server: Server) -> Figures:
    """A topology of 1,000 agents, and breakers that are closed, that fail, and that have opened."""
    figures = _topology()
    with connect(server.url) as client:
        figures |= _set(client) | _breaker(client)
    figures["breaker: known to 10 other clients after, ms"] = asyncio.run(_learned_ms(server.url))
    server.flush()
    return figures


def _names() -> list[str]:
    return [f"agent-{number}" for number in range(AGENTS)]


def _topology() -> Figures:
    figures: Figures = {}
    names = _names()
    for kind in KINDS:
        start = clock.monotonic()
        topology = check(make(kind, names))
        figures[f"topology of 1,000, {kind}: make and check, ms"] = _ms(start)
        start = clock.monotonic()
        view = View(1, topology)
        figures[f"topology of 1,000, {kind}: compile, ms"] = _ms(start)
        pairs = [(names[at % AGENTS], names[at * 7 % AGENTS]) for at in range(ASKED)]
        start = clock.monotonic()
        for one, other in pairs:
            view.may_talk(one, other)
        spent_s = clock.monotonic() - start
        figures[f"topology of 1,000, {kind}: may_talk, us"] = spent_s / ASKED * 1e6
    return figures


def _ms(start: float) -> float:
    return (clock.monotonic() - start) * 1000


def _set(client: Client) -> Figures:
    start = clock.monotonic()
    client.topology.set("mesh", _names())
    set_ms = _ms(start)
    start = clock.monotonic()
    client.topology.view(max_age=0)
    return {
        "topology of 1,000, mesh: set, ms": set_ms,
        "topology of 1,000, mesh: fetch anew, ms": _ms(start),
    }


def _breaker(client: Client) -> Figures:
    def good() -> None:
        with client.breakers.guard("good"):
            pass

    def bad() -> None:
        try:
            with client.breakers.guard("bad"):
                _fail()
        except (_Broken, BreakerOpen):
            pass

    client.breakers.close("bad")
    made_us = _each_us(good, CALLS)
    failed_us = _each_us(bad, REPORTS)
    client.breakers.open("bad")
    client.breakers.shelf.ledger("bad").learned_s = float("-inf")
    return {
        "breaker: guard a call, closed, us": made_us,
        "breaker: tell of a failure, us": failed_us,
        "breaker: refuse a call, open, us": _each_us(bad, CALLS),
    }


def _each_us(call: Callable[[], None], times: int) -> float:
    start = clock.monotonic()
    for _ in range(times):
        call()
    return (clock.monotonic() - start) / times * 1e6


async def _learned_ms(url: str) -> float:
    """From the failure that opens it until the slowest of ten busy clients does not call any more.

    Each of them makes a hundred calls a second.
    """
    opened_s = [float("inf")]

    async def learner() -> float:
        async with connect_async(url) as client:
            while True:
                try:
                    async with client.breakers.guard("spread"):
                        await asyncio.sleep(0.01)
                except BreakerOpen:
                    return clock.monotonic() - opened_s[0]

    async with connect_async(url) as client:
        await client.breakers.set("spread", rate=0)
        learners = [asyncio.create_task(learner()) for _ in range(LEARNERS)]
        await asyncio.sleep(1.5)
        for _ in range(5):
            opened_s[0] = clock.monotonic()  # others may hear of the last one sooner
            try:
                async with client.breakers.guard("spread"):
                    _fail()
            except _Broken:
                pass
        took_s = await asyncio.gather(*learners)
    return max(took_s) * 1000
