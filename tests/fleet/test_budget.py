"""Restarts wait longer and longer, and end when there were too many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.runtime.spawner.budget import JITTER, Budget

BUDGET = Budget(restarts=4, per_s=60, first_s=0.5, longest_s=3)


def waits(budget: Budget, *, chance: float = 0) -> list[float | None]:
    """The waits after deaths that all happen in the same second."""
    deaths: list[float] = []
    found = []
    for _ in range(budget.restarts + 1):
        deaths.append(100.0)
        found.append(budget.wait_s(deaths, now=100.0, chance=chance))
    return found


def test_each_wait_is_twice_the_one_before() -> None:
    """Up to the longest; then the budget is used up, and the answer is no."""
    assert waits(BUDGET) == [0.5, 1, 2, 3, None]


def test_chance_shortens_a_wait() -> None:
    """Workers that died together do not start together."""
    assert waits(BUDGET, chance=1)[:2] == [0.5 * (1 - JITTER), 1 - JITTER]


def test_old_deaths_are_forgotten() -> None:
    """A worker that dies once an hour is restarted for ever, and at once."""
    deaths = [100.0, 101.0, 102.0, 103.0, 104.0]

    assert BUDGET.wait_s(deaths, now=105, chance=0) is None
    assert BUDGET.wait_s([*deaths, 170.0], now=170, chance=0) == 0.5


def test_a_budget_of_none_never_restarts() -> None:
    """Somebody may want to look at the first crash."""
    assert Budget(restarts=0).wait_s([1.0], now=1, chance=0) is None


@given(
    st.lists(st.floats(0, 1000), max_size=20),
    st.floats(0, 1000),
    st.floats(0, 1),
)
def test_a_wait_is_within_its_bounds(deaths: list[float], now: float, chance: float) -> None:
    """Whatever the history."""
    past = [moment for moment in deaths if moment <= now]
    wait_s = BUDGET.wait_s(past, now=now, chance=chance)

    assert (wait_s is None) == (len(BUDGET.recent(past, now=now)) > BUDGET.restarts)
    assert wait_s is None or 0 <= wait_s <= BUDGET.longest_s


@pytest.mark.parametrize("count", range(1, 6))
def test_what_counts_is_how_many_were_lately(count: int) -> None:
    """One more than the budget allows is one too many."""
    deaths = [50.0 + n for n in range(count)]

    assert (BUDGET.wait_s(deaths, now=60, chance=0) is None) == (count == 5)
