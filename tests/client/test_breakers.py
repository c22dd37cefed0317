"""Guarded calls: what fails is left alone, by every client, and comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import coordq
from coordq.client import breakers_async
from coordq.client.client import Client
from coordq.errors import (
    BreakerNotFound,
    BreakerOpen,
    BulkheadFull,
)
from tests.fleet.fuses import pass_time
from tests.servers import Server
from tests.waiting import wait_until
from tests.work.desk import Desk


class Broken(Exception):
    """What the subject raises."""


@pytest.fixture
def desk(client: Client) -> Desk:
    """The shard of this test, by hand."""
    return Desk(client.engine)


@pytest.fixture
def other(client: Client, redis_url: str) -> Iterator[Client]:
    """Another client of the same fleet."""
    with coordq.connect(redis_url, namespace=client.namespace) as other:
        yield other


def fail(client: Client, times: int, subject: str = "api", **how: Any) -> None:
    """Calls that fail."""
    for _ in range(times):
        with pytest.raises(Broken), client.breakers.guard(subject, **how):
            raise Broken


def refused(client: Client, subject: str = "api") -> bool:
    """Whether a call is not made."""
    try:
        with client.breakers.guard(subject):
            return False
    except BreakerOpen:
        return True


def test_what_fails_is_not_called_any_more(client: Client) -> None:
    """And whoever wants to call it is told for how long."""
    began_s = time.monotonic()
    fail(client, 5)

    open_ = pytest.raises(BreakerOpen, match="api is not called: its breaker is open")
    with open_ as caught, client.breakers.guard("api"):
        raise AssertionError("it was called")

    took_s = time.monotonic() - began_s
    assert 29.9 - took_s < caught.value.retry_after <= 30
    assert caught.value.exit_code == 5
    assert client.breakers.get("api").opened == 1


def test_every_client_learns_of_it(client: Client, other: Client) -> None:
    """With its next call in a second, at no cost before: long before it may be tried again."""
    assert not refused(other)

    fail(client, 5)

    wait_until(lambda: refused(other), within=20)


def test_it_comes_back_by_calls_that_are_tried(client: Client, other: Client, desk: Desk) -> None:
    """Of all clients together no more than three are under way."""
    fail(client, 5)
    pass_time(desk, 30_000)
    for _ in range(3):
        with other.breakers.guard("api"):
            assert client.breakers.get("api").tried == 1

    assert client.breakers.get("api").state == "closed"
    wait_until(lambda: not refused(client), within=20)


def test_one_whose_time_is_over_counts_as_half_open(client: Client, desk: Desk) -> None:
    """Whoever leaves out what is open would leave it out for ever: nobody would try a call."""
    fail(client, 5)
    assert client.breakers.states("api") == {"api": "open"}

    pass_time(desk, 30_000)

    assert client.breakers.states("api", "db") == {"api": "half-open", "db": "closed"}
    client.breakers.open("api")
    assert client.breakers.states("api") == {"api": "open"}


def test_what_is_not_the_subjects_fault_does_not_count(client: Client) -> None:
    """A caller's own mistake, named by it; and whatever is no Exception, such as a cancel."""
    for kind in (ValueError, KeyboardInterrupt):
        for _ in range(6):
            with pytest.raises(kind), client.breakers.guard("api", ignore=(ValueError,)):
                raise kind

    client.breakers.flush()
    assert client.breakers.ls() == ()


def test_slow_calls_open_it_as_well(client: Client) -> None:
    """By a threshold that the callers learn with their first answer."""
    client.breakers.set("api", slow=0.000001, min_calls=3)

    assert [refused(client) for _ in range(5)] == [False, False, False, True, True]
    assert "3 of 3 calls took over" in client.breakers.get("api").why


def test_successes_travel_together(client: Client) -> None:
    """A closed breaker costs next to nothing."""
    for _ in range(50):
        with client.breakers.guard("api"):
            pass

    client.breakers.flush()

    assert client.breakers.get("api").calls == 50


def test_a_client_that_is_closed_has_told_what_it_held(client: Client, redis_url: str) -> None:
    """Also the refused ones."""
    with coordq.connect(redis_url, namespace=client.namespace) as short:
        client.breakers.open("api", why="maintenance")
        assert [refused(short) for _ in range(3)] == [True] * 3

    assert client.breakers.get("api").refused == 3


def test_an_operator_opens_closes_and_resets(client: Client) -> None:
    """Whatever the calls do."""
    assert client.breakers.close("api", who="ada").forced == "closed"
    fail(client, 20)
    seen = client.breakers.open("api", who="ada", why="it is being moved")
    assert (seen.who, seen.why) == ("ada", "forced by ada: it is being moved")
    wait_until(lambda: refused(client), within=20)

    assert client.breakers.reset("api").state == "closed"

    wait_until(lambda: not refused(client), within=20)


def test_what_nobody_has_called_is_not_there(client: Client) -> None:
    """And is closed."""
    with pytest.raises(BreakerNotFound, match="none yet"):
        client.breakers.get("api")
    with pytest.raises(BreakerNotFound):
        client.breakers.reset("api")

    assert client.breakers.ls() == ()
    assert client.breakers.states() == {}
    assert client.breakers.states("api") == {"api": "closed"}


# -- retries ---------------------------------------------------------------------------------------


def test_a_call_is_repeated_until_it_goes_well(client: Client) -> None:
    """Within its budget."""
    outcomes = iter([Broken, Broken, "done"])

    def work() -> str:
        outcome = next(outcomes)
        if outcome is Broken:
            raise Broken
        return str(outcome)

    assert client.breakers.call("api", work, delay=0) == "done"


def test_failures_do_not_cascade(client: Client) -> None:
    """Of two hundred calls that fail, not three times as many are made but a fifth more."""
    made = 0

    def work() -> None:
        nonlocal made
        made += 1
        raise Broken

    client.breakers.close("api")
    for _ in range(200):
        with pytest.raises(Broken):
            client.breakers.call("api", work, retries=2, delay=0)

    assert 200 < made <= 243


def test_what_is_not_made_or_not_its_fault_is_not_repeated(client: Client) -> None:
    """A second try would end the same way."""
    made = 0

    def work() -> None:
        nonlocal made
        made += 1
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - there is nothing to match
        client.breakers.call("api", work, ignore=(ValueError,), delay=0)
    client.breakers.open("api")
    wait_until(lambda: refused(client), within=20)
    with pytest.raises(BreakerOpen):
        client.breakers.call("api", work, delay=0)

    assert made == 1


# -- bulkheads -------------------------------------------------------------------------------------


def test_a_subject_that_hangs_does_not_take_all_hands(client: Client) -> None:
    """So many calls at once in this process."""
    with client.breakers.guard("api", concurrency=2), client.breakers.guard("api", concurrency=2):
        with pytest.raises(BulkheadFull), client.breakers.guard("api", concurrency=2):
            raise AssertionError("it was called")
        with client.breakers.guard("db", concurrency=2):
            pass

    assert client.breakers.bulkhead("api").taken == 0


def test_a_place_is_given_back_when_the_breaker_is_open(client: Client) -> None:
    """A call that is not made takes no place."""
    client.breakers.open("api")
    for _ in range(3):
        with pytest.raises(BreakerOpen), client.breakers.guard("api", concurrency=1):
            pass

    assert client.breakers.bulkhead("api").taken == 0


def test_threads_share_a_client(client: Client) -> None:
    """Nothing that they count is lost."""

    def work(_: int) -> None:
        with client.breakers.guard("api"):
            pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(400)))
    client.breakers.flush()

    assert client.breakers.get("api").all_calls == 400


# -- on a loop -------------------------------------------------------------------------------------


def test_the_async_door_does_the_same(
    redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same names, same sentences. A Redis that is slow for a second is not taken for silent."""
    monkeypatch.setattr(breakers_async, "PATIENCE_S", 60.0)

    async def main() -> None:
        async with coordq.connect_async(redis_url, namespace=namespace) as client:
            breakers = client.breakers

            async def work() -> None:
                raise Broken

            for _ in range(5):
                with pytest.raises(Broken):
                    async with breakers.guard("api", concurrency=3):
                        await work()
            with pytest.raises(BreakerOpen):
                await breakers.call("api", work)
            assert (await breakers.get("api")).opened == 1
            assert (await breakers.reset("api")).state == "closed"
            assert (await breakers.close("api")).forced == "closed"
            assert (await breakers.open("api")).forced == "open"
            assert await breakers.states("api") == {"api": "open"}
            assert [one.subject for one in await breakers.ls()] == ["api"]
            assert (await breakers.set("db", failures=2)).thresholds.failures == 2
            assert not (await breakers.unset("db")).own

    asyncio.run(main())


def test_a_cancelled_call_says_nothing_about_its_subject(redis_url: str, namespace: str) -> None:
    """The caller went away."""

    async def main() -> None:
        async with coordq.connect_async(redis_url, namespace=namespace) as client:

            async def hang() -> None:
                async with client.breakers.guard("api"):
                    await asyncio.Event().wait()

            for _ in range(6):
                task = asyncio.create_task(hang())
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await client.breakers.flush()
            assert await client.breakers.states("api") == {"api": "closed"}

    asyncio.run(main())


def test_async_retries_are_budgeted(redis_url: str, namespace: str) -> None:
    """As in the sync door."""

    async def main() -> int:
        made = 0
        async with coordq.connect_async(redis_url, namespace=namespace) as client:

            async def work() -> None:
                nonlocal made
                made += 1
                raise Broken

            await client.breakers.close("api")
            for _ in range(100):
                with pytest.raises(Broken):
                    await client.breakers.call("api", work, retries=2, delay=0)
        return made

    assert 100 < asyncio.run(main()) <= 123


# -- without Redis ---------------------------------------------------------------------------------


def test_calls_are_made_while_redis_is_away(
    new_server: Callable[..., Server], namespace: str
) -> None:
    """A breaker protects calls; it must not be one more thing that they depend on."""
    server = new_server()
    with coordq.connect(server.url, namespace=namespace, patience=0.1) as client:
        with client.breakers.guard("api"):
            pass
        server.stop()
        client.breakers.shelf.ledger("api").learned_s = float("-inf")

        for _ in range(5):
            with client.breakers.guard("api"):
                pass
        fail(client, 5)

        server.start()
        client.breakers.flush()
        assert client.breakers.get("api").all_failures == 5


def test_on_a_loop_calls_are_made_as_well(
    new_server: Callable[..., Server], namespace: str
) -> None:
    """After a second, whatever the client's patience is."""
    server = new_server()

    async def main() -> None:
        async with coordq.connect_async(server.url, namespace=namespace, patience=60) as client:
            server.pause()
            try:
                async with client.breakers.guard("api"):
                    pass
            finally:
                server.resume()

    asyncio.run(main())
