"""Known, reachable, quorum: never two halves that both decide."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.fleet.quorum import OnMinority, Standing, majority, must_stop, quorum

sizes = st.integers(0, 2000)


@pytest.mark.parametrize(
    ("known", "reachable", "needed"),
    [(7, 7, 5), (7, 4, 4), (7, 3, 4), (3, 3, 2), (1, 1, 1), (0, 0, 1), (6, 6, 4), (9, 6, 5)],
)
def test_the_quorum_follows_the_fleet_down(known: int, reachable: int, needed: int) -> None:
    """Five of seven when all are there, four when four are; never three."""
    assert quorum(known, reachable) == needed


@given(sizes, sizes)
def test_a_quorum_is_a_majority_at_least(known: int, reachable: int) -> None:
    """Whatever can be reached."""
    assert quorum(known, reachable) >= majority(known)


@given(st.data(), st.integers(1, 2000))
def test_of_two_sides_one_at_most_may_go_on(data: st.DataObject, known: int) -> None:
    """However the fleet is cut in two, not both sides reach a majority of it."""
    here = data.draw(st.integers(0, known))
    sides = (Standing(known, here, zones=2), Standing(known, known - here, zones=2))

    assert any(side.minority for side in sides)
    assert [side.reachable >= side.quorum for side in sides].count(True) <= 1


def test_a_fleet_of_one_zone_is_never_a_minority() -> None:
    """There is nobody it could be parted from; its workers have crashed."""
    assert not Standing(5, 1, zones=1).minority
    assert Standing(5, 1, zones=2).minority


def test_what_the_operator_expects_counts_in_one_zone_too() -> None:
    """Who says how large the fleet is wants to hear when it is not."""
    assert Standing(5, 2, zones=1, expected=True).minority
    assert not Standing(5, 3, zones=1, expected=True).minority


def test_an_empty_fleet_is_no_minority() -> None:
    """Producers may come before the first worker."""
    assert not Standing(0, 0).minority


@pytest.mark.parametrize(
    ("on_minority", "replicated", "stops"),
    [
        ("auto", True, True),
        ("auto", False, False),
        ("read-only", False, True),
        ("continue", True, False),
    ],
)
def test_a_minority_stops_where_that_protects_something(
    on_minority: str,
    replicated: bool,  # noqa: FBT001 - a column of the table
    stops: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """With one Redis there is one truth; with replicas there may be two."""
    policy = cast("OnMinority", on_minority)

    assert must_stop(Standing(5, 2, 2), policy, replicated=replicated) is stops
    assert not must_stop(Standing(5, 3, 2), policy, replicated=replicated)
