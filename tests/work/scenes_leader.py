"""Scenes for the scripts that the leader calls: it forwards, buries, tidies and repairs."""

from __future__ import annotations

from typing import Any

from coordq.engine.call import Call
from coordq.work import audit, beat, due, tidy
from tests.work.desk import Desk
from tests.work.scenes import Check, scene


@scene
def forward(desk: Desk) -> tuple[Call[Any], Check]:
    """What was due is ready once."""
    task_id = desk.put(delay=60)
    desk.make_due(task_id)

    def check(done: Any) -> None:
        assert done == due.Forwarded(0, None)
        assert (desk.queue().ready, desk.queue().scheduled) == (1, 0)
        assert [each.id for each in desk.claim(10).claims] == [task_id]

    return due.forward(0), check


@scene
def bury(desk: Desk) -> tuple[Call[Any], Check]:
    """One strike, not two."""
    task_id = desk.put()
    desk.take()

    def check(buried: Any) -> None:
        assert buried == beat.Buried(0, 0)
        assert (desk.task(task_id).strikes, desk.queue().ready, desk.queue().running) == (1, 1, 0)

    return beat.bury(0, "w1"), check


@scene
def tidy_(desk: Desk) -> tuple[Call[Any], Check]:
    """What is gone is gone."""
    old, young = desk.put(), desk.put()
    for held in desk.claim(2).claims:
        desk.end(held, "failed")
    desk.redis("ZADD", desk.key("dead"), 1, old)

    def check(_: Any) -> None:
        assert desk.redis("ZRANGE", desk.key("dead"), 0, -1) == [young.encode()]

    return tidy.tidy(0, tidy.Place(), dead_ms=60_000), check


def drifted(desk: Desk) -> None:
    """A queue that is booked to hold three more than it does."""
    desk.put()
    desk.redis("HINCRBY", desk.key("queue:default"), "ready", 3)


def told_once(desk: Desk) -> Check:
    """What was repaired was right when it was looked at again, and told once."""

    def check(_: Any) -> None:
        assert [event.kind for event in desk.events()].count("repaired") == 1
        assert desk.queue().ready == 1

    return check


@scene
def repair(desk: Desk) -> tuple[Call[Any], Check]:
    """Repaired once."""
    desk.put()
    desk.redis("DEL", desk.key("queues"))

    return audit.repair(0, [("queue", "default")]), told_once(desk)


@scene
def recount(desk: Desk) -> tuple[Call[Any], Check]:
    """Corrected once."""
    drifted(desk)

    return audit.recount(0, ["default"]), told_once(desk)


@scene
def tally(desk: Desk) -> tuple[Call[Any], Check]:
    """Looking again is no effect."""
    desk.put()

    def check(page: Any) -> None:
        assert (page.amount, page.after) == (1, "")

    return audit.tally(0, "default", "line", "2job", "0"), check


@scene
def correct(desk: Desk) -> tuple[Call[Any], Check]:
    """Corrected once: by the second time the queue is another, and left alone."""
    drifted(desk)
    token = desk.run(audit.tally(0, "default", "due", "", "0")).token
    sums = {"ready": 1, "scheduled": 0, "running": 0, "bytes": desk.queue().bytes}

    return audit.correct(0, "default", token, sums), told_once(desk)
