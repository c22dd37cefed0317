"""A Cluster loses a primary, or moves the slot that a shard lives in, while a fleet works on it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from coordq import connect_async, new_id
from coordq.client.client import Client, connect
from coordq.engine import keys
from coordq.engine.aio import open_async_engine
from coordq.engine.connection import open_engine
from coordq.errors import Unreachable
from coordq.work.enqueue import enqueue
from coordq.work.events import Event
from tests.chaos.books import Books, Producer
from tests.clusters import Cluster, Move
from tests.runtime.fleet import started
from tests.waiting import wait_until
from tests.work.desk import order

pytestmark = [pytest.mark.live, pytest.mark.chaos]


STAYS, MOVED = 0, 1


@pytest.fixture
def url(cluster: Cluster) -> str:
    """The run's Cluster, two shards: one to be moved, one to stay."""
    return f"{cluster.url}?shards=2"


@pytest.fixture
def client(url: str, namespace: str) -> Iterator[Client]:
    """A client with the usual patience."""
    with connect(url, namespace=namespace) as client:
        yield client


@contextmanager
def moving(cluster: Cluster, namespace: str) -> Iterator[Move]:
    """Shard 1's slot is on its way, half of its keys sent, while the block runs; then there."""
    slot = cluster.slot_of(namespace, MOVED)
    source = cluster.primary_of(slot)
    target = next(node for node in cluster.primaries if node is not source)
    with Move(cluster, slot, target) as move:
        move.send_keys(source.ask("CLUSTER", "COUNTKEYSINSLOT", slot) // 2)
        yield move


def keys_at_target(move: Move) -> set[bytes]:
    """What of the slot has arrived."""
    return set(move.target.ask("CLUSTER", "GETKEYSINSLOT", move.slot, 10_000))


# -- a slot that moves ---------------------------------------------------------------------------


def test_a_fleet_pauses_while_its_slot_moves_and_goes_on_at_once(
    cluster: Cluster, client: Client, url: str, namespace: str, tmp_path: Path
) -> None:
    """Nothing is lost, nothing runs twice, and no script touches half a shard.

    The other shard works on all the while; those that waited at this one are not stuck.
    """
    books, gate = Books(tmp_path), tmp_path / "gate"
    with books.fleet(url, namespace, processes=2) as fleet:
        running = client.work.enqueue("gated", {"path": str(gate)}, id=new_id(MOVED))
        wait_until(lambda: started(gate), what="a task that runs through it all")
        with Producer(client, books) as producer:
            books.wait_for_runs(50)

            with moving(cluster, namespace) as move:
                sent = keys_at_target(move)
                gate.touch()  # its outcome has to wait
                with connect(url, namespace=namespace) as other:
                    more = [books.args(1_000_000 + number) for number in range(10)]
                    for args in more:
                        other.work.enqueue("scribble", args, id=new_id(STAYS))
                    wait_until(
                        lambda: all(books.runs_of(args["n"]) for args in more),
                        what="the other shard's work",
                    )
                assert keys_at_target(move) <= sent, "somebody wrote where the shard is not yet"
            producer.wait_for(50)

        assert running.result(timeout=60) == 1
        assert len(started(gate)) == 1
        assert not books.check(client, producer.acknowledged)
        assert len({number for number, _ in books.runs()}) == len(books.runs()), "once each"
        assert "cancelling what runs" not in fleet.log()


def test_who_blocks_on_a_slot_that_moves_is_woken_where_it_went(
    cluster: Cluster, client: Client, url: str, namespace: str, tmp_path: Path
) -> None:
    """Idle workers, who waits for a result, a producer at a full queue, a bulk, and a reader."""
    seen: list[str] = []
    follow = threading.Thread(
        target=lambda: seen.extend(e.kind for e in _until(client, "succeeded")), daemon=True
    )
    with Books(tmp_path).fleet(url, namespace) as fleet, ThreadPoolExecutor(3) as pool:
        client.work.limit("narrow", high=2)  # one a shard
        blocker = client.work.enqueue("elsewhere", queue="narrow", id=new_id(MOVED))
        gated = client.work.enqueue("gated", {"path": str(tmp_path / "gate")}, id=new_id(MOVED))
        wait_until(lambda: started(tmp_path / "gate"), what="the start")
        follow.start()
        result = pool.submit(gated.result, 60)
        more = {"queue": "narrow", "id": new_id(MOVED), "wait": 60}
        room = pool.submit(client.work.enqueue, "elsewhere", **more)
        wait_until(lambda: _blocked(cluster, namespace) >= 2, what="both to block")

        with moving(cluster, namespace):
            bulk = pool.submit(client.work.enqueue_many, [("elsewhere", {})] * 1200, queue="wide")
        (tmp_path / "gate").touch()
        blocker.cancel()

        assert result.result(60) == 1
        assert room.result(60).created
        assert len(bulk.result(60)) == client.work.queue("wide").ready == 1200
        assert client.work.run("echo", {"text": "hi"}, id=new_id(MOVED), wait_for=60) == "hi"
        follow.join(60)
        assert "succeeded" in seen
        assert fleet.running


def _until(client: Client, kind: str) -> Iterator[Event]:
    for event in client.work.events(follow=True):
        yield event
        if event.kind == kind:
            return


def _blocked(cluster: Cluster, namespace: str) -> int:
    """How many clients of ours block on the primary of that shard."""
    clients: bytes = cluster.primary_of(cluster.slot_of(namespace, MOVED)).ask("CLIENT", "LIST")
    rows = [row for row in clients.splitlines() if b"name=coordq " in row]
    return sum(b"cmd=blpop" in row for row in rows)


def test_an_async_call_that_waited_at_the_old_place_finds_the_new_one(
    cluster: Cluster, url: str, namespace: str
) -> None:
    """ASK says wait here, then MOVED says look elsewhere: the second answer counts as well."""

    async def story() -> None:
        async with await open_async_engine(url, namespace=namespace, patience_s=60) as engine:
            first = await engine.run(enqueue(order(id=new_id(MOVED))))
            with moving(cluster, namespace):
                waiting = asyncio.create_task(engine.run(enqueue(order(id=new_id(MOVED)))))
                done, _ = await asyncio.wait({waiting}, timeout=0.5)
                assert not done
            assert (await waiting).created
            assert first.created

    asyncio.run(story())


def test_a_move_longer_than_the_patience_is_named(
    cluster: Cluster, url: str, namespace: str
) -> None:
    """Who waits in vain learns what for."""
    with open_engine(url, namespace=namespace, patience_s=60) as engine:
        engine.run(enqueue(order(id=new_id(MOVED))))
        engine.patience_s = 2
        with moving(cluster, namespace), pytest.raises(Unreachable, match="slot is being moved"):
            engine.run(enqueue(order(id=new_id(MOVED))))
        engine.patience_s = 60
        assert engine.run(enqueue(order(id=new_id(MOVED)))).created
        root = keys.root(namespace, MOVED)
        assert engine.execute(MOVED, "EXISTS", root) == 0, "the root itself is never a key"


# -- a primary that is lost ----------------------------------------------------------------------


def test_a_primary_is_lost_under_load_and_its_replica_takes_over(
    server_binary: Path, namespace: str, tmp_path: Path
) -> None:
    """One shard of three is away for some seconds; what a replica had is there again."""
    books = Books(tmp_path)
    with Cluster(server_binary, replicas=True, node_timeout_ms=1000) as cluster:
        url = f"{cluster.url}?shards=3"
        with (
            connect(url, namespace=namespace, patience=60) as client,
            books.fleet(url, namespace) as fleet,
        ):
            with Producer(client, books) as producer:
                producer.durability = "replica"
                books.wait_for_runs(50)
                slot = cluster.slot_of(namespace)
                lost = cluster.primary_of(slot)

                lost.kill9()
                assert cluster.primary_of(slot) is not lost
                producer.wait_for(50)
            gone = books.check(client, producer.acknowledged, may_be_gone=True)

            assert not producer.confirmed & set(gone)
            assert "cancelling what runs" not in fleet.log()
            asyncio.run(_run_async(url, namespace))


async def _run_async(url: str, namespace: str) -> None:
    async with connect_async(url, namespace=namespace, patience=60) as client:
        for shard in range(3):
            assert await client.work.run("echo", {"text": "x"}, id=new_id(shard)) == "x"
