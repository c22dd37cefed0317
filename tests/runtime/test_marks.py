"""An idle reader is woken by marks, notices what leaves none, and costs little."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from coordq.bus.group import Group
from coordq.client.client import Client
from coordq.engine import bus_keys, keys
from coordq.engine.aio import AsyncEngine, open_async_engine
from coordq.runtime.marks import Marks
from tests.runtime.hearing import send

pytestmark = pytest.mark.live
ORDERS = Group("g", ("orders.*",), visibility_s=0.1)


@asynccontextmanager
async def watching(
    url: str, client: Client, *, room: int = 1
) -> AsyncIterator[tuple[AsyncEngine, asyncio.Event]]:
    """A reader that has found nothing; the event says that it has hope again."""
    hoped = asyncio.Event()

    async def complain(error: Exception) -> None:
        raise error

    def hope() -> None:
        marks.wake()
        hoped.set()

    async with (
        await open_async_engine(url, namespace=client.namespace) as engine,
        asyncio.timeout(60),
    ):
        marks = Marks(
            0,
            engine=engine,
            reader="r",
            groups=[ORDERS],
            room=lambda: room,
            hope=hope,
            complain=complain,
        )
        await marks.open()
        marks.rest()
        yield engine, hoped
        await marks.close()


def test_a_message_wakes_an_idle_reader(redis_url: str, client: Client) -> None:
    """By the mark that who publishes leaves."""
    client.bus.add_group(ORDERS)

    async def play() -> None:
        async with watching(redis_url, client) as (_, hoped):
            await asyncio.to_thread(send, client, "orders.created", 1)
            await hoped.wait()

    asyncio.run(play())


def test_a_reader_without_room_passes_the_mark_on(redis_url: str, client: Client) -> None:
    """It was meant for one of those who wait, and others of them may have room."""
    client.bus.add_group(ORDERS)
    marker = bus_keys.marker(keys.root(client.namespace, 0), ORDERS.name)

    async def play() -> int:
        async with watching(redis_url, client, room=0) as (engine, hoped):
            await asyncio.to_thread(send, client, "orders.created", 1)
            await hoped.wait()
            return int(await engine.execute(0, "ZCARD", marker))

    assert asyncio.run(play()) == 1


def test_a_message_without_a_mark_is_noticed(redis_url: str, client: Client) -> None:
    """The mark went with a reader that was killed."""
    client.bus.add_group(ORDERS)
    send(client, "orders.created", 1)
    root = keys.root(client.namespace, 0)
    client.engine.execute(0, "DEL", bus_keys.marker(root, ORDERS.name))

    async def play() -> None:
        async with watching(redis_url, client) as (_, hoped):
            await hoped.wait()

    asyncio.run(play())


def test_a_group_that_is_gone_is_noticed(redis_url: str, client: Client) -> None:
    """Somebody ended it, or emptied Redis: the reader makes it again."""

    async def play() -> None:
        async with watching(redis_url, client) as (_, hoped):
            await hoped.wait()

    asyncio.run(play())
