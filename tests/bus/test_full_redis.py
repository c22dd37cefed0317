"""Redis at maxmemory: nothing new is published; what lies there is read, and makes room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from coordq.bus.alone import UNREAD, alone
from coordq.bus.dead import purge
from coordq.bus.group import unsubscribe
from coordq.bus.take import hold
from coordq.engine.connection import open_engine
from coordq.errors import RedisFull
from tests.bus.office import Office
from tests.servers import Server

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def server(each_binary: Path) -> Iterator[Server]:
    """A server of our own: 6.2 and what is on PATH judge "full" by different code."""
    with Server(each_binary, maxmemory_policy="noeviction") as server:
        yield server


@pytest.fixture
def office(server: Server, namespace: str) -> Iterator[Office]:
    """An office on it, whose books are audited at the end."""
    with open_engine(server.url, namespace=namespace) as engine:
        office = Office(engine)
        office.group("g", "t.*", max_deliveries=2)
        office.group("h", "t.*")
        office.post("t.x", *range(6))
        server.config(maxmemory="1")
        yield office
        server.config(maxmemory="0")
        office.audit()


def test_nothing_is_published(office: Office) -> None:
    """Not half of it either."""
    with pytest.raises(RedisFull):
        office.post("t.x", 6, 7)

    assert office.entries("t.x") == 6


def test_a_group_is_read_alone(office: Office) -> None:
    """Who reads in causal order makes room as well."""
    assert office.run(alone(0, "g", "r1", channels=["t.x"])).coming == {"t.x": UNREAD}


def test_what_is_there_is_read_and_settled(office: Office) -> None:
    """Acknowledged, held, given back, buried."""
    given = office.take("g").given
    assert [each.message().body for each in given] == list(range(6))

    office.ack(given[0])
    assert office.run(hold(0, "r1", given[1:2])) == 1
    office.settle("n", given[2], delay_ms=0)
    office.settle("d", given[3], reason="bad")

    assert office.bodies("g") == [2]
    assert [letter.reason for letter in office.dead()] == ["bad"]


def test_room_can_be_made(office: Office) -> None:
    """By acknowledging, by ending a group, by purging dead letters."""
    office.settle("d", office.take("g", want=1).given[0], reason="bad")
    office.run(unsubscribe(0, "g"))
    office.sweep()
    office.ack(*office.take("h", want=3).given)

    assert office.entries("t.x") == 3
    assert office.run(purge(0, [letter.id.partition("/")[2] for letter in office.dead()])) == 1
