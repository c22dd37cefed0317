"""The part that adds up what queues and workers count: how fast the fleet is, and how busy."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

from coordq import clock
from coordq.client.plan import chunks
from coordq.engine import keys
from coordq.errors import ForeignData
from coordq.fleet.rates import COUNTERS, Meter
from coordq.fleet.report import publish
from coordq.runtime.supervisor.part import Part
from coordq.runtime.supervisor.term import Term
from coordq.work.queue import read_queue

EVERY_S: Final = 5.0
KEPT_MS: Final = 15_000
PAGE: Final = 200
"""Workers whose info is read in one call."""


class Aggregator(Part):
    """Looks every five seconds, with plain reads: nobody waits for a script of its."""

    name: ClassVar[str] = "aggregator"

    def __init__(self) -> None:
        super().__init__()
        self._meter = Meter()

    def begin(self, term: Term) -> None:
        """What was counted while another led did not happen in the last five seconds."""
        self._meter = Meter()

    async def round(self, term: Term) -> float:
        """One look."""
        queues: dict[str, dict[str, int]] = {}
        for shard in range(term.shards):
            await _add_queues(term, shard, queues)
        facts = self._meter.look(clock.monotonic(), queues, await _infos(term))
        await term.run(publish(term.epoch, "rates", facts, KEPT_MS))
        self.counts["looks"] += 1
        self.counts["workers"] = len(facts["workers"])
        return EVERY_S


async def _add_queues(term: Term, shard: int, queues: dict[str, dict[str, int]]) -> None:
    """What the queues of a shard count; a hash that is a stranger's is left out."""
    root = keys.root(term.engine.namespace, shard)
    for member in await term.engine.execute(shard, "SMEMBERS", keys.queues(root)):
        name = member.decode(errors="replace")
        flat = await term.engine.execute(shard, "HGETALL", keys.queue(root, name))
        try:
            seen = read_queue(name, flat, -1)
        except ForeignData:
            continue
        counters = queues.setdefault(name, dict.fromkeys(COUNTERS, 0))
        for counter in COUNTERS:
            counters[counter] += getattr(seen, counter)


async def _infos(term: Term) -> dict[str, dict[str, Any]]:
    """What each worker says of itself, as shard 0 has it."""
    root = keys.root(term.engine.namespace, 0)
    names = await term.engine.execute(0, "ZRANGE", keys.workers(root), 0, -1)
    infos: dict[str, dict[str, Any]] = {}
    for some in chunks([name.decode(errors="replace") for name in names], PAGE):
        texts = await term.engine.execute(0, "MGET", *(keys.worker(root, one) for one in some))
        for name, text in zip(some, texts, strict=True):
            info = _read(text)
            if info is not None:
                infos[name] = info
    return infos


def _read(text: bytes | None) -> dict[str, Any] | None:
    """A worker's info; None when it is gone, or no info."""
    try:
        info = None if text is None else json.loads(text)
    except ValueError:
        return None
    return info if isinstance(info, dict) else None
