"""Why a task is not running, written once for both clients."""

from __future__ import annotations

from coordq.client.plans import Command, Plan, overview
from coordq.engine import keys
from coordq.fleet.readonly import read_mode
from coordq.ids import shard_of
from coordq.work import look
from coordq.work.why import why as explain


def why(namespace: str, shards: int, task_id: str) -> Plan[str]:
    """Why a task is not running."""
    glance: look.Glance = yield look.glance(task_id)
    seen = yield from overview(shards)
    shard = shard_of(task_id)
    stopped: bytes | None = yield Command(
        shard, ("GET", keys.readonly(keys.root(namespace, shard)))
    )
    return explain(glance, seen.workers, stopped=read_mode(stopped))
