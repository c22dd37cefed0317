"""Agents send to those whom the topology lets them talk to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from coordq import connect_async
from coordq.client.client import Client
from coordq.errors import InvalidMessage, NotConnected
from tests.client.talk import NAMES, heard, three_mailboxes

pytestmark = pytest.mark.live


@pytest.fixture
def client(redis_url: str, namespace: str) -> Iterator[Client]:
    """Three agents with a mailbox, in a star around ada."""
    with three_mailboxes(redis_url, namespace) as client:
        client.topology.set("star", NAMES, hub="ada")
        yield client


def test_an_agent_sends_along_the_links_of_the_topology(client: Client) -> None:
    """To the hub, and from it; the message tells by which version it was allowed."""
    client.bus.send("ada", "to the hub", sender="bob")
    client.bus.send("eve", "from the hub", sender="ada")

    with client.bus.subscribe("@ada") as box:
        delivery = box.receive(10)
    assert delivery is not None
    assert (delivery.body, delivery.message.arranged) == ("to the hub", 1)


def test_what_no_link_carries_is_refused_before_it_is_sent(client: Client) -> None:
    """With the sentence that says why, and who would have to be asked."""
    with pytest.raises(NotConnected, match="bob may not talk to eve") as caught:
        client.bus.send("eve", "psst", sender="bob")

    assert caught.value.code == "not-connected"
    with client.bus.subscribe("@eve") as box:
        assert heard(box) == []


def test_who_is_no_agent_may_always_send(client: Client) -> None:
    """A service that says no name is not arranged by anybody."""
    client.bus.send("eve", "hello")

    with client.bus.subscribe("@eve") as box:
        assert heard(box) == ["hello"]


def test_of_many_none_is_sent_when_one_may_not_be(client: Client) -> None:
    """Also when each has an envelope of its own."""
    items: list[Any] = [("@ada", 1), ("@eve", 2, {"sender": "bob"})]

    with pytest.raises(NotConnected):
        client.bus.publish_many(items)
    with client.bus.subscribe("@ada") as box:
        assert heard(box) == []


def test_items_that_are_none_are_refused_as_before(client: Client) -> None:
    """The topology does not get in the way of the other errors."""
    bad: list[Any] = [7]

    with pytest.raises(InvalidMessage, match="give"):
        client.bus.publish_many(bad, sender="bob")


def test_when_the_topology_is_taken_away_everybody_may_talk(client: Client) -> None:
    """Within a second, which is how long a client believes what it has seen."""
    client.topology.clear()
    client.topology.view(max_age=0)

    client.bus.send("eve", "hello", sender="bob")

    with client.bus.subscribe("@eve") as box:
        assert heard(box) == ["hello"]


def test_a_question_goes_along_links_too(client: Client) -> None:
    """Who may not talk may not ask."""
    with pytest.raises(NotConnected):
        client.bus.ask("eve", "?", sender="bob", timeout=1)


def test_the_async_client_asks_the_topology_as_well(
    client: Client, redis_url: str, namespace: str
) -> None:
    """One by one, and many."""

    async def send() -> None:
        async with connect_async(redis_url, namespace=namespace) as far:
            await far.bus.send("ada", 1, sender="bob")
            with pytest.raises(NotConnected):
                await far.bus.send("eve", 2, sender="bob")
            with pytest.raises(NotConnected):
                await far.bus.publish_many([("@eve", 3)], sender="bob")

    asyncio.run(send())

    with client.bus.subscribe("@ada") as box:
        assert heard(box) == [1]
