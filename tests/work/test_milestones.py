"""Milestones: what must be done by when, and whether it will be."""

from __future__ import annotations

from typing import Any

from coordq.work.flow.milestones import Milestone, milestones

NOW = 1_000_000


def stands(
    states: dict[str, str], *, by: int = 0, expected: dict[str, int] | None = None
) -> Milestone:
    """One milestone that needs `a` and `b`."""
    about: dict[str, Any] = {"milestones": [{"name": "beta", "needs": ["a", "b"], "by": by}]}
    (found,) = milestones(about, states, now_ms=NOW, expected_ms=expected)
    return found


def test_it_is_reached_when_all_it_needs_is_done() -> None:
    """A task that a condition left out was not needed after all."""
    found = stands({"a": "succeeded", "b": "skipped"}, by=NOW - 1)
    assert (found.standing, found.done, found.blockers) == ("reached", 2, ())


def test_a_date_is_held_against_what_is_expected() -> None:
    """The last of its tasks decides."""
    states = {"a": "running", "b": "waiting"}
    for by, standing in ((NOW + 10, "late"), (NOW + 99, "on-time")):
        found = stands(states, by=by, expected={"a": NOW + 5, "b": NOW + 50})
        assert (found.standing, found.expected_ms) == (standing, NOW + 50)


def test_nothing_is_said_where_nothing_is_known() -> None:
    """No date, or a task of which nobody knows how long it takes: neither late nor on time."""
    states = {"a": "running", "b": "waiting"}
    assert stands(states, expected={"a": NOW, "b": NOW}).standing == "open"
    assert stands(states, by=NOW + 9, expected={"a": NOW}).standing == "open"
    assert stands(states, by=NOW + 9, expected={"a": NOW}).expected_ms == 0


def test_it_is_missed_when_a_task_it_needs_has_failed() -> None:
    """Though there is time left; and the failed task is named, not all that wait behind it."""
    found = stands({"a": "failed", "b": "waiting"}, by=NOW + 99, expected={"a": NOW, "b": NOW})
    assert (found.standing, found.blockers, found.expected_ms) == ("missed", ("a",), 0)


def test_it_is_missed_when_its_date_has_passed() -> None:
    """What is still open is what stands in its way."""
    found = stands({"a": "succeeded", "b": "ready"}, by=NOW - 1)
    assert (found.standing, found.done, found.blockers) == ("missed", 1, ("b",))


def test_the_earliest_date_comes_first_and_no_date_last() -> None:
    """As people read a plan."""
    dates = {"never": 0, "late": 30, "soon": 10}
    about = {"milestones": [{"name": n, "needs": ["a"], "by": by} for n, by in dates.items()]}
    assert [one.name for one in milestones(about, {}, now_ms=0)] == ["soon", "late", "never"]
    assert milestones({}, {}, now_ms=0) == ()
