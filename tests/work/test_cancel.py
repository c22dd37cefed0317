"""work/cancel: a task shall not run, or not go on."""

from __future__ import annotations

import json

import pytest

from coordq.errors import ForeignData, TaskNotFound
from coordq.ids import new_id
from coordq.work.task import State
from tests.work.desk import Desk


@pytest.mark.parametrize("delay", [0, 60])
def test_a_waiting_task_is_cancelled_at_once(desk: Desk, delay: int) -> None:
    """Ready or scheduled."""
    task_id = desk.put(delay=delay)

    done = desk.cancel(task_id, "changed my mind")

    assert (done.state, done.requested) == (State.CANCELLED, False)
    assert (desk.task(task_id).error or {})["message"] == "changed my mind"
    assert desk.queue().cancelled == 1
    assert desk.claim(10).claims == ()


def test_a_running_task_is_asked_to_stop(desk: Desk) -> None:
    """Its worker's parent is told at once."""
    task_id = desk.put()
    claim = desk.take()

    done = desk.cancel(task_id, "changed my mind")

    assert (done.state, done.requested, done.worker) == (State.RUNNING, True, "w1/1")
    assert desk.task(task_id).cancel_requested
    message = json.loads(desk.redis("LPOP", desk.key("inbox:w1")))
    assert message == {"do": "cancel", "member": claim.member, "reason": "changed my mind"}


def test_asking_twice_is_one_request(desk: Desk) -> None:
    """One event; the worker may hear of it twice."""
    task_id = desk.put()
    desk.take()
    desk.cancel(task_id)
    desk.cancel(task_id)

    assert desk.kinds(task_id).count("cancelling") == 1


@pytest.mark.parametrize("kind", ["succeeded", "failed", "cancelled"])
def test_an_ended_task_stays_as_it_ended(desk: Desk, kind: str) -> None:
    """The answer says how."""
    task_id = desk.put()
    desk.end(desk.take(), kind)
    before = desk.dump()

    assert desk.cancel(task_id).state.value == kind
    assert desk.dump() == before


def test_an_unknown_task_is_not_found(desk: Desk) -> None:
    """By its own error."""
    with pytest.raises(TaskNotFound):
        desk.cancel(new_id())


@pytest.mark.parametrize("command", [("SET", "junk"), ("RPUSH", "junk")])
def test_a_foreign_record_is_an_error_and_stays_as_it_is(
    desk: Desk, command: tuple[str, str]
) -> None:
    """It is not ours to cancel."""
    desk.audited = False
    task_id = new_id()
    desk.redis(command[0], desk.key(f"t:{task_id}"), command[1])
    before = desk.dump()

    with pytest.raises(ForeignData):
        desk.cancel(task_id)

    assert desk.dump() == before


def test_a_task_that_finishes_first_has_succeeded(desk: Desk) -> None:
    """The request came too late; the result counts."""
    task_id = desk.put()
    claim = desk.take()
    desk.cancel(task_id)

    assert desk.end(claim) == "ok"
    assert desk.state(task_id) == "succeeded"


def test_whoever_waits_is_told_of_the_cancel(desk: Desk) -> None:
    """A cancel is an end."""
    task_id = desk.put(mailbox="me")
    desk.cancel(task_id)

    assert desk.redis("LPOP", desk.key("mailbox:me")).startswith(task_id.encode() + b"\nc2 ")


def test_a_reason_of_several_lines_does_not_spoil_the_events(desk: Desk) -> None:
    """Reasons come from people."""
    task_id = desk.put()
    desk.cancel(task_id, "line one\nline two")

    event = desk.events()[-1]
    assert (event.kind, event.subject, event.detail) == ("cancelled", task_id, "line one\nline two")


def test_time_limits_end_with_the_task(desk: Desk) -> None:
    """Nothing is left in the calendar."""
    task_id = desk.put(expires=30, total_timeout=60, delay=10)
    desk.cancel(task_id)

    assert desk.redis("ZCARD", desk.key("due")) == 0


def test_large_arguments_go_with_the_record(desk: Desk) -> None:
    """Both expire together."""
    task_id = desk.put("job", {"text": "x" * 3000}, result_ttl=100)
    desk.cancel(task_id)

    assert 50 <= desk.redis("TTL", desk.key(f"p:{task_id}")) <= 100
