"""The bus keeps its promises on every engine."""

from __future__ import annotations

from coordq.client.client import connect

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
                for delivery in messages.receive_many(20, 20):
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
            again = messages.receive(20)
            assert again is not None
            assert again.topic == "orders.paid"
            again.ack()
        assert {view.name: view.entries for view in client.bus.channels()}.keys() >= set(TOPICS[:3])
        assert sum(view.entries for view in client.bus.channels()) == 0
        client.bus.unsubscribe("g")
        assert client.bus.groups() == []


def test_mailboxes_and_broadcasts(engine_url: str, namespace: str) -> None:
    """Whatever shard each is on."""
    with connect(engine_url, namespace=namespace) as client:
        agents = ("ada", "bob", "eve")
        boxes = {agent: client.bus.subscribe(f"@{agent}") for agent in agents}
        for agent in agents:
            client.bus.send(agent, agent)
        assert client.bus.broadcast("all").receivers == 3

        for agent, box in boxes.items():
            found = {box.receive(20).body for _ in range(2)}  # type: ignore[union-attr]
            assert found == {agent, "all"}
            box.close()
