"""Causal order through the doors: what comes early waits, on one shard and on several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from coordq import Causal
from coordq.bus.causal import Missing
from coordq.client.client import Client, connect
from coordq.client.subscription import Delivery, Subscription
from coordq.errors import ChannelFull, Conflict, CoordqError, GroupNotFound, Unreachable
from tests.client.hearing import LONG, now_ms, sharded, until
from tests.servers import Server
from tests.waiting import wait_until

pytestmark = pytest.mark.live


@pytest.fixture
def client(redis_url: str, namespace: str) -> Iterator[Client]:
    """A client of its own namespace, with one shard."""
    with connect(redis_url, namespace=namespace) as client:
        yield client


@pytest.fixture(params=[1, 4], ids=["one shard", "four shards"])
def wide(request: pytest.FixtureRequest, redis_url: str, namespace: str) -> Iterator[Client]:
    """Two clients: of one shard, and of several."""
    with connect(sharded(redis_url, request.param), namespace=namespace) as client:
        yield client


def next_of(messages: Subscription) -> Delivery:
    """The next message, acknowledged."""
    delivery = messages.receive(20)
    assert delivery is not None
    delivery.ack()
    return delivery


def lose(client: Client, topic: str, causal: Causal) -> Missing:
    """A message that expires before anybody is given it."""
    client.bus.publish(topic, "lost", expires=0.001, causal=causal)
    began = now_ms(client)
    wait_until(lambda: now_ms(client) > began + 1)
    return Missing(topic, causal.publisher, causal.after[topic, causal.publisher])


# -- sync ----------------------------------------------------------------------------------------


def test_what_a_lane_overtook_is_put_right(client: Client) -> None:
    """Critical comes first, unless it comes after something and the reader cares."""
    ada = Causal("ada")
    with (
        client.bus.subscribe("t.x") as plain,
        client.bus.subscribe("t.x", order="causal") as ordered,
    ):
        client.bus.publish("t.x", "brakes released", priority="low", causal=ada)
        client.bus.publish("t.x", "stop!", priority="critical", causal=ada)

        assert next_of(plain).body == "stop!"
        assert [next_of(ordered).body for _ in range(2)] == ["brakes released", "stop!"]
        assert ordered.receive(0) is None


def test_an_answer_comes_after_what_it_answers(wide: Client) -> None:
    """By another publisher, on another topic, more urgent; wherever the topics lie."""
    ada, bob = Causal("ada"), Causal("bob")
    with (
        wide.bus.subscribe("talk.**", order="causal", patience=LONG) as both,
        wide.bus.subscribe("talk.asked", order="causal", causal=bob) as asked,
    ):
        wide.bus.publish("talk.asked", "north?", priority="low", causal=ada)
        assert next_of(asked).body == "north?"
        wide.bus.publish("talk.told", "south!", priority="critical", causal=bob)

        assert [next_of(both).body for _ in range(2)] == ["north?", "south!"]


def test_who_hears_one_channel_does_not_wait_for_others(wide: Client) -> None:
    """What it cannot see it cannot miss."""
    ada = Causal("ada")
    with (
        wide.bus.subscribe("a", order="causal", patience=LONG) as one,
        wide.bus.subscribe("b", group="other"),
    ):
        wide.bus.publish_many([("a", 1), ("b", 2), ("a", 3), ("b", 4), ("a", 5)], causal=ada)

        assert [next_of(one).body for _ in range(3)] == [1, 3, 5]


def test_who_comes_later_does_not_wait_for_what_was_before(wide: Client) -> None:
    """Nor is anything said to be missing."""
    ada = Causal("ada")
    with wide.bus.subscribe("t.*", group="early"):
        for n in range(3):
            wide.bus.publish(f"t.{n}", "before", causal=ada)
        with wide.bus.subscribe("t.*", order="causal", patience=LONG) as late:
            wide.bus.publish("t.0", "now", causal=ada)

            delivery = next_of(late)

    assert (delivery.body, delivery.missing) == ("now", ())


def test_a_lost_predecessor_is_named_once_in_an_event_and_on_the_message(wide: Client) -> None:
    """At once: nothing of its channel is left that could still come."""
    ada = Causal("ada")
    with (
        wide.bus.subscribe("bus.order-gap") as gaps,
        wide.bus.subscribe("t.x", group="g", order="causal", patience=LONG) as messages,
    ):
        wide.bus.publish("t.x", 1, causal=ada)
        missing = lose(wide, "t.x", ada)
        for n in (2, 3):
            wide.bus.publish("t.x", n, causal=ada)

        found = [next_of(messages) for _ in range(3)]

        assert [(each.body, each.missing) for each in found] == [(1, ()), (2, (missing,)), (3, ())]
        told = next_of(gaps).body
        assert (told["event"], told["id"]) == ("bus-order-gap", "g")
        assert told["detail"] == f"{missing} before {found[1].message.id} (lost)"
        assert gaps.receive(0.3) is None


@contextmanager
def first_held(client: Client, ada: Causal, pattern: str, **options: Any) -> Iterator[Subscription]:
    """Another reader of a group, which has been given the first of what ada says."""
    with client.bus.subscribe(pattern, **options) as other:
        client.bus.publish("t.x", 1, causal=ada)
        assert other.receive(10) is not None
        yield other


def test_what_another_reader_holds_is_waited_for(client: Client) -> None:
    """A group that was shared until now: the first of two messages is with somebody else."""
    ada = Causal("ada")
    with (
        first_held(client, ada, "t.x", group="g") as other,
        client.bus.subscribe(group="g", order="causal", patience=LONG) as messages,
    ):
        client.bus.publish("t.x", 2, causal=ada)
        assert messages.receive(0.3) is None
        other.close()

        assert [next_of(messages).body for _ in range(2)] == [1, 2]


@pytest.mark.parametrize(("patience", "waiting"), [(0.05, 9), (LONG, 1)])
def test_patience_and_the_bound_end_the_wait(client: Client, patience: float, waiting: int) -> None:
    """Then it is handed out, and says what it should have come after."""
    ada = Causal("ada")
    with (
        first_held(client, ada, "t.*", group="g"),
        client.bus.subscribe(
            group="g", order="causal", patience=patience, waiting=waiting
        ) as messages,
    ):
        client.bus.publish_many([("t.x", 2), ("t.x", 3)], causal=ada)

        found = [next_of(messages) for _ in range(2)]

    assert [each.body for each in found] == [2, 3]
    assert [[one.channel for one in each.missing] for each in found] == [["t.x"], []]
    events = client.work.events(after="0")
    why = "patience" if patience < LONG else "bound"
    told = [each.detail for each in events if each.kind == "bus-order-gap"]
    assert [detail.rpartition(" ")[2] for detail in told] == [f"({why})"]


def test_what_is_given_back_comes_again_before_what_comes_after_it(client: Client) -> None:
    """Also when that had been taken already."""
    ada = Causal("ada")
    with client.bus.subscribe("t.x", order="causal", patience=LONG) as messages:
        client.bus.publish_many([("t.x", n) for n in range(3)], causal=ada)
        first = messages.receive(10)
        assert first is not None

        first.nack(0.2)

        found = [next_of(messages) for _ in range(3)]
        assert [(each.body, each.message.attempt) for each in found] == [(0, 2), (1, 1), (2, 1)]


def test_what_was_given_back_for_the_last_time_is_not_waited_for(client: Client) -> None:
    """It is a dead letter; what comes after it is handed out as after any other."""
    ada = Causal("ada")
    with client.bus.subscribe("t.x", order="causal", max_deliveries=1, patience=LONG) as messages:
        client.bus.publish_many([("t.x", n) for n in range(2)], causal=ada)
        first = messages.receive(10)
        assert first is not None

        first.nack()

        assert next_of(messages).body == 1


def test_what_waits_is_not_acknowledged_and_goes_back_at_the_end(client: Client) -> None:
    """Without a delivery's being counted, to whoever reads next."""
    ada = Causal("ada")
    with first_held(client, ada, "t.x", group="g") as other:
        with client.bus.subscribe(group="g", order="causal", patience=LONG) as messages:
            client.bus.publish("t.x", 2, causal=ada)
            assert messages.receive(0.2) is None
            assert client.bus.channel("t.x").entries == 2

        again = other.receive(10)

        assert again is not None
        assert (again.body, again.message.attempt) == (2, 1)


def test_what_waits_is_held_while_its_reader_waits(client: Client) -> None:
    """For several times its visibility, if need be."""
    ada = Causal("ada")
    with (
        first_held(client, ada, "t.x", group="g", visibility=6) as other,
        client.bus.subscribe(group="g", visibility=6, order="causal", patience=LONG) as messages,
    ):
        client.bus.publish("t.x", 2, causal=ada)
        assert messages.receive(0) is None
        given = max(until(client))

        wait_until(lambda: messages.receive(0.1) or max(until(client)) > given)

        other.close()
        found = [next_of(messages) for _ in range(2)]
        assert [(each.body, each.message.attempt) for each in found] == [(1, 2), (2, 1)]


def test_a_publisher_that_begins_anew_is_waited_for_by_nobody(client: Client) -> None:
    """Its numbers begin at one again, under another name."""
    with client.bus.subscribe("t.x", order="causal", patience=LONG) as messages:
        for life in range(3):
            ada = Causal("ada")
            client.bus.publish_many([("t.x", (life, n)) for n in range(2)], causal=ada)

        bodies = [next_of(messages).body for _ in range(6)]

    assert bodies == [[life, n] for life in range(3) for n in range(2)]


def test_a_reader_that_crashed_goes_on_where_it_was(client: Client) -> None:
    """Under its name: what it had and did not acknowledge comes first."""
    ada = Causal("ada")
    options: dict[str, Any] = {"group": "g", "reader": "r", "order": "causal", "patience": LONG}
    crashed = client.bus.subscribe("t.x", **options)
    client.bus.publish("t.x", 1, priority="low", causal=ada)
    assert crashed.receive(10) is not None
    client.bus.publish("t.x", 2, priority="critical", causal=ada)

    with client.bus.subscribe("t.x", **options) as messages:
        found = [next_of(messages) for _ in range(2)]

    assert [(each.body, each.message.attempt) for each in found] == [(1, 2), (2, 1)]


def test_two_readers_of_a_group_have_no_order(client: Client) -> None:
    """The second is refused, and changes nothing; when the first has gone it may come."""
    with client.bus.subscribe("t.x", group="g", order="causal") as one:
        with pytest.raises(Conflict, match="read in causal order by") as refused:
            client.bus.subscribe("t.y", group="g", order="causal")
        assert refused.value.facts["group"] == "g"
        assert one.group.patterns == client.bus.group("g").group.patterns == ("t.x",)

    with client.bus.subscribe(group="g", order="causal"):
        pass


def test_a_reader_that_is_not_alone_any_more_is_told(client: Client) -> None:
    """Its lease was over: it handled something for very long, say."""
    with client.bus.subscribe("t.x", group="g", order="causal", visibility=0.1) as one:
        client.engine.execute(0, "DEL", f"cq:{{{client.namespace}.0}}:bus:alone:g")
        with client.bus.subscribe(group="g", order="causal"), pytest.raises(Conflict):
            one.receive(20)


def test_what_found_no_room_is_followed_by_nothing(client: Client) -> None:
    """An effect without its cause would be out of order for good."""
    ada = Causal("ada")
    client.bus.bound("t.x", entries=2, max_bytes=2**20)
    with client.bus.subscribe("t.*", order="causal", patience=LONG) as messages:
        items = [("t.x", n) for n in range(4)] + [("t.y", 4)]
        with pytest.raises(ChannelFull, match="2 of 5 were published") as refused:
            client.bus.publish_many(items, when_full="refuse", causal=ada)
        assert len(refused.value.facts["ids"]) == 3
        assert [next_of(messages).body for _ in range(2)] == [0, 1]

        client.bus.publish("t.y", "on", causal=ada)

        delivery = next_of(messages)
        assert (delivery.body, delivery.missing) == ("on", ())


@pytest.mark.parametrize("how", ["unheard", "shed", "refused"])
def test_what_was_not_kept_is_not_waited_for(client: Client, how: str) -> None:
    """Nobody asked for it, or it was left out: what is said next comes after what was kept."""
    ada = Causal("ada")
    client.bus.bound("full", entries=1, max_bytes=2**20)
    with (
        client.bus.subscribe("t.*", order="causal", patience=LONG) as messages,
        client.bus.subscribe("full"),
    ):
        client.bus.publish("full", 0)
        client.bus.publish("t.x", 1, causal=ada)
        known = ada.after
        if how == "unheard":
            assert client.bus.publish("nobody", 2, causal=ada).receivers == 0
        elif how == "shed":
            assert client.bus.publish("full", 2, when_full="shed", causal=ada).shed
        else:
            with pytest.raises(ChannelFull):
                client.bus.publish("full", 2, when_full="refuse", causal=ada)

        assert ada.after == known
        assert next_of(messages).body == 1


def test_what_may_have_been_published_counts(
    namespace: str, new_server: Callable[..., Server]
) -> None:
    """Nobody answered: what is said next comes after it, and says so when it is not there."""
    server, ada = new_server(appendonly="yes"), Causal("ada")
    with (
        connect(server.url, namespace=namespace, patience=0.1) as client,
        client.bus.subscribe("t.x", order="causal", patience=LONG) as messages,
    ):
        client.bus.publish("t.x", 1, causal=ada)
        assert next_of(messages).body == 1
        server.stop()
        with pytest.raises(Unreachable):
            client.bus.publish("t.x", "perhaps", causal=ada)
        server.restart()
        client.bus.publish("t.x", 2, causal=ada)

        delivery = next_of(messages)

        assert delivery.body == 2
        assert delivery.missing == (Missing("t.x", ada.publisher, 2),)


def test_a_mailbox_and_broadcasts_are_read_in_order(client: Client) -> None:
    """They are channels like others."""
    ada = Causal("ada")
    with client.bus.subscribe("@bob", order="causal", patience=LONG) as box:
        client.bus.broadcast("all: hear", priority="low", causal=ada)
        client.bus.send("bob", "bob: act", priority="critical", causal=ada)

        assert [next_of(box).body for _ in range(2)] == ["all: hear", "bob: act"]


def test_a_group_that_does_not_exist_or_is_ordered_is_refused(client: Client) -> None:
    """By name, before anything is read."""
    with pytest.raises(GroupNotFound):
        client.bus.subscribe(group="nobody", order="causal")
    with client.bus.subscribe("t.x", group="g", ordered=True), pytest.raises(CoordqError) as no:
        client.bus.subscribe(group="g", order="causal")
    assert no.value.code == "invalid-option"
