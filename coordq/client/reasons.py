"""Why a task is not running, written once for both clients."""

from __future__ import annotations

from coordq import clock
from coordq.client.flow_looks import get
from coordq.client.plan import Command, Plan
from coordq.client.plans import overview
from coordq.engine import keys
from coordq.errors import FlowNotFound
from coordq.fleet.readonly import read_mode
from coordq.ids import shard_of
from coordq.work import look
from coordq.work.saved import saved
from coordq.work.standstill import why_suspended, why_waiting
from coordq.work.task import State, Task, read_task
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
    if not task.spec.flow:
        return why_waiting(task, (yield from _behind(namespace, task)), left=left, of=of)
    try:
        view = yield from get(task.spec.flow, nodes=True)
    except FlowNotFound:
        return why_waiting(task, (), left=left, of=of)
    if view.state == "building":
        return f"Its flow {view.id} has not been launched yet."
    before = [(node.key, node.state) for node in view.before(task.id) if not node.ended]
    return why_waiting(task, before, left=left, of=of)


def _behind(namespace: str, task: Task) -> Plan[list[tuple[str, str]]]:
    """Name, id and state of the tasks that have to end before one that is in no flow."""
    if not task.spec.behind:
        return []
    shard = shard_of(task.id)
    root = keys.root(namespace, shard)
    wanted = [keys.task(root, one) for one in task.spec.behind]
    records: list[bytes | None] = yield Command(shard, ("MGET", *wanted))
    found: list[tuple[str, str]] = []
    for task_id, record in zip(task.spec.behind, records, strict=True):
        if record is not None:
            before = read_task(task_id, record)
            found += [] if before.state.ended else [(f"{before.name} {task_id}", before.state)]
    return found
