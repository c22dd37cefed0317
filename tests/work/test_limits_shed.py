"""A full queue sheds those that limits hold up as well: they take room, and cannot start yet."""

from __future__ import annotations

from typing import Any

import pytest

from coordq.work.enqueue import Receipt
from tests.work.desk import Desk, order
from tests.work.gate import allow, seen, some


def held_up(desk: Desk, amount: int, **options: Any) -> list[str]:
    """One task that runs under a limit, and so many that are parked there; the ids of these."""
    allow(desk, "x", concurrency=1)
    _, *parked = some(desk, amount + 1, "x", **options)
    desk.claim(50)
    assert seen(desk, "x").parked == amount
    return parked


def shed(desk: Desk, **options: Any) -> tuple[str, Receipt]:
    """Enqueue one that would rather push others out."""
    made = order("job", on_full="shed", **options)
    return made.id, desk.place(made)


@pytest.mark.parametrize("strict", [False, True])
def test_a_parked_task_makes_room_for_a_more_urgent_one(desk: Desk, *, strict: bool) -> None:
    """The youngest of them; the others stay parked, and start in their turn."""
    parked = held_up(desk, 3, priority="low")
    desk.configure(high=3, strict=strict)

    made, receipt = shed(desk)

    assert receipt == Receipt(made)
    assert [desk.state(each) for each in parked] == ["ready", "ready", "failed"]
    assert desk.task(parked[-1]).reason == "shed"
    assert (desk.queue().ready, seen(desk, "x").parked) == (3, 2)


def test_who_is_as_urgent_is_not_pushed_out(desk: Desk) -> None:
    """Then the new one is shed itself."""
    parked = held_up(desk, 2)
    desk.configure(high=2)

    made, receipt = shed(desk)

    assert receipt == Receipt(made, shed=True)
    assert {desk.state(each) for each in parked} == {"ready"}


def test_the_parked_go_before_those_of_their_priority_that_may_start(desk: Desk) -> None:
    """And after those that are less urgent."""
    (parked,) = held_up(desk, 1)
    normal, low = desk.put(), desk.put(priority="low")
    desk.configure(high=3)

    shed(desk, priority="critical")
    assert [desk.state(each) for each in (parked, normal, low)] == ["ready", "ready", "failed"]
    shed(desk, priority="critical")

    assert [desk.state(each) for each in (parked, normal)] == ["failed", "ready"]
    assert seen(desk, "x").parked == 0


def test_the_parked_of_other_queues_stay(desk: Desk) -> None:
    """They take no room here."""
    desk.configure(high=1)
    allow(desk, "x", concurrency=1)
    _, other = some(desk, 2, "x", queue="other", priority="low")
    desk.claim(5, queues="other")
    desk.put()

    made, receipt = shed(desk)

    assert receipt == Receipt(made, shed=True)
    assert desk.state(other) == "ready"
