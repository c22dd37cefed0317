"""Calls that a replica shall have, too: what WAIT confirms, and what it must not be taken for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coordq.engine import keys
from coordq.engine.aio import open_async_engine
from coordq.engine.connection import Engine, open_engine
from coordq.errors import InvalidOption, NotReplicated
from coordq.work.enqueue import Order, Receipt, enqueue, enqueue_many
from tests.proxy import LossyProxy
from tests.replicas import Pair, cut, mend
from tests.work.desk import Desk, order

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def pair(each_binary: Path) -> Iterator[Pair]:
    """A master and its replica: 6.2, and what is on PATH."""
    with Pair(each_binary) as pair:
        yield pair


@pytest.fixture
def engine(pair: Pair, namespace: str) -> Iterator[Engine]:
    """On the master."""
    with open_engine(pair.master.url, namespace=namespace) as engine:
        yield engine


@pytest.fixture(autouse=True)
def _waits_fit(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A replica that is frozen need not be waited for in full; on a busy machine any other must."""
    short = "frozen" in request.fixturenames
    monkeypatch.setattr("coordq.engine.replica.WAIT_S", 0.3 if short else 30.0)


@pytest.fixture
def frozen(pair: Pair) -> Iterator[None]:
    """The replica is connected and says nothing."""
    pair.replica.pause()
    yield
    pair.replica.resume()


def durable(**options: Any) -> Order:
    """An order that asks for a replica."""
    return order(durability="replica", **options)


def in_async(pair: Pair, namespace: str, placed: Order) -> Receipt:
    """Enqueue through the async engine."""

    async def run() -> Receipt:
        async with await open_async_engine(pair.master.url, namespace=namespace) as engine:
            return await engine.run(enqueue(placed))

    return asyncio.run(run())


def test_a_replica_that_follows_confirms(pair: Pair, engine: Engine, namespace: str) -> None:
    """And has the task when the call returns, with either engine."""
    first = engine.run(enqueue(durable()))
    second = in_async(pair, namespace, durable())

    assert not first.unconfirmed
    assert not second.unconfirmed
    copied = [keys.task(keys.root(namespace, 0), one.id) for one in (first, second)]
    assert pair.replica.ask("EXISTS", *copied) == 2


@pytest.mark.usefixtures("frozen")
def test_a_replica_that_hangs_confirms_nothing(pair: Pair, engine: Engine, namespace: str) -> None:
    """The task is enqueued all the same, and the receipt says both."""
    first = engine.run(enqueue(durable()))
    second = in_async(pair, namespace, durable())

    assert first.created
    assert first.unconfirmed
    assert second.unconfirmed
    assert {claim.id for claim in Desk(engine).claim(5).claims} == {first.id, second.id}


@pytest.mark.usefixtures("frozen")
def test_a_call_that_wrote_nothing_is_not_confirmed_for_free(pair: Pair, engine: Engine) -> None:
    """Repeated on a new connection it changes nothing there, so a bare WAIT would count any.

    What it answers for was written before, by a call whose reply was lost, and no replica has it.
    """
    placed = durable()
    with (
        LossyProxy(pair.master.port) as proxy,
        open_engine(proxy.url, namespace=engine.namespace) as other,
    ):
        other.run(enqueue(order()))  # so that the script is known
        proxy.drop_reply(placed.id.encode())
        repeated = other.run(enqueue(placed))
        assert proxy.dropped == 1

    assert repeated.created
    assert repeated.unconfirmed


@pytest.mark.usefixtures("frozen")
def test_the_holder_of_a_unique_key_is_not_confirmed_for_free(engine: Engine) -> None:
    """The handle that comes back stands for the first task, which no replica may have."""
    first = engine.run(enqueue(order(unique="k")))
    again = engine.run(enqueue(durable(unique="k")))

    assert (again.id, again.created) == (first.id, False)
    assert again.unconfirmed


def test_a_batch_waits_once(engine: Engine) -> None:
    """Whatever its size: 500 tasks cost one wait."""
    before = engine.execute(0, "INFO", "commandstats").decode().partition("cmdstat_wait:calls=")[2]

    receipts = engine.run_many([enqueue_many([durable() for _ in range(200)], on_full="wait")])

    after = engine.execute(0, "INFO", "commandstats").decode().partition("cmdstat_wait:calls=")[2]
    assert int(after.partition(",")[0]) - int(before.partition(",")[0] or 0) == 1
    assert not any(receipt.unconfirmed for receipt in receipts[0])


def test_without_a_replica_nothing_is_sent(pair: Pair, engine: Engine, namespace: str) -> None:
    """Nobody could confirm it: better to know before than to be told after that it is done."""
    cut(pair.master)
    try:
        with pytest.raises(NotReplicated, match="nothing was sent") as caught:
            engine.run(enqueue(durable()))
        with pytest.raises(NotReplicated):
            in_async(pair, namespace, durable())
    finally:
        mend(pair.master)

    assert caught.value.facts == {"ids": []}
    assert Desk(engine).claim(1).claims == ()


def test_a_fake_has_no_replicas(namespace: str) -> None:
    """A unit test learns it as well."""
    pytest.importorskip("fakeredis")
    with open_engine(f"fake://{namespace}") as engine, pytest.raises(InvalidOption, match="fake"):
        engine.run(enqueue(durable()))
