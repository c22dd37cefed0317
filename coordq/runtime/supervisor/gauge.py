"""How much there is to do, for whatever decides how many workers there should be: GET /backlog.

    {"load": 45, "ready": 42, "scheduled": 7, "running": 3, "backlog": 49, "oldest_ready_s": 1.25,
     "queues": {"mail": {...the same...}}}

`load` is what to scale by: tasks that could run now, and those that do. Without the latter workers
would be taken away from long tasks; with scheduled ones or those of paused queues they would wait
for nothing. `?queue=mail,news` sums up these queues only; one that was never used counts nothing.
Every supervisor answers, whether it leads or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coordq.engine.aio import AsyncEngine
from coordq.work import queue as queues
from coordq.work.queue import Queue


class Gauge:
    """Reads the queues of a namespace when it is asked."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        """What the queues hold. Raises Unreachable."""
        wanted = {name for text in query.get("queue", []) for name in text.split(",") if name}
        shards = range(self._engine.shards)
        seen = queues.merge([await self._engine.run(queues.overview(shard)) for shard in shards])
        chosen = [queue for queue in seen.queues if not wanted or queue.name in wanted]
        return {**measure(chosen), "queues": {queue.name: measure([queue]) for queue in chosen}}


def measure(chosen: Sequence[Queue]) -> dict[str, Any]:
    """The figures of some queues together."""
    ages = [queue.oldest_ready_ms for queue in chosen if not queue.paused]
    startable = sum(queue.ready for queue in chosen if not queue.paused)
    running = sum(queue.running for queue in chosen)
    return {
        "load": startable + running,
        "ready": sum(queue.ready for queue in chosen),
        "scheduled": sum(queue.scheduled for queue in chosen),
        "running": running,
        "backlog": sum(queue.backlog for queue in chosen),
        "oldest_ready_s": max((age or 0 for age in ages), default=0) / 1000,
    }
