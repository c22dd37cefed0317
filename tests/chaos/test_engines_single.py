"""One Redis, killed and started again under load; full, slow and hanging under load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coordq.client.client import Client, connect
from coordq.errors import RedisFull
from tests.chaos.books import Books, Producer
from tests.proxy import LossyProxy
from tests.runtime.fleet import started
from tests.servers import Server
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.chaos]

NewServer = Callable[..., Server]


@pytest.fixture
def books(tmp_path: Path) -> Books:
    """What handlers write down."""
    return Books(tmp_path)


def kinds(client: Client) -> set[str]:
    """All kinds of events so far."""
    return {event.kind for event in client.work.events()}


# -- killed and started again --------------------------------------------------------------------


@pytest.mark.parametrize("appendfsync", ["always", "everysec"])
def test_a_redis_killed_under_load_finds_its_work_again(
    new_server: NewServer, namespace: str, books: Books, appendfsync: str
) -> None:
    """Twice. With `always` nothing that was acknowledged is missing, nor is anything done again.

    With `everysec` a process that is killed has handed all it acknowledged to the system, unless
    its disk was busy: then up to two seconds are missing. What is there is whole in either case.
    """
    server = new_server(appendonly="yes", appendfsync=appendfsync)
    with (
        connect(server.url, namespace=namespace, patience=60) as client,
        books.fleet(server.url, namespace, processes=2) as fleet,
    ):
        with Producer(client, books) as producer:
            books.wait_for_runs(30)
            for _ in range(2):
                server.kill9()
                server.start()
                producer.wait_for(30)
        gone = books.check(client, producer.acknowledged, may_be_gone=appendfsync != "always")

        assert len(gone) < len(producer.acknowledged)
        assert "cancelling what runs" not in fleet.log()
        if appendfsync == "always":
            assert len(books.runs()) == len(producer.acknowledged), "no execution more than that"


# -- full ----------------------------------------------------------------------------------------


def test_a_redis_that_fills_up_drains_and_goes_on(
    new_server: NewServer, namespace: str, books: Books, tmp_path: Path
) -> None:
    """Nothing new is taken, what is there is done, leases are kept, and room is used at once."""
    server = new_server(maxmemory_policy="noeviction")
    short = {"beat_s": 0.4, "lease_s": 5.0}
    with (
        connect(server.url, namespace=namespace) as client,
        books.fleet(server.url, namespace, **short) as fleet,
    ):
        long = client.work.enqueue_many([("gated", {"path": str(tmp_path / "gate")})] * 4)
        wait_until(lambda: len(started(tmp_path / "gate")) == 4, what="tasks that outlast it")
        with Producer(client, books) as producer:
            books.wait_for_runs(30)
            before = _lapsed(client)
            server.config(maxmemory="1")
            wait_until(lambda: producer.refused > 20, what="refusals")
            wait_until(lambda: client.work.queue("default").ready == 0, what="a drain")
            with pytest.raises(RedisFull, match="running work goes on"):
                client.work.enqueue("job")
            beats = _beats(server)
            wait_until(lambda: _beats(server) > beats + 15, what="more than a lease")
            server.config(maxmemory="0")
            producer.wait_for(30)
        (tmp_path / "gate").touch()

        assert [handle.result(timeout=60) for handle in long] == [1] * 4
        assert len(started(tmp_path / "gate")) == 4
        assert _lapsed(client) == before
        books.check(client, producer.acknowledged)
        assert "cancelling what runs" not in fleet.log()


def _lapsed(client: Client) -> int:
    return sum(event.kind == "lapsed" for event in client.work.events())


def _beats(server: Server) -> int:
    """How many beats the server has taken: each writes the worker's moment once."""
    stats: bytes = server.ask("INFO", "commandstats")
    row = next(row for row in stats.splitlines() if row.startswith(b"cmdstat_pexpire:"))
    return int(row.partition(b"calls=")[2].partition(b",")[0])


# -- slow ----------------------------------------------------------------------------------------


@pytest.fixture
def wire(proxy: LossyProxy) -> Iterator[LossyProxy]:
    """The wire between the fleet and Redis; it is quick again before the test ends."""
    yield proxy
    proxy.delay(0)
    proxy.flow()


def test_a_slow_redis_costs_time_and_nothing_else(
    wire: LossyProxy, redis_url: str, namespace: str, books: Books
) -> None:
    """Every reply comes 50 to 200 ms late: no lapse, no second run, no complaint."""
    with (
        connect(redis_url, namespace=namespace) as client,
        books.fleet(wire.url, namespace, processes=2) as fleet,
    ):
        wire.delay(0.05, 0.2)
        with Producer(client, books) as producer:
            producer.wait_for(150)
        books.check(client, producer.acknowledged)

        assert len(books.runs()) == len(producer.acknowledged)
        assert not {"lapsed", "refused", "released"} & kinds(client)
        assert "does not answer" not in fleet.log()


def test_a_redis_that_stalls_is_waited_for(
    wire: LossyProxy, redis_url: str, namespace: str, books: Books
) -> None:
    """No reply for longer than a beat may take, under load, twice: the same."""
    with (
        connect(redis_url, namespace=namespace) as client,
        books.fleet(wire.url, namespace, lease_s=9.0) as fleet,
    ):
        with Producer(client, books) as producer:
            for stall in range(1, 3):
                producer.wait_for(30)
                wire.stall()
                fleet.wait_for("does not answer", times=stall)
                wire.flow()
                fleet.wait_for("answers again", times=stall)
        books.check(client, producer.acknowledged)

        assert len(books.runs()) == len(producer.acknowledged)
        assert not {"lapsed", "refused", "released"} & kinds(client)
