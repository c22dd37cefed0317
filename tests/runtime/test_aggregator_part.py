"""The leader's aggregator: what queues and workers count becomes a report."""

from __future__ import annotations

import asyncio
import json

import pytest

from coordq.client.client import Client
from coordq.engine.aio import open_async_engine
from coordq.errors import Deposed
from coordq.fleet.election import inaugurate
from coordq.fleet.report import read_reports
from coordq.runtime.supervisor.aggregator import Aggregator
from coordq.runtime.supervisor.term import Term
from tests.work.desk import Desk


@pytest.fixture
def desk(client: Client) -> Desk:
    """The shard of this test, by hand."""
    return Desk(client.engine)


def look(desk: Desk, url: str, part: Aggregator, *, epoch: int = 7) -> float:
    """One look of a leader; gives the pause until the next."""

    async def once() -> float:
        async with await open_async_engine(url, namespace=desk.engine.namespace) as engine:
            term = Term(engine, name="s", epoch=epoch)
            return await part.round(term)

    return asyncio.run(once())


def beat(desk: Desk, worker: str, **facts: int | list[int]) -> None:
    """A beat that says so."""
    said = {"started_ms": 1, "slots": 4, "running": 1, **facts}
    desk.beat(worker=worker, info=json.dumps(said).encode())


def test_two_looks_make_a_report(desk: Desk, redis_url: str) -> None:
    """Of queues and workers, with what happened between the looks."""
    part = Aggregator()
    desk.put()
    beat(desk, "w1", held_ms=100, worked_ms=100)
    assert look(desk, redis_url, part) == 5
    for _ in range(3):
        desk.put(queue="mail")
    desk.end(desk.take())
    beat(desk, "w1", held_ms=1100, worked_ms=850, runs=[0, 0, 0, 7])

    look(desk, redis_url, part)

    rates = desk.run(read_reports("rates"))["rates"]
    assert rates["overhead_percent"] == 25
    assert (rates["busy"], rates["slots"]) == (1, 4)
    assert rates["queues"]["default"]["ended_s"] > 0
    assert rates["queues"]["mail"]["enqueued_s"] > rates["queues"]["default"]["enqueued_s"] == 0
    assert rates["workers"]["w1"]["run_p95_ms"] == 0.008


def test_what_strangers_put_there_is_left_out(desk: Desk, redis_url: str) -> None:
    """The figures of all others go on."""
    desk.audited = False
    desk.put()
    desk.put(queue="odd")
    desk.redis("HSET", desk.key("queue:odd"), "ready", "many")
    desk.beat(worker="w1", info=b"not json")
    beat(desk, "w2")

    look(desk, redis_url, Aggregator())

    rates = desk.run(read_reports("rates"))["rates"]
    assert (list(rates["queues"]), list(rates["workers"])) == (["default"], ["w2"])


def test_an_old_leader_publishes_nothing(desk: Desk, redis_url: str) -> None:
    """Its figures are of a time that has passed."""
    desk.run(inaugurate(0, 9))

    with pytest.raises(Deposed):
        look(desk, redis_url, Aggregator(), epoch=8)

    assert desk.run(read_reports("rates")) == {}
