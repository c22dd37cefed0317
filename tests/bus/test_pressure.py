"""A channel holds so much and no more: what happens at its bounds."""

from __future__ import annotations

import threading

import pytest

from coordq.bus import bounds, look
from coordq.bus.session import Rules, open_session
from coordq.client.client import Client
from coordq.client.posting import Published
from coordq.engine import bus_keys
from coordq.engine.connection import open_engine
from coordq.errors import ChannelFull
from coordq.ids import new_id
from tests.bus.office import Office
from tests.waiting import wait_until

pytestmark = pytest.mark.live


def test_low_stops_first_and_critical_has_some_more(office: Office) -> None:
    """80, 100 and 110 of a hundred."""
    office.bound("t.*", 100)
    office.group("g", "t.*")

    low = office.post("t.x", *range(120), priority="low")
    normal = office.post("t.x", *range(120))
    critical = office.post("t.x", *range(120), priority="critical")

    taken = [sum(not each.full for each in posted) for posted in (low, normal, critical)]
    assert taken == [80, 20, 10]


def test_bytes_count_as_entries_do(office: Office) -> None:
    """A few large messages fill a channel."""
    office.bound("t.*", 1000, max_bytes=5_000)
    office.group("g", "t.*")

    posted = office.post("t.x", *["x" * 1_000] * 10)

    assert sum(not each.full for each in posted) == 4
    office.ack(*office.take("g").given)
    assert not office.post("t.x", "x" * 1_000)[0].full


def test_a_message_larger_than_the_bound_is_not_kept_out_for_ever(office: Office) -> None:
    """It fits into an empty channel."""
    office.bound("t.*", 10, max_bytes=100)
    office.group("g", "t.*")

    assert not office.post("t.x", "x" * 1_000)[0].full
    assert office.post("t.x", 1)[0].full


def test_nothing_overtakes_the_first_that_found_no_room(office: Office) -> None:
    """A small message behind a large one waits for it."""
    office.bound("t.*", 100, max_bytes=2_000)
    office.group("g", "t.*")

    posted = office.post("t.x", "x" * 1_000, "x" * 1_000, "small")

    assert [each.full for each in posted] == [False, True, True]


def test_a_full_channel_does_not_hold_up_another(office: Office) -> None:
    """Each is bounded for itself."""
    office.bound("t.full", 1)
    office.group("g", "t.*")
    office.post("t.full", 1)

    assert office.post("t.full", 2)[0].full
    assert not office.post("t.other", 3)[0].full


def test_shedding_buries_the_oldest_low_ones(office: Office) -> None:
    """As dead letters, so that they are not lost; nothing but low ones."""
    office.bound("t.*", 10)
    office.group("g", "t.*")
    office.post("t.x", *range(5), priority="low")
    office.post("t.x", *range(5, 10))

    posted = office.post("t.x", 10, 11, mode="shed")

    assert [each.full for each in posted] == [False, False]
    assert [(each.message().body, each.reason) for each in office.dead()] == [
        (1, "shed"),
        (0, "shed"),
    ]
    assert office.bodies("g") == [5, 6, 7, 8, 9, 10, 11, 2, 3, 4]


def test_shedding_leaves_out_who_finds_nothing_to_shed(office: Office) -> None:
    """Normal ones make no room for each other."""
    office.bound("t.*", 2)
    office.group("g", "t.*")
    office.post("t.x", 1, 2)

    assert [each.full for each in office.post("t.x", 3, mode="shed")] == [True]


def test_what_a_reader_holds_is_not_shed(office: Office) -> None:
    """It is being handled."""
    office.bound("t.*", 4)
    office.group("g", "t.*")
    office.post("t.x", 1, 2, priority="low")
    office.take("g", want=1)
    office.post("t.x", 3, 4)

    office.post("t.x", 5, mode="shed")

    assert [each.message().body for each in office.dead()] == [2]


def test_a_refused_publish_names_the_channel(office: Office) -> None:
    """Through the door."""
    office.bound("t.*", 1)
    office.group("g", "t.*")
    bus = Client(office.engine).bus
    bus.publish("t.x", 1)

    with pytest.raises(ChannelFull) as full:
        bus.publish_many([("t.y", 2), ("t.x", 3)], when_full="refuse")

    assert full.value.facts["channel"] == "t.x"
    assert office.entries("t.y") == 1
    with pytest.raises(ChannelFull):
        bus.publish("t.x", 3, timeout=0.05)
    assert bus.publish("t.x", 3, when_full="shed").shed


def test_a_publisher_waits_until_there_is_room(office: Office, redis_url: str) -> None:
    """It is woken by an acknowledgement: its wait is one blocking command."""
    office.bound("t.*", 2)
    office.group("g", "t.*")
    office.post("t.x", 1, 2)
    done: list[Published] = []

    def publish() -> None:
        with open_engine(redis_url, namespace=office.engine.namespace) as engine:
            done.append(Client(engine).bus.publish("t.x", 3, timeout=120))

    publisher = threading.Thread(target=publish)
    publisher.start()
    space = bus_keys.space(office.root, "nt.x")
    blocked(office, space)
    office.ack(*office.take("g").given)
    publisher.join(60)

    assert [each.receivers for each in done] == [1]
    assert office.bodies("g") == [3]


def blocked(office: Office, key: str) -> None:
    """Wait until somebody blocks on a key."""

    def waits() -> bool:
        clients = office.redis("CLIENT", "LIST").decode()
        return any("cmd=blpop" in line and "flags=b" in line for line in clients.splitlines())

    wait_until(waits, what=f"somebody to block on {key}")


@pytest.mark.parametrize("priority", ["critical", "normal", "low"])
def test_whoever_makes_room_wakes_those_who_wait_for_it(office: Office, priority: str) -> None:
    """Of each priority apart, so that nobody takes another's token; and only if somebody waits."""
    office.bound("t.*", 10)
    office.group("g", "t.*")
    space = bus_keys.space(office.root, f"{priority[0]}t.x")
    office.post("t.x", *range(5), priority=priority)
    office.ack(*office.take("g").given)
    assert office.redis("LLEN", space) == 0

    office.post("t.x", *range(15), priority=priority)
    office.ack(*office.take("g").given)

    assert office.redis("LLEN", space) > 0


def test_memory_stays_under_the_bound(office: Office) -> None:
    """However much is tried."""
    office.bound("t.*", 100_000, max_bytes=200_000)
    office.group("g", "t.*")

    for _ in range(10):
        office.post("t.x", *["x" * 500] * 400, mode="refuse")

    view = office.channel("t.x")
    assert view is not None
    assert view.bytes <= 200_000
    used = sum(
        int(office.redis("MEMORY", "USAGE", name, "SAMPLES", 0) or 0)
        for name in office.names("bus:*")
        if ":sent:" not in name
    )
    assert used < 250_000


def test_a_bound_is_seen_as_soon_as_it_is_set(office: Office) -> None:
    """Not with the next message: who sets one looks whether it is right. So is its end."""
    office.group("g", "t.*")
    office.post("t.x", 1)
    office.post("t.y", 1)

    def seen(name: str = "") -> dict[str, tuple[int, int]]:
        views = office.run(look.channels(0, name))
        return {view.name: (view.max_entries, view.max_bytes) for view in views}

    usual = seen()["t.x"]
    office.bound("t.*", 7, max_bytes=700)
    office.bound("t.y", 9, max_bytes=900)
    assert seen() == {"t.x": (7, 700), "t.y": (9, 900)}
    assert seen("t.x") == {"t.x": (7, 700)}
    office.bound("t.y", 0)
    office.bound("t.*", 0)
    assert seen() == {"t.x": usual, "t.y": usual}


def test_a_channel_is_seen_for_its_bound_alone(office: Office) -> None:
    """Nothing was published to it yet; one that a pattern would bound is not known by name."""
    office.bound("t.x", 7, max_bytes=700)
    office.bound("u.*", 7)

    (view,) = office.run(look.channels(0, "t.x"))

    assert (view.max_entries, view.entries, view.used_ms, view.groups) == (7, 0, 0, ())
    assert office.run(look.channels(0, "u.x")) == []
    assert office.run(look.channels(0)) == []
    office.group("g", "t.*")
    office.post("t.x", 1)
    assert office.run(look.channels(0, "t.x"))[0].used_ms > 0


def test_a_session_has_no_bound_of_a_channel(office: Office) -> None:
    """It has its own, in turns and bytes; whoever bounds every channel does not mean it."""
    office.group("@ada")
    session_id = new_id()
    office.run(open_session(session_id, "", b"null", Rules(), [("ada", "")]))
    before = office.run(look.channels(0))

    office.bound("**", 7)

    assert office.run(look.channels(0)) == before


def test_what_a_stranger_wrote_among_the_bounds_bounds_nothing(office: Office) -> None:
    """Nor is it listed, and the others are."""
    office.bound("orders.*", 5, 1000)
    office.redis("HSET", bus_keys.bounds(office.root), "odd", "many")

    assert office.run(bounds.bounds(office.shard)) == [bounds.Bound("orders.*", 5, 1000)]
