"""Where a shard lives, when there is more than one server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
import redis

from coordq.engine.address import parse
from coordq.engine.aio import open_async_engine
from coordq.engine.connection import Engine, open_engine
from coordq.engine.topology import Cluster as ClusterTopology
from coordq.engine.topology import Plain, topology
from coordq.errors import Unreachable
from coordq.ids import new_id
from coordq.work.enqueue import enqueue
from tests.clusters import Cluster
from tests.replicas import Guarded
from tests.waiting import wait_until
from tests.work.desk import Desk, order

SHARDS = 4


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("redis://h:1/2", "tcp"),
        ("rediss://h:1", "ssl"),
        ("unix:///tmp/s", "unix"),
    ],
)
def test_a_plain_address_is_one_endpoint(url: str, kind: str) -> None:
    """It never moves."""
    plain = topology(parse(url))

    assert isinstance(plain, Plain)
    assert plain.locate(0).kind == kind
    assert plain.locate(7, again=True) == plain.locate(0)


# -- cluster -----------------------------------------------------------------------------------


@pytest.fixture
def clustered(cluster: Cluster, namespace: str) -> Iterator[Engine]:
    """Four shards on three primaries."""
    with open_engine(f"{cluster.url}?shards={SHARDS}", namespace=namespace) as engine:
        yield engine


def test_each_shard_works_where_it_lives(clustered: Engine) -> None:
    """And is whole there: one slot, one script."""
    for shard in range(SHARDS):
        desk = Desk(clustered, shard)
        task_id = desk.put()
        assert desk.end(desk.take()) == "ok"
        assert desk.state(task_id) == "succeeded"
        desk.audit()


def test_one_host_is_enough_to_find_the_others(cluster: Cluster, namespace: str) -> None:
    """A dead one among the hosts does not matter."""
    url = f"redis+cluster://127.0.0.1:1,{cluster.nodes[1].address}?shards={SHARDS}"

    with open_engine(url, namespace=namespace) as engine:
        assert [engine.execute(shard, "PING") for shard in range(SHARDS)] == [b"PONG"] * SHARDS


def test_a_cluster_that_is_not_there_is_unreachable(namespace: str) -> None:
    """With every host that was asked."""
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"):
        open_engine("redis+cluster://127.0.0.1:1", namespace=namespace, patience_s=0.1)


def test_a_slot_that_moves_is_followed(cluster: Cluster, clustered: Engine) -> None:
    """MOVED: the engine asks where, and the call is made there."""
    desk = Desk(clustered, 0)
    desk.put()
    slot = cluster.slot_of(clustered.namespace)
    source = cluster.primary_of(slot)
    target = next(node for node in cluster.nodes if node is not source)
    cluster.move(slot, target)
    try:
        desk.put()
        assert len(desk.claim(5).claims) == 2
        asyncio.run(_put_async(f"{cluster.url}?shards={SHARDS}", clustered.namespace))
        desk.audit()
    finally:
        cluster.move(slot, source)
    assert desk.queue().running == 2


async def _put_async(url: str, namespace: str) -> None:
    async with await open_async_engine(url, namespace=namespace) as engine:
        assert (await engine.run(enqueue(order(id=new_id(0))))).created


def test_nodes_are_asked_in_turn(cluster: Cluster) -> None:
    """One that is cut off answers as well, with what was true before: then another is asked."""
    found = ClusterTopology(parse(cluster.url))
    asked = []
    for _ in range(len(cluster.nodes)):
        asked.append(found._nodes[0])
        found.locate(0, again=True)

    assert sorted(asked) == sorted(("127.0.0.1", node.port) for node in cluster.nodes)


# -- sentinel ----------------------------------------------------------------------------------


def test_a_sentinel_leads_to_the_master(guarded: Guarded, namespace: str) -> None:
    """Work goes where writes are taken."""
    with open_engine(guarded.url, namespace=namespace) as engine:
        desk = Desk(engine)
        desk.put()
        assert desk.end(desk.take()) == "ok"
        desk.audit()
        assert b"role:master" in engine.execute(0, "INFO", "replication")


def test_an_unknown_service_is_unreachable(guarded: Guarded, namespace: str) -> None:
    """The Sentinel answers, but knows no such master."""
    url = guarded.url.replace("mymaster", "another")

    with pytest.raises(Unreachable, match="another"):
        open_engine(url, namespace=namespace, patience_s=0.1)


def test_work_goes_on_after_a_failover(server_binary: object, namespace: str) -> None:
    """The master dies, its replica is promoted, and calls find it by themselves."""
    with Guarded() as guarded:
        assert server_binary
        with open_engine(guarded.url, namespace=namespace, patience_s=120) as engine:
            desk = Desk(engine)
            ids = [desk.put() for _ in range(5)]
            assert engine.execute(0, "WAIT", 1, 60_000, timeout_s=60) == 1
            guarded.master.kill9()

            held = desk.take()

            assert held.id == ids[0]
            assert desk.end(held) == "ok"
            assert guarded.current_master()[1] == guarded.replica.port
            asyncio.run(_put_async(guarded.url, namespace))
            desk.audit()


def test_who_finds_the_new_master_finds_it_for_all(
    server_binary: object, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Idle connections to one that froze are open still, and would be waited for one by one."""
    monkeypatch.setattr("coordq.engine.aio.REPLY_TIMEOUT_S", 3600.0)

    async def story(guarded: Guarded) -> None:
        async with await open_async_engine(guarded.url, namespace=namespace) as engine:
            await asyncio.gather(*(engine.execute(0, "PING") for _ in range(5)))
            line = await engine.dedicated(0)
            guarded.master.pause()
            wait_until(lambda: guarded.current_master()[1] == guarded.replica.port, within=120)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await engine.execute(0, "PING")
            who = "CONFIG", "GET", "port"
            assert await line.execute(*who) == await engine.execute(0, *who)
            await line.close()

    with Guarded() as guarded:
        assert server_binary
        asyncio.run(story(guarded))
        guarded.master.resume()


def test_a_sentinel_that_was_cut_off_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one knows: redis-py would try the silent one for half a minute first."""
    monkeypatch.setattr("coordq.engine.topology.CONNECT_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = parse(f"redis+sentinel://127.0.0.1:{silent.getsockname()[1]}/mymaster")
        with pytest.raises(redis.ConnectionError, match="No master found"):
            topology(address).locate(0)
        silent.settimeout(0)
        asked = [silent.accept()[0]]
        with pytest.raises(BlockingIOError):
            silent.accept()

    asked[0].close()
