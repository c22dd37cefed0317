"""Who is next: urgency with ageing, or strict; first in, first out inside a line."""

from __future__ import annotations

from typing import Any

import pytest

from coordq.ids import new_id
from coordq.work.spec import PRIORITIES
from tests.work.desk import Desk, order

HOUR_MS = 3_600_000
MINUTE_MS = 60_000


def aged_id(desk: Desk, age_ms: int) -> str:
    """An id as it was made so long ago."""
    digits = "0123456789abcdefghijklmnopqrstuv"
    moment, text = desk.now_ms() - age_ms, ""
    for _ in range(9):
        moment, digit = divmod(moment, 32)
        text = digits[digit] + text
    return text + new_id()[9:]


def put(desk: Desk, priority: str, age_ms: int = 0, **options: Any) -> str:
    """Enqueue a task that was made so long ago."""
    made = order(id=aged_id(desk, age_ms), priority=priority, **options)
    desk.place(made)
    return made.id


def order_of(desk: Desk, amount: int) -> list[str]:
    """Ids as they are handed out, one at a time."""
    return [desk.take().id for _ in range(amount)]


def test_the_more_urgent_come_first(desk: Desk) -> None:
    """Among tasks of one age."""
    ids = [put(desk, priority) for priority in reversed(PRIORITIES)]

    assert order_of(desk, 4) == list(reversed(ids))


def test_a_line_is_first_in_first_out(desk: Desk) -> None:
    """Whether taken one by one or many at a time."""
    ids = [desk.put() for _ in range(20)]

    assert order_of(desk, 5) + [each.id for each in desk.claim(15).claims] == ids


@pytest.mark.parametrize(
    ("urgent", "patient", "head_start_ms"),
    [
        ("critical", "high", HOUR_MS - 10 * MINUTE_MS),
        ("high", "normal", 10 * MINUTE_MS),
        ("normal", "low", 10 * MINUTE_MS),
        ("critical", "low", HOUR_MS + 10 * MINUTE_MS),
    ],
)
def test_the_less_urgent_are_overtaken_for_a_while_only(
    desk: Desk, urgent: str, patient: str, head_start_ms: int
) -> None:
    """Nothing starves: a task that has waited out the head start of the others comes first."""
    young = put(desk, patient, head_start_ms - MINUTE_MS)
    fresh = put(desk, urgent)
    assert order_of(desk, 2) == [fresh, young]

    old = put(desk, patient, head_start_ms + MINUTE_MS)
    fresh = put(desk, urgent)
    assert order_of(desk, 2) == [old, fresh]


def test_strict_queues_do_not_age(desk: Desk) -> None:
    """For those who know that the less urgent may wait for ever."""
    desk.configure(strict=True)
    old = put(desk, "low", 365 * 24 * HOUR_MS)
    fresh = put(desk, "normal")

    assert order_of(desk, 2) == [fresh, old]


def test_a_queue_can_become_strict_and_lenient_again(desk: Desk) -> None:
    """What stands in line already is ranked anew."""
    old = put(desk, "low", 24 * HOUR_MS)
    put(desk, "critical", 2 * MINUTE_MS)
    first = put(desk, "critical", 3 * MINUTE_MS)
    desk.configure(strict=True)
    assert order_of(desk, 1) != [old]
    desk.configure(strict=False)
    assert order_of(desk, 1) == [old]
    assert order_of(desk, 1) == [first]


def test_names_do_not_jump_the_queue(desk: Desk) -> None:
    """Each name has a line of its own; between lines the older comes first."""
    ids = [put(desk, "normal", age) for age in (500_000, 400_000, 300_000)]
    other = order("another", id=aged_id(desk, 450_000))
    desk.place(other)

    taken = [desk.take(served=("job", "another")).id for _ in range(4)]

    assert taken == [ids[0], other.id, ids[1], ids[2]]


def test_a_claim_of_many_takes_turns_between_lines(desk: Desk) -> None:
    """A large claim looks at the other lines every eight tasks, so none waits for all of it."""
    for _ in range(50):
        desk.put("a")
        desk.put("b")

    names = [each.name for each in desk.claim(40, served=("a", "b")).claims]

    assert 16 <= names.count("a") <= 24


def test_a_retried_task_ages_from_its_retry(desk: Desk) -> None:
    """Old tasks that fail again and again do not hold up the fresh ones."""
    old = put(desk, "normal", HOUR_MS)
    desk.end(desk.take(), "retry", delay_ms=0)
    desk.promote()
    middle = put(desk, "normal", MINUTE_MS)
    desk.put("another")

    # the same line: it stands behind what was there when it came back
    assert order_of(desk, 2) == [old, middle]
