"""When all slots are taken, somebody may have to go; and what else happens to those that wait."""

from __future__ import annotations

from typing import Any

import pytest

from coordq.work import allowance, limit
from coordq.work.look import page
from coordq.work.task import State
from tests.work.desk import Desk, order
from tests.work.gate import allow, ids_of, seen

# -- conflicts ---------------------------------------------------------------------------------


def test_cancel_oldest_makes_way_for_what_comes(desk: Desk) -> None:
    """The running one is told to stop; the slot is free when it has."""
    allow(desk, "task:job", concurrency=1, on_conflict="cancel-oldest")
    first = desk.put()
    held = desk.take()
    second, third = desk.put(), desk.put()

    assert desk.claim(10).claims == ()
    assert desk.task(first).cancel_requested
    assert desk.state(second) == "cancelled"
    desk.end(held, "cancelled")
    assert desk.take().id == third


def test_cancel_newest_keeps_what_was_there(desk: Desk) -> None:
    """Who comes last is cancelled, with a reason that names the limit."""
    allow(desk, "task:job", concurrency=1, on_conflict="cancel-newest")
    first, second = desk.put(), desk.put()

    assert ids_of(desk.claim(10).claims) == [first]
    assert desk.state(second) == "cancelled"
    assert desk.task(second).reason == "gave-way"
    assert not desk.task(first).cancel_requested


def test_skip_cancels_whoever_finds_no_slot(desk: Desk) -> None:
    """Also one that is older than what runs."""
    allow(desk, "task:job", concurrency=1, on_conflict="skip")
    old = desk.put(delay=60)
    young = desk.put()
    desk.take()
    desk.make_due(old)

    assert desk.claim(10).claims == ()
    assert desk.task(old).reason == "skipped"
    assert desk.state(young) == "running"


def test_a_batch_of_rivals_leaves_as_many_as_there_are_slots(desk: Desk) -> None:
    """Those admitted in the same call give way as well."""
    allow(desk, "task:job", concurrency=2, on_conflict="cancel-oldest")
    ids = [desk.put() for _ in range(6)]

    claimed = desk.claim(10)

    assert ids_of(claimed.claims) == ids[4:]
    assert {desk.state(each) for each in ids[:4]} == {"cancelled"}


def test_a_crashed_holder_may_have_to_give_way(desk: Desk) -> None:
    """It stands in its line with its slot; whoever takes its place starts at once."""
    allow(desk, "task:job", concurrency=1, on_conflict="cancel-oldest")
    first = desk.put(priority="low")
    desk.release(desk.take(), reason="crash")
    second = desk.put(priority="critical")

    assert ids_of(desk.claim(10).claims) == [second]
    assert desk.state(first) == "cancelled"


# -- what else happens to parked tasks ---------------------------------------------------------


def parked(desk: Desk, **options: Any) -> str:
    """A task that is parked behind one that runs."""
    allow(desk, "openai", concurrency=1)
    desk.put(limits=("openai",))
    desk.take()
    task_id = desk.put(limits=("openai",), **options)
    desk.claim(10)
    assert desk.glance(task_id).parked is not None
    return task_id


def test_a_parked_task_can_be_cancelled(desk: Desk) -> None:
    """It leaves where it is parked."""
    task_id = parked(desk)

    desk.cancel(task_id)

    assert (desk.state(task_id), seen(desk, "openai").parked) == ("cancelled", 0)


@pytest.mark.parametrize(
    ("options", "member", "reason"),
    [({"expires": 60}, "x", "expired"), ({"total_timeout": 60}, "y", "deadline")],
)
def test_a_parked_task_has_its_time_limits(
    desk: Desk, options: dict[str, int], member: str, reason: str
) -> None:
    """Waiting for a limit is waiting."""
    task_id = parked(desk, **options)
    desk.make_due(member + task_id)

    desk.promote()

    assert (desk.task(task_id).reason, seen(desk, "openai").parked) == (reason, 0)


def test_a_purge_takes_the_parked_of_its_queue(desk: Desk) -> None:
    """And leaves those of other queues."""
    task_id = parked(desk)
    other = desk.put(limits=("openai",), queue="other")
    desk.claim(10, queues="other")

    assert desk.purge() == (1, False)
    assert desk.state(task_id) == "cancelled"
    assert seen(desk, "openai").parked == 1
    assert desk.state(other) == "ready"


def test_a_list_of_ready_tasks_has_the_parked_too(desk: Desk) -> None:
    """They are ready, wherever they wait."""
    task_id = parked(desk)

    assert task_id in [task.id for task in desk.run(page(0, State.READY)).tasks]


def test_a_paused_queue_gives_nothing_though_its_limit_has_room(desk: Desk) -> None:
    """Both have to agree."""
    task_id = parked(desk)
    desk.configure(paused=True)
    running = desk.run(allowance.look(0))[0]
    desk.run(allowance.put(0, limit.make("openai", concurrency=5)))
    desk.run(allowance.wake(0, "openai"))

    assert running.running == 1
    assert desk.claim(10).claims == ()
    desk.configure(paused=False)
    assert desk.take().id == task_id


def test_tasks_without_limits_know_nothing_of_them(desk: Desk) -> None:
    """A limit that is not theirs leaves their records as they were."""
    allow(desk, "other", concurrency=1)
    task_id = desk.put()
    held = desk.take()

    assert held.id == task_id
    assert b" h" not in desk.redis("GET", desk.key(f"t:{task_id}"))
    assert order().template.text == "default job"
