"""Enqueueing from an event loop: many callers travel together, and nobody suffers for another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

import coordq
from coordq import Client
from coordq.errors import DuplicateTask, InvalidArguments, QueueFull
from tests.client.hands import take_one
from tests.servers import Server


def scripts_run(server: Server) -> int:
    """How many scripts a server has run so far."""
    text: str = server.ask("INFO", "commandstats").decode()
    lines = [line for line in text.splitlines() if line.startswith(("cmdstat_eval",))]
    return sum(int(line.split("calls=")[1].split(",")[0]) for line in lines)


@pytest.fixture
def own_server(new_server: Callable[..., Server]) -> Server:
    """A server to which nobody else speaks, not even what an earlier test has left behind."""
    return new_server()


async def test_concurrent_callers_share_script_calls(own_server: Server) -> None:
    """A hundred callers at once cost a few round trips, not a hundred."""
    async with coordq.connect_async(own_server.url) as aclient:
        await aclient.work.enqueue("job")  # the script is loaded
        before = scripts_run(own_server)
        handles = await asyncio.gather(*(aclient.work.enqueue("job", {"n": n}) for n in range(100)))
        calls = scripts_run(own_server) - before

        assert len({handle.id for handle in handles}) == 100
        assert calls <= 3


async def test_a_lone_caller_does_not_wait_for_company(own_server: Server) -> None:
    """Callers one after the other get a script call each: batching never delays."""
    async with coordq.connect_async(own_server.url) as aclient:
        await aclient.work.enqueue("job")
        before = scripts_run(own_server)
        for _ in range(5):
            await aclient.work.enqueue("job")

        assert scripts_run(own_server) - before == 5


async def test_more_than_500_callers_are_split(client: Client, url: str) -> None:
    """A script takes at most 500 tasks: a larger crowd goes in several calls."""
    async with coordq.connect_async(url) as aclient:
        await asyncio.gather(*(aclient.work.enqueue("job", {"n": n}) for n in range(1_234)))

    assert client.work.queue("default").ready == 1_234


async def test_callers_keep_their_order(client: Client, url: str) -> None:
    """What one loop enqueues first is first in the queue, also when it travels together."""
    async with coordq.connect_async(url) as aclient:
        handles = await asyncio.gather(*(aclient.work.enqueue("job", {"n": n}) for n in range(50)))

    assert [take_one(client).id for _ in range(50)] == [handle.id for handle in handles]


async def test_each_caller_gets_its_own_answer(url: str) -> None:
    """A refused duplicate in a batch raises for its caller and for nobody else."""
    async with coordq.connect_async(url) as aclient:
        await aclient.work.enqueue("job", unique="taken")
        answers = await asyncio.gather(
            aclient.work.enqueue("job", {"n": 1}),
            aclient.work.enqueue("job", unique="taken", on_duplicate="reject"),
            aclient.work.enqueue("job", {"n": 2}),
            return_exceptions=True,
        )

    assert [type(answer) for answer in answers] == [
        coordq.AsyncTaskHandle,
        DuplicateTask,
        coordq.AsyncTaskHandle,
    ]


async def test_bad_arguments_never_reach_the_batch(client: Client, url: str) -> None:
    """A caller with arguments that are not JSON is turned away before it can travel with others."""
    async with coordq.connect_async(url) as aclient:
        answers = await asyncio.gather(
            *(aclient.work.enqueue("job", {"x": value}) for value in (1, object(), 2)),
            return_exceptions=True,
        )

    assert isinstance(answers[1], InvalidArguments)
    assert client.work.queue("default").ready == 2


async def test_a_refused_caller_does_not_take_others_along(client: Client, url: str) -> None:
    """on_full="refuse" takes those that fit; only those without room raise QueueFull."""
    client.work.limit("small", high=3)
    async with coordq.connect_async(url) as aclient:
        answers = await asyncio.gather(
            *(aclient.work.enqueue("job", queue="small", on_full="refuse") for _ in range(10)),
            return_exceptions=True,
        )

    refused = [answer for answer in answers if isinstance(answer, QueueFull)]
    assert len(refused) == 7
    assert client.work.queue("small").ready == 3
    assert (refused[0].queue, refused[0].depth, refused[0].high) == ("small", 3, 3)


async def test_a_full_queue_does_not_block_another(client: Client, url: str) -> None:
    """Who waits for room in one queue does not hold up callers of other queues."""
    client.work.limit("full", high=1)
    client.work.enqueue("job", queue="full")
    async with coordq.connect_async(url) as aclient:
        stuck = asyncio.create_task(aclient.work.enqueue("job", queue="full", wait=120))
        handle = await asyncio.wait_for(aclient.work.enqueue("job", queue="free"), 60)

        assert handle.created
        assert not stuck.done()
        client.work.limit("full", high=2)
        assert (await asyncio.wait_for(stuck, 60)).created


async def test_a_cancelled_caller_that_was_not_sent_is_not_sent(client: Client, url: str) -> None:
    """Giving up before the batch left means that there is no task."""
    async with coordq.connect_async(url) as aclient:
        given_up = asyncio.create_task(aclient.work.enqueue("job", {"n": 1}))
        kept = asyncio.create_task(aclient.work.enqueue("job", {"n": 2}))
        await asyncio.sleep(0)  # both have joined the batch; it leaves with the next step
        given_up.cancel()
        handle = await kept

    assert given_up.cancelled()
    assert [task.id for task in client.work.ls()] == [handle.id]


async def test_a_cancelled_caller_in_a_batch_harms_nobody(client: Client, url: str) -> None:
    """When some of a hundred give up, the others get their handles all the same."""
    async with coordq.connect_async(url) as aclient:
        callers = [asyncio.create_task(aclient.work.enqueue("job", {"n": n})) for n in range(100)]
        await asyncio.sleep(0)
        for caller in callers[::3]:
            caller.cancel()
        answers = await asyncio.gather(*callers, return_exceptions=True)

    assert sum(isinstance(answer, asyncio.CancelledError) for answer in answers) == 34
    assert client.work.queue("default").ready == 66


async def test_closing_sends_what_is_on_its_way(client: Client, url: str) -> None:
    """close() does not drop an enqueue that has begun."""
    aclient = await coordq.connect_async(url)
    caller = asyncio.create_task(aclient.work.enqueue("job"))
    await asyncio.sleep(0)
    await aclient.close()

    handle = await caller
    assert client.work.get(handle.id).state == "ready"


async def test_a_large_bulk_takes_few_connections(own_server: Server) -> None:
    """20,000 tasks are 40 calls, and a handful of connections."""
    async with coordq.connect_async(own_server.url) as aclient:
        await aclient.work.enqueue_many([("job", {"n": n}) for n in range(20_000)])
        listed: bytes = own_server.ask("CLIENT", "LIST")

        assert listed.count(b"name=coordq") < 12


async def test_closing_twice_is_fine(url: str) -> None:
    """close() in a finally block after `async with` harms nobody."""
    async with coordq.connect_async(url) as aclient:
        await aclient.work.enqueue("job")
    await aclient.close()


async def test_connect_async_can_be_awaited_or_entered(url: str) -> None:
    """Both forms give the same client."""
    aclient = await coordq.connect_async(url)
    await aclient.close()
    async with coordq.connect_async(url) as other:
        assert other.namespace == aclient.namespace


def test_a_client_is_not_tied_to_the_first_loop_of_the_process(url: str) -> None:
    """Each asyncio.run has its own client, one after the other."""

    async def once() -> str:
        async with coordq.connect_async(url) as aclient:
            return (await aclient.work.enqueue("job")).id

    assert asyncio.run(once()) != asyncio.run(once())


@pytest.mark.parametrize("amount", [1, 499, 500, 501])
async def test_bulk_sizes_around_the_limit(client: Client, url: str, amount: int) -> None:
    """The edges of a batch of 500 lose nothing and repeat nothing."""
    async with coordq.connect_async(url) as aclient:
        handles = await aclient.work.enqueue_many([("job", {"n": n}) for n in range(amount)])

    assert len({handle.id for handle in handles}) == amount
    assert client.work.queue("default").ready == amount
