"""The leader lets an adaptive topology follow its fleet."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from coordq.client.client import Client
from coordq.engine.aio import open_async_engine
from coordq.errors import Deposed
from coordq.fleet.election import inaugurate
from coordq.fleet.topology.make import make
from coordq.runtime.supervisor.arranger import Arranger, load_of
from coordq.runtime.supervisor.term import Term
from tests.runtime.conftest import NewWatchman
from tests.waiting import wait_until
from tests.work.desk import Desk

SETTINGS = {"star_max": 2, "tree_max": 4, "settle_s": 0}


@pytest.fixture
def desk(client: Client) -> Desk:
    """The shard of this test, by hand."""
    return Desk(client.engine)


@pytest.fixture
def look(desk: Desk, redis_url: str) -> Callable[..., None]:
    """One look of a leader."""

    def once(part: Arranger, *, epoch: int = 7) -> None:
        async def round_() -> None:
            async with await open_async_engine(
                redis_url, namespace=desk.engine.namespace
            ) as engine:
                await part.round(Term(engine, name="s", epoch=epoch))

        asyncio.run(round_())

    return once


def beat(desk: Desk, worker: str, *names: str, running: int = 0) -> None:
    """A beat of a worker that has these agents."""
    agents = [{"name": name, "role": "r"} for name in names]
    info = {"started_ms": 1, "slots": 4, "running": running, "agents": agents}
    desk.beat(worker=worker, info=json.dumps(info).encode())


def test_a_fleet_that_grows_is_arranged_anew(
    desk: Desk, client: Client, look: Callable[..., None]
) -> None:
    """Under the leader's epoch, with the reason."""
    part = Arranger()
    beat(desk, "w1", "a", "b")
    client.topology.set("auto", adapt=SETTINGS)
    look(part)
    assert client.topology.get().version == 1

    beat(desk, "w2", "c", "d")
    look(part)

    seen = client.topology.get()
    assert seen.topology is not None
    assert (seen.version, seen.topology.kind, seen.who) == (2, "tree", "supervisor")
    assert seen.topology.members == ("a", "b", "c", "d")
    assert seen.why == "2 came, 4 agents at 0% load are better off as a tree"
    assert desk.events()[-1].fence == 7
    look(part)
    assert client.topology.get().version == 2


def test_load_counts_as_size_does(desk: Desk, client: Client, look: Callable[..., None]) -> None:
    """A hub that is busy has less time for each."""
    beat(desk, "w1", "a", "b", running=4)
    client.topology.set("auto", adapt=SETTINGS)

    look(Arranger())

    assert client.topology.get().topology == client.topology.view().topology
    assert client.topology.get().topology.kind == "tree"  # type: ignore[union-attr]


def test_what_an_operator_arranged_is_left_alone(
    desk: Desk, client: Client, look: Callable[..., None]
) -> None:
    """Only an adaptive topology is followed; and none is no topology."""
    part = Arranger()
    look(part)
    beat(desk, "w1", "a", "b", "c")
    client.topology.set("star", ["a", "b"])

    look(part)

    assert client.topology.get().version == 1


def test_an_operator_who_is_faster_wins(desk: Desk, client: Client, redis_url: str) -> None:
    """What the leader wanted was for a topology that is not set any more."""
    client.topology.set("auto", ["a", "b"], adapt=SETTINGS)
    client.topology.set("mesh", ["a", "b"], who="ada")
    part = Arranger()

    async def late() -> None:
        async with await open_async_engine(redis_url, namespace=desk.engine.namespace) as engine:
            term = Term(engine, name="s", epoch=7)
            await part.set(term, 1, make("star", ["a", "b"]), "it was a good idea")

    asyncio.run(late())

    assert (client.topology.get().version, client.topology.get().who) == (2, "ada")
    assert part.counts == {"conflicts": 1}


def test_a_leader_that_leads_no_more_arranges_nothing(
    desk: Desk, client: Client, look: Callable[..., None]
) -> None:
    """Another one does."""
    beat(desk, "w1", "a", "b", "c")
    client.topology.set("auto", ["a"], adapt=SETTINGS)
    desk.run(inaugurate(0, 9))

    with pytest.raises(Deposed):
        look(Arranger(), epoch=8)

    assert client.topology.get().version == 1


def test_a_supervisor_does_it(desk: Desk, client: Client, new_watchman: NewWatchman) -> None:
    """A real one; it is switched on by the topology that is set."""
    calm = {"beat_ms": 600_000, "lease_ms": 3_000_000}  # nobody misses its next beat
    info = {"slots": 4, "agents": [{"name": "a"}, {"name": "b"}], **calm}
    desk.beat(worker="w1", lease_ms=3_000_000, info=json.dumps(info).encode())
    client.topology.set("auto", ["a"], adapt=SETTINGS)

    new_watchman()

    wait_until(lambda: client.topology.get().version == 2, what="it to follow")
    assert client.topology.view(max_age=0).may_talk("a", "b")


def test_agents_outside_of_workers_are_members_as_well(
    client: Client, look: Callable[..., None]
) -> None:
    """While they are heard; and their own load counts."""
    client.agents.register("a", load=1.0)
    client.agents.register("b", load=1.0)
    client.topology.set("auto", adapt=SETTINGS)

    look(Arranger())

    seen = client.topology.get().topology
    assert seen is not None
    assert (seen.kind, seen.members) == ("tree", ("a", "b"))


def test_load_is_the_mean_of_all_agents(client: Client) -> None:
    """Of none it is none."""
    client.agents.register("a", load=1.0)
    client.agents.register("b", load=0.5)

    assert load_of([]) == 0
    assert load_of(client.agents.ls()) == 0.75
