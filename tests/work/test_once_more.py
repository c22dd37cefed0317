"""Unique keys: what becomes of a task that waits when another comes with its key."""

from __future__ import annotations

from typing import Any

import pytest

from coordq.errors import InvalidOption
from coordq.work.claim import Claim
from coordq.work.enqueue import Receipt
from tests.work.desk import Desk, order
from tests.work.gate import seen

LARGE = {"text": "x" * 5_000}


def args_of(desk: Desk, task_id: str) -> Any:
    """What a task would be run with."""
    return desk.task(task_id).args


def again(desk: Desk, mode: str, args: dict[str, Any], **options: Any) -> Receipt:
    """Enqueue another task with the same key."""
    return desk.place(order(args=args, unique="k", on_duplicate=mode, **options))


def take_all(desk: Desk) -> list[Claim]:
    """Whatever may start now."""
    return list(desk.claim(10).claims)


@pytest.mark.parametrize("mode", ["replace", "keep-last"])
@pytest.mark.parametrize("second", [{"n": 2}, LARGE])
def test_what_waits_gets_the_newer_arguments(desk: Desk, mode: str, second: dict[str, Any]) -> None:
    """It keeps its id, its place and its age; the audit weighs it anew."""
    for first in ({"n": 1}, LARGE):
        receipt = again(desk, mode, first)
        other = again(desk, mode, second)

        assert other == Receipt(receipt.id, created=False)
        assert args_of(desk, receipt.id) == second
        assert desk.kinds(receipt.id)[-1] == "replaced"
        desk.audit()
        (held,) = take_all(desk)
        desk.end(held)


def test_a_replaced_task_that_runs_is_left_alone(desk: Desk) -> None:
    """Its handler has the old arguments; the newcomer is held back, as with return."""
    first = again(desk, "replace", {"n": 1})
    held = desk.take()

    other = again(desk, "replace", {"n": 2})

    assert (other.created, other.id) == (False, first.id)
    assert held.args == b'{"n":1}'
    assert args_of(desk, first.id) == {"n": 1}


def test_keep_last_lets_one_run_and_one_wait(desk: Desk) -> None:
    """The last arguments win; whoever waits starts when the run before it has ended."""
    first = again(desk, "keep-last", {"n": 1})
    held = desk.take()
    second = again(desk, "keep-last", {"n": 2})
    third = again(desk, "keep-last", {"n": 3})

    assert held.id == first.id
    assert (second.created, third.id) == (True, second.id)
    assert take_all(desk) == []
    desk.end(held)
    (last,) = take_all(desk)
    assert (last.id, last.args) == (second.id, b'{"n":3}')
    desk.end(last)
    assert desk.redis("EXISTS", desk.key(f"unique:{last.spec.unique}")) == 0


def test_keep_last_waits_for_a_run_that_crashed(desk: Desk) -> None:
    """It runs again first, and never beside the next."""
    again(desk, "keep-last", {"n": 1})
    held = desk.take()
    again(desk, "keep-last", {"n": 2})
    desk.claim(10)

    desk.release(held, reason="crash")

    assert [each.id for each in take_all(desk)] == [held.id]


def test_keys_that_keep_their_last_do_not_wait_for_each_other(desk: Desk) -> None:
    """Each has its own."""
    for key in "abc":
        desk.place(order(unique=key, on_duplicate="keep-last"))

    assert len(take_all(desk)) == 3


def test_debounce_waits_anew_with_each_newcomer(desk: Desk) -> None:
    """One task comes of it, with the last arguments."""
    first = again(desk, "debounce", {"n": 1}, delay=60)
    desk.redis("ZADD", desk.key("due"), desk.now_ms() + 30_000, first.id)

    other = again(desk, "debounce", {"n": 2}, delay=60)

    left_ms = desk.task(first.id).due_in_ms
    assert (other.created, other.id) == (False, first.id)
    assert left_ms is not None
    assert 31_000 < left_ms <= 60_000
    assert args_of(desk, first.id) == {"n": 2}


def test_debounce_does_not_wait_for_ever(desk: Desk) -> None:
    """unique_for bounds it from the first on; ten delays when it is not said."""
    first = again(desk, "debounce", {"n": 1}, delay=60, unique_for=100)
    unique = desk.key(f"unique:{desk.task(first.id).spec.unique}")
    desk.redis("PEXPIRE", unique, 30_000)

    again(desk, "debounce", {"n": 2}, delay=60, unique_for=100)

    left_ms = desk.task(first.id).due_in_ms
    assert left_ms is not None
    assert left_ms <= 30_000
    assert order(unique="k", delay=6, on_duplicate="debounce").template.spec.unique_ms == 60_000


def test_debounce_starts_anew_once_it_has_fired(desk: Desk) -> None:
    """The key stands for what waits, not for what runs."""
    first = again(desk, "debounce", {"n": 1}, delay=60)
    desk.make_due(first.id)
    held = desk.take()

    second = again(desk, "debounce", {"n": 2}, delay=60)

    assert held.id == first.id
    assert second.created
    assert desk.state(second.id) == "scheduled"


def test_throttle_keeps_the_first_for_its_time(desk: Desk) -> None:
    """Also after it has ended."""
    first = again(desk, "throttle", {"n": 1}, unique_for=60)
    desk.end(desk.take())

    other = again(desk, "throttle", {"n": 2}, unique_for=60)

    assert (other.created, other.id) == (False, first.id)


@pytest.mark.parametrize("mode", ["replace", "keep-last", "debounce"])
def test_of_a_bulk_the_last_arguments_win(desk: Desk, mode: str) -> None:
    """Also when none of them was there before the call."""
    options: dict[str, Any] = {"delay": 60} if mode == "debounce" else {}
    orders = [order(args={"n": n}, unique="k", on_duplicate=mode, **options) for n in range(5)]

    receipts = desk.place_all(orders)

    assert {receipt.id for receipt in receipts} == {orders[0].id}
    assert args_of(desk, orders[0].id) == {"n": 4}


def test_a_refused_bulk_replaces_nothing(desk: Desk) -> None:
    """All or nothing, the arguments of what waited included."""
    from coordq.errors import QueueFull

    first = again(desk, "replace", {"n": 1})
    desk.configure(high=2)
    orders = [
        order(args={"n": 2}, unique="k", on_duplicate="replace"),
        *(order() for _ in range(3)),
    ]

    with pytest.raises(QueueFull):
        desk.place_all(orders, on_full="refuse")

    assert args_of(desk, first.id) == {"n": 1}


@pytest.mark.parametrize(
    "options",
    [
        {"on_duplicate": "throttle"},
        {"on_duplicate": "debounce"},
        {"on_duplicate": "keep-last", "unique_for": 5},
        {"on_duplicate": "newest"},
    ],
)
def test_modes_that_lack_what_they_need_are_refused(options: dict[str, Any]) -> None:
    """With the option that is missing."""
    with pytest.raises(InvalidOption):
        order(unique="k", **options)


def test_whoever_waits_for_an_earlier_run_says_so(desk: Desk) -> None:
    """In the words of unique keys: nobody has set this limit."""
    from coordq.work.why import why

    again(desk, "keep-last", {"n": 1})
    desk.take()
    second = again(desk, "keep-last", {"n": 2})
    desk.claim(10)
    parked = desk.glance(second.id).parked

    assert parked is not None
    assert parked.view.slot.startswith("once:")
    assert seen(desk, parked.view.slot).running == 1
    assert "No worker" in why(desk.glance(second.id), [])
