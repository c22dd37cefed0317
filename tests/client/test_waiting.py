"""Waiting for results: handles, time limits, and what is raised instead of a result."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import coordq
from coordq import Client, State
from coordq.errors import InvalidTime, TaskCancelled, TaskFailed, TaskNotFound, WaitTimeout
from tests.client.hands import bury, is_awaited, succeed, take, take_one
from tests.waiting import wait_until, wait_until_async


def test_a_handle_gives_the_result(client: Client) -> None:
    """A result travels as JSON: what comes out equals what the handler returned."""
    handle = client.work.enqueue("job", {"n": 1})
    succeed(client, take_one(client), {"answer": [1, 2.5, None, "ü"]})

    assert handle.result(timeout=60) == {"answer": [1, 2.5, None, "ü"]}


def test_a_result_is_waited_for(client: Client) -> None:
    """A waiting thread is woken by the task's end, not by a poll."""
    handle = client.work.enqueue("job")
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(handle.result, 60)
        succeed(client, take_one(client), "done")

        assert waiting.result(60) == "done"


def test_a_result_can_be_asked_for_again(client: Client) -> None:
    """Reading a result does not use it up."""
    handle = client.work.enqueue("job")
    succeed(client, take_one(client), 7)

    assert [handle.result(1), handle.result(1), client.work.result(handle.id)] == [7, 7, 7]


def test_waiting_ends_after_its_timeout(client: Client) -> None:
    """WaitTimeout is also a TimeoutError, and the task goes on."""
    handle = client.work.enqueue("job")

    with pytest.raises(WaitTimeout, match="it goes on") as caught:
        handle.result(timeout=0.05)
    assert isinstance(caught.value, TimeoutError)
    assert handle.get().state is State.READY


def test_a_timeout_of_zero_only_looks(client: Client) -> None:
    """timeout=0 asks "is it there?" without waiting."""
    handle = client.work.enqueue("job")

    with pytest.raises(WaitTimeout):
        handle.result(timeout=0)


def test_a_dead_letter_raises_its_reason(client: Client) -> None:
    """The error says what went wrong in the handler, as attributes and in its message."""
    handle = client.work.enqueue("job")
    bury(client, take_one(client), "no such page", reason="rejected")

    with pytest.raises(TaskFailed, match="no such page") as caught:
        handle.result(timeout=60)
    assert (caught.value.id, caught.value.reason) == (handle.id, "rejected")
    assert caught.value.error["type"] == "ValueError"


def test_a_cancelled_task_raises(client: Client) -> None:
    """Who waits for a task that somebody cancels is told so at once."""
    handle = client.work.enqueue("job")
    handle.cancel("changed our mind")

    with pytest.raises(TaskCancelled, match="changed our mind"):
        handle.result(timeout=60)


def test_an_unknown_task_is_not_waited_for(client: Client) -> None:
    """A wrong id is an error now, not a wait for ever."""
    with pytest.raises(TaskNotFound):
        client.work.result(coordq.new_id())


def test_run_enqueues_and_waits(client: Client) -> None:
    """run() is enqueue() and result() in one."""
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(client.work.run, "job", {"n": 1}, wait_for=60)
        held = wait_until(lambda: take(client))
        succeed(client, held[0], "ran")

        assert waiting.result(60) == "ran"


def test_run_refuses_a_bad_wait_before_it_enqueues(client: Client) -> None:
    """A bad argument leaves nothing half done."""
    with pytest.raises(InvalidTime):
        client.work.run("job", wait_for=-1)

    assert client.work.stats().queues == ()


def test_run_waits_for_the_holder_of_a_unique_key(client: Client) -> None:
    """A duplicate gets the result of the task that is already there."""
    first = client.work.enqueue("job", unique="u")
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(client.work.run, "job", unique="u", wait_for=60)
        wait_until(lambda: is_awaited(client, first.id))
        succeed(client, take_one(client), "once")

        assert waiting.result(60) == first.result(1) == "once"


# -- async ---------------------------------------------------------------------------------------


async def test_an_async_result_is_waited_for(client: Client, url: str) -> None:
    """The async client hears of a task's end over one listening connection."""
    async with coordq.connect_async(url) as aclient:
        handle = await aclient.work.enqueue("job")
        waiting = asyncio.create_task(handle.result(timeout=60))
        succeed(client, take_one(client), "heard")

        assert await waiting == "heard"


async def test_hundreds_of_waits_share_a_listener(client: Client, url: str) -> None:
    """Waiting for 300 tasks takes one connection, and each waiter gets its own result."""
    async with coordq.connect_async(url) as aclient:
        handles = await aclient.work.enqueue_many([("job", {"n": n}) for n in range(300)])
        waiting = [asyncio.create_task(handle.result(timeout=60)) for handle in handles]
        for number in range(300):
            succeed(client, take_one(client), number)

        assert await asyncio.gather(*waiting) == list(range(300))


async def test_two_can_wait_for_one_task(client: Client, url: str) -> None:
    """When one gives up, the other still hears of the end."""
    async with coordq.connect_async(url) as aclient:
        handle = await aclient.work.enqueue("job")
        patient = asyncio.create_task(handle.result(timeout=60))
        with pytest.raises(WaitTimeout):
            await handle.result(timeout=0.05)
        succeed(client, take_one(client), "both")

        assert await patient == "both"


async def test_a_cancelled_await_harms_nobody(client: Client, url: str) -> None:
    """Cancelling a wait cancels the wait: not the task, and not other waits for it."""
    async with coordq.connect_async(url) as aclient:
        handle = await aclient.work.enqueue("job")
        given_up = asyncio.create_task(handle.result())
        await wait_until_async(lambda: is_awaited(client, handle.id))
        kept = asyncio.create_task(handle.result(timeout=60))
        given_up.cancel()
        succeed(client, take_one(client), 1)

        assert await kept == 1
        with pytest.raises(asyncio.CancelledError):
            await given_up


async def test_waiting_starts_again_after_a_pause(client: Client, url: str) -> None:
    """The listener ends when nobody waits, and a new one starts with the next wait."""
    async with coordq.connect_async(url) as aclient:
        for number in range(3):
            handle = await aclient.work.enqueue("job")
            succeed(client, take_one(client), number)

            assert await handle.result(timeout=60) == number


@pytest.mark.parametrize("steps", range(6))
async def test_a_wait_can_be_cancelled_at_any_step(url: str, steps: int) -> None:
    """A cancel is never swallowed, whatever the client is doing just then."""
    async with coordq.connect_async(url) as aclient:
        handle = await aclient.work.enqueue("job")
        waiting = asyncio.create_task(handle.result(timeout=60))
        for _ in range(steps):
            await asyncio.sleep(0)
        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(waiting, 60)


async def test_closing_at_once_takes_no_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """close() right after a wait began interrupts its listener; and no connection is left open."""
    monkeypatch.setattr("coordq.client.mailbox.BLOCK_S", 300.0)
    aclient = await coordq.connect_async(url)
    waiting = asyncio.create_task(aclient.work.result((await aclient.work.enqueue("job")).id))
    await asyncio.sleep(0)
    await asyncio.wait_for(aclient.close(), 60)

    with pytest.raises(coordq.CoordqError):
        await asyncio.wait_for(waiting, 60)


async def test_an_async_wait_ends_after_its_timeout(url: str) -> None:
    """The same error as in the sync client."""
    async with coordq.connect_async(url) as aclient:
        handle = await aclient.work.enqueue("job")

        with pytest.raises(WaitTimeout):
            await handle.result(timeout=0.05)


async def test_async_run_refuses_a_bad_wait_before_it_enqueues(client: Client, url: str) -> None:
    """Nothing half done, here as well."""
    async with coordq.connect_async(url) as aclient:
        with pytest.raises(InvalidTime):
            await aclient.work.run("job", wait_for=-1)

    assert client.work.stats().queues == ()


async def test_closing_the_client_ends_its_waits(client: Client, url: str) -> None:
    """Nobody waits for ever on a client that has hung up."""
    aclient = await coordq.connect_async(url)
    handle = await aclient.work.enqueue("job")
    waiting = asyncio.create_task(handle.result())
    await wait_until_async(lambda: is_awaited(client, handle.id))
    await aclient.close()

    with pytest.raises(coordq.CoordqError, match="client was closed") as caught:
        await asyncio.wait_for(waiting, 60)
    assert caught.value.code == "unreachable"


def test_threads_wait_for_their_own_results(client: Client) -> None:
    """Each thread has a mailbox of its own: nobody takes another's letter."""
    handles = client.work.enqueue_many([("job", {"n": n}) for n in range(8)])
    ready = threading.Barrier(9)

    def wait(at: int) -> int:
        ready.wait(60)
        result: int = handles[at].result(timeout=60)
        return result

    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(wait, at) for at in range(8)]
        ready.wait(60)
        for number in range(8):
            succeed(client, take_one(client), number)

        assert [one.result(60) for one in waiting] == list(range(8))
