"""A checkpoint: what a later attempt starts from, whatever ended the one before."""

from __future__ import annotations

import pytest

from coordq.ids import new_id
from coordq.work.saved import checkpoint, saved
from coordq.work.tidy import Place, tidy
from tests.work.desk import Desk

STATE = b'{"page":3}'


def kept(desk: Desk, task_id: str) -> dict[str, bytes]:
    """What a task has kept."""
    (found,) = desk.run(saved(0, [task_id]))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("how", ["retry", "release", "snooze", "lapse", "crash"])
def test_the_next_run_has_the_last_checkpoint(desk: Desk, how: str) -> None:
    """However this run ended, short of success; its claim says that there is something to read."""
    desk.put()
    held = desk.take()
    assert not held.saved
    for state in (b"1", STATE):
        assert desk.run(checkpoint(held.member, state))

    if how == "lapse":
        desk.lapse(held)
        desk.reap()
    elif how == "crash":
        desk.release(held, reason="crash")
    else:
        desk.end(held, how, delay_ms=1)
        desk.make_due(held.id) if how != "release" else None

    again = desk.take()
    assert again.saved
    assert kept(desk, again.id) == {"state": STATE}


def test_a_checkpoint_of_a_lost_claim_is_refused(desk: Desk) -> None:
    """Its holder has been overtaken: what it says would put the other one back."""
    desk.put()
    lost = desk.take()
    desk.lapse(lost)
    desk.reap()
    held = desk.take()
    desk.run(checkpoint(held.member, STATE))
    before = desk.dump()

    assert not desk.run(checkpoint(lost.member, b"0"))
    assert not desk.run(checkpoint(f"{new_id()}|7", b"0"))
    assert desk.dump() == before


def test_a_task_that_succeeds_keeps_nothing(desk: Desk) -> None:
    """It goes on nowhere; neither does its record say that it kept something."""
    desk.put()
    held = desk.take()
    desk.run(checkpoint(held.member, STATE))

    desk.end(held)

    assert kept(desk, held.id) == {}
    assert desk.redis("GET", desk.key(f"t:{held.id}")).split(b"\n")[0].endswith(b" -")


def test_a_revived_dead_letter_goes_on_where_it_was(desk: Desk) -> None:
    """What was in its way may be mended by now; what it had done is still done."""
    task_id = desk.put()
    held = desk.take()
    desk.run(checkpoint(held.member, STATE))
    desk.end(held, "failed")

    desk.requeue(task_id)

    assert desk.take().saved
    assert kept(desk, task_id) == {"state": STATE}


def test_what_a_cancelled_task_kept_goes_with_its_record(desk: Desk) -> None:
    """Unless it is revived before."""
    for _ in range(2):
        desk.put()
        held = desk.take()
        desk.run(checkpoint(held.member, STATE))
        desk.end(held, "cancelled")
        record, keeping = (
            desk.redis("PTTL", desk.key(f"{kind}:{held.id}")) for kind in ("t", "saved")
        )
        assert 0 < keeping <= record + 1000
    desk.requeue(held.id)

    assert desk.redis("PTTL", desk.key(f"saved:{held.id}")) == -1


@pytest.mark.parametrize("how", ["forget", "tidy"])
def test_what_is_deleted_leaves_nothing_behind(desk: Desk, how: str) -> None:
    """A task's keys go together."""
    task_id = desk.put()
    held = desk.take()
    desk.run(checkpoint(held.member, STATE))
    desk.end(held, "failed")

    if how == "forget":
        desk.forget(task_id)
    else:
        desk.redis("ZADD", desk.key("dead"), 1, task_id)
        desk.run(tidy(0, Place(), dead_ms=1))

    assert [name for name in desk.names() if task_id in name] == []


def test_a_cancel_of_a_task_that_kept_something_is_told_to_its_worker(desk: Desk) -> None:
    """The two flags stand side by side in the record, and an audit knows one from the other."""
    desk.put()
    held = desk.take()
    desk.run(checkpoint(held.member, STATE))
    assert desk.beat(held).cancelled == ()

    desk.cancel(held.id)

    assert desk.beat(held).cancelled == (held.member,)
    assert desk.task(held.id).cancel_requested
    desk.run(checkpoint(held.member, STATE))
    assert desk.end(held, "cancelled") == "ok"
