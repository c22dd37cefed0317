"""Unique keys: one live task per key, and the key is free again exactly when it is due."""

from __future__ import annotations

import pytest

from coordq.errors import DuplicateTask
from coordq.work.enqueue import Receipt, check_duplicate
from coordq.work.options import unique_digest
from tests.work.desk import Desk, order


def key(desk: Desk, unique: str, name: str = "job") -> str:
    """Where a unique key is kept."""
    return desk.key(f"unique:{unique_digest(name, unique)}")


def held(desk: Desk, unique: str = "u") -> bool:
    """Whether somebody holds the key."""
    return bool(desk.redis("EXISTS", key(desk, unique)))


def test_the_second_task_with_a_key_is_the_first(desk: Desk) -> None:
    """The caller gets the handle of the one that lives."""
    first = desk.put("job", unique="u")

    assert desk.place(order("job", unique="u")) == Receipt(first, created=False)
    assert desk.queue().ready == 1


def test_the_second_task_with_a_key_in_one_call_is_the_first(desk: Desk) -> None:
    """Within a bulk the first has no record yet, but it is the first all the same."""
    first, second, third = (order("job", unique="u") for _ in range(3))

    receipts = desk.place_all([first, second, third])

    assert receipts == [Receipt(first.id)] + [Receipt(first.id, created=False)] * 2
    assert desk.queue().ready == 1


def test_a_duplicate_may_be_an_error(desk: Desk) -> None:
    """`on_duplicate="reject"` is for callers to whom it matters."""
    first = desk.put("job", unique="u")
    again = order("job", unique="u", on_duplicate="reject")

    with pytest.raises(DuplicateTask) as caught:
        check_duplicate(again, desk.place(again))

    assert caught.value.id == first


def test_keys_of_other_tasks_are_other_keys(desk: Desk) -> None:
    """A key belongs to a task name."""
    desk.put("job", unique="u")
    desk.put("other", unique="u")

    assert desk.queue().ready == 2


@pytest.mark.parametrize("kind", ["succeeded", "failed", "cancelled"])
def test_the_key_is_free_when_the_task_has_ended(desk: Desk, kind: str) -> None:
    """However it ended."""
    desk.put("job", unique="u")
    desk.end(desk.take(), kind)

    assert not held(desk)
    desk.put("job", unique="u")


@pytest.mark.parametrize("kind", ["retry", "snooze", "release"])
def test_the_key_is_held_while_the_task_will_run_again(desk: Desk, kind: str) -> None:
    """A task between two attempts is alive."""
    first = desk.put("job", unique="u")
    desk.end(desk.take(), kind, delay_ms=60_000)

    assert desk.place(order("job", unique="u")) == Receipt(first, created=False)


def test_the_key_is_free_when_a_waiting_task_is_cancelled(desk: Desk) -> None:
    """It will never run."""
    desk.cancel(desk.put("job", unique="u"))

    assert not held(desk)


def test_the_key_is_free_when_its_queue_is_purged(desk: Desk) -> None:
    """Purged is cancelled."""
    desk.put("job", unique="u")
    desk.purge()

    assert not held(desk)


def test_a_lasting_key_outlives_the_task(desk: Desk) -> None:
    """`unique_for` is "at most once in that time", whatever became of the task."""
    first = desk.put("job", unique="u", unique_for=3600)
    desk.end(desk.take())

    assert desk.place(order("job", unique="u", unique_for=3600)) == Receipt(first, created=False)
    assert 3_500_000 < desk.redis("PTTL", key(desk, "u")) <= 3_600_000


def test_a_lasting_key_ends_with_its_time(desk: Desk) -> None:
    """Redis forgets it; then the key is free, though the first task may still wait."""
    desk.put("job", unique="u", unique_for=3600)
    desk.redis("DEL", key(desk, "u"))

    desk.put("job", unique="u", unique_for=3600)

    assert desk.queue().ready == 2


def test_a_key_whose_holder_is_gone_is_free(desk: Desk) -> None:
    """A record deleted by hand must not block its key for ever."""
    desk.redis("SET", key(desk, "u"), order("job").id)

    desk.put("job", unique="u")


def test_a_task_does_not_free_a_key_that_is_anothers(desk: Desk) -> None:
    """The end of the one does not let a third in while the second lives."""
    desk.put("job", unique="u")
    first = desk.take()
    desk.redis("DEL", key(desk, "u"))
    second = desk.put("job", unique="u")
    desk.end(first)

    assert desk.place(order("job", unique="u")) == Receipt(second, created=False)


def test_an_enqueue_repeated_after_the_end_leaves_the_key_free(desk: Desk) -> None:
    """The repetition of a lost reply is about the past; it must not lock the future."""
    once = order("job", unique="u")
    desk.place(once)
    desk.end(desk.take())

    assert desk.place(once) == Receipt(once.id)

    assert not held(desk)


def test_an_enqueue_repeated_after_the_key_went_to_another_is_still_the_first(desk: Desk) -> None:
    """The caller asks what became of its own task, and not who has the key now."""
    once = order("job", unique="u")
    desk.place(once)
    desk.end(desk.take())
    desk.put("job", unique="u")

    assert desk.place(once) == Receipt(once.id)
    assert desk.place_all([once]) == [Receipt(once.id)]
    assert desk.queue().enqueued == 2


def test_a_requeued_task_holds_its_key_again(desk: Desk) -> None:
    """It is alive again, so a second one is a duplicate again."""
    first = desk.put("job", unique="u")
    desk.end(desk.take(), "failed")

    desk.requeue(first)

    assert desk.place(order("job", unique="u")) == Receipt(first, created=False)


def test_a_requeued_task_does_not_take_its_key_from_another(desk: Desk) -> None:
    """An operator's wish to run it again is stronger than the key, but the holder keeps that."""
    first = desk.put("job", unique="u")
    desk.end(desk.take(), "failed")
    second = desk.put("job", unique="u")

    assert desk.requeue(first) == ["ok"]

    assert desk.redis("GET", key(desk, "u")).decode() == second


def test_a_task_that_found_no_room_has_no_key(desk: Desk) -> None:
    """Nothing happened yet."""
    desk.configure(high=1)
    desk.put("job")

    assert desk.place(order("job", unique="u")).no_room

    assert not held(desk)
