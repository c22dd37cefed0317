"""Redis at maxmemory: somebody leads, tells, and hands over all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from coordq.engine.connection import open_engine
from coordq.errors import RedisFull
from coordq.fleet import registry
from coordq.fleet.election import Candidate, campaign, inaugurate, resign
from coordq.fleet.profile import make_profile
from coordq.fleet.readonly import resume, stop
from coordq.fleet.report import publish, read_reports
from coordq.fleet.roster import (
    Entry,
    Introduction,
    enroll,
    forget,
    newcomer,
    observe,
    set_policy,
)
from coordq.fleet.spawners import answer, answers_of, enlist, enlisted, order
from coordq.fleet.tell import tell
from tests.servers import Server
from tests.work.desk import Desk


@pytest.fixture
def full(each_binary: Path, namespace: str) -> Iterator[Desk]:
    """6.2 and what is on PATH judge "full" by different code."""
    with (
        Server(each_binary, maxmemory_policy="noeviction") as server,
        open_engine(server.url, namespace=namespace) as engine,
    ):
        server.config(maxmemory="1")
        yield Desk(engine)


def test_the_leader_leads_when_redis_is_full(full: Desk) -> None:
    """It is needed most then: to take back claims, to tidy, and to be seen."""
    candidate = Candidate("a", lease_ms=60_000)
    epoch = full.run(campaign(candidate)).leader.epoch
    full.run(inaugurate(0, epoch))
    full.run(tell(0, epoch, [("repaired", "q", "a counter")]))
    full.run(publish(epoch, "rates", {"done": 1}, 60_000))

    assert full.run(read_reports()) == {"rates": {"done": 1}}
    assert [event.kind for event in full.events()] == ["elected", "repaired"]
    assert full.run(campaign(candidate, floor=epoch - 1)).leader.epoch == epoch
    assert full.run(resign("a"))
    assert full.run(campaign(Candidate("b"))).leads


def test_fleets_are_known_and_told_things_when_redis_is_full(full: Desk) -> None:
    """To drain a producer, or to add workers that empty the queues."""
    info = {"name": "shop", "instance": "i1"}
    assert full.run(enlist("shop", info, instance="i1")) is None
    assert full.run(order("shop", {"id": "o1", "do": "down"}))
    assert full.run(answer("o1", {"say": "done"})) == 1

    assert full.run(enlisted()) == [info]
    assert full.redis("LLEN", full.key("inbox:fleet.shop")) == 1
    assert full.redis("LLEN", full.key(f"inbox:{answers_of('o1')}")) == 1


def test_the_fleet_is_watched_and_stopped_when_redis_is_full(full: Desk) -> None:
    """A worker that dies then is declared dead, and an operator is heard."""
    full.beat(worker="w1", lease_ms=1000)
    sight = full.run(observe(7, seen_ms=5))
    member = newcomer("w1", Introduction(), now_ms=sight.now_ms, heard_ms=sight.now_ms)
    assert full.run(enroll(7, [Entry("add", member)], memory="{}")) == {"w1": "ok"}
    assert full.run(enroll(7, [Entry("dead", member)])) == {"w1": "ok"}
    full.run(set_policy("expect", 3))
    assert full.run(stop(0, who="ada", reason="full"))
    assert full.run(resume(0))

    seen = full.run(observe(7))
    assert (seen.seen_ms, seen.known, seen.beats, seen.policy.expect) == (5, 1, {}, 3)
    assert full.run(forget(0, "w1", 0)) == "forgotten"


def test_agents_come_and_go_when_redis_is_full(full: Desk) -> None:
    """Who is there must be known then too; a change of what is known of one is refused."""
    profile = make_profile("ann", ttl=60)
    full.beat(worker="w1")
    full.run(registry.host("w1", {"ann": profile, "bob": profile}))
    full.run(registry.stand_in("ann", "bob", who="op"))
    left = full.run(registry.unhost("w1"))
    full.run(registry.tend(7, after_s=0))
    full.run(registry.depart("bob", forget=True))

    assert left == ["ann", "bob"]
    assert list(full.run(registry.look()).records) == ["ann"]
    for refused in (
        registry.register("eve", profile),
        registry.revise("ann", "{}", version=1, who="op"),
    ):
        with pytest.raises(RedisFull):
            full.run(refused)
