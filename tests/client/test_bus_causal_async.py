"""Causal order through the async door: many who talk at once, on one shard and on several."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from coordq import Causal
from coordq.client.client import connect
from coordq.client.client_async import AsyncClient, connect_async
from coordq.client.posting import fresh_id
from coordq.client.subscription_async import AsyncSubscription
from coordq.errors import Conflict
from tests.client.hearing import LONG, sharded, until
from tests.waiting import wait_until_async

pytestmark = pytest.mark.live


async def next_async(messages: AsyncSubscription) -> Any:
    """The next message, acknowledged."""
    delivery = await messages.receive(30)
    assert delivery is not None
    await delivery.ack()
    return delivery


@pytest.mark.parametrize("shards", [1, 4])
def test_many_who_talk_are_heard_in_order(redis_url: str, namespace: str, shards: int) -> None:
    """Six publishers in any lane on any of eight topics, who read what is said; two hear it all."""

    async def play() -> None:
        url = sharded(redis_url, shards)
        async with (
            connect_async(url, namespace=namespace) as client,
            client.bus.subscribe("t.*", order="causal", patience=LONG, prefetch=4) as one,
            client.bus.subscribe("t.*", group="g", order="causal", patience=LONG) as two,
        ):
            past = await gossip(client, 100)
            for reader in (one, two):
                heard: set[str] = set()
                while len(heard) < len(past):
                    delivery = await next_async(reader)
                    assert past[delivery.message.id] <= heard
                    assert delivery.missing == ()
                    heard.add(delivery.message.id)
                assert await reader.receive(0.01) is None

    asyncio.run(play())


async def gossip(client: AsyncClient, amount: int) -> dict[str, frozenset[str]]:
    """Messages, each with all that came before it."""
    chance = random.Random(amount)
    past: dict[str, frozenset[str]] = {}

    async def talk(name: str) -> None:
        who, known = Causal(name), frozenset[str]()
        async with client.bus.subscribe("t.*", order="causal", causal=who) as messages:
            while len(past) < amount:
                for _ in range(chance.randint(0, 3)):
                    delivery = await messages.receive(0.001)
                    if delivery is not None:
                        await delivery.ack()
                        known |= {delivery.message.id} | past[delivery.message.id]
                id_ = fresh_id(topic := f"t.{chance.randint(1, 8)}", client.engine.shards)
                past[id_] = known
                urgency = chance.choice(("critical", "normal", "low"))
                await client.bus.publish(topic, None, id=id_, priority=urgency, causal=who)
                known |= {id_}

    await asyncio.gather(*(talk(f"p{number}") for number in range(6)))
    return past


def test_what_one_publisher_says_at_once_is_said_in_turn(redis_url: str, namespace: str) -> None:
    """A hundred tasks share a publisher: the numbers are those of the order of publication."""

    async def play() -> list[Any]:
        async with connect_async(redis_url, namespace=namespace) as client:
            ada = Causal("ada")
            async with client.bus.subscribe("t.*", order="causal", patience=LONG) as messages:
                await asyncio.gather(
                    *(client.bus.publish(f"t.{n % 3}", n, causal=ada) for n in range(100))
                )
                return [(await next_async(messages)).body for _ in range(100)]

    assert asyncio.run(play()) == list(range(100))


def test_what_waits_is_held_while_an_async_reader_waits(redis_url: str, namespace: str) -> None:
    """Whether somebody asks for messages or not."""

    async def play() -> None:
        with connect(redis_url, namespace=namespace) as sync:
            first = sync.bus.subscribe("t.x", group="g", visibility=6)
            sync.bus.publish("t.x", 1, causal=(ada := Causal("ada")))
            assert first.receive(10) is not None
            async with (
                connect_async(redis_url, namespace=namespace) as client,
                client.bus.subscribe(
                    group="g", visibility=6, order="causal", patience=LONG
                ) as messages,
            ):
                assert await messages.receive(0.01) is None
                sync.bus.publish("t.x", 2, causal=ada)
                await wait_until_async(lambda: len(until(sync)) > 1)
                given = max(until(sync))
                await wait_until_async(lambda: max(until(sync)) > given)

    asyncio.run(play())


def test_an_async_reader_says_what_is_missing(redis_url: str, namespace: str) -> None:
    """It is lost at once, and not given up after its patience; an event says so."""

    async def play() -> None:
        async with connect_async(redis_url, namespace=namespace) as client:
            ada = Causal("ada")
            async with (
                client.bus.subscribe("bus.order-gap") as gaps,
                client.bus.subscribe("t.x", group="g", order="causal", patience=LONG) as messages,
            ):
                assert await gaps.receive(0.01) is None
                await client.bus.publish("t.x", 1, causal=ada)
                await next_async(messages)
                ada.draw("t.x")  # published, and lost with a server, say
                await client.bus.publish("t.x", 2, causal=ada)
                delivery = await next_async(messages)
                assert [one.number for one in delivery.missing] == [2]
                told = await next_async(gaps)
                assert told.body["detail"].endswith("(lost)")

    asyncio.run(play())


def test_a_second_async_reader_is_refused(redis_url: str, namespace: str) -> None:
    """And the first one goes on."""

    async def play() -> None:
        async with connect_async(redis_url, namespace=namespace) as client:
            async with client.bus.subscribe("t.x", group="g", order="causal") as one:
                with pytest.raises(Conflict):
                    await client.bus.subscribe("t.x", group="g", order="causal").open()
                await client.bus.publish("t.x", 1, causal=Causal())
                assert (await next_async(one)).body == 1
            async with client.bus.subscribe(group="g", order="causal"):
                pass

    asyncio.run(play())
