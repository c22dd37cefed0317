"""work/schedule and work/schedules: schedules are set down, and looked at."""

from __future__ import annotations

import pytest

from coordq.errors import Conflict, InvalidSchedule
from coordq.ids import new_id
from coordq.work import agenda
from coordq.work.schedule import make
from tests.work.clerk import HOUR_MS, Clerk
from tests.work.desk import Desk

# -- setting down --------------------------------------------------------------------------------


def test_the_same_again_changes_nothing(clerk: Clerk) -> None:
    """A deploy adds its schedules each time; they must not start anew."""
    clerk.add(args={"n": 1})
    clerk.fire()
    before = clerk.books()

    again = clerk.add(args={"n": 1})

    assert again.change == "unchanged"
    assert clerk.books() == before


def test_another_one_of_the_same_name_has_to_be_asked_for(clerk: Clerk) -> None:
    """Two teams that choose one name must notice."""
    clerk.add(args={"n": 1})
    before = clerk.books()

    with pytest.raises(Conflict, match="differs in args, every"):
        clerk.add(args={"n": 2}, every=60)

    assert clerk.books() == before


def test_a_replaced_schedule_keeps_its_history(clerk: Clerk) -> None:
    """What ran, ran."""
    clerk.add()
    clerk.fire()

    after = clerk.add(replace=True, every=60)

    assert (after.change, after.fired, len(after.runs)) == ("replaced", 1, 1)
    assert after.schedule.every_ms == 60_000


def test_new_arguments_do_not_shift_an_interval(clerk: Clerk, desk: Desk) -> None:
    """Only a new interval or start does."""
    before = clerk.add(args={"n": 1})
    desk.redis("HSET", desk.key("schedule:s"), "anchor", before.anchor_ms - HOUR_MS // 2)

    after = clerk.add(args={"n": 2}, replace=True)
    other = clerk.add(args={"n": 2}, every=60, replace=True)

    assert after.anchor_ms == before.anchor_ms - HOUR_MS // 2
    assert after.next_ms == after.anchor_ms + HOUR_MS
    assert other.anchor_ms >= before.anchor_ms


def test_a_schedule_that_will_never_run_is_refused(clerk: Clerk, desk: Desk) -> None:
    """Nothing is set down."""
    with pytest.raises(InvalidSchedule, match="never run"):
        clerk.add(end=1000.0)

    assert desk.run(agenda.page(0)).found == ()


def test_of_two_who_set_it_down_at_once_one_is_told(clerk: Clerk, desk: Desk) -> None:
    """The slower one looks again: it would otherwise undo what it has not seen."""
    made = make("s", "job", every=60)
    other = make("s", "job", every=90)

    first = desk.run(agenda.put(0, made, seen=0, anchor_ms=0, next_ms=1, paused=False))
    second = desk.run(agenda.put(0, other, seen=0, anchor_ms=0, next_ms=1, paused=False))

    assert first is not None
    assert second is None
    assert clerk.view().schedule == made


# -- looking -------------------------------------------------------------------------------------


def test_what_is_due_comes_in_pages_with_the_time(clerk: Clerk, desk: Desk) -> None:
    """Only what is due; and when the next comes, by Redis's clock."""
    for number in range(105):
        clerk.add(f"s{number}")
        if number:
            clerk.let_be_due(f"s{number}", ago_ms=1000)

    first, second = desk.run(agenda.due(0)), desk.run(agenda.due(0, offset=100))

    assert (len(first.found), len(second.found)) == (100, 4)
    assert first.next_ms == clerk.view("s0").next_ms
    assert abs(first.now_ms - desk.now_ms()) < 60_000


@pytest.mark.parametrize(
    "spoil", [("DEL",), ("SET", "junk"), ("HSET", "what", "junk"), ("HSET", "version", "x")]
)
def test_one_that_cannot_be_read_says_so_and_spoils_no_other(
    clerk: Clerk, desk: Desk, spoil: tuple[str, ...]
) -> None:
    """A stranger's data, or that of a later version."""
    clerk.add("fine")
    clerk.add("spoilt")
    key = desk.key("schedule:spoilt")
    if spoil[0] != "HSET":
        desk.redis("DEL", key)
    if spoil[0] != "DEL":
        desk.redis(spoil[0], key, *spoil[1:])

    found = {view.name: view for view in desk.run(agenda.page(0)).found}

    assert {name: view.state for name, view in found.items()} == {
        "fine": "active",
        "spoilt": "unreadable",
    }
    assert found["spoilt"].trouble


def test_an_unknown_id_in_the_history_is_simply_gone(clerk: Clerk, desk: Desk) -> None:
    """Its record expired before it ended in any way that was noted."""
    clerk.add()
    desk.redis("HSET", desk.key("schedule:s"), "runs", f"1000 {new_id()} - 2000")

    assert [run.state for run in clerk.view().runs] == [None]
