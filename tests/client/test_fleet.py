"""client.fleet: status with and without a leader, and what an operator knows better."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import coordq
from coordq.client.client import Client
from coordq.errors import CoordqError, InvalidName, InvalidOption, ReadOnly, Refused, WorkerNotFound
from coordq.fleet.election import Candidate, campaign, inaugurate
from coordq.fleet.report import publish
from coordq.fleet.roster import Entry, Health, enroll, newcomer
from coordq.work.beat import Pulse, beat
from tests.work.desk import Desk

BEAT_MS = 20_000
"""So slow that no test takes as long as a worker may be late."""
LEASE_MS = 5 * BEAT_MS


@pytest.fixture
def client(redis_url: str, namespace: str) -> Iterator[Client]:
    """A client of the namespace of this test."""
    with coordq.connect(redis_url, namespace=namespace) as client:
        yield client


@pytest.fixture
def desk(client: Client) -> Desk:
    """What lies behind the client."""
    return Desk(client.engine)


def live(desk: Desk, name: str, *, silent_ms: int = 0, **facts: Any) -> None:
    """A worker that has beaten so long ago."""
    info = {"zone": "a", "beat_ms": BEAT_MS, "lease_ms": LEASE_MS, "incarnation": 1, "protocol": 2}
    text = json.dumps(info | facts).encode()
    desk.run(beat(0, Pulse(name, (), text, LEASE_MS)))
    desk.redis("ZADD", desk.key("workers"), desk.now_ms() - silent_ms, name)


def healths(client: Client) -> dict[str, str]:
    """Who is how well."""
    return {worker.name: worker.health.value for worker in client.fleet.status().workers}


def test_without_a_leader_the_beats_are_judged_here(client: Client, desk: Desk) -> None:
    """Nobody who looks is left with nothing; it is said that nobody leads."""
    live(desk, "fine")
    live(desk, "late", silent_ms=50_000, zone="b")
    live(desk, "gone", silent_ms=95_000)

    status = client.fleet.status()

    assert status.leader is None
    assert healths(client) == {"fine": "healthy", "gone": "dead", "late": "suspect"}
    assert status.zones == {"a": {"dead": 1, "healthy": 1}, "b": {"suspect": 1}}
    assert (status.standing.known, status.standing.reachable) == (3, 2)


def test_with_a_leader_its_judgement_counts(client: Client, desk: Desk) -> None:
    """It knows more than one look can show: a partition, for one."""
    epoch = desk.run(campaign(Candidate("sup", lease_ms=60_000))).leader.epoch
    live(desk, "fine")
    said = client.fleet.status().workers[0]
    member = newcomer("away", _introduced(), now_ms=desk.now_ms(), heard_ms=desk.now_ms() - 600_000)
    given_up = type(member)(**_fields(member) | {"health": Health.PARTITIONED})
    desk.run(enroll(epoch, [Entry("add", given_up)]))

    status = client.fleet.status()

    assert status.leader is not None
    assert (status.leader.name, status.leader.epoch) == ("sup", epoch)
    assert healths(client) == {"away": "partitioned", "fine": "healthy"}
    assert said.name == "fine"
    assert json.loads(json.dumps(status.to_json()))["leader"]["epoch"] == epoch


def _introduced() -> Any:
    from coordq.fleet.roster import Introduction

    return Introduction("b", BEAT_MS, LEASE_MS, 1, 0, 2)


def _fields(member: Any) -> dict[str, Any]:
    import dataclasses

    return {field.name: getattr(member, field.name) for field in dataclasses.fields(member)}


def test_a_silent_worker_is_forgotten_with_what_it_held(client: Client, desk: Desk) -> None:
    """Its claims go back at once, not when their leases end."""
    task_id = desk.put()
    desk.take(claimant="gone.1-aa/0.0:a", lease_ms=600_000)
    live(desk, "gone.1-aa", silent_ms=50_000)

    assert client.fleet.forget("gone.1-aa", who="ada") == 1

    assert desk.state(task_id) == "ready"
    assert client.fleet.status().workers == ()
    (told,) = [event for event in desk.events() if event.kind == "forgotten"]
    assert told.subject == "gone.1-aa"
    assert told.detail == "by ada, who says it is gone; 1 claim goes back"


def test_a_worker_that_beats_is_not_forgotten(client: Client, desk: Desk) -> None:
    """Its tasks would run twice; the error says how to end it."""
    live(desk, "alive")

    with pytest.raises(Refused, match="coordq workers stop alive"):
        client.fleet.forget("alive")

    assert healths(client) == {"alive": "healthy"}


def test_who_is_unknown_cannot_be_forgotten(client: Client, desk: Desk) -> None:
    """The error names who there is."""
    live(desk, "w1")

    with pytest.raises(WorkerNotFound, match="there are: w1"):
        client.fleet.forget("w2")
    with pytest.raises(InvalidName):
        client.fleet.forget("no such name")


def test_an_expected_size_replaces_the_count(client: Client, desk: Desk) -> None:
    """And None counts again."""
    live(desk, "w1")
    client.fleet.expect(5)
    expected = client.fleet.status().standing
    client.fleet.expect(None)
    counted = client.fleet.status().standing

    assert (expected.known, expected.expected, expected.minority) == (5, True, True)
    assert (counted.known, counted.expected, counted.minority) == (1, False, False)


@pytest.mark.parametrize("amount", [0, -1, 1.5, "5", True, 10**9])
def test_an_absurd_size_is_refused(client: Client, amount: Any) -> None:
    """Nothing was changed."""
    with pytest.raises(InvalidOption):
        client.fleet.expect(amount)

    assert not client.fleet.status().standing.expected


def test_read_only_is_seen_told_and_ended(client: Client, desk: Desk) -> None:
    """Who, why and since when; and a second word changes nothing."""
    assert client.fleet.read_only(on=True, reason="moving house", who="ada")
    assert not client.fleet.read_only(on=True, reason="moving house", who="ada")
    mode = client.fleet.status().mode
    task = client.work.enqueue("job", force=True)
    words = client.work.why(task.id)
    with pytest.raises(ReadOnly):
        client.work.enqueue_many([("job", {})] * 3)
    handles = client.work.enqueue_many([("job", {}), ("job", {}, {"force": True})], force=True)

    assert client.fleet.read_only(on=False, who="ada")
    assert not client.fleet.read_only(on=False, who="ada")

    assert mode is not None
    assert (mode.by_operator, mode.who, mode.reason) == (True, "ada", "moving house")
    assert "an operator, ada, has stopped all new work (moving house)" in words
    assert len(handles) == 2
    assert client.fleet.status().mode is None
    kinds = [(event.kind, event.detail) for event in desk.events() if event.subject == "fleet"]
    assert kinds == [("read-only", "by ada: moving house"), ("writable", "by ada")]


@pytest.mark.parametrize(("on", "reason"), [("yes", ""), (1, ""), (True, 7)])
def test_an_odd_order_is_refused(client: Client, on: Any, reason: Any) -> None:
    """Nothing was changed."""
    with pytest.raises(InvalidOption):
        client.fleet.read_only(on, reason)

    assert client.fleet.status().mode is None


@pytest.mark.parametrize("force", ["yes", 1, None])
def test_force_is_true_or_false(client: Client, force: Any) -> None:
    """Anything else is a mistake that would stop somebody's night."""
    with pytest.raises(CoordqError, match="force="):
        client.work.enqueue("job", force=force)


def test_what_agents_have_done_is_added_up_beside_what_was_measured(
    client: Client, desk: Desk
) -> None:
    """Over workers, by what they say; of the last minute by what the leader says."""
    done = {"succeeded": 3, "failed": 1, "worked_ms": 400, "running": 1}
    for name in ("w1", "w2"):
        live(desk, name, agents=[{"name": "ada", "role": "critic"}], by_agent={"ada": done})
    desk.run(inaugurate(0, 7))
    recent = {"ended_s": 2.5, "success_percent": 50.0, "mean_ms": None}
    desk.run(publish(7, "rates", {"agents": {"ada": recent, "gone": recent}}, 60_000))

    (ada,) = client.fleet.agents()

    assert ada.to_json() == {
        "name": "ada",
        "roles": ["critic"],
        "workers": 2,
        "uncounted": 0,
        "running": 2,
        "succeeded": 6,
        "failed": 2,
        "worked_ms": 800,
        "success_percent": 75.0,
        "mean_ms": 100.0,
        "recent": recent,
    }


async def test_the_async_door_does_the_same(redis_url: str, client: Client, desk: Desk) -> None:
    """Same names, same answers; forced and unforced orders do not travel together."""
    live(desk, "w1", silent_ms=50_000, agents=[{"name": "ada"}])
    async with coordq.connect_async(redis_url, namespace=client.namespace) as aclient:
        status = await aclient.fleet.status()
        assert await aclient.fleet.agents() == client.fleet.agents()
        await aclient.fleet.expect(3)
        assert await aclient.fleet.read_only(on=True, reason="because")
        forced = await aclient.work.enqueue("job", force=True)
        with pytest.raises(ReadOnly):
            await aclient.work.enqueue("job")
        why = await aclient.work.why(forced.id)
        assert await aclient.fleet.read_only(on=False)
        assert await aclient.fleet.forget("w1") == 0

    assert [worker.name for worker in status.workers] == ["w1"]
    assert "read-only" in why
    assert client.fleet.status().standing.known == 3
