"""The parent's heart on a real Redis: what it says when, and what a refused brief beat does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from coordq.client.client import Client, connect
from coordq.engine import keys
from coordq.engine.aio import AsyncEngine, open_async_engine
from coordq.engine.scripts import load
from coordq.runtime.pulse import Heart
from coordq.runtime.worker import WorkerSettings
from coordq.work.claim import claim
from tests.proxy import LossyProxy
from tests.runtime.broods import brood_of
from tests.runtime.conftest import NewFleet
from tests.runtime.fleet import started
from tests.servers import Server
from tests.waiting import wait_until, wait_until_async
from tests.work.desk import ask

pytestmark = pytest.mark.live

BRIEF = b"\r\nGT\r\n"
"""A word that stands in brief beats only."""


@asynccontextmanager
async def beating(
    url: str, namespace: str, *, beat_s: float = 0.5, facts: dict[str, Any] | None = None
) -> AsyncIterator[tuple[Heart, AsyncEngine]]:
    """The heart of a worker without children that has done more whenever it is asked.

    facts: what it says of itself, now and later.
    """
    settings = WorkerSettings(("none.py",), beat_s=beat_s, lease_s=60)
    told = {"state": "running", "succeeded": 0, "children": []} if facts is None else facts
    async with await open_async_engine(url, namespace=namespace) as engine:
        brood = brood_of(engine, settings)
        heart = Heart(engine, worker="w1", settings=settings, brood=brood, info=lambda: dict(told))
        await heart.first()
        life = asyncio.create_task(heart.beat(0))
        try:
            yield heart, engine
        finally:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)


async def last_beat(engine: AsyncEngine) -> float:
    """When Redis heard the worker; 0 for never."""
    root = keys.root(engine.namespace, 0)
    return float(await engine.execute(0, "ZSCORE", keys.workers(root), "w1") or 0)


@pytest.mark.parametrize("loss", ["request", "reply"])
def test_a_brief_beat_that_is_lost_is_made_up_for_at_once(
    proxy: LossyProxy, namespace: str, loss: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A full one follows in the same turn, so nobody hears of trouble where there is none."""
    drop = proxy.drop_request if loss == "request" else proxy.drop_reply

    async def story() -> None:
        async with beating(proxy.url, namespace) as (_, engine):
            drop(BRIEF, times=3)
            await wait_until_async(lambda: proxy.dropped == 3, what="brief beats")
            await next_beat(engine)

    with caplog.at_level(logging.INFO, logger="coordq.worker"):
        asyncio.run(story())

    assert "does not answer" not in caplog.text


async def next_beat(engine: AsyncEngine) -> None:
    """Wait until the worker beats again."""
    await beat_after(engine, await last_beat(engine))


async def beat_after(engine: AsyncEngine, moment: float) -> None:
    """Wait until the worker has beaten since then."""

    async def heard() -> bool:
        return await last_beat(engine) > moment

    await wait_until_async(heard, what="another beat")


async def give_up(engine: AsyncEngine) -> None:
    """Take the worker for dead, as the leader does."""
    root = keys.root(engine.namespace, 0)
    forget = "redis.call('ZREM', KEYS[1], 'w1') return redis.call('DEL', KEYS[2])"
    gone = keys.workers(root), keys.worker(root, "w1")
    assert await engine.execute(0, "EVAL", forget, 2, *gone) == 1


def test_who_was_forgotten_comes_back_as_a_new_incarnation(redis_url: str, namespace: str) -> None:
    """Its brief beats bring nothing back; they make it say again who it is."""

    async def story() -> None:
        async with beating(redis_url, namespace) as (heart, engine):
            await wait_until_async(lambda: last_beat(engine), what="a beat")
            await give_up(engine)
            await wait_until_async(lambda: heart.incarnation == 2, what="a new incarnation")
            assert await last_beat(engine) > 0

    asyncio.run(story())


def test_who_was_forgotten_hears_it_whatever_reply_is_lost(
    proxy: LossyProxy, namespace: str
) -> None:
    """Else it would go on as if nothing had been, while others wait for its new incarnation.

    A worker that was frozen wakes up with its patience at an end: it may not read the first reply.
    """

    async def story() -> None:
        facts = {"state": "running", "succeeded": 0, "children": []}
        async with beating(proxy.url, namespace, facts=facts) as (heart, engine):
            for _ in range(2):  # the first is a full one
                await next_beat(engine)
            proxy.drop_reply(load("work/beat").sha.encode(), times=2)
            facts["succeeded"] = 1  # so that there is news
            await give_up(engine)
            await wait_until_async(lambda: heart.incarnation == 2, what="a new incarnation")
            proxy.wait_dropped(2)
            info = keys.worker(keys.root(namespace, 0), "w1")
            await wait_until_async(lambda: engine.execute(0, "EXISTS", info), what="its info")
            await next_beat(engine)
            assert heart.incarnation == 2

    asyncio.run(story())


def test_a_moment_is_never_ahead_of_redis(redis_url: str, namespace: str) -> None:
    """A lease must not end later than it would by Redis's own clock."""

    async def story() -> None:
        async with beating(redis_url, namespace) as (_, engine):
            for _ in range(8):
                await next_beat(engine)
                moment = await last_beat(engine)
                seconds, micros = await engine.execute(0, "TIME")
                assert moment <= int(seconds) * 1000 + int(micros) / 1000

    asyncio.run(story())


def test_a_change_of_state_is_told_with_the_next_beat(proxy: LossyProxy, namespace: str) -> None:
    """Who decides by it, as the spawner does, does not wait for what only counts."""
    facts: dict[str, Any] = {"state": "running", "succeeded": 0, "children": []}

    async def story() -> None:
        async with beating(proxy.url, namespace, beat_s=2, facts=facts) as (_, engine):
            await next_beat(engine)
            heard = await last_beat(engine)
            facts["state"] = "stalled"
            proxy.drop_request(BRIEF)
            await beat_after(engine, heard)
            assert proxy.dropped == 0, "no brief beat was tried"

    asyncio.run(story())


@pytest.mark.chaos
def test_a_worker_keeps_its_leases_while_redis_is_full(
    new_server: Callable[..., Server], new_fleet: NewFleet, namespace: str, tmp_path: Path
) -> None:
    """Its brief beats are refused then: the full ones must go on, each time, at once."""
    server, gate = new_server(maxmemory_policy="noeviction"), tmp_path / "gate"
    with connect(server.url, namespace=namespace, patience=120) as client:
        fleet = new_fleet(server.url, beat_s=0.4, lease_s=4)
        handle = client.work.enqueue("gated", {"path": str(gate)})
        wait_until(lambda: started(gate), what="the start")
        server.config(maxmemory="1")
        root = keys.root(namespace, 0)
        (_, ends) = client.engine.execute(0, "ZRANGE", keys.lease(root), 0, 0, "WITHSCORES")
        extended = float(ends) + 4000

        def lease() -> float:
            return float(
                client.engine.execute(0, "ZRANGE", keys.lease(root), 0, 0, "WITHSCORES")[1]
            )

        wait_until(lambda: lease() > extended, what="more than a lease")
        gate.touch()
        assert handle.result(timeout=60) == 1
        server.config(maxmemory="0")

    assert "cancelling what runs" not in fleet.log()
    assert "does not answer" not in fleet.log()


def test_without_a_leader_a_lapse_is_taken_back_when_it_happens(
    new_fleet: NewFleet, client: Client
) -> None:
    """Also when the worker would have beaten briefly just then, or not for a long time."""
    handle = client.work.enqueue("echo", {"text": "late"})
    dying = ask(served=["echo"], claimant="ghost/1:a", lease_ms=4000)
    (held,) = client.engine.run(claim(0, dying)).claims
    new_fleet(beat_s=30, lease_s=300)

    assert held.id == handle.id
    assert handle.result(timeout=60) == "late"
