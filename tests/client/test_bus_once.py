"""A message that says which one it is: published again, it is not given out again."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import coordq
from coordq.client.client import Client
from coordq.client.client_async import connect_async
from coordq.client.subscription import Subscription
from coordq.engine import bus_keys, keys
from coordq.errors import AgentNotFound, ChannelFull
from coordq.ids import created_ms, is_id, new_id, shard_of
from tests.client.talk import heard

pytestmark = pytest.mark.live


@pytest.fixture
def box(client: Client) -> Iterator[Subscription]:
    """Reads what is published."""
    with client.bus.subscribe("t.*", group="g") as box:
        yield box


def test_what_was_published_is_not_published_again(client: Client, box: Subscription) -> None:
    """Whatever it says then: the first one counts; its receivers are told again."""
    one = new_id()

    first = client.bus.publish("t.x", "first", id=one, once=True)
    second = client.bus.publish("t.x", "second", id=one, once=True)

    assert (first, second) == ((one, 1, False), (one, 1, False))
    assert heard(box) == ["first"]


async def test_on_an_event_loop_it_is_the_same(url: str, box: Subscription) -> None:
    """It does not travel with others then."""
    async with connect_async(url) as client:
        one = client.bus.id_of("t.x", new_id(), "first")
        for _ in range(2):
            await client.bus.publish("t.x", 1, id=one, once=True)

    assert heard(box) == [1]


def test_of_many_who_publish_it_at_once_one_does(client: Client, box: Subscription) -> None:
    """It is decided in Redis: a process that was taken for dead may speak beside its successor."""
    ids = [new_id() for _ in range(20)]

    def publish_all(_: int) -> None:
        for number, one in enumerate(ids):
            client.bus.publish("t.x", number, id=one, once=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish_all, range(4)))

    assert sorted(heard(box)) == list(range(20))


def test_the_id_follows_from_where_it_comes_from(sharded_url: str) -> None:
    """On the shard of its channel; of a stranger's word it is one without a time."""
    with coordq.connect(sharded_url) as client:
        origin = new_id(3)
        made = [client.bus.id_of(f"t.{n}", origin, key) for n in range(8) for key in ("a", "b")]
        strange = client.bus.id_of("t.x", "order 17", "created")

        assert len({*made, strange}) == 17
        assert client.bus.id_of("t.0", origin, "a") == made[0]
        assert all(is_id(one) and created_ms(one) == created_ms(origin) for one in made)
        assert len({shard_of(one) for one in made}) > 1
        assert created_ms(strange) == 0
        published = client.bus.publish("t.x", 1, id=strange, once=True)
        assert published.id == strange


def test_what_found_no_room_is_tried_again(client: Client, box: Subscription) -> None:
    """That it was refused is not remembered: nothing was done."""
    client.bus.bound("t.x", entries=1, max_bytes=1000)
    client.bus.publish("t.x", "full")
    one = new_id()
    with pytest.raises(ChannelFull):
        client.bus.publish("t.x", 1, id=one, once=True, when_full="refuse")

    assert heard(box) == ["full"]
    client.bus.publish("t.x", 1, id=one, once=True, when_full="refuse")
    assert heard(box) == [1]


def test_who_was_not_there_is_sent_it_later(client: Client) -> None:
    """Nor that there was no such agent, or that nobody asked for the topic."""
    one, other = new_id(), new_id()
    with pytest.raises(AgentNotFound):
        client.bus.send("ada", 1, id=one, once=True)
    assert client.bus.publish("t.x", 2, id=other, once=True).receivers == 0

    with client.bus.subscribe("@ada", "t.*") as box:
        client.bus.send("ada", 1, id=one, once=True)
        client.bus.publish("t.x", 2, id=other, once=True)
        assert heard(box) == [1, 2]


def test_it_is_remembered_for_five_minutes(client: Client, box: Subscription) -> None:
    """And no longer: a key for each message is what it costs."""
    one = new_id()
    client.bus.publish("t.x", 1, id=one, once=True)

    key = bus_keys.sent(keys.root(client.namespace, 0), f"!{one}")
    left_ms = client.engine.execute(0, "PTTL", key)
    assert 60_000 < left_ms <= 300_000
    client.engine.execute(0, "DEL", key)
    client.bus.publish("t.x", 1, id=one, once=True)
    assert heard(box) == [1, 1]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"once": True}, "invalid-option"),
        ({"once": True, "id": None}, "invalid-option"),
        ({"once": 1, "id": "0" * 22}, "invalid-option"),
        ({"once": "word", "id": "0" * 22}, "invalid-option"),
        ({"once": None}, "invalid-option"),
        ({"once": True, "id": "mine"}, "invalid-message"),
        ({"once": True, "id": 7}, "invalid-message"),
    ],
)
def test_what_cannot_be_published_once_gets_a_code(
    client: Client, box: Subscription, said: dict[str, Any], code: str
) -> None:
    """And nothing is published."""
    with pytest.raises(coordq.CoordqError) as caught:
        client.bus.publish("t.x", 1, **said)

    assert caught.value.code == code
    assert heard(box) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("t..x", "origin", "key"), "invalid-topic"),
        ((7, "origin", "key"), "invalid-topic"),
        (("~0", "origin", "key"), "invalid-topic"),
        (("@a b", "origin", "key"), "invalid-name"),
        (("t.x", "", "key"), "invalid-option"),
        (("t.x", 7, "key"), "invalid-option"),
        (("t.x", "origin", ""), "invalid-option"),
        (("t.x", "origin", None), "invalid-option"),
    ],
)
def test_what_has_no_id_gets_a_code(client: Client, words: tuple[Any, ...], code: str) -> None:
    """Nobody is asked for it."""
    with pytest.raises(coordq.CoordqError) as caught:
        client.bus.id_of(*words)

    assert caught.value.code == code
