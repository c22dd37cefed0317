"""A wire fails as networks fail, and is whole again when it is healed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import coordq
from coordq.interfaces.chaos.wires import Wires
from tests.servers import Server
from tests.waiting import wait_until

pytestmark = [pytest.mark.live]


@pytest.fixture
def wires(tmp_path: Path) -> Iterator[Wires]:
    """The program that carries the wires."""
    opened = Wires(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def url(wires: Wires, redis_server: Server) -> str:
    """The shared server, over the wire "w"."""
    (port,) = wires.open("w", [redis_server.port])
    return f"redis://127.0.0.1:{port}/0"


def test_what_was_sent_into_a_cut_wire_arrives_when_it_heals(
    wires: Wires, redis_server: Server, namespace: str
) -> None:
    """Also when the sender has given up since: so a former leader's write comes late."""
    (port,) = wires.open("w", [redis_server.port])
    wires.hold("w")
    with socket.create_connection(("127.0.0.1", port)) as sender:
        sender.sendall(f"SET {namespace} late\r\n".encode())
    assert redis_server.ask("GET", namespace) is None

    wires.heal("w")

    wait_until(lambda: redis_server.ask("GET", namespace) == b"late", what="the late write")


def test_a_lost_reply_is_survived(wires: Wires, url: str, namespace: str) -> None:
    """The call was carried out, its answer never came, and doing it again changes nothing."""
    with coordq.connect(url, namespace=namespace) as client:
        client.work.enqueue("first")
        wires.lose("w", 2)

        client.work.enqueue("second")

        assert wires.lost("w") == 2
        assert sorted(task.name for task in client.work.ls()) == ["first", "second"]


def test_connections_that_are_reset_are_made_anew(wires: Wires, url: str, namespace: str) -> None:
    """The next call does not notice."""
    with coordq.connect(url, namespace=namespace) as client:
        client.work.enqueue("first")
        wires.reset("w")

        client.work.enqueue("second")

        assert len(client.work.ls()) == 2


def test_replies_that_are_late_come_in_order(wires: Wires, url: str, namespace: str) -> None:
    """And those on their way when the wire heals are not lost."""
    with coordq.connect(url, namespace=namespace) as client:
        wires.delay("w", 0.05)
        client.work.enqueue_many([("late", {"n": n}) for n in range(1200)])
        wires.heal("w")

        assert len({task.id for task in client.work.ls(limit=2000)}) == 1200
