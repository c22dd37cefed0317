"""What is due happens: delayed tasks become ready, time limits end what waited too long."""

from __future__ import annotations

from typing import Any

import pytest

from tests.work.desk import CLAIMANT, Desk


def test_a_delayed_task_becomes_ready_when_it_is_due(desk: Desk) -> None:
    """Any claim promotes, and may take what it promoted."""
    task_id = desk.put(delay=60)
    desk.make_due(task_id)

    assert desk.take().id == task_id
    assert desk.kinds(task_id) == ["scheduled", "ready", "running"]


def test_a_delayed_task_keeps_its_place_by_the_moment_it_was_due(desk: Desk) -> None:
    """Its age counts from when it became ready, not from its birth."""
    late = desk.put(delay=60)
    early = desk.put()
    desk.make_due(late)

    assert [each.id for each in desk.claim(2).claims] == [early, late]


def test_many_due_at_once_are_promoted_over_several_claims(desk: Desk) -> None:
    """A call promotes a hundred at most, so that no call takes long."""
    ids = [desk.put(delay=60) for _ in range(150)]
    desk.make_due(*ids)

    first = desk.claim(1, served=("another",))
    assert (desk.queue().ready, first.next_due_ms) == (100, 0)
    desk.promote()
    assert desk.queue().ready == 150


def test_a_promotion_by_one_worker_wakes_the_other_that_can_do_it(desk: Desk) -> None:
    """Whoever promotes need not be able to run it."""
    desk.make_due(desk.put("rare", delay=60))

    desk.promote()

    assert desk.marks("rare") == 1


def test_a_task_nobody_started_in_time_is_a_dead_letter(desk: Desk) -> None:
    """`expires`: better never than late."""
    task_id = desk.put(expires=30)
    desk.make_due(f"x{task_id}")

    assert desk.claim(1).claims == ()
    assert (desk.state(task_id), desk.task(task_id).reason) == ("failed", "expired")


def test_a_delay_does_not_use_up_the_queue_timeout(desk: Desk) -> None:
    """The queue timeout counts from when the task could have been started."""
    task_id = desk.put(delay=100, expires=30)

    assert 100_000 < (desk.glance(task_id).expires_in_ms or 0) <= 130_000


@pytest.mark.parametrize("kind", ["retry", "snooze", "release"])
def test_a_task_that_was_started_cannot_expire(desk: Desk, kind: str) -> None:
    """The queue timeout is met by the first start, whatever became of that."""
    task_id = desk.put(expires=30)
    desk.end(desk.take(), kind, delay_ms=60_000)

    assert desk.glance(task_id).expires_in_ms is None


def test_a_task_claimed_by_id_cannot_expire(desk: Desk) -> None:
    """Also that is a start."""
    task_id = desk.put(expires=30)
    desk.take_one(task_id)

    assert desk.glance(task_id).expires_in_ms is None


@pytest.mark.parametrize("delay", [0, 60])
def test_a_total_timeout_ends_what_waits(desk: Desk, delay: int) -> None:
    """Ready or scheduled: its time is over."""
    task_id = desk.put(total_timeout=100, delay=delay)
    desk.make_due(f"y{task_id}")
    desk.promote()

    assert (desk.state(task_id), desk.task(task_id).reason) == ("failed", "deadline")


def test_a_total_timeout_and_a_delay_due_together_end_the_task_once(desk: Desk) -> None:
    """Nobody claimed for a while, and both moments have passed: it is dead, and stays so."""
    task_id = desk.put(total_timeout=30, delay=60)
    desk.make_due(f"y{task_id}", ago_ms=20)
    desk.make_due(task_id, ago_ms=10)

    desk.promote()

    assert desk.state(task_id) == "failed"
    assert desk.queue().failed == 1


def test_a_delay_and_a_total_timeout_due_together_end_the_task_once(desk: Desk) -> None:
    """In the other order it was ready for an instant."""
    task_id = desk.put(total_timeout=90, delay=60)
    desk.make_due(task_id, ago_ms=20)
    desk.make_due(f"y{task_id}", ago_ms=10)

    desk.promote()

    assert desk.state(task_id) == "failed"


def overrun(desk: Desk, **options: Any) -> tuple[str, Any]:
    """A running task whose total time has passed."""
    task_id = desk.put(total_timeout=100, **options)
    claim = desk.take()
    desk.make_due(f"y{task_id}")
    desk.promote()
    return task_id, claim


def test_a_total_timeout_asks_the_worker_to_stop(desk: Desk) -> None:
    """By message at once, and with every beat in case the message was lost."""
    task_id = desk.put(total_timeout=100)
    claim = desk.take()
    desk.make_due(f"y{task_id}")
    desk.promote()

    assert desk.state(task_id) == "running"
    assert b'"reason":"deadline"' in desk.redis("LPOP", desk.key("inbox:w1"))
    assert desk.beat(claim).cancelled == (claim.member,)


@pytest.mark.parametrize("kind", ["cancelled", "retry", "snooze", "release"])
def test_a_task_over_its_total_time_does_not_run_again(desk: Desk, kind: str) -> None:
    """However its worker stops, it is a dead letter."""
    task_id = desk.put(total_timeout=100)
    claim = desk.take()
    desk.make_due(f"y{task_id}")
    desk.promote()

    desk.end(claim, kind)

    assert (desk.state(task_id), desk.task(task_id).reason) == ("failed", "deadline")


def test_a_task_that_makes_it_after_all_has_succeeded(desk: Desk) -> None:
    """Its result is there: throwing it away helps nobody."""
    task_id = desk.put(total_timeout=100)
    claim = desk.take()
    desk.make_due(f"y{task_id}")
    desk.promote()

    assert desk.end(claim) == "ok"
    assert desk.state(task_id) == "succeeded"


def test_a_revived_task_is_not_stopped_by_its_old_deadline(desk: Desk) -> None:
    """It starts over: its limits run anew, and nobody asks its worker to stop."""
    task_id = desk.put(total_timeout=100, expires=50)
    claim = desk.take()
    desk.make_due(f"y{task_id}")
    desk.promote()
    desk.end(claim, "cancelled")
    desk.requeue(task_id)

    glance = desk.glance(task_id)
    again = desk.take()

    assert 25_000 < (glance.expires_in_ms or 0) <= 50_000
    assert 75_000 < (glance.total_left_ms or 0) <= 100_000
    assert desk.beat(again).cancelled == ()


def test_an_earlier_moment_wakes_somebody(desk: Desk) -> None:
    """A worker that blocks believes that nothing is due for longer."""
    desk.put("a", delay=100)
    assert desk.marks("a") == 1
    desk.put("b", delay=200)
    assert desk.marks("b") == 0
    desk.put("c", delay=50)
    assert desk.marks("c") == 1


def test_an_earlier_moment_with_a_limit_before_it_wakes_somebody(desk: Desk) -> None:
    """The total timeout comes first then; it is still this task that changed the next moment."""
    desk.put("a", delay=100, total_timeout=50)

    assert desk.marks("a") == 1


def test_members_whose_task_is_gone_are_passed_over(desk: Desk) -> None:
    """Records deleted by hand leave moments behind."""
    desk.audited = False
    gone, fine = desk.put(delay=60), desk.put(delay=60)
    desk.redis("DEL", desk.key(f"t:{gone}"))
    desk.make_due(gone, f"x{gone}", f"y{gone}", fine)

    assert [each.id for each in desk.claim(10).claims] == [fine]


def test_who_runs_a_task_over_time_is_told_by_its_worker_name(desk: Desk) -> None:
    """The inbox is the parent's: the part before the slash."""
    overrun(desk)

    assert desk.redis("LLEN", desk.key(f"inbox:{CLAIMANT.partition('/')[0]}")) == 1
