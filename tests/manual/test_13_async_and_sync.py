"""Chapter 13. Two clients, one set of names: sync for scripts, async for event loops."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

import coordq
from coordq import Client

AGENTS = """
from coordq import Agent

agent = Agent("squarer")


@agent.task
async def square(n: int) -> int:
    return n * n
"""
pytestmark = pytest.mark.usefixtures("worker")


async def test_the_async_client_has_the_same_names(url: str) -> None:
    """Add `await` and it is the same program."""
    async with coordq.connect_async(url) as client:
        handle = await client.work.enqueue("square", {"n": 3})

        assert await handle.result(timeout=60) == 9


async def test_concurrent_calls_travel_together(url: str) -> None:
    """A hundred requests at once become a few round trips; each gets its own result."""
    async with coordq.connect_async(url) as client:
        calls = (client.work.run("square", {"n": n}, wait_for=60) for n in range(100))

        assert await asyncio.gather(*calls) == [n * n for n in range(100)]


def test_the_sync_client_may_be_shared_by_threads(client: Client) -> None:
    """One client per process is enough, also for a threaded web server, also after a fork."""
    with ThreadPoolExecutor(8) as threads:
        results = threads.map(lambda n: client.work.run("square", {"n": n}, wait_for=60), range(40))

        assert list(results) == [n * n for n in range(40)]


async def test_events_as_an_async_iterator(url: str) -> None:
    """`follow=True` waits for what happens next: a live view is a loop."""
    async with coordq.connect_async(url) as client:
        events = client.work.events(after="$", follow=True)
        waiting = asyncio.ensure_future(anext(events))
        await client.work.run("square", {"n": 1}, wait_for=60)
        await client.work.enqueue("square", {"n": 1})

        assert (await asyncio.wait_for(waiting, 60)).name == "square"
