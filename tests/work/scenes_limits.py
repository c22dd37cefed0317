"""Scenes for the scripts of limits; see scenes.py."""

from __future__ import annotations

from typing import Any

from coordq.engine.call import Call
from coordq.work import allowance, claim, finish, limit
from coordq.work import enqueue as ordering
from coordq.work.finish import Outcome
from tests.work.desk import Desk, ask, order
from tests.work.gate import allow, pass_time, seen, some
from tests.work.scenes import Check, scene


@scene
def limit_set(desk: Desk) -> tuple[Call[Any], Check]:
    """One limit."""

    def check(_: Any) -> None:
        assert [view.slot for view in desk.run(allowance.look(0))] == ["openai"]

    return allowance.put(0, limit.make("openai", rate="5/s")), check


@scene
def limit_taken_away(desk: Desk) -> tuple[Call[Any], Check]:
    """Gone, whatever the second answer says."""
    allow(desk, "openai", concurrency=1)

    def check(_: Any) -> None:
        assert desk.run(allowance.look(0)) == []

    return allowance.take_off(0, "openai"), check


@scene
def limit_paused(desk: Desk) -> tuple[Call[Any], Check]:
    """For so long, not for twice as long."""

    def check(left_ms: Any) -> None:
        assert 0 < left_ms <= 60_000
        assert desk.redis("ZCARD", desk.key("pauses")) == 1

    return allowance.pause(0, "openai", 60_000), check


@scene
def limit_resumed(desk: Desk) -> tuple[Call[Any], Check]:
    """The one that waited stands in its line once."""
    desk.run(allowance.pause(0, "openai", None))
    some(desk, 1, "openai")
    desk.claim(5)

    def check(left_ms: Any) -> None:
        assert left_ms == 0
        assert desk.redis("LLEN", desk.key("line:default:2job")) == 1

    return allowance.pause(0, "openai", 0), check


@scene
def limit_woken(desk: Desk) -> tuple[Call[Any], Check]:
    """Two slots more are two tasks more."""
    allow(desk, "openai", concurrency=1)
    some(desk, 5, "openai")
    desk.claim(5)
    desk.run(allowance.put(0, limit.make("openai", concurrency=3)))

    def check(cursor: Any) -> None:
        assert cursor == "0"
        assert len(desk.claim(5).claims) == 2
        assert seen(desk, "openai").parked == 2

    return allowance.wake(0, "openai"), check


@scene
def limit_look(desk: Desk) -> tuple[Call[Any], Check]:
    """A look is a look."""
    allow(desk, "openai", concurrency=2)

    def check(views: Any) -> None:
        assert [view.slot for view in views] == ["openai"]

    return allowance.look(0), check


@scene
def claim_under_limits(desk: Desk) -> tuple[Call[Any], Check]:
    """The same task, which has paid once."""
    allow(desk, "openai", concurrency=1, budget="10/365days")
    some(desk, 3, "openai")

    def check(claimed: Any) -> None:
        assert len(claimed.claims) == 1
        view = seen(desk, "openai")
        assert (view.running, view.spent, view.parked) == (1, 1, 2)

    return claim.claim(0, ask(5)), check


@scene
def finish_under_limits(desk: Desk) -> tuple[Call[Any], Check]:
    """Its slot goes to one other, and its cost is corrected once."""
    allow(desk, "openai", concurrency=1, budget="1000/365days")
    some(desk, 3, "openai")
    held = desk.take()
    desk.claim(5)

    def check(done: Any) -> None:
        assert len(done.claimed.claims) == 1
        view = seen(desk, "openai")
        assert (view.running, view.spent, view.parked) == (1, 51, 1)

    outcome = Outcome("succeeded", held.id, held.fence, b"1", units=50)
    return finish.finish(0, [outcome], ask()), check


@scene
def enqueue_renewing(desk: Desk) -> tuple[Call[Any], Check]:
    """The one that waits has the newer arguments, and no second one came."""
    first = desk.put(unique="k", on_duplicate="replace")
    made = order(args={"n": 2}, unique="k", on_duplicate="replace")

    def check(receipt: Any) -> None:
        assert receipt == ordering.Receipt(first, created=False)
        assert desk.task(first).args == {"n": 2}
        assert desk.queue().ready == 1

    return ordering.enqueue(made), check


@scene
def enqueue_behind_a_run(desk: Desk) -> tuple[Call[Any], Check]:
    """One waits for the end of the run, not two."""
    desk.put(unique="k", on_duplicate="keep-last")
    held = desk.take()
    made = order(unique="k", on_duplicate="keep-last")

    def check(receipt: Any) -> None:
        assert receipt == ordering.Receipt(made.id)
        assert desk.claim(5).claims == ()
        desk.end(held)
        assert [each.id for each in desk.claim(5).claims] == [made.id]

    return ordering.enqueue(made), check


@scene
def claim_what_time_brought_back(desk: Desk) -> tuple[Call[Any], Check]:
    """A start is charged once."""
    allow(desk, "openai", rate="1/hour")
    some(desk, 3, "openai")
    desk.claim(5)
    pass_time(desk, 3_600_000)

    def check(claimed: Any) -> None:
        assert len(claimed.claims) == 1
        assert desk.claim(5).claims == ()

    return claim.claim(0, ask(5)), check


@scene
def enqueue_shedding_a_parked_one(desk: Desk) -> tuple[Call[Any], Check]:
    """One goes for one that comes."""
    allow(desk, "openai", concurrency=1)
    some(desk, 3, "openai", priority="low")
    desk.claim(5)
    desk.configure(high=2)
    made = order(on_full="shed")

    def check(receipt: Any) -> None:
        assert receipt.id == made.id
        assert (desk.queue().ready, seen(desk, "openai").parked) == (2, 1)

    return ordering.enqueue(made), check
