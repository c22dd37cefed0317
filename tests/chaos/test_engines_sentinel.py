"""A master is lost, with or without the newest writes, and its replica has its place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordq.client.client import Client, connect
from coordq.engine import keys
from coordq.engine.aio import open_async_engine
from coordq.engine.connection import open_engine
from coordq.errors import TaskNotFound
from coordq.fleet.election import Candidate, campaign
from coordq.work.enqueue import enqueue, enqueue_many
from tests.chaos.books import Books, Producer
from tests.replicas import Guarded, cut, is_master
from tests.runtime.fleet import started
from tests.waiting import wait_until
from tests.work.desk import Desk, order

pytestmark = [pytest.mark.live, pytest.mark.chaos]


@pytest.fixture
def guarded(server_binary: Path) -> Iterator[Guarded]:
    """A master to be killed, with its replica and its Sentinel."""
    with Guarded(server_binary) as guarded:
        yield guarded


@pytest.fixture
def client(guarded: Guarded, namespace: str) -> Iterator[Client]:
    """A client that waits for the failover."""
    with connect(guarded.url, namespace=namespace, patience=60) as client:
        yield client


def test_a_failover_under_load_loses_nothing_that_a_replica_had(
    guarded: Guarded, client: Client, namespace: str, tmp_path: Path
) -> None:
    """The master is killed while tasks come, run and end; all find their way by themselves.

    What only the master had may be gone, and nothing else: that is what asynchronous replication
    means, and what `durability="replica"` is for.
    """
    books = Books(tmp_path)
    with books.fleet(guarded.url, namespace, processes=2) as fleet:
        with Producer(client, books) as producer:
            producer.durability = "replica"
            books.wait_for_runs(50)

            guarded.fail_over()
            producer.wait_for(50)
            wait_until(lambda: len(producer.confirmed) >= 50, what="what a replica has")
        gone = books.check(client, producer.acknowledged, may_be_gone=True)

        assert not producer.confirmed & set(gone)
        assert fleet.running
        assert "cancelling what runs" not in fleet.log(), "a failover costs no lease"


def test_claims_that_a_failover_lost_are_let_go(
    guarded: Guarded, client: Client, namespace: str, tmp_path: Path
) -> None:
    """Redis has never heard of the claim: the worker is told, stops, and somebody runs it again.

    The new claim's fence is above the lost one, though the counter was rolled back.
    """
    gate = tmp_path / "gate"
    with Books(tmp_path).fleet(guarded.url, namespace):
        client.work.pause("default")
        handle = client.work.enqueue("gated", {"path": str(gate)}, durability="replica")
        cut(guarded.master)
        client.work.resume("default")
        wait_until(lambda: started(gate), what="a start that the replica does not know of")

        guarded.fail_over()
        client.work.resume("default")
        wait_until(lambda: len(started(gate)) == 2, what="the second start")
        gate.touch()

        assert handle.result(timeout=60) == 1, "no attempt was spent"
        (_, _, lost), (_, _, held) = started(gate)
        assert held > lost
        assert handle.get().strikes == 0


def test_what_was_written_last_is_gone_and_no_lie_remains(
    guarded: Guarded, client: Client, namespace: str
) -> None:
    """An enqueue, a claim, a finish, a unique key, an election: written as nobody was copying."""
    desk = Desk(client.engine)
    office = keys.leader(keys.root(namespace, 0))
    first = client.engine.run(campaign(Candidate("a"))).leader.epoch
    ended, begun = desk.put(), desk.put(unique="kept")
    held = desk.claim(1).claims[0]
    assert held.id == ended
    client.engine.execute(0, "WAIT", 1, 5000)

    cut(guarded.master)
    assert desk.end(held) == "ok"
    lost = desk.claim(1, claimant="w2/1:a").claims[0]
    assert lost.id == begun
    vanished = client.work.enqueue("job", unique="free again")
    client.engine.execute(0, "DEL", office)
    forgotten = client.engine.run(campaign(Candidate("b"))).leader.epoch
    guarded.fail_over()
    client.engine.execute(0, "DEL", office)

    with pytest.raises(TaskNotFound):
        vanished.get()
    assert client.work.enqueue("job", unique="free again").created
    assert desk.beat(held, lost).lost == (lost.member,), "Redis has never heard of that claim"
    assert desk.end(lost) == "stale"
    assert desk.end(held) == "ok", "the claim was copied, its finish was not: it is heard again"
    assert desk.end(held) == "duplicate"
    (again,) = desk.claim(1).claims
    assert again.id == begun
    assert again.fence > lost.fence
    assert [event.kind for event in client.work.events() if event.subject == ended].count(
        "succeeded"
    ) == 1
    assert first < forgotten < client.engine.run(campaign(Candidate("c"))).leader.epoch
    desk.audit()


def test_nobody_stays_with_a_master_that_hangs(guarded: Guarded, namespace: str) -> None:
    """Frozen, it breaks no connection, and wakes up believing in its office.

    What it would be told then is lost, so nobody may be left who tells it anything.
    """
    url = f"{guarded.url}?socket_timeout=1"
    with open_engine(url, namespace=namespace, patience_s=60) as engine:
        desk = Desk(engine)
        desk.put()
        held = desk.take()
        engine.execute(0, "WAIT", 1, 5000)
        guarded.master.pause()
        try:
            wait_until(lambda: guarded.current_master()[1] == guarded.replica.port, within=120)
            assert desk.beat(held).lost == (), "the call that hung finds the new master"
        finally:
            guarded.master.resume()

        assert desk.end(held) == "ok"
        with open_engine(url, namespace=namespace, patience_s=60) as other:
            assert Desk(other).end(held) == "duplicate", "who comes new is led there as well"


def test_a_master_that_wakes_up_replaced_is_not_believed(guarded: Guarded, namespace: str) -> None:
    """Connections to it are open, and it takes what it is told for some ten seconds: in vain.

    Its replies do not count once the Sentinel names another, so nothing is acknowledged by it.
    """
    with open_engine(guarded.url, namespace=namespace, patience_s=60) as engine:
        desk = Desk(engine)
        first = desk.put()
        engine.execute(0, "WAIT", 1, 5000)
        guarded.master.pause()
        try:
            wait_until(lambda: guarded.current_master()[1] == guarded.replica.port, within=120)
        finally:
            guarded.master.resume()
        assert is_master(guarded.master), "it believes in its office"

        second = desk.put()
        bulk = engine.run_many([enqueue_many([order(), order()], on_full="wait")])[0]
        third = asyncio.run(_put_async(guarded.url, namespace))

        ids = {first, second, third, *(receipt.id for receipt in bulk)}
        with open_engine(f"redis://127.0.0.1:{guarded.replica.port}", namespace=namespace) as new:
            assert {claim.id for claim in Desk(new).claim(10).claims} == ids


async def _put_async(url: str, namespace: str) -> str:
    async with await open_async_engine(url, namespace=namespace, patience_s=60) as engine:
        return (await engine.run(enqueue(order()))).id
