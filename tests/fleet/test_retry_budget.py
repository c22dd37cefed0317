"""Retry budgets and bulkheads: what fails does not take others with it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.errors import BulkheadFull
from coordq.fleet.breaker.budget import WINDOW_S, RetryBudget
from coordq.fleet.breaker.bulkhead import AsyncBulkhead, Bulkhead
from tests.waiting import wait_until

STEPS = st.lists(st.tuples(st.floats(0, 3), st.sampled_from(["call", "fail"])), max_size=200)


@given(STEPS, st.floats(0, 1), st.integers(0, 5))
def test_retries_are_at_most_a_share_of_calls(
    steps: list[tuple[float, str]], share: float, floor: int
) -> None:
    """In any ten seconds, whatever fails; a floor lets the few be tried again at all."""
    budget, now = RetryBudget(share, floor), 1000.0
    called: list[float] = []
    retried: list[float] = []
    for pause, what in steps:
        now += pause
        if what == "call":
            budget.call(now)
            called.append(now)
        elif budget.may_retry(now):
            retried.append(now)
            # a slice is a second: what is counted is between nine and ten seconds old at most
            recent = sum(at > now - WINDOW_S for at in called)
            lately = sum(at > now - WINDOW_S + 1 for at in retried)
            assert lately <= max(floor, share * recent)


def test_a_budget_that_is_spent_comes_back() -> None:
    """With calls, and with time."""
    budget = RetryBudget(share=0.5, floor=1)
    for _ in range(4):
        budget.call(0)
    assert [budget.may_retry(0) for _ in range(3)] == [True, True, False]

    budget.call(1)
    budget.call(1)
    assert budget.may_retry(1)
    assert not budget.may_retry(1)

    assert budget.may_retry(30)


# -- bulkheads -------------------------------------------------------------------------------------


def test_so_many_are_under_way_and_no_more() -> None:
    """The next one is told at once."""
    bulkhead = Bulkhead("api")
    bulkhead.enter(2, 0)
    bulkhead.enter(2, 0)

    with pytest.raises(BulkheadFull, match="2 calls to it are under way") as caught:
        bulkhead.enter(2, 0)

    assert (caught.value.subject, caught.value.concurrency) == ("api", 2)
    bulkhead.leave()
    bulkhead.enter(2, 0)
    assert bulkhead.taken == 2


def test_who_waits_has_the_place_that_is_left() -> None:
    """In the order in which they came, and never more at once."""
    bulkhead, seen, go = Bulkhead("api"), list[int](), Event()

    def work(_: int) -> None:
        bulkhead.enter(3, 60)
        seen.append(bulkhead.taken)
        go.wait(60)
        bulkhead.leave()

    with ThreadPoolExecutor(12) as pool:
        done = pool.map(work, range(12))
        wait_until(lambda: bulkhead.taken == 3)
        go.set()
        list(done)

    assert (len(seen), bulkhead.taken) == (12, 0)
    assert max(seen) <= 3


def test_who_has_waited_for_long_enough_goes_away() -> None:
    """And leaves no gap in the line."""
    bulkhead = Bulkhead("api")
    bulkhead.enter(1, 0)

    with pytest.raises(BulkheadFull, match=r"for 0\.01 s"):
        bulkhead.enter(1, 0.01)

    bulkhead.leave()
    bulkhead.enter(1, 0)


def test_on_a_loop_it_is_the_same() -> None:
    """So many at once, in order."""

    async def main() -> tuple[int, list[int]]:
        bulkhead, most, order = AsyncBulkhead("api"), 0, []

        async def work(number: int) -> None:
            nonlocal most
            await bulkhead.enter(3, 60)
            most = max(most, bulkhead.taken)
            order.append(number)
            await asyncio.sleep(0)
            bulkhead.leave()

        await asyncio.gather(*(work(number) for number in range(12)))
        with pytest.raises(BulkheadFull):
            await asyncio.gather(*(bulkhead.enter(3, 0) for _ in range(4)))
        return most, order

    assert asyncio.run(main()) == (3, list(range(12)))


def test_who_is_cancelled_while_it_waits_takes_no_place() -> None:
    """Also in the moment in which it was given one."""

    async def main() -> int:
        bulkhead = AsyncBulkhead("api")
        await bulkhead.enter(1, 0)
        waiting = [asyncio.create_task(bulkhead.enter(1, 60)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()  # it waits
        bulkhead.leave()  # the next one has the place
        waiting[1].cancel()  # and does not take it
        await asyncio.gather(*waiting, return_exceptions=True)
        assert [each.cancelled() for each in waiting] == [True, True, False]
        bulkhead.leave()
        return bulkhead.taken

    assert asyncio.run(main()) == 0


def test_on_a_loop_who_has_waited_for_long_enough_goes_away() -> None:
    """And the place is for the next."""

    async def main() -> int:
        bulkhead = AsyncBulkhead("api")
        await bulkhead.enter(1, 0)
        with pytest.raises(BulkheadFull):
            await bulkhead.enter(1, 0.01)
        bulkhead.leave()
        await bulkhead.enter(1, 0)
        return bulkhead.taken

    assert asyncio.run(main()) == 1
