"""Waits that would never end are refused: circles, nonsense, and those of a claim that is lost."""

from __future__ import annotations

import pytest

from coordq.work.finish import Outcome
from tests.work.desk import Desk
from tests.work.test_waits import child
from tests.work.waiting_room import say, suspend, wait, waiter

# -- circles -------------------------------------------------------------------------------------


def test_a_task_cannot_wait_for_itself(desk: Desk) -> None:
    """It fails at once, with the reason, instead of for ever."""
    task_id = desk.put("waiter")
    held = desk.take_one(task_id)

    assert suspend(desk, held, wait("tasks", ids=(task_id,))) == "would-cycle"

    task = desk.task(task_id)
    assert (task.state.value, task.reason) == ("failed", "would-cycle")
    assert (task.error or {})["path"] == [task_id, task_id]


def test_tasks_cannot_wait_for_each_other(desk: Desk) -> None:
    """The last one closes the circle, and is told its way; the others go on."""
    ids = [desk.put("waiter") for _ in range(4)]
    held = [desk.take_one(one) for one in ids]
    for at in range(3):
        assert suspend(desk, held[at], wait("tasks", ids=(ids[at + 1],))) == "ok"

    assert suspend(desk, held[3], wait("tasks", ids=(child(desk), ids[0]))) == "would-cycle"

    assert (desk.task(ids[3]).error or {})["path"] == ids
    assert [desk.state(one) for one in ids[1:]] == ["suspended", "ready", "failed"]


def test_a_diamond_is_no_circle(desk: Desk) -> None:
    """Two ways from one task to another lead in the same direction."""
    top, left, right, bottom = (desk.put("waiter") for _ in range(4))
    assert suspend(desk, desk.take_one(left), wait("tasks", ids=(bottom,))) == "ok"
    assert suspend(desk, desk.take_one(right), wait("tasks", ids=(bottom,))) == "ok"
    assert suspend(desk, desk.take_one(top), wait("tasks", ids=(left, right, bottom))) == "ok"

    desk.end(desk.take_one(bottom))

    assert [desk.state(one) for one in (left, right)] == ["ready", "ready"]


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"7",
        b"{}",
        b'{"kind":"tasks","key":"k"}',
        b'{"kind":"tasks","key":"k","ids":["short"]}',
        b'{"kind":"tasks","key":"k","ids":[7]}',
        b'{"kind":"signal","key":"k"}',
        b'{"kind":"signal","key":"k","name":null}',
        b'{"kind":"approval"}',
        b'{"kind":"rain","key":"k"}',
    ],
)
def test_a_senseless_wait_makes_a_dead_letter(desk: Desk, body: bytes) -> None:
    """Of whom nothing would ever be heard again."""
    held = desk.take_one(desk.put("waiter"))

    (verdict,) = desk.finish(Outcome("suspend", held.id, held.fence, body)).verdicts

    assert verdict == "senseless-wait"
    assert desk.task(held.id).reason == "senseless-wait"


def test_a_lost_claim_cannot_wait(desk: Desk) -> None:
    """Another run of the task is under way."""
    held = desk.take_one(desk.put("waiter"))
    desk.lapse(held)
    desk.reap()
    desk.take(served=("waiter",))

    assert suspend(desk, held, wait("approval")) == "stale"
    assert desk.state(held.id) == "running"


def test_a_wait_that_is_said_twice_is_one(desk: Desk) -> None:
    """Also when what it waited for has come in between."""
    held = waiter(desk, wait("approval"))
    assert suspend(desk, held, wait("approval")) == "duplicate"
    say(desk, held.id)

    assert suspend(desk, held, wait("approval")) == "duplicate"
    assert desk.state(held.id) == "ready"


@pytest.mark.parametrize("how", ["cancel", "overrun"])
def test_who_was_called_off_does_not_go_to_wait(desk: Desk, how: str) -> None:
    """Its worker may not have heard yet."""
    held = desk.take_one(desk.put("waiter", total_timeout=60))
    if how == "cancel":
        desk.cancel(held.id)
    else:
        desk.make_due(f"y{held.id}")
        desk.promote()

    assert suspend(desk, held, wait("approval")) == "ok"

    assert desk.state(held.id) == ("cancelled" if how == "cancel" else "failed")


def test_a_handler_may_not_wait_without_end(desk: Desk) -> None:
    """A thousand waits in one task are a loop, and each leaves something behind."""
    held = desk.take_one(desk.put("waiter"))
    fields = [word for n in range(1001) for word in (f"w:{n}", '{"value":null}')]
    desk.redis("HSET", desk.key(f"saved:{held.id}"), *fields)

    assert suspend(desk, held, wait("approval")) == "senseless-wait"
    desk.forget(held.id)
