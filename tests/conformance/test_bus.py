"""The bus keeps its promises on every engine."""

from __future__ import annotations

import time

from coordq.bus.causal import Causal
from coordq.client.client import connect
from tests.waiting import wait_until

TOPICS = ("orders.created", "orders.paid", "orders.sent", "invoices.made")


def test_messages_are_published_taken_and_settled(engine_url: str, namespace: str) -> None:
    """On all shards: lanes, redelivery, dead letters, revival, and the books at the end."""
    with connect(engine_url, namespace=namespace) as client:
        with client.bus.subscribe("orders.*", group="g", max_deliveries=2) as messages:
            items = [(topic, n) for n in range(5) for topic in TOPICS]
            published = client.bus.publish_many(items)
            assert [each.receivers for each in published] == [1, 1, 1, 0] * 5
            found: list[int] = []
            while len(found) < 15:
                for delivery in messages.receive_many(20, 60):
                    if delivery.message.attempt == 1 and delivery.body == 0:
                        delivery.nack(0)
                    elif delivery.body == 0 and delivery.topic == "orders.paid":
                        delivery.reject("no")
                        found.append(delivery.body)
                    else:
                        delivery.ack()
                        found.append(delivery.body)
            assert sorted(found) == sorted([n for n in range(5) for _ in range(3)])
            (letter,) = client.bus.dead()
            assert client.bus.revive(letter.id) == 1
            again = messages.receive(60)
            assert again is not None
            assert again.topic == "orders.paid"
            again.ack()
        assert {view.name: view.entries for view in client.bus.channels()}.keys() >= set(TOPICS[:3])
        assert sum(view.entries for view in client.bus.channels()) == 0
        client.bus.unsubscribe("g")
        assert client.bus.groups() == []


def test_causal_order(engine_url: str, namespace: str) -> None:
    """Lanes and shards overtake: what comes after something is handed out so, or says it is not."""
    ada = Causal("ada")
    with connect(engine_url, namespace=namespace) as client:
        with client.bus.subscribe("**", group="g", order="causal", patience=600) as messages:
            for number, topic in enumerate(TOPICS):
                urgency = ("low", "normal", "critical")[min(number, 2)]
                client.bus.publish(topic, number, priority=urgency, causal=ada)
            found = [messages.receive(60) for _ in TOPICS]
            assert [each.body for each in found if each is not None] == [0, 1, 2, 3]
            client.bus.publish(TOPICS[0], "lost", expires=0.001, causal=ada)
            over = time.time() + 0.002
            wait_until(lambda: time.time() > over)
            client.bus.publish(TOPICS[1], 4, causal=ada)
            late = messages.receive(60)
            assert late is not None
            assert [each.channel for each in late.missing] == [TOPICS[0]]
            messages.receive_many(1, 0, ack=[each for each in (*found, late) if each is not None])
        client.bus.unsubscribe("g")


def test_mailboxes_and_broadcasts(engine_url: str, namespace: str) -> None:
    """Whatever shard each is on."""
    with connect(engine_url, namespace=namespace) as client:
        agents = ("ada", "bob", "eve")
        boxes = {agent: client.bus.subscribe(f"@{agent}") for agent in agents}
        for agent in agents:
            client.bus.send(agent, agent)
        assert client.bus.broadcast("all").receivers == 3

        for agent, box in boxes.items():
            found = {box.receive(60).body for _ in range(2)}  # type: ignore[union-attr]
            assert found == {agent, "all"}
            box.close()
