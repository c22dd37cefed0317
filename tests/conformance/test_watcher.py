"""The watcher on every engine: what it decides holds on all shards."""

from __future__ import annotations

import asyncio
import json

import pytest

import coordq
from coordq.client.client_async import AsyncClient
from coordq.engine import keys
from coordq.engine.aio import AsyncEngine
from coordq.errors import ReadOnly
from coordq.fleet.election import Candidate, campaign, inaugurate
from coordq.runtime.supervisor.settings import SupervisorSettings
from coordq.runtime.supervisor.term import Term
from coordq.runtime.supervisor.watcher import Watcher
from coordq.work.beat import Beaten, Pulse, beat
from coordq.work.events import Event, read_entry

pytestmark = pytest.mark.live
BEAT_MS = 60_000
TOLD = ("partition", "read-only", "writable")


async def beaten(engine: AsyncEngine, name: str, zone: str, *, joins: bool = True) -> list[Beaten]:
    """A worker beats on every shard."""
    info = json.dumps({"zone": zone, "beat_ms": BEAT_MS, "lease_ms": 5 * BEAT_MS, "protocol": 2})
    answers = []
    for shard in range(engine.shards):
        pulse = Pulse(name, (), info.encode(), 5 * BEAT_MS, joins=joins)
        answers.append(await engine.run(beat(shard, pulse)))
    return answers


async def events(engine: AsyncEngine) -> list[Event]:
    """What was told."""
    key = keys.events(keys.root(engine.namespace, 0))
    entries = await engine.execute(0, "XRANGE", key, "-", "+")
    return [event for entry in entries for event in read_entry(0, entry)]


async def silence(engine: AsyncEngine, *names: str) -> None:
    """They were last heard four beats ago, on every shard."""
    for shard in range(engine.shards):
        key = keys.workers(keys.root(engine.namespace, shard))
        for name in names:
            await engine.execute(shard, "ZINCRBY", key, -4 * BEAT_MS, name)


async def office(engine: AsyncEngine) -> Term:
    """A term that every shard knows of."""
    epoch = (await engine.run(campaign(Candidate("sup")))).leader.epoch
    for shard in range(engine.shards):
        await engine.run(inaugurate(shard, epoch))
    return Term(engine, name="sup", epoch=epoch)


async def looks(watcher: Watcher, term: Term) -> None:
    """One look that finds who is new, one that meets them, one that judges."""
    for _ in range(3):
        await watcher.round(term)


async def enqueue_everywhere(client: AsyncClient) -> int:
    """One task for each shard; how many were refused."""
    refused = 0
    for _ in range(client.engine.shards):
        try:
            await client.work.enqueue("job")
        except ReadOnly:
            refused += 1
    return refused


def test_a_partition_holds_on_all_shards(real_engine_url: str, namespace: str) -> None:
    """Who is given up is forgotten everywhere; no shard takes new work until they are back."""
    asyncio.run(part_and_heal(real_engine_url, namespace))


async def part_and_heal(real_engine_url: str, namespace: str) -> None:
    """Most of a fleet falls silent, and comes back."""
    watcher = Watcher(SupervisorSettings(zone="office", on_minority="read-only"))
    async with coordq.connect_async(real_engine_url, namespace=namespace) as client:
        engine = client.engine
        term = await office(engine)
        for name, zone in (("here", "a"), ("away1", "b"), ("away2", "b")):
            await beaten(engine, name, zone)
        await silence(engine, "away1", "away2")
        watcher.begin(term)
        await looks(watcher, term)
        alive = [worker.name for worker in await client.work.workers()]
        refused = await enqueue_everywhere(client)
        for name in ("away1", "away2"):
            answers = await beaten(engine, name, "b", joins=False)
            assert not any(answer.known for answer in answers)
            await beaten(engine, name, "b")
        await looks(watcher, term)

        assert alive == ["here"]
        assert refused == engine.shards
        assert await enqueue_everywhere(client) == 0
        kinds = [event.kind for event in await events(engine)]
        assert [kind for kind in kinds if kind in TOLD] == list(TOLD)
        assert kinds.count("rejoined") == 2
