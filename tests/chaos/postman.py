"""Histories of messages made by hand: what producers publish, and what listeners hear."""

from __future__ import annotations

from coordq.interfaces.chaos.bus_told import BusRest, Hearing, Sent
from coordq.interfaces.chaos.history import Rest
from coordq.interfaces.chaos.listeners import LEDGER, MIRROR
from tests.chaos.scribe import A, Scribe

ONE, TWO, *NEWS = IDS = [f"{A[:20]}{number:02}" for number in range(12)]
PLACE = "nnews.north"
LATE, EARLY = "run-2", "run-1"
"""Two processes."""


def publish(told: Scribe, message_id: str, *, place: str = PLACE, receivers: int = 2) -> None:
    """A producer publishes, and hears that it was taken."""
    told.wait(1)
    told.history.bus.tried.add(message_id)
    told.history.bus.sent[message_id] = Sent("0", place, receivers, told.ms, told.ms)


def hear(
    told: Scribe,
    message_id: str,
    *groups: str,
    how: str = "done",
    process: str = EARLY,
    attempt: int = 1,
) -> None:
    """Groups are given a message, and handle it."""
    for group in groups or (LEDGER, MIRROR):
        told.wait(1)
        run = Hearing(process, group, message_id, attempt, told.ms)
        told.wait(1)
        if how:
            run.how, run.ended_ms = how, told.ms
        told.history.bus.heard.append(run)


def news(told: Scribe, *ids: str, process: str = EARLY) -> None:
    """Messages come and are handled, one after the other."""
    for message_id in ids:
        publish(told, message_id)
        hear(told, message_id, process=process)


def rest(told: Scribe, **left: object) -> None:
    """What is left of messages in Redis."""
    told.history.rest = Rest(bus=BusRest(**left))  # type: ignore[arg-type]
