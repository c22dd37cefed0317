"""The work room on every engine: what is promised on one is promised on all.

Through the clients alone, as a producer and a worker see it; the finer points have tests of their
own on one server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from coordq.client.client import Client, connect
from coordq.client.client_async import connect_async
from coordq.engine import keys, replica
from coordq.engine.aio import open_async_engine
from coordq.errors import (
    Conflict,
    DuplicateTask,
    InvalidOption,
    NotReplicated,
    QueueFull,
    TaskCancelled,
    TaskFailed,
    TaskNotFound,
    WaitTimeout,
)
from coordq.ids import new_id, shard_of
from coordq.work.beat import Pulse, beat, brief
from coordq.work.claim import claim as grant
from coordq.work.enqueue import enqueue
from coordq.work.finish import Outcome
from coordq.work.task import State
from tests.work.desk import ERROR, Desk, ask, order


@pytest.fixture
def client(engine_url: str, namespace: str) -> Iterator[Client]:
    """A client of each engine in turn."""
    with connect(engine_url, namespace=namespace) as client:
        yield client


class Crew:
    """A worker at every shard."""

    def __init__(self, client: Client) -> None:
        self.desks = [Desk(client.engine, shard) for shard in range(client.engine.shards)]

    def take(self, amount: int = 1, **how: Any) -> list[tuple[Desk, Any]]:
        """Claim until so many are found, or nothing is left."""
        found: list[tuple[Desk, Any]] = []
        for desk in self.desks:
            if len(found) < amount:
                claims = desk.claim(amount - len(found), **how).claims
                found += [(desk, claim) for claim in claims]
        return found

    def run(self, body: bytes = b"null", kind: str = "succeeded") -> int:
        """Run everything there is; how much that was."""
        done = 0
        while held := self.take(50):
            for desk, claim in held:
                assert desk.end(claim, kind, body) == "ok"
            done += len(held)
        return done

    def of(self, task_id: str) -> Desk:
        """The desk of a task's shard."""
        return self.desks[shard_of(task_id)]

    def audit(self) -> None:
        """Every shard."""
        for desk in self.desks:
            desk.audit()


@pytest.fixture
def crew(client: Client) -> Iterator[Crew]:
    """Workers, whose books are audited at the end."""
    crew = Crew(client)
    yield crew
    crew.audit()


def test_a_task_runs_and_its_result_is_kept(client: Client, crew: Crew) -> None:
    """The main path."""
    handle = client.work.enqueue("job", {"n": 7, "text": "ünï\n\0"})
    ((desk, claim),) = crew.take()
    assert claim.id == handle.id
    assert handle.get().args == {"n": 7, "text": "ünï\n\0"}

    assert desk.end(claim, body=b'{"sum":7}') == "ok"

    assert handle.result(timeout=60) == {"sum": 7}
    assert client.work.get(handle.id).state is State.SUCCEEDED


def test_a_bulk_is_complete_and_in_order(client: Client, crew: Crew) -> None:
    """Over all shards, with handles in the order of the items."""
    handles = client.work.enqueue_many(("job", {"n": n}) for n in range(1200))

    assert [client.work.get(handles[n].id).args for n in (0, 599, 1199)] == [
        {"n": 0},
        {"n": 599},
        {"n": 1199},
    ]
    assert client.work.queue("default").ready == 1200
    assert crew.run() == 1200
    assert client.work.queue("default").succeeded == 1200


def test_large_arguments_come_back_whole(client: Client, crew: Crew) -> None:
    """Kept apart from the record."""
    text = "x" * 100_000
    handle = client.work.enqueue("job", {"text": text})

    ((_, claim),) = crew.take()

    assert len(claim.args) > 100_000
    assert handle.get().args == {"text": text}


def test_a_retry_comes_back(client: Client, crew: Crew) -> None:
    """Later, with its error kept."""
    handle = client.work.enqueue("job")
    ((desk, claim),) = crew.take()
    desk.end(claim, "retry", delay_ms=60_000)
    assert handle.get().state is State.SCHEDULED
    assert (handle.get().error or {})["type"] == "Boom"

    desk.make_due(claim.id)

    ((_, again),) = crew.take()
    assert (again.id, again.attempt) == (handle.id, 2)


def test_a_delay_is_kept(client: Client, crew: Crew) -> None:
    """And ends."""
    handle = client.work.enqueue("job", delay=60)
    assert crew.take() == []
    crew.of(handle.id).make_due(handle.id)

    assert crew.take()[0][1].id == handle.id


def test_a_dead_letter_can_be_revived(client: Client, crew: Crew) -> None:
    """It is listed, requeued, and runs."""
    handle = client.work.enqueue("job")
    crew.run(ERROR, "failed")
    with pytest.raises(TaskFailed):
        handle.result(timeout=60)
    assert [task.id for task in client.work.ls(state="failed")] == [handle.id]

    client.work.retry(handle.id)

    assert crew.run(b"1") == 1
    assert handle.result(timeout=60) == 1


def test_a_waiting_task_is_cancelled(client: Client, crew: Crew) -> None:
    """And a running one is asked to stop."""
    waiting = client.work.enqueue("job")
    assert waiting.cancel().state is State.CANCELLED
    with pytest.raises(TaskCancelled):
        waiting.result(timeout=60)

    running = client.work.enqueue("job")
    ((desk, claim),) = crew.take()
    assert running.cancel().requested
    assert desk.beat(claim).cancelled == (claim.member,)
    assert desk.end(claim, "cancelled") == "ok"


def test_a_unique_key_makes_one_task(client: Client, crew: Crew) -> None:
    """Also over shards."""
    first = client.work.enqueue("job", unique="u")
    again = client.work.enqueue("job", unique="u")
    assert (again.id, again.created) == (first.id, False)
    with pytest.raises(DuplicateTask):
        client.work.enqueue("job", unique="u", on_duplicate="reject")

    crew.run()

    assert client.work.enqueue("job", unique="u").created


def test_a_full_queue_refuses(client: Client, crew: Crew) -> None:
    """With facts; and takes more when there is room."""
    shards = client.engine.shards
    client.work.limit("default", high=2 * shards)
    for shard in range(shards):
        for _ in range(2):
            client.work.enqueue("job", id=new_id(shard))

    with pytest.raises(QueueFull) as caught:
        client.work.enqueue("job", on_full="refuse")
    assert caught.value.depth == 2

    crew.run()
    assert client.work.enqueue("job", on_full="refuse").created


def test_a_blocked_producer_is_let_in(client: Client, crew: Crew) -> None:
    """It waits for room, and there is some."""
    client.work.limit("default", high=client.engine.shards)
    ids = [client.work.enqueue("job", id=new_id(n)).id for n in range(client.engine.shards)]
    assert len(ids) == client.engine.shards
    with ThreadPoolExecutor(1) as pool:
        producer = pool.submit(client.work.enqueue, "job", wait=120)
        while not producer.done():
            crew.run()
        assert producer.result().created
    crew.run()


def test_a_late_outcome_is_refused(client: Client, crew: Crew) -> None:
    """The fence is what decides."""
    client.work.enqueue("job")
    ((desk, late),) = crew.take()
    desk.lapse(late)
    assert desk.reap().amount == 1
    ((_, fresh),) = crew.take(claimant="w2/1:a")

    assert fresh.fence > late.fence
    assert desk.end(late) == "stale"
    assert desk.end(fresh) == "ok"
    assert desk.end(fresh) == "duplicate"


def test_outcome_and_next_claim_are_one_call(client: Client, crew: Crew) -> None:
    """Repeated with the same nonce, it has one effect."""
    shard = client.engine.shards - 1
    for _ in range(2):
        client.work.enqueue("job", id=new_id(shard))
    desk = crew.desks[shard]
    held = desk.take()
    outcome, then = Outcome("succeeded", held.id, held.fence, b"1"), ask()

    first, second = (desk.finish(outcome, then=then) for _ in range(2))

    assert (first.verdicts, second.verdicts) == (("ok",), ("duplicate",))
    assert len(first.claimed.claims) == 1
    assert first.claimed.claims == second.claimed.claims


def test_a_browsed_task_is_claimed_or_in_conflict(client: Client, crew: Crew) -> None:
    """By id and version."""
    handle = client.work.enqueue("job")
    seen = handle.get()
    desk = crew.of(handle.id)
    desk.take_one(seen.id, seen.version)

    with pytest.raises(Conflict):
        desk.take_one(seen.id, seen.version)


def test_priorities_are_kept(client: Client, crew: Crew) -> None:
    """On a shard."""
    ids = [
        client.work.enqueue("job", id=new_id(0), priority=priority).id
        for priority in ("low", "normal", "high", "critical")
    ]

    assert [claim.id for _, claim in crew.take(4)] == ids[::-1]


def test_a_paused_queue_gives_nothing(client: Client, crew: Crew) -> None:
    """On any shard."""
    client.work.enqueue_many([("job", {})] * 8)
    client.work.pause("default")
    assert crew.take(8) == []
    client.work.resume("default")
    assert len(crew.take(8)) == 8


def test_a_purge_cancels_what_waits(client: Client, crew: Crew) -> None:
    """Everywhere."""
    client.work.enqueue_many([("job", {})] * 20)

    assert client.work.purge("default") == 20
    assert crew.take(20) == []


def test_events_tell_what_happened(client: Client, crew: Crew) -> None:
    """In order, for each task."""
    handle = client.work.enqueue("job")
    crew.run()

    kinds = [event.kind for event in crew.of(handle.id).events() if event.subject == handle.id]

    assert kinds == ["ready", "running", "succeeded"]


def test_why_and_stats_have_an_answer(client: Client, crew: Crew) -> None:
    """Sums over shards."""
    handles = client.work.enqueue_many([("job", {})] * 6)

    assert "No worker is alive" in client.work.why(handles[0].id)
    assert client.work.stats().queues[0].ready == 6
    assert crew.run() == 6


def test_a_wait_has_an_end(client: Client) -> None:
    """The task goes on; the caller does not have to."""
    handle = client.work.enqueue("job")

    with pytest.raises(WaitTimeout):
        handle.result(timeout=0.05)
    with pytest.raises(TaskNotFound):
        client.work.get(new_id(0))
    handle.cancel()


async def _async_story(url: str, namespace: str, crew: Crew) -> None:
    async with connect_async(url, namespace=namespace) as client:
        handle = await client.work.enqueue("job", {"n": 1})
        many = await client.work.enqueue_many([("job", {"n": n}) for n in range(30)])
        waiting = asyncio.gather(*(each.result(timeout=60) for each in [handle, *many]))
        await asyncio.sleep(0)
        done = 0
        while done < 31:
            done += await asyncio.to_thread(crew.run, b'"done"')
        assert await waiting == ["done"] * 31
        assert (await client.work.queue("default")).succeeded == 31


def test_the_async_client_does_the_same(
    engine_url: str, namespace: str, client: Client, crew: Crew
) -> None:
    """Same names, same effects, on the same namespace."""
    assert client.namespace == namespace

    asyncio.run(_async_story(engine_url, namespace, crew))


def test_a_replica_is_waited_for_where_there_is_one(
    client: Client, crew: Crew, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a Sentinel it confirms; where there is none, nothing is enqueued."""
    monkeypatch.setattr(replica, "WAIT_S", 60.0)
    if request.node.callspec.params["engine_url"] == "sentinel":
        client.work.enqueue_many([("job", {})] * 3, durability="replica")
        assert crew.run() == 3
        return

    with pytest.raises((NotReplicated, InvalidOption)) as caught:
        client.work.enqueue("job", durability="replica")

    assert not getattr(caught.value, "ids", [])
    assert crew.run() == 0


def test_brief_beats_keep_what_is_held(engine_url: str, namespace: str) -> None:
    """On every shard, with the commands that a worker sends; also through a Cluster's slots."""

    async def story() -> None:
        async with await open_async_engine(engine_url, namespace=namespace) as engine:
            for shard in range(engine.shards):
                line = await engine.dedicated(shard)
                beaten = await line.run(beat(shard, Pulse("w1", info=b"{}")))
                await line.run(enqueue(order(shard=shard)))
                (held,) = (await line.run(grant(shard, ask(lease_ms=1000)))).claims
                pulse = Pulse("w1", (held.member,))
                root = keys.root(namespace, shard)
                commands = brief(root, pulse, beaten.now_ms + 1000)
                assert await line.attempt(*commands) == [1, 1]
                assert await line.attempt(*commands) == [0, 0], "nothing that is newer"
                await line.close()

    asyncio.run(story())
