"""work/reap: claims whose lease has run out go back, and a task that kills workers is stopped."""

from __future__ import annotations

import pytest

from coordq.errors import Deposed
from coordq.work.beat import reap
from coordq.work.claim import Claim
from tests.work.desk import Desk


def die_at(desk: Desk, task_id: str) -> Claim:
    """A worker claims the task and is never heard of again."""
    claim = desk.take()
    assert claim.id == task_id
    desk.lapse(claim)
    desk.reap()
    return claim


def test_a_lapsed_claim_goes_back_to_the_head_of_its_line(desk: Desk) -> None:
    """It has waited its turn already, and no attempt was spent: the handler did not fail."""
    first, _ = desk.put(), desk.put()
    claim = desk.take()
    desk.lapse(claim)

    assert desk.reap().amount == 1

    task = desk.task(first)
    assert (task.state.value, task.attempt, task.worker, task.fence) == ("ready", 0, None, 0)
    assert desk.queue().lapsed == 1
    assert desk.take().id == first


def test_a_lease_that_is_held_is_left_alone(desk: Desk) -> None:
    """Time has to be up."""
    desk.put()
    desk.take()

    assert desk.reap().amount == 0


def test_only_so_many_are_taken_back_in_a_call(desk: Desk) -> None:
    """A crash of a large worker must not stop Redis for long."""
    for _ in range(5):
        desk.put()
    desk.lapse(*desk.claim(5).claims)

    assert [desk.reap(limit=2).amount for _ in range(4)] == [2, 2, 1, 0]


def test_the_third_worker_that_dies_at_a_task_is_the_last(desk: Desk) -> None:
    """A task that kills workers must not kill them all."""
    task_id = desk.put()
    for strikes in (1, 2):
        die_at(desk, task_id)
        assert (desk.state(task_id), desk.task(task_id).strikes) == ("ready", strikes)

    die_at(desk, task_id)

    assert (desk.state(task_id), desk.task(task_id).reason) == ("failed", "poison")
    assert desk.queue().failed == 1


def test_a_lapse_of_a_worker_that_beats_is_no_strike(desk: Desk) -> None:
    """The reply to its claim was lost; it lives, and never knew of the task."""
    task_id = desk.put()
    claim = desk.take(lease_ms=10_000)
    desk.beat(lease_ms=10_000)
    desk.lapse(claim)

    desk.reap()

    assert desk.task(task_id).strikes == 0


def test_a_lapse_between_two_beats_is_no_strike(desk: Desk) -> None:
    """The last beat was two seconds before the lease ended: that is as often as it beats."""
    task_id = desk.put()
    claim = desk.take(lease_ms=10_000)
    desk.beat(lease_ms=10_000)
    desk.redis("ZADD", desk.key("workers"), desk.now_ms() - 2000, "w1")
    desk.redis("PEXPIRE", desk.key("worker:w1"), 28_000)
    desk.lapse(claim)

    desk.reap()

    assert desk.task(task_id).strikes == 0


def test_a_lapse_a_lease_after_the_last_beat_is_a_strike(desk: Desk) -> None:
    """Silent from then on: it died at the task."""
    task_id = desk.put()
    claim = desk.take(lease_ms=10_000)
    desk.beat(claim, lease_ms=10_000)
    desk.redis("ZADD", desk.key("workers"), desk.now_ms() - 10_001, "w1")
    desk.redis("PEXPIRE", desk.key("worker:w1"), 19_999)
    desk.lapse(claim)

    desk.reap()

    assert desk.task(task_id).strikes == 1


def test_a_claim_of_somebody_who_never_beat_is_a_strike(desk: Desk) -> None:
    """Nothing is known of it, so it is dead."""
    task_id = desk.put()
    die_at(desk, task_id)

    assert desk.task(task_id).strikes == 1


def test_a_task_to_be_cancelled_is_cancelled_when_its_worker_dies(desk: Desk) -> None:
    """Nobody is left to obey, and nobody wants it run."""
    task_id = desk.put()
    claim = desk.take()
    desk.cancel(task_id)
    desk.lapse(claim)

    desk.reap()

    assert desk.state(task_id) == "cancelled"


def test_a_task_over_its_total_time_is_dead_when_its_worker_dies(desk: Desk) -> None:
    """Its time was up anyway."""
    task_id = desk.put(total_timeout=100)
    claim = desk.take()
    desk.make_due(f"y{task_id}")
    desk.promote()
    desk.lapse(claim)

    desk.reap()

    assert desk.task(task_id).reason == "deadline"


@pytest.mark.parametrize("command", [("SET", "junk"), ("DEL",), ("DEL", "RPUSH", "junk")])
def test_a_lease_without_a_record_is_removed_and_the_others_go_back(
    desk: Desk, command: tuple[str, ...]
) -> None:
    """Deleted or overwritten by strangers: reaping does not stop there."""
    desk.audited = False
    desk.put()
    desk.put()
    spoilt, fine = desk.claim(2).claims
    record = desk.key(f"t:{spoilt.id}")
    if command[0] == "DEL":
        desk.redis("DEL", record)
    if command[-1] == "junk":
        desk.redis(command[-2], record, "junk")
    desk.lapse(spoilt, fine)

    assert desk.reap().amount == 1
    assert desk.state(fine.id) == "ready"
    assert desk.redis("ZCARD", desk.key("lease")) == 0


def test_a_lapse_wakes_somebody(desk: Desk) -> None:
    """Recovery is prompt: an idle worker does not wait for its next look."""
    desk.put()
    claim = desk.take()
    desk.redis("DEL", desk.key("marker:default:job"))
    desk.lapse(claim)

    desk.reap()

    assert desk.marks() == 1


def test_workers_silent_for_a_day_are_forgotten(desk: Desk) -> None:
    """A fleet that comes and goes must not leave its names behind for ever."""
    desk.beat()
    desk.redis("ZADD", desk.key("workers"), desk.now_ms() - 25 * 3600 * 1000, "old")

    desk.reap()

    assert desk.redis("ZRANGE", desk.key("workers"), 0, -1) == [b"w1"]


def test_the_event_of_a_lapse_names_the_fence_and_the_worker(desk: Desk) -> None:
    """So that "who lost it" can be answered later."""
    task_id = desk.put()
    claim = die_at(desk, task_id)

    lapsed = next(event for event in desk.events() if event.kind == "lapsed")

    assert (lapsed.subject, lapsed.detail) == (task_id, f"{claim.fence} w1/1")


def test_a_deposed_leader_takes_nothing_back(desk: Desk) -> None:
    """What it knows of the fleet is old; workers and the new leader reap."""
    desk.put()
    desk.lapse(desk.take())
    desk.redis("SET", desk.key("epoch"), 8)
    before = desk.dump()

    with pytest.raises(Deposed):
        desk.run(reap(0, epoch=7))

    assert desk.dump() == before
    assert desk.reap().amount == 1
