"""Why a task is not running, written once for both clients."""

from __future__ import annotations

from coordq import clock
from coordq.client.flow_looks import get
from coordq.client.plans import Command, Plan, overview
from coordq.engine import keys
from coordq.errors import FlowNotFound
from coordq.fleet.readonly import read_mode
from coordq.ids import shard_of
from coordq.work import look
from coordq.work.saved import saved
from coordq.work.standstill import why_suspended, why_waiting
from coordq.work.task import State, Task
from coordq.work.why import why as explain


def why(namespace: str, shards: int, task_id: str) -> Plan[str]:
    """Why a task is not running, in a sentence. Raises TaskNotFound, ForeignData."""
    glance: look.Glance = yield look.glance(task_id)
    if glance.task.state is State.WAITING:
        return (yield from _waiting(namespace, glance.task))
    if glance.task.state is State.SUSPENDED:
        (fields,) = yield saved(shard_of(task_id), [task_id])
        return why_suspended(glance.task, fields, now_ms=clock.now_ms())
    seen = yield from overview(shards)
    shard = shard_of(task_id)
    stopped: bytes | None = yield Command(
        shard, ("GET", keys.readonly(keys.root(namespace, shard)))
    )
    return explain(glance, seen.workers, stopped=read_mode(stopped))


def _waiting(namespace: str, task: Task) -> Plan[str]:
    """For which tasks one waits; those of a flow are known by their keys."""
    shard = shard_of(task.id)
    key = keys.need(keys.root(namespace, shard), task.id)
    counts: list[bytes | None] = yield Command(shard, ("HMGET", key, "left", "of"))
    left, of = (int(one or 1) for one in counts)
    before: list[tuple[str, str]] = []
    if task.spec.flow:
        try:
            view = yield from get(task.spec.flow, nodes=True)
        except FlowNotFound:
            return why_waiting(task, before, left=left, of=of)
        if view.state == "building":
            return f"Its flow {view.id} has not been launched yet."
        before = [(node.key, node.state) for node in view.before(task.id) if not node.ended]
    return why_waiting(task, before, left=left, of=of)
