"""work/claim_one: a browsed task, if it is still as it was seen."""

from __future__ import annotations

import pytest

from coordq.errors import Conflict, ForeignData, TaskNotFound
from coordq.ids import new_id
from tests.work.desk import Desk


def test_a_browsed_task_can_be_claimed(desk: Desk) -> None:
    """An agent chose it; it need not be the next in line."""
    desk.put()
    chosen = desk.task(desk.put())

    claim = desk.take_one(chosen.id, chosen.version)

    assert (claim.id, claim.version, claim.attempt) == (chosen.id, 2, 1)
    assert desk.state(chosen.id) == "running"


def test_a_task_that_has_moved_on_is_a_conflict(desk: Desk) -> None:
    """With the facts as they are now."""
    seen = desk.task(desk.put())
    desk.take()

    with pytest.raises(Conflict) as caught:
        desk.take_one(seen.id, seen.version)

    assert (caught.value.id, caught.value.state, caught.value.version) == (seen.id, "running", 2)


def test_a_task_that_came_back_is_a_conflict_too(desk: Desk) -> None:
    """It is ready again, but not as it was seen."""
    seen = desk.task(desk.put())
    desk.release(desk.take())

    with pytest.raises(Conflict, match="version 3"):
        desk.take_one(seen.id, seen.version)


def test_any_version_will_do_when_none_is_named(desk: Desk) -> None:
    """-1 is "whatever it is by now", as long as it is ready."""
    task_id = desk.put()
    desk.release(desk.take())

    assert desk.take_one(task_id).version == 4


@pytest.mark.parametrize("kind", ["succeeded", "failed", "cancelled", "retry"])
def test_a_task_that_is_not_ready_is_a_conflict(desk: Desk, kind: str) -> None:
    """Whatever it is instead."""
    task_id = desk.put()
    desk.end(desk.take(), kind, delay_ms=60_000)

    with pytest.raises(Conflict):
        desk.take_one(task_id)


def test_an_unknown_task_is_not_found(desk: Desk) -> None:
    """By its own error."""
    with pytest.raises(TaskNotFound):
        desk.take_one(new_id())


@pytest.mark.parametrize("command", [("SET", "junk"), ("RPUSH", "junk")])
def test_a_foreign_record_is_an_error_and_stays_as_it_is(
    desk: Desk, command: tuple[str, str]
) -> None:
    """A blob or another type: it is not ours to change."""
    task_id = new_id()
    desk.redis(command[0], desk.key(f"t:{task_id}"), command[1])
    desk.audited = False
    before = desk.dump()

    with pytest.raises(ForeignData):
        desk.take_one(task_id)

    assert desk.dump() == before


def test_a_repeated_claim_of_one_task_gets_it_again(desk: Desk) -> None:
    """The reply was lost: without the nonce it would be a conflict with oneself."""
    seen = desk.task(desk.put("job", {"text": "x" * 3000}))

    once = desk.take_one(seen.id, seen.version, nonce="a")

    assert desk.take_one(seen.id, seen.version, nonce="a") == once


def test_large_arguments_come_along(desk: Desk) -> None:
    """As with any claim."""
    task_id = desk.put("job", {"text": "x" * 3000})

    assert len(desk.take_one(task_id).args) > 3000


def test_a_task_claimed_by_id_leaves_the_others_in_order(desk: Desk) -> None:
    """Its entry stays in the line, and is passed over."""
    a, b, c = (desk.put() for _ in range(3))
    desk.take_one(b)

    assert [each.id for each in desk.claim(10).claims] == [a, c]
