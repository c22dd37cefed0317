"""The part that fires schedules. Which slots are due is thought here, and decided in work/fire.

Redis says what time it is, and no slot is fired twice: work/fire compares what is due with what was
read. So the leader needs no memory, and one that takes over goes on where the last one was.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import ClassVar, Final

from coordq.errors import CoordqError, Deposed, ReadOnly, Unreachable
from coordq.fleet.tell import tell
from coordq.runtime.supervisor.part import ShardPart
from coordq.runtime.supervisor.term import Term
from coordq.work import agenda, slots
from coordq.work.agenda import Agenda, ScheduleView
from coordq.work.slots import Overdue

LOOK_S: Final = 1.0
"""How often it is looked whether a schedule was added that is due sooner than all others."""
AT_ONCE: Final = 50
"""Missed slots of one schedule that are fired before the others have their turn."""


class Cron(ShardPart):
    """Fires schedules when they are due, and makes up for what was missed."""

    name: ClassVar[str] = "cron"

    def __init__(self) -> None:
        super().__init__()
        self._told: set[tuple[int, str]] = set()
        self._failures: Counter[str] = Counter()

    def begin(self, term: Term) -> None:
        """What cannot be read is told once a term."""
        super().begin(term)
        self._told.clear()

    async def round_on(self, term: Term, shard: int) -> float:
        """Fire what is due on a shard; how long until something else is."""
        stuck, pause_s = 0, LOOK_S
        while True:
            # what was fired is not due any more: only what stays due has to be passed by
            seen = await term.run(agenda.due(shard, offset=stuck))
            for view in seen.found:
                coming = await self._fire(term, shard, view, seen.now_ms)
                if coming is None:
                    stuck += 1
                else:
                    pause_s = min(pause_s, coming)
            if len(seen.found) < agenda.PAGE:
                return min(pause_s, _until_next(seen))

    async def _fire(self, term: Term, shard: int, view: ScheduleView, now_ms: int) -> float | None:
        """Fire one schedule; seconds until its next slot, or None when this one stays due."""
        if view.trouble:
            await self._tell(term, shard, view)
            return None
        try:
            return await self._catch_up(term, shard, view, now_ms)
        except (Deposed, Unreachable):
            raise
        except ReadOnly:  # nothing new is started; the slot stays due
            self.counts["stopped"] += 1
            return None
        except CoordqError as error:  # one schedule fails alone
            self._failures[view.name] += 1
            self._fail(error, self._failures[view.name])
            return None

    async def _catch_up(
        self, term: Term, shard: int, view: ScheduleView, now_ms: int
    ) -> float | None:
        due_ms = view.next_ms or 0
        found = slots.overdue(view.schedule, anchor_ms=view.anchor_ms, due_ms=due_ms, now_ms=now_ms)
        for slot_ms, next_ms, passed in _steps(found):
            call = agenda.fire(
                replace(view, next_ms=due_ms),
                shard=shard,
                epoch=term.epoch,
                slot_ms=slot_ms,
                next_ms=next_ms,
                passed=passed,
            )
            outcome = (await term.run(call)).outcome
            self.counts[outcome] += 1
            if outcome in {"full", "changed"}:
                return None
            self._failures.pop(view.name, None)
            self.counts["missed"] += passed
            due_ms = next_ms or 0
        return LOOK_S if not due_ms else max(0.0, (due_ms - now_ms) / 1000)

    async def _tell(self, term: Term, shard: int, view: ScheduleView) -> None:
        if (shard, view.name) in self._told:
            return
        self.counts["unreadable"] += 1
        detail = f"it cannot be read: {view.trouble}. Remove it with `coordq schedule rm`."
        await term.run(tell(shard, term.epoch, [("skipped", view.name, detail)]))
        self._told.add((shard, view.name))


def _steps(found: Overdue) -> list[tuple[int | None, int | None, int]]:
    """What to fire, one after the other: slot, the one after it, how many are passed over."""
    if not found.slots:
        return [(None, found.next_ms, found.passed)]
    after = [*found.slots[1:], found.next_ms]
    passed = [found.passed, *(0 for _ in found.slots[1:])]
    slots_: list[int | None] = list(found.slots)
    return list(zip(slots_, after, passed, strict=True))[:AT_ONCE]


def _until_next(seen: Agenda) -> float:
    return LOOK_S if seen.next_ms is None else (seen.next_ms - seen.now_ms) / 1000
