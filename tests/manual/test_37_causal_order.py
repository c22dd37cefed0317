"""Chapter 38. Causal order: no answer before its question, whatever overtakes what."""

from __future__ import annotations

import asyncio
import time

import pytest

import coordq
from coordq import Causal, Client
from coordq.errors import Conflict
from tests.waiting import wait_until


def test_what_is_urgent_overtakes_unless_it_comes_after(client: Client) -> None:
    """`causal=` says: this comes after all that I have said and read. Who asks gets it so."""
    pilot = Causal("pilot")
    with (
        client.bus.subscribe("deck.*", group="fast") as fast,
        client.bus.subscribe("deck.*", group="right", order="causal") as right,
    ):
        client.bus.publish("deck.crew", "all hands aft", priority="low", causal=pilot)
        client.bus.publish("deck.alarm", "cut the rope!", priority="critical", causal=pilot)

        assert _bodies(fast) == ["cut the rope!", "all hands aft"]
        assert _bodies(right) == ["all hands aft", "cut the rope!"]


def _bodies(messages: coordq.Subscription) -> list[str]:
    found = []
    while (delivery := messages.receive(timeout=0.2)) is not None:
        found.append(delivery.body)
        delivery.ack()
    return found


def test_an_answer_comes_after_its_question(client: Client) -> None:
    """`causal=` of a subscription adds what is handed out to what its publisher has read."""
    ada, bob = Causal("ada"), Causal("bob")
    with (
        client.bus.subscribe("talk.*", order="causal") as audience,
        client.bus.subscribe("talk.asked", order="causal", causal=bob) as bobs,
    ):
        client.bus.publish("talk.asked", "which way?", priority="low", causal=ada)
        question = bobs.receive(timeout=60)
        assert question is not None
        question.ack()
        client.bus.publish("talk.told", "north", priority="critical", causal=bob)

        assert _bodies(audience) == ["which way?", "north"]


def test_what_was_read_elsewhere(client: Client) -> None:
    """`saw` takes any message: of another subscription, or a listener's `ctx.message`."""
    ada, bob = Causal("ada"), Causal("bob")
    with client.bus.subscribe("log.*") as log:
        client.bus.publish("log.sea", "fog", causal=ada)
        entry = log.receive(timeout=60)
        assert entry is not None
        entry.ack()

        bob.saw(entry.message)

        assert ("log.sea", ada.publisher) in bob.after


def test_what_never_came_is_not_waited_for(client: Client) -> None:
    """It expired, say. The next message says what it should have come after; an event does, too."""
    ada = Causal("ada")
    with (
        client.bus.subscribe("bus.order-gap") as gaps,
        client.bus.subscribe("log.sea", group="chart", order="causal", patience=60) as log,
    ):
        client.bus.publish("log.sea", "day 1", causal=ada)
        assert _bodies(log) == ["day 1"]
        client.bus.publish("log.sea", "day 2", expires=0.001, causal=ada)
        over = time.time() + 0.002
        wait_until(lambda: time.time() > over)
        client.bus.publish("log.sea", "day 3", causal=ada)

        delivery = log.receive(timeout=60)

        assert delivery is not None
        assert delivery.body == "day 3"
        assert [(one.channel, one.number) for one in delivery.missing] == [("log.sea", 2)]
        delivery.ack()
        gap = gaps.receive(timeout=60)
        assert gap is not None
        assert "#2 in log.sea before" in gap.body["detail"]


def test_patience(client: Client) -> None:
    """What is there and does not come, because another reader has it, is waited for so long."""
    ada = Causal("ada")
    with client.bus.subscribe("log.sea", group="chart") as slow:
        client.bus.publish("log.sea", "day 1", causal=ada)
        first = slow.receive(timeout=60)
        assert first is not None
        with client.bus.subscribe(group="chart", order="causal", patience=0.3) as log:
            client.bus.publish("log.sea", "day 2", causal=ada)

            delivery = log.receive(timeout=60)

            assert delivery is not None
            assert delivery.missing != ()
            delivery.ack()


def test_one_reader_has_the_group_alone(client: Client) -> None:
    """Two that share a group's messages have no order between them."""
    with (
        client.bus.subscribe("log.*", group="chart", order="causal"),
        pytest.raises(Conflict, match="'chart' is read in causal order by"),
    ):
        client.bus.subscribe("log.*", group="chart", order="causal")


async def test_what_is_given_back_comes_first_again(url: str) -> None:
    """The async client does the same: what comes after it waits for it again."""
    ada = Causal("ada")
    async with (
        await coordq.connect_async(url) as client,
        client.bus.subscribe("steps", order="causal") as steps,
    ):
        await client.bus.publish_many([("steps", n) for n in range(3)], causal=ada)
        first = await steps.receive(timeout=60)
        assert first is not None
        await first.nack(delay=0.1)

        found: list[int] = []
        while len(found) < 3:
            delivery = await asyncio.wait_for(steps.receive(), 60)
            assert delivery is not None
            found.append(delivery.body)
            await delivery.ack()

    assert found == [0, 1, 2]
