"""What may be said of limits, by two witnesses. Pure.

The streams say who held a slot. A task holds one from its event `running` to the event that ends
its claim for good; one that crashed or lapsed keeps it, also while it waits for its next run, until
it lets go. Never may more tasks hold a slot of one name than the limit has.

The handlers' journals say what really ran. When a claim ended by its own finish, its handler ran
while the task held the slot: of these runs, too, never more at once than the limit has. Of a run
whose claim was given back the journals prove nothing. A worker that was stopped or cut past its
lease may go on with it after the task has run elsewhere, has ended, and has left its slot to
another; only the outside can refuse such a run, by its fence, which is what rule `effect` is about.

Of a pace, the streams have the starts that were paid for: all but those after a crash, a lapse or a
release. In no period may there be more than the rate. A start is dated by its fence, which is the
microsecond of its claim; an event is dated when it is written, and the script has been at work in
between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from coordq.interfaces.chaos.history import History, Run
from coordq.interfaces.chaos.lives import ENDS, Life
from coordq.interfaces.chaos.load import LIMITS
from coordq.interfaces.chaos.violation import Violation
from coordq.work.events import Event

LEAVES: Final = ENDS | {"retrying", "snoozed", "suspended", "released", "let-go"}
"""After these a task holds no slot."""
PAYS_AGAIN: Final = ENDS | {"retrying", "snoozed"}
CLAIMED_US: Final = 1000
"""Fences of one claim follow each other, so that of its last task is so much late at most."""


def check_limits(history: History, _: dict[str, Life]) -> Iterator[Violation]:
    """What is wrong with the tasks that count against limits."""
    for slot, ids in history.rest.seats.items():
        for task_id in ids:
            yield Violation("limit", task_id, f"it holds a slot of {slot} with nothing left")
    for slot, entries in history.rest.parked.items():
        for entry in entries:
            yield Violation("limit", entry[:22], f"{slot} holds it up with nothing left")
    for events in history.events.values():
        walk = _Walk(history)
        for event in events:
            if event.subject in history.limits:
                yield from walk.step(event)
    yield from _really_ran(history)


class _Walk:
    """One pass over one shard's events."""

    def __init__(self, history: History) -> None:
        self._limits = history.limits
        self._holders: dict[str, set[str]] = {}
        self._starts: dict[str, deque[int]] = {}
        self._paid: set[str] = set()

    def step(self, event: Event) -> Iterator[Violation]:
        """Take one event into account."""
        if event.kind == "running":
            for slot in self._limits[event.subject]:
                limit = LIMITS[slot.partition(":")[0]]
                yield from self._sit_down(event, slot, limit)
                yield from self._start(event, slot, limit)
            self._paid.add(event.subject)
        if event.kind in LEAVES:
            for slot in self._limits[event.subject]:
                self._holders.get(slot, set()).discard(event.subject)
        if event.kind in PAYS_AGAIN:
            self._paid.discard(event.subject)

    def _sit_down(self, event: Event, slot: str, limit: dict[str, Any]) -> Iterator[Violation]:
        holders = self._holders.setdefault(slot, set())
        holders.add(event.subject)
        if len(holders) > limit.get("concurrency", len(holders)):
            told = f"{event.at}: it is one of {len(holders)} that hold a slot of {slot}"
            yield Violation("limit", event.subject, told)

    def _start(self, event: Event, slot: str, limit: dict[str, Any]) -> Iterator[Violation]:
        if "rate" not in limit or event.subject in self._paid:
            return
        most, period_s = limit["rate"]
        starts = self._starts.setdefault(slot, deque(maxlen=most + 1))
        starts.append(event.fence)
        took_us = starts[-1] - starts[0]
        if len(starts) > most and took_us < period_s * 1e6 - CLAIMED_US:
            told = f"{event.at}: {len(starts)} of {slot} started within {took_us} microseconds"
            yield Violation("limit", event.subject, told)


def _really_ran(history: History) -> Iterator[Violation]:
    """More handlers at once than may, of those that ran to the end of their own claim."""
    moments: dict[str, list[tuple[int, int, str]]] = {}
    for run in _own_ends(history):
        for slot in history.limits[run.id]:
            if "concurrency" in LIMITS[slot.partition(":")[0]]:
                told = moments.setdefault(slot, [])
                told += [(run.began_ms, 1, run.id), (run.ended_ms, -1, run.id)]
    for slot, told in moments.items():
        running, most = 0, LIMITS[slot.partition(":")[0]]["concurrency"]
        for ms, change, task_id in sorted(told):
            running += change
            if change > 0 and running > most:
                what = f"it is one of {running} of {slot} whose handlers ran {ms} ms after boot"
                yield Violation("limit", task_id, what)


def _own_ends(history: History) -> Iterator[Run]:
    """The runs that wrote down their end, and whose claim then ended by their finish."""
    committed = {
        (event.subject, event.fence)
        for events in history.events.values()
        for event in events
        if event.subject in history.limits and event.kind in LEAVES
    }
    for claim in committed:
        run = history.runs.get(claim)
        if run is not None and run.how:
            yield run
