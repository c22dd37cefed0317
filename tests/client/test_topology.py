"""The topology's door, sync and async: what clients see, and how soon."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest

import coordq
from coordq import Topology
from coordq.client.client import Client
from coordq.errors import Conflict, InvalidOption, InvalidTopology, TopologyNotFound
from tests.waiting import wait_until


@pytest.fixture
def other(client: Client, redis_url: str) -> Iterator[Client]:
    """Another client of the same fleet."""
    with coordq.connect(redis_url, namespace=client.namespace) as other:
        yield other


def test_every_client_knows_within_a_second(client: Client, other: Client) -> None:
    """A view is kept, and compared when it is older."""
    assert client.topology.may_talk("b", "c")
    other.topology.set("star", ["a", "b", "c"])

    assert client.topology.view(max_age=60).version == 0
    assert client.topology.view(max_age=0).version == 1

    other.topology.set("mesh", ["a", "b", "c"])
    wait_until(lambda: bool(client.topology.may_talk("b", "c")), within=20)


def test_a_view_that_is_current_stays_the_same_object(client: Client) -> None:
    """Only the version is fetched: nothing is compiled anew."""
    client.topology.set("mesh", [f"a{n}" for n in range(100)])
    view = client.topology.view(max_age=0)

    assert client.topology.view(max_age=0) is view
    client.topology.clear()
    assert client.topology.view(max_age=0).may_talk("x", "y")


def test_a_redis_that_lost_its_data_is_believed(client: Client) -> None:
    """A version that is lower than the one in hand is another one as well."""
    client.topology.set("mesh", ["a", "b"])
    client.topology.set("star", ["a", "b"])
    assert client.topology.view(max_age=0).version == 2
    client.engine.execute(0, "FLUSHALL")

    assert client.topology.view(max_age=0).version == 0


def test_members_are_all_agents_that_are_here_unless_they_are_named(client: Client) -> None:
    """Those outside of workers too."""
    for name in ("b", "a"):
        client.agents.register(name)

    assert client.topology.known() == ["a", "b"]
    assert client.topology.set("mesh").topology == Topology("mesh", ("a", "b"))
    with pytest.raises(InvalidTopology, match="complete"):
        client.topology.set(Topology("mesh", ("a",)), ["b"])


def test_without_any_agent_somebody_has_to_be_named(client: Client) -> None:
    """An empty topology would silence all who come."""
    with pytest.raises(InvalidTopology, match="No agent is here now"):
        client.topology.set("mesh")


def test_what_is_refused_changes_nothing(client: Client) -> None:
    """In all the ways in which it may be refused."""
    client.topology.set("mesh", ["a", "b"])
    for refused, kind in (
        (lambda: client.topology.set("ring", ["a", "b"]), InvalidTopology),
        (lambda: client.topology.set("mesh", ["a"], expect=0), Conflict),
        (lambda: client.topology.set("mesh", ["a"], expect="1"), InvalidOption),  # type: ignore[arg-type]
        (lambda: client.topology.set("mesh", ["a"], expect=True), InvalidOption),
        (lambda: client.topology.set("mesh", ["a"], who=5), InvalidOption),  # type: ignore[arg-type]
        (lambda: client.topology.clear(expect=7), Conflict),
        (lambda: client.topology.clear(why=None), InvalidOption),  # type: ignore[arg-type]
        (lambda: client.topology.restore(7), TopologyNotFound),
        (lambda: client.topology.restore(1, expect=-1), InvalidOption),
        (lambda: client.topology.plan("torus", ["a"]), InvalidTopology),
    ):
        with pytest.raises(kind):
            refused()

    assert client.topology.get().version == 1


def test_the_async_door_does_the_same(redis_url: str, namespace: str) -> None:
    """Same names, same answers."""

    async def main() -> None:
        async with coordq.connect_async(redis_url, namespace=namespace) as client:
            door = client.topology
            assert (await door.set("star", ["a", "b", "c"], why="calm")).version == 1
            assert not await door.may_talk("b", "c")
            assert (await door.plan("mesh", ["a", "b", "c"])).opened == 2
            assert (await door.clear()).topology is None
            assert (await door.restore(1)).version == 3
            assert [one.version for one in await door.history()] == [3, 2, 1]
            assert (await door.view(max_age=0)).boss("b") == "a"
            assert (await door.get()).why == "version 1 again"
            assert await door.known() == []

    asyncio.run(main())


def test_networkx_is_loaded_only_for_what_can_be_wrong() -> None:
    """It takes a quarter of a second: no worker and no command waits for it that needs none."""
    program = """
import sys, coordq
with coordq.connect("fake://") as client:
    client.topology.set("mesh", ["a", "b", "c"])
    client.topology.set("star", ["a", "b", "c"])
    assert not client.topology.view(max_age=0).may_talk("b", "c")
    print("networkx" in sys.modules)
    client.topology.set("tree", ["a", "b", "c"])
    print("networkx" in sys.modules)
"""
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert said.stdout.split() == ["False", "True"]
