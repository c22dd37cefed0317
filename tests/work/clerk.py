"""Schedules at a desk: what their owners and the leader do, one call each."""

from __future__ import annotations

from typing import Any

from coordq.client import schedule_plans as plans
from coordq.client.drive import drive
from coordq.engine.call import Call
from coordq.work import agenda
from coordq.work.agenda import Fired, ScheduleView
from coordq.work.slots import next_slot
from tests.work.desk import Desk

HOUR_MS = 3_600_000


class Clerk:
    """Schedules of one shard, within reach."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.epoch = 1

    def add(self, name: str = "s", *, paused: bool = False, **given: Any) -> ScheduleView:
        """A schedule of the task `job`, every hour unless it is said otherwise."""
        task, args = given.pop("task", "job"), given.pop("args", None)
        replace = given.pop("replace", False)
        if "every" not in given and "cron" not in given:
            given["every"] = 3600
        made = plans.make(name, task, args, given)
        return drive(self.desk.engine, plans.add(1, made, paused=paused, may_replace=replace))

    def view(self, name: str = "s") -> ScheduleView:
        """One schedule as it is now."""
        (found,) = self.desk.run(agenda.one(0, name)).found
        assert isinstance(found, ScheduleView)
        return found

    def let_be_due(self, name: str = "s", *, ago_ms: int = 10) -> ScheduleView:
        """Its next slot was so long ago."""
        self.desk.redis("ZADD", self.desk.key("schedules"), self.desk.now_ms() - ago_ms, name)
        return self.view(name)

    def firing(self, view: ScheduleView, **how: Any) -> Call[Fired]:
        """The call of a leader that has read `view` and found it due."""
        assert view.next_ms is not None
        slot = how.pop("slot_ms", view.next_ms)
        coming = next_slot(
            view.schedule, anchor_ms=view.anchor_ms, after_ms=max(slot or 0, self.desk.now_ms())
        )
        given = {"epoch": self.epoch, "passed": 0, "next_ms": coming, **how}
        return agenda.fire(view, shard=0, slot_ms=slot, **given)

    def fire(self, name: str = "s", **how: Any) -> Fired:
        """Its next slot comes, and the leader fires it."""
        answer = self.desk.run(self.firing(self.let_be_due(name), **how))
        assert isinstance(answer, Fired)
        return answer

    def books(self) -> dict[str, Any]:
        """Every key with its contents; fields of a large HASH have no order."""
        return {
            name: sorted(self.desk.redis("HGETALL", name)) if ":schedule:" in name else dump
            for name, dump in self.desk.dump().items()
        }

    def told(self, *kinds: str) -> list[tuple[str, str]]:
        """What was said of schedules: kinds and details."""
        kinds = kinds or ("fired", "skipped")
        return [(e.kind, e.detail) for e in self.desk.events() if e.kind in kinds]
