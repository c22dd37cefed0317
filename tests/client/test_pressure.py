"""Full queues: producers wait and are woken, are refused, or shed what matters least."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

import coordq
from coordq import Client, State
from coordq.errors import QueueFull, TaskFailed
from tests.client.hands import succeed, take_one
from tests.servers import Server
from tests.waiting import wait_until, wait_until_async


def is_blocked(server: Server, amount: int = 1) -> bool:
    """Whether so many connections stand in a BLPOP."""
    listed: bytes = server.ask("CLIENT", "LIST")
    return listed.count(b"cmd=blpop") >= amount


def fill(client: Client, high: int, low: int | None = None) -> None:
    """A queue called "small", filled to its mark."""
    client.work.limit("small", high=high, low=low)
    client.work.enqueue_many([("job", {"n": n}) for n in range(high)], queue="small")


def test_a_refusal_names_the_depth(client: Client) -> None:
    """QueueFull says how full, and when to come back: a web service can answer 503 with it."""
    fill(client, high=2)

    with pytest.raises(QueueFull, match="2 of 2 tasks are waiting") as caught:
        client.work.enqueue("job", queue="small", on_full="refuse")
    assert (caught.value.queue, caught.value.depth, caught.value.high) == ("small", 2, 2)
    assert caught.value.retry_after > 0


def test_a_limit_in_bytes_refuses_as_well(client: Client) -> None:
    """max_bytes bounds memory, whatever the number of tasks."""
    client.work.limit("small", max_bytes=1_000)
    client.work.enqueue("job", {"text": "x" * 2_000}, queue="small", on_full="force")

    with pytest.raises(QueueFull, match="bytes"):
        client.work.enqueue("job", queue="small", on_full="refuse")


def test_waiting_for_room_ends_after_its_time(client: Client) -> None:
    """The default is to wait, and to say QueueFull when that did not help."""
    fill(client, high=1)

    with pytest.raises(QueueFull):
        client.work.enqueue("job", queue="small", wait=0.05)


def test_a_waiting_producer_is_woken(client: Client, redis_server: Server) -> None:
    """Room that comes free lets a blocked producer go on at once."""
    fill(client, high=1)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(client.work.enqueue, "job", {"n": 99}, queue="small", wait=120)
        wait_until(lambda: is_blocked(redis_server))
        succeed(client, take_one(client, queue="small"))
        handle = waiting.result(60)

    assert handle.get().args == {"n": 99}


def test_all_waiting_producers_get_in_in_the_end(client: Client, redis_server: Server) -> None:
    """Nobody is forgotten: each freed place is offered again."""
    fill(client, high=2, low=1)
    with ThreadPoolExecutor(4) as threads:
        waiting = [
            threads.submit(client.work.enqueue, "job", queue="small", wait=120) for _ in range(4)
        ]
        wait_until(lambda: is_blocked(redis_server, 4))
        for _ in range(6):
            wait_until(lambda: client.work.queue("small").ready)
            succeed(client, take_one(client, queue="small"))

        assert all(one.result(60).created for one in waiting)
    assert client.work.queue("small").enqueued == 6


async def test_an_async_producer_is_woken(client: Client, redis_server: Server, url: str) -> None:
    """The loop goes on while an enqueue waits for room."""
    fill(client, high=1)
    async with coordq.connect_async(url) as aclient:
        waiting = asyncio.create_task(aclient.work.enqueue("job", queue="small", wait=120))
        await wait_until_async(lambda: is_blocked(redis_server))
        succeed(client, take_one(client, queue="small"))

        assert (await asyncio.wait_for(waiting, 60)).created


async def test_async_waiting_for_room_ends_after_its_time(client: Client, url: str) -> None:
    """The same error, on the other door."""
    fill(client, high=1)
    async with coordq.connect_async(url) as aclient:
        with pytest.raises(QueueFull):
            await aclient.work.enqueue("job", queue="small", wait=0.05)


def test_raising_the_mark_lets_producers_in(client: Client, redis_server: Server) -> None:
    """An operator who raises a limit frees who waits for it."""
    fill(client, high=1)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(client.work.enqueue, "job", queue="small", wait=120)
        wait_until(lambda: is_blocked(redis_server))
        client.work.limit("small", high=10)

        assert waiting.result(60).created


def test_shedding_drops_the_least_urgent(client: Client) -> None:
    """on_full="shed" buries a task that matters less, with its reason, and takes the new one."""
    client.work.limit("small", high=1)
    cheap = client.work.enqueue("job", queue="small", priority="low")
    dear = client.work.enqueue("job", queue="small", priority="critical", on_full="shed")

    assert dear.get().state is State.READY
    assert (cheap.get().state, cheap.get().reason) == (State.FAILED, "shed")


def test_shedding_may_hit_the_newcomer(client: Client) -> None:
    """When all that waits matters more, the new task itself becomes the dead letter."""
    client.work.limit("small", high=1)
    client.work.enqueue("job", queue="small", priority="critical")
    cheap = client.work.enqueue("job", queue="small", priority="low", on_full="shed")

    with pytest.raises(TaskFailed) as caught:
        cheap.result(timeout=1)
    assert caught.value.reason == "shed"


def test_a_mark_of_zero_is_no_mark(client: Client) -> None:
    """0 takes a limit away."""
    fill(client, high=1)
    client.work.limit("small", high=0)

    assert client.work.enqueue("job", queue="small", on_full="refuse").created


def test_marks_default_to_four_fifths(client: Client) -> None:
    """Producers go on at the low mark, 80 % of the high one unless told otherwise."""
    queue = client.work.limit("small", high=100)

    assert (queue.high, queue.low) == (100, 80)
