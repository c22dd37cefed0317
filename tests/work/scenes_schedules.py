"""Scenes for the scripts of schedules; see scenes.py."""

from __future__ import annotations

from typing import Any

from coordq.engine.call import Call
from coordq.work import agenda
from coordq.work.schedule import make
from tests.work.clerk import Clerk
from tests.work.desk import Desk
from tests.work.scenes import Check, scene


@scene
def schedule(desk: Desk) -> tuple[Call[Any], Check]:
    """Whoever set it down is told so, not that somebody else was faster."""
    made = make("s", "job", every=60)

    def check(version: Any) -> None:
        assert version == Clerk(desk).view().version

    call = agenda.put(0, made, seen=0, anchor_ms=1, next_ms=desk.now_ms() + 60_000, paused=False)
    return call, check


@scene
def schedules_(desk: Desk) -> tuple[Call[Any], Check]:
    """Looking again is no effect."""
    Clerk(desk).add()

    def check(seen: Any) -> None:
        assert [view.name for view in seen.found] == ["s"]

    return agenda.page(0), check


@scene
def fire(desk: Desk) -> tuple[Call[Any], Check]:
    """One task, one event, one run."""
    clerk = Clerk(desk)
    clerk.add()
    call = clerk.firing(clerk.let_be_due())

    def check(fired: Any) -> None:
        assert fired.outcome == "fired"
        assert [run.id for run in clerk.view().runs] == [fired.detail]
        assert (desk.queue().enqueued, clerk.view().fired, len(clerk.told())) == (1, 1, 1)

    return call, check


@scene
def fire_by_hand(desk: Desk) -> tuple[Call[Any], Check]:
    """Somebody who triggers a schedule once wants one run."""
    clerk = Clerk(desk)

    def check(fired: Any) -> None:
        assert fired.outcome == "fired"
        assert (desk.queue().enqueued, clerk.view().fired) == (1, 1)

    return agenda.run_by_hand(clerk.add(), shard=0), check


@scene
def unschedule(desk: Desk) -> tuple[Call[Any], Check]:
    """Gone is gone."""
    Clerk(desk).add()

    def check(_: Any) -> None:
        assert desk.run(agenda.page(0)).found == ()
        assert not desk.redis("EXISTS", desk.key("schedule:s"))

    return agenda.take_off(0, "s"), check
