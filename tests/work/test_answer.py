"""A person answers: once, to what was asked, and whoever waits goes on."""

from __future__ import annotations

from typing import Any

import pytest

from coordq.errors import Conflict, ForeignData, InvalidInput, PayloadTooLarge, TaskNotFound
from coordq.ids import new_id
from coordq.work.answer import answer
from coordq.work.claim import Claim
from tests.work.desk import Desk
from tests.work.waiting_room import came, say, suspend, wait, waiter


def node(desk: Desk, waits: str = "a", **options: Any) -> str:
    """A node of a flow that waits instead of running, as its flow has made it."""
    task_id = new_id()
    spec = "".join(f" {letter}={value}" for letter, value in options.items())
    record = f"p2 0 0 0 {desk.now_ms()} - - -\ndefault coordq.approval w={waits}{spec}\n{{}}"
    desk.redis("SET", desk.key(f"t:{task_id}"), record)
    desk.redis("ZADD", desk.key("waiting"), 1, task_id)
    desk.redis("ZADD", desk.key("waiting"), desk.now_ms(), task_id)
    if waits.startswith("s:"):
        desk.redis("ZADD", desk.key(f"listening:{waits[2:]}"), 1, task_id)
    return task_id


def test_a_rejection_is_told_to_the_handler(desk: Desk) -> None:
    """It runs again, and its wait raises; what it does then is its own affair."""
    held = waiter(desk, wait("approval"))

    say(desk, held.id, approved=False, note="not on a Friday")

    assert desk.state(held.id) == "ready"
    assert came(desk, held.id) == {"error": "rejected", "by": "ann", "note": "not on a Friday"}
    assert desk.kinds(held.id)[-2:] == ["rejected", "resumed"]


def test_an_approved_node_succeeds_with_the_value(desk: Desk) -> None:
    """Who approved stands in its log, and among the events."""
    task_id = node(desk)

    say(desk, task_id, value={"ticket": 7}, note="go")

    task = desk.task(task_id)
    assert (task.state.value, task.result) == ("succeeded", {"ticket": 7})
    assert desk.redis("LRANGE", desk.key(f"log:{task_id}"), 0, -1) == [b"approved by ann: go"]
    (said,) = [one for one in desk.events() if one.kind == "approved"]
    assert (said.subject, said.detail) == (task_id, "ann: go")


def test_a_rejected_node_fails(desk: Desk) -> None:
    """With who and why, for those who look, and for an alternative."""
    task_id = node(desk)

    say(desk, task_id, approved=False, note="no")

    task = desk.task(task_id)
    assert (task.state.value, task.reason) == ("failed", "rejected")
    assert task.error is not None
    assert (task.error["by"], task.error["note"]) == ("ann", "no")
    assert task.error["message"] == "ann rejected it: no"


def test_an_answer_is_given_once(desk: Desk) -> None:
    """Who comes second is told so, and changes nothing."""
    held = waiter(desk, wait("approval"))
    say(desk, held.id)

    with pytest.raises(Conflict, match="waits for no approval: it is ready"):
        say(desk, held.id, approved=False)
    assert came(desk, held.id)["value"] is None


def test_an_answer_is_for_the_approval_that_was_seen(desk: Desk) -> None:
    """A handler may ask twice: a yes to the first question is none to the second."""
    held = waiter(desk, wait("approval", "first"))
    say(desk, held.id, key="first")
    again = desk.take(served=("waiter",))
    suspend(desk, again, wait("approval", "second"))

    with pytest.raises(Conflict, match="waits for the approval 'second' now, not for 'first'"):
        say(desk, held.id, key="first")

    assert desk.state(held.id) == "suspended"


@pytest.mark.parametrize("kind", ["signal", "time"])
def test_what_waits_for_something_else_takes_no_answer(desk: Desk, kind: str) -> None:
    """Nor what does not wait at all."""
    held = waiter(desk, wait(kind, name="go"), timeout_ms=9_000)

    for task_id in (held.id, node(desk, "s:go"), desk.put()):
        with pytest.raises(Conflict, match="waits for no approval"):
            say(desk, task_id)


def test_what_is_not_there_takes_no_answer(desk: Desk) -> None:
    """Nor what is not ours."""
    desk.audited = False
    desk.redis("SET", desk.key(f"t:{'0' * 22}"), "scribble")

    with pytest.raises(TaskNotFound):
        say(desk, new_id())
    with pytest.raises(ForeignData):
        say(desk, "0" * 22)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"by": 7}, InvalidInput),
        ({"by": "x" * 101}, InvalidInput),
        ({"note": "x" * 1001}, InvalidInput),
        ({"note": None}, InvalidInput),
        ({"key": "x" * 201}, InvalidInput),
        ({"note": "\ud800"}, InvalidInput),
        ({"value": float("nan")}, InvalidInput),
        ({"value": b"bytes"}, InvalidInput),
        ({"value": {1: 2}}, InvalidInput),
        ({"value": "x" * 65_536}, PayloadTooLarge),
    ],
)
def test_a_bad_answer_is_refused(how: dict[str, Any], error: type[Exception]) -> None:
    """Before anything is sent."""
    with pytest.raises(error):
        answer(new_id(), approved=True, **({"by": "ann"} | how))


def test_a_bad_id_is_refused() -> None:
    """Likewise."""
    with pytest.raises(TaskNotFound, match="is not a task id"):
        answer("7", approved=True, by="ann")


def test_what_people_say_cannot_break_what_is_written(desk: Desk) -> None:
    """Quotes, newlines and the signs that records are made of."""
    said = 'a "quote",\n\tand a \\ | line \x07'
    held: Claim = waiter(desk, wait("approval", 'k"\n'))

    say(desk, held.id, note=said, value={"text": said})

    found = came(desk, held.id, 'k"\n')
    assert (found["note"], found["value"]) == ('a "quote", and a \\ | line \x07', {"text": said})
    assert "\n" not in next(one.detail for one in desk.events() if one.kind == "approved")
