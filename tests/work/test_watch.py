"""work/watch: whoever waits for a task is told when it ends."""

from __future__ import annotations

import pytest

from coordq.errors import TaskNotFound
from coordq.ids import new_id
from coordq.work.look import read_letter, watch
from coordq.work.task import Task
from tests.work.desk import Desk


def look(desk: Desk, *ids: str, mailbox: str = "me") -> list[Task | None]:
    """Watch tasks."""
    found: list[Task | None] = desk.run(watch(ids, mailbox=mailbox))
    return found


def letters(desk: Desk, mailbox: str = "me") -> list[tuple[str, Task]]:
    """What is in a mailbox."""
    return [read_letter(raw) for raw in desk.redis("LRANGE", desk.key(f"mailbox:{mailbox}"), 0, -1)]


def test_a_task_that_has_ended_is_there_at_once(desk: Desk) -> None:
    """Nothing to wait for."""
    task_id = desk.put()
    desk.end(desk.take(), body=b"7")

    (task,) = look(desk, task_id)

    assert task is not None
    assert task.result == 7


def test_a_task_that_goes_on_sends_a_letter(desk: Desk) -> None:
    """With its whole record, so that nobody needs to look again."""
    task_id = desk.put()
    assert look(desk, task_id) == [None]
    desk.end(desk.take(), body=b"7")

    ((told, task),) = letters(desk)

    assert (told, task.result) == (task_id, 7)
    assert 0 < desk.redis("TTL", desk.key("mailbox:me")) <= 60


@pytest.mark.parametrize("kind", ["succeeded", "failed", "cancelled"])
def test_every_end_is_told(desk: Desk, kind: str) -> None:
    """However it comes."""
    task_id = desk.put()
    look(desk, task_id)
    desk.end(desk.take(), kind)

    assert [task.state.value for _, task in letters(desk)] == [kind]


def test_a_retry_is_no_end(desk: Desk) -> None:
    """The letter comes with the last attempt; the mailbox is kept until then."""
    task_id = desk.put()
    look(desk, task_id)
    desk.end(desk.take(), "retry")
    assert letters(desk) == []
    desk.end(desk.take())

    assert len(letters(desk)) == 1


def test_watching_twice_is_one_letter(desk: Desk) -> None:
    """A repeated call, or two callers of one client."""
    task_id = desk.put()
    look(desk, task_id)
    look(desk, task_id)
    desk.end(desk.take())

    assert len(letters(desk)) == 1


def test_everybody_who_waits_is_told(desk: Desk) -> None:
    """Each in a mailbox of its own; up to 16, the others look for themselves."""
    task_id = desk.put()
    for n in range(20):
        look(desk, task_id, mailbox=f"m{n}")
    desk.end(desk.take())

    assert [len(letters(desk, f"m{n}")) for n in range(20)] == [1] * 16 + [0] * 4


def test_a_mailbox_whose_name_ends_anothers_is_another(desk: Desk) -> None:
    """Names are compared whole."""
    task_id = desk.put()
    look(desk, task_id, mailbox="xme")
    look(desk, task_id, mailbox="me")
    desk.end(desk.take())

    assert len(letters(desk)) == len(letters(desk, "xme")) == 1


def test_looking_without_a_mailbox_leaves_no_trace(desk: Desk) -> None:
    """It is a look."""
    task_id = desk.put()
    before = desk.dump()

    assert look(desk, task_id, mailbox="") == [None]
    assert desk.dump() == before


def test_an_unknown_task_is_not_found(desk: Desk) -> None:
    """It never existed, or its record has expired."""
    with pytest.raises(TaskNotFound):
        look(desk, new_id())


def test_many_tasks_are_watched_in_one_call(desk: Desk) -> None:
    """In order, ended or not."""
    first, second = desk.put(), desk.put()
    desk.end(desk.take())

    ended, going = look(desk, first, second)

    assert ended is not None
    assert ended.id == first
    assert going is None


def test_a_requeued_task_forgets_who_waited_for_its_first_end(desk: Desk) -> None:
    """They were told; whoever wants to hear of the next asks."""
    task_id = desk.put(mailbox="me")
    desk.end(desk.take(), "failed")
    desk.requeue(task_id)
    desk.end(desk.take())

    assert len(letters(desk)) == 1


def test_a_mailbox_of_the_wrong_type_does_not_stop_the_finish(desk: Desk) -> None:
    """A stranger's key in its place costs the letter, not the outcome."""
    desk.put(mailbox="me")
    desk.redis("SET", desk.key("mailbox:me"), "junk")

    assert desk.end(desk.take()) == "ok"
