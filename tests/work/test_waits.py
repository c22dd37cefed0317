"""A task that waits holds no slot, is woken by what it waits for, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coordq.ids import new_id
from coordq.work.claim import Claim
from coordq.work.finish import Outcome
from tests.work.desk import Desk, ask
from tests.work.waiting_room import came, say, send, suspend, suspension, wait, waiter

NOTHING = {"value": None}


def child(desk: Desk, **options: Any) -> str:
    """A task to wait for."""
    return desk.put("child", **options)


def end_child(desk: Desk, task_id: str, kind: str = "succeeded") -> None:
    """It ends."""
    desk.end(desk.take_one(task_id), kind)


# -- what wakes it -------------------------------------------------------------------------------


def tasks(desk: Desk) -> tuple[dict[str, Any], Callable[[Claim], None], Any]:
    """The end of a task."""
    task_id = child(desk)
    return wait("tasks", ids=(task_id,)), lambda _: end_child(desk, task_id), NOTHING


def approval(desk: Desk) -> tuple[dict[str, Any], Callable[[Claim], None], Any]:
    """A person's yes."""
    found = {"value": 7, "by": "ann", "note": "go on"}
    return wait("approval"), lambda held: say(desk, held.id, value=7, note="go  on"), found


def signal(desk: Desk) -> tuple[dict[str, Any], Callable[[Claim], None], Any]:
    """A signal."""

    def act(_: Claim) -> None:
        assert send(desk, "deployed", {"v": 2}).woken == 1

    return wait("signal", name="deployed"), act, {"value": {"v": 2}}


KINDS = [tasks, approval, signal]
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_what_it_waits_for_wakes_it(desk: Desk, kind: Any) -> None:
    """Suspended it holds no claim and has spent no attempt; its handler finds what came."""
    what, act, found = kind(desk)
    held = waiter(desk, what)
    assert desk.state(held.id) == "suspended"
    assert (desk.queue().running, desk.overview().queues[0].ready) == (0, desk.queue().ready)
    assert desk.task(held.id).attempt == 0
    assert came(desk, held.id) is None

    act(held)

    assert desk.state(held.id) == "ready"
    assert came(desk, held.id) == found
    again = desk.take(served=("waiter",))
    assert (again.id, again.attempt, again.saved) == (held.id, 1, True)
    assert desk.end(again) == "ok"
    assert [name for name in desk.names() if f"saved:{held.id}" in name] == []


@every_kind
def test_a_wait_may_end_by_the_clock(desk: Desk, kind: Any) -> None:
    """The handler finds that the time is up; what comes later finds nobody."""
    what, act, _ = kind(desk)
    held = waiter(desk, what, timeout_ms=60_000)

    desk.make_due(f"z{held.id}")
    desk.promote()

    assert desk.state(held.id) == "ready"
    assert came(desk, held.id) == {"error": "timeout"}
    version = desk.task(held.id).version
    if kind is tasks:
        act(held)
    elif kind is signal:
        assert send(desk, "deployed").woken == 0
    assert desk.task(held.id).version == version


@every_kind
def test_a_wait_that_is_over_leaves_nothing_behind(desk: Desk, kind: Any) -> None:
    """No time limit, no edge, no ear: the next wait of the same task starts clean."""
    what, act, _ = kind(desk)
    before = {name for name in desk.names() if "waiter" not in name}
    held = waiter(desk, what, timeout_ms=60_000)

    act(held)

    assert desk.redis("ZSCORE", desk.key("due"), f"z{held.id}") is None
    left = {name.removeprefix(desk.root) for name in set(desk.names()) - before}
    assert {name for name in left if name.startswith(("need:", "kids:", "listening:"))} == set()
    assert desk.redis("HKEYS", desk.key(f"saved:{held.id}")) == [b"w:k"]


@every_kind
@pytest.mark.parametrize("how", ["cancel", "overrun"])
def test_a_task_that_waits_can_be_ended(desk: Desk, kind: Any, how: str) -> None:
    """At once: there is no worker to be told."""
    what, act, _ = kind(desk)
    held = waiter(desk, what, timeout_ms=60_000, total_timeout=90)

    if how == "cancel":
        assert desk.cancel(held.id).state.value == "cancelled"
    else:
        desk.make_due(f"y{held.id}")
        desk.promote()

    task = desk.task(held.id)
    assert (task.state.value, task.reason) == (
        ("cancelled", "cancelled") if how == "cancel" else ("failed", "deadline")
    )
    assert desk.redis("ZRANGE", desk.key("due"), 0, -1) == []
    if kind is tasks:
        act(held)
        assert desk.task(held.id).version == task.version


def test_a_sleep_is_over_when_its_time_is(desk: Desk) -> None:
    """That is no error."""
    held = waiter(desk, wait("time"), timeout_ms=60_000)
    over = float(desk.redis("ZSCORE", desk.key("due"), f"z{held.id}"))
    assert 0 < over - desk.now_ms() <= 60_000

    desk.make_due(f"z{held.id}")
    desk.promote()

    assert came(desk, held.id) == NOTHING


def test_a_sleep_of_no_time_is_over_at_once(desk: Desk) -> None:
    """It goes to the head of its line, not to sleep."""
    held = waiter(desk, wait("time"))

    assert (desk.state(held.id), came(desk, held.id)) == ("ready", NOTHING)


# -- tasks ---------------------------------------------------------------------------------------


def test_it_waits_for_the_last_of_several(desk: Desk) -> None:
    """However each of them ends; one that is named twice is waited for once."""
    ids = [child(desk) for _ in range(4)]
    held = waiter(desk, wait("tasks", ids=(*ids, ids[0])))

    for task_id, kind in zip(ids[:3], ("succeeded", "failed", "cancelled"), strict=True):
        end_child(desk, task_id, kind)
        assert desk.state(held.id) == "suspended"
    desk.cancel(ids[3])

    assert desk.state(held.id) == "ready"
    assert desk.kinds(held.id)[-1] == "resumed"


def test_tasks_that_have_ended_are_not_waited_for(desk: Desk) -> None:
    """Nor are those that there are not (any more)."""
    done = child(desk)
    end_child(desk, done)

    held = waiter(desk, wait("tasks", ids=(done, new_id())))

    assert (desk.state(held.id), came(desk, held.id)) == ("ready", NOTHING)


def test_several_may_wait_for_one(desk: Desk) -> None:
    """All are woken by its end."""
    task_id = child(desk)
    waiting = [waiter(desk, wait("tasks", ids=(task_id,))).id for _ in range(3)]

    end_child(desk, task_id)

    assert [desk.state(one) for one in waiting] == ["ready"] * 3


def test_a_task_that_is_tried_again_has_not_ended(desk: Desk) -> None:
    """Only the last attempt counts."""
    task_id = child(desk)
    held = waiter(desk, wait("tasks", ids=(task_id,)))

    desk.end(desk.take_one(task_id), "retry", delay_ms=1)
    assert desk.state(held.id) == "suspended"
    desk.make_due(task_id)
    desk.promote()
    end_child(desk, task_id)

    assert desk.state(held.id) == "ready"


def test_the_second_wait_of_a_task_is_not_ended_by_the_first(desk: Desk) -> None:
    """What it gave up waiting for wakes it no more, whenever it ends."""
    first, second = child(desk), child(desk)
    held = waiter(desk, wait("tasks", "one", ids=(first,)), timeout_ms=60_000)
    desk.make_due(f"z{held.id}")
    desk.promote()
    again = desk.take(served=("waiter",))
    assert suspend(desk, again, wait("tasks", "two", ids=(first, second))) == "ok"

    end_child(desk, second)
    assert desk.state(held.id) == "suspended"
    end_child(desk, first)

    assert desk.state(held.id) == "ready"
    assert came(desk, held.id, "one") == {"error": "timeout"}
    assert came(desk, held.id, "two") == NOTHING


@pytest.mark.parametrize("first", ["child", "waiter"])
def test_both_may_come_in_one_call(desk: Desk, first: str) -> None:
    """A worker sends the outcomes of several runs at once, in either order."""
    task_id, waiting = child(desk), desk.put("waiter")
    ending, held = desk.take_one(task_id), desk.take_one(waiting)
    outcomes = [
        Outcome("succeeded", ending.id, ending.fence, b"1"),
        suspension(held, wait("tasks", ids=(task_id,))),
    ]

    done = desk.finish(*(outcomes if first == "child" else reversed(outcomes)))

    assert done.verdicts == ("ok", "ok")
    assert (desk.state(waiting), came(desk, waiting)) == ("ready", NOTHING)


@pytest.mark.parametrize("first", ["child", "waiter"])
def test_a_task_that_is_tried_again_in_the_same_call_is_waited_for(desk: Desk, first: str) -> None:
    """Its record is written late in that call, and must know then who waits for its end."""
    task_id, waiting = child(desk), desk.put("waiter")
    ending, held = desk.take_one(task_id), desk.take_one(waiting)
    outcomes = [
        Outcome("retry", ending.id, ending.fence, b"{}", 60_000),
        suspension(held, wait("tasks", ids=(task_id,))),
    ]

    desk.finish(*(outcomes if first == "child" else reversed(outcomes)))
    assert (desk.state(task_id), desk.state(waiting)) == ("scheduled", "suspended")
    desk.cancel(task_id)

    assert desk.state(waiting) == "ready"


def test_who_is_woken_goes_on_where_it_stood(desk: Desk) -> None:
    """At the head of its line: it had stood there before, and keeps its age."""
    held = waiter(desk, wait("approval"))
    younger = [desk.put("waiter") for _ in range(2)]

    say(desk, held.id)

    line = desk.claim(3, served=("waiter",)).claims
    assert [one.id for one in line] == [held.id, *younger]


# -- what becomes of it --------------------------------------------------------------------------


def test_a_revived_task_waits_anew_for_what_was_refused(desk: Desk) -> None:
    """What came stays: it is not asked for twice."""
    held = waiter(desk, wait("approval", "first"))
    say(desk, held.id)
    again = desk.take(served=("waiter",))
    suspend(desk, again, wait("approval", "second"))
    say(desk, held.id, approved=False, note="not like this")
    assert came(desk, held.id, "second") == {
        "error": "rejected",
        "by": "ann",
        "note": "not like this",
    }
    desk.end(desk.take(served=("waiter",)), "failed")

    desk.requeue(held.id)

    assert came(desk, held.id, "first") is not None
    assert came(desk, held.id, "second") is None


def test_a_finish_claims_whom_it_has_woken(desk: Desk) -> None:
    """Finish and claim are one round trip, for the worker that ends a child as well."""
    task_id = child(desk)
    held = waiter(desk, wait("tasks", ids=(task_id,)))
    ending = desk.take_one(task_id)

    done = desk.finish(
        Outcome("succeeded", ending.id, ending.fence, b"1"), then=ask(served=("waiter",))
    )

    assert [one.id for one in done.claimed.claims] == [held.id]
