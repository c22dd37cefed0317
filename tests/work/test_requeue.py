"""work/requeue and work/forget: ended tasks run again, or are gone."""

from __future__ import annotations

import pytest

from coordq.ids import new_id
from coordq.work.morgue import requeue
from coordq.work.task import State
from tests.work.desk import Desk


@pytest.mark.parametrize("kind", ["failed", "cancelled"])
def test_an_ended_task_starts_over(desk: Desk, kind: str) -> None:
    """Attempts and strikes from zero; its version goes on growing."""
    task_id = desk.put()
    desk.end(desk.take(), kind)
    version = desk.task(task_id).version

    assert desk.requeue(task_id) == ["ok"]

    task = desk.task(task_id)
    assert (task.state.value, task.attempt, task.strikes, task.fence) == ("ready", 0, 0, 0)
    assert task.version == version + 1
    assert desk.take().attempt == 1


def test_a_scheduled_task_is_ready_now(desk: Desk) -> None:
    """Somebody does not want to wait for the backoff."""
    task_id = desk.put()
    desk.end(desk.take(), "retry", delay_ms=3_600_000)

    assert desk.requeue(task_id) == ["ok"]

    assert (desk.state(task_id), desk.queue().scheduled) == ("ready", 0)


def test_a_poisoned_task_gets_three_more_lives(desk: Desk) -> None:
    """Whoever revives it has repaired something."""
    task_id = desk.put()
    for _ in range(3):
        desk.release(desk.take(), reason="crash")
    desk.requeue(task_id)
    desk.release(desk.take(), reason="crash")

    assert (desk.state(task_id), desk.task(task_id).strikes) == ("ready", 1)


@pytest.mark.parametrize("state", ["ready", "running"])
def test_a_living_task_is_left_alone(desk: Desk, state: str) -> None:
    """The answer says what it is."""
    task_id = desk.put()
    if state == "running":
        desk.take()
    before = desk.dump()

    assert desk.requeue(task_id) == [state]
    assert desk.dump() == before


def test_a_task_that_succeeded_is_left_alone_unless_asked_for(desk: Desk) -> None:
    """Doing it twice must be meant."""
    task_id = desk.put()
    desk.end(desk.take())

    assert desk.requeue(task_id) == ["succeeded"]
    call = requeue([task_id], states=frozenset({State.SUCCEEDED}))
    assert desk.run(call) == ["ok"]


def test_unknown_and_foreign_ids_are_told_apart(desk: Desk) -> None:
    """And do not stop the others."""
    desk.audited = False
    foreign, fine = new_id(), desk.put()
    desk.redis("SET", desk.key(f"t:{foreign}"), "junk")
    desk.end(desk.take(), "failed")

    assert desk.requeue(new_id(), foreign, fine) == ["missing", "foreign", "ok"]


def test_a_record_of_another_type_does_not_stop_the_others(desk: Desk) -> None:
    """Half a batch requeued and not counted would be worse than none."""
    desk.audited = False
    first, second, spoilt = desk.put(), desk.put(), new_id()
    desk.redis("RPUSH", desk.key(f"t:{spoilt}"), "junk")
    for claim in desk.claim(2).claims:
        desk.end(claim, "failed")

    assert desk.requeue(first, spoilt, second) == ["ok", "foreign", "ok"]
    assert desk.queue().ready == 2


def test_large_arguments_live_on(desk: Desk) -> None:
    """A cancelled task's payload was about to expire."""
    task_id = desk.put("job", {"text": "x" * 3000})
    desk.cancel(task_id)
    desk.requeue(task_id)

    assert desk.redis("TTL", desk.key(f"p:{task_id}")) == -1
    assert len(desk.take().args) > 3000


def test_repeating_it_does_nothing(desk: Desk) -> None:
    """The reply was lost; the task may run by now."""
    task_id = desk.put()
    desk.end(desk.take(), "failed")
    desk.requeue(task_id)
    desk.take()

    assert desk.requeue(task_id) == ["running"]


def test_five_hundred_are_one_call(desk: Desk) -> None:
    """The morgue is emptied in batches."""
    ids = [desk.put() for _ in range(500)]
    for start in range(0, 500, 100):
        for claim in desk.claim(100).claims:
            desk.end(claim, "failed")
        assert desk.queue().failed == start + 100

    assert desk.requeue(*ids) == ["ok"] * 500


def test_a_forgotten_task_leaves_nothing(desk: Desk) -> None:
    """Record, arguments, log and progress."""
    from coordq.work.report import report

    task_id = desk.put("job", {"text": "x" * 3000})
    claim = desk.take()
    desk.run(report(claim.member, progress={"at": 1}, lines=["hello"]))
    desk.end(claim, "failed")

    assert desk.forget(task_id) == 1
    assert not [name for name in desk.names() if task_id in name]
    assert desk.forget(task_id) == 0


@pytest.mark.parametrize("state", ["ready", "scheduled", "running"])
def test_a_living_task_is_not_forgotten(desk: Desk, state: str) -> None:
    """Deleting what waits or runs is not what forget is for."""
    task_id = desk.put(delay=60 if state == "scheduled" else 0)
    if state == "running":
        desk.take()

    assert desk.forget(task_id) == 0
    assert desk.state(task_id) == state


@pytest.mark.parametrize("command", [("SET", "junk"), ("RPUSH", "junk")])
def test_a_foreign_dead_letter_can_be_forgotten(desk: Desk, command: tuple[str, str]) -> None:
    """That is how one gets rid of it."""
    task_id = desk.put()
    desk.redis("DEL", desk.key(f"t:{task_id}"))
    desk.redis(command[0], desk.key(f"t:{task_id}"), command[1])
    desk.claim(1)

    assert desk.forget(task_id) == 1
    assert desk.redis("EXISTS", desk.key(f"t:{task_id}")) == 0
    desk.audited = False


def test_a_foreign_key_that_is_no_dead_letter_is_left_alone(desk: Desk) -> None:
    """Nobody has said that it may go."""
    desk.audited = False
    task_id = new_id()
    desk.redis("RPUSH", desk.key(f"t:{task_id}"), "junk")

    assert desk.forget(task_id) == 0
    assert desk.redis("EXISTS", desk.key(f"t:{task_id}")) == 1
