"""Operations on tasks, queues and workers of more than one step: plans, see `plan.py`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, TypeVar

from coordq.amounts import whole
from coordq.client import checked
from coordq.client.plan import BLOCK_S, PAGE, Command, Plan, chunks
from coordq.clock import monotonic
from coordq.engine import keys
from coordq.engine.call import blocking
from coordq.errors import Conflict, InvalidOption, QueueNotFound, TaskNotFound, WorkerNotFound
from coordq.ids import shard_of
from coordq.work import enqueue as ordering
from coordq.work import look, morgue
from coordq.work import queue as queues
from coordq.work.enqueue import BULK_MAX, Order, Receipt
from coordq.work.options import Kin
from coordq.work.queue import Overview, Queue
from coordq.work.task import State, Task

T = TypeVar("T")
INBOX_TTL_S: Final = 60
"""An order that nobody fetched by then was for a worker that is gone."""
WORKER_ORDERS: Final = ("drain", "stop", "dump")
"""Take nothing new and end; cancel what runs, give it back and end; write all stacks to stderr."""
BATCH_BYTES: Final = 1024 * 1024
LISTED: Final = (
    State.RUNNING,
    State.SUSPENDED,
    State.READY,
    State.SCHEDULED,
    State.WAITING,
    State.FAILED,
    State.SUCCEEDED,
    State.CANCELLED,
)


def by_shard(ids: Sequence[str]) -> list[list[str]]:
    """Ids in groups of one shard, at most 500 each, as the scripts want them."""
    groups: dict[int, list[str]] = {}
    for task_id in ids:
        groups.setdefault(shard_of(look.check_id(task_id)), []).append(task_id)
    return [list(chunk) for group in groups.values() for chunk in chunks(group)]


def batches(orders: Sequence[Order], shards: int) -> list[tuple[str, list[int]]]:
    """Which orders travel together: their mode and places, at most 500 and about 1 MiB a batch."""
    done: list[tuple[str, list[int]]] = []
    open_: dict[tuple[int, str, Kin], list[int]] = {}
    sizes: dict[tuple[int, str, Kin], int] = {}
    template, key = None, (0, "", (False, False))
    for at, order in enumerate(orders):
        if shards > 1 or order.template is not template:  # a bulk mostly has one, on one shard
            template = order.template
            shard = 0 if shards == 1 else shard_of(order.id)
            key = shard, template.on_full, template.kin
        places = open_.get(key)
        if places is None or len(places) == BULK_MAX or sizes[key] > BATCH_BYTES:
            places = open_[key] = []
            sizes[key] = 0
            done.append((key[1], places))
        places.append(at)
        sizes[key] += len(order.args)
    return done


# -- enqueue -----------------------------------------------------------------------------------


def wait_for_room(namespace: str, order: Order) -> Plan[Receipt]:
    """Enqueue an order as soon as its full queue has room. Raises QueueFull in the end."""
    deadline = monotonic() + order.template.wait_s
    shard = shard_of(order.id)
    space = keys.space(keys.root(namespace, shard), order.template.spec.queue)
    while True:
        left = deadline - monotonic()
        if left <= 0:
            receipt: Receipt = yield ordering.enqueue(order, on_full="refuse")
            return receipt
        block = min(left, BLOCK_S)
        yield Command(shard, ("BLPOP", space, blocking(block)), timeout_s=block)
        receipt = yield ordering.enqueue(order)
        if not receipt.no_room:
            return receipt


def enqueue(namespace: str, order: Order) -> Plan[Receipt]:
    """Enqueue one order, waiting for room if it says so. Raises QueueFull, DuplicateTask."""
    receipt: Receipt = yield ordering.enqueue(order)
    if receipt.no_room:
        receipt = yield from wait_for_room(namespace, order)
    ordering.check_duplicate(order, receipt)
    return receipt


def enqueue_rest(
    namespace: str, orders: Sequence[Order], receipts: Sequence[Receipt]
) -> Plan[list[Receipt]]:
    """Wait for room for those of a bulk that found none, in order."""
    settled = []
    for order, receipt in zip(orders, receipts, strict=True):
        done = (yield from wait_for_room(namespace, order)) if receipt.no_room else receipt
        ordering.check_duplicate(order, done)
        settled.append(done)
    return settled


def refuse(order: Order) -> Plan[Receipt]:
    """The exact refusal for an order that found no room. Raises QueueFull, unless room has come."""
    receipt: Receipt = yield ordering.enqueue(order, on_full="refuse")
    ordering.check_duplicate(order, receipt)
    return receipt


# -- looking -----------------------------------------------------------------------------------


def get(task_id: str) -> Plan[Task]:
    """One task."""
    glance: look.Glance = yield look.glance(task_id)
    return glance.task


def overview(shards: int) -> Plan[Overview]:
    """The namespace at a glance."""
    parts = []
    for shard in range(shards):
        part: Overview = yield queues.overview(shard)
        parts.append(part)
    return queues.merge(parts)


def queue(shards: int, name: str) -> Plan[Queue]:
    """One queue. Raises QueueNotFound."""
    seen = yield from overview(shards)
    for found in seen.queues:
        if found.name == name:
            return found
    names = ", ".join(found.name for found in seen.queues) or "none yet"
    raise QueueNotFound(f"There is no queue {name!r}; there are: {names}.", queue=name)


def ls(shards: int, *, state: State | None, queue: str, name: str, limit: int) -> Plan[list[Task]]:
    """Tasks that fit, state by state, at most `limit`. Raises InvalidOption, InvalidName."""
    whole("limit", limit)
    queue, name = checked.wanted("queue", queue), checked.wanted("task", name)
    found: list[Task] = []
    for wanted in LISTED if state is None else (state,):
        for shard in range(shards):
            offset = 0
            while len(found) < limit:
                page: look.Page = yield look.page(
                    shard, wanted, queue=queue, offset=offset, limit=min(PAGE, max(50, limit))
                )
                found += [task for task in page.tasks if not name or task.name == name]
                offset += page.looked_at
                if page.looked_at == 0:
                    break
    return found[:limit]


def logs(namespace: str, task_id: str) -> Plan[list[str]]:
    """What a task has said."""
    shard = shard_of(look.check_id(task_id))
    key = keys.log(keys.root(namespace, shard), task_id)
    lines: list[bytes] = yield Command(shard, ("LRANGE", key, 0, -1))
    return [line.decode(errors="replace") for line in lines]


# -- changing ----------------------------------------------------------------------------------


def retry(task_id: str) -> Plan[Task]:
    """Make a failed, cancelled or scheduled task ready. Raises TaskNotFound, Conflict."""
    look.check_id(task_id)
    (answer,) = yield morgue.requeue([task_id])
    if answer in {"missing", "foreign"}:
        raise TaskNotFound(f"There is no task {task_id} that could be retried.", id=task_id)
    if answer != "ok":
        raise Conflict(
            f"Task {task_id} is {answer}: only failed, cancelled or scheduled ones can be retried.",
            id=task_id,
            state=answer,
        )
    return (yield from get(task_id))


def requeue_all(ids: Sequence[str], states: frozenset[State]) -> Plan[int]:
    """Requeue those of `ids` that are in `states`; how many were."""
    done = 0
    for group in by_shard(ids):
        answers: list[str] = yield morgue.requeue(group, states=states)
        done += answers.count("ok")
    return done


def dead_ids(
    shards: int, *, queue: str, name: str, older_than_ms: int, limit: int
) -> Plan[list[str]]:
    """Ids of dead letters that fit; the age counts from when they were buried."""
    tasks = yield from ls(shards, state=State.FAILED, queue=queue, name=name, limit=limit)
    if not older_than_ms or not tasks:
        return [task.id for task in tasks]
    clock: list[bytes] = yield Command(0, ("TIME",))
    horizon = int(clock[0]) * 1000 - older_than_ms
    return [task.id for task in tasks if task.since_ms <= horizon]


def forget_all(ids: Sequence[str]) -> Plan[int]:
    """Delete ended tasks; how many were."""
    done = 0
    for group in by_shard(ids):
        deleted: int = yield morgue.forget(group)
        done += deleted
    return done


def configure(shards: int, name: str, settings: dict[str, int | bool | None]) -> Plan[Queue]:
    """Change a queue's settings on every shard."""
    parts: list[Queue] = []
    for shard in range(shards):
        part: Queue = yield queues.configure(shard, name, shards=shards, **settings)
        parts.append(part)
    return queues.merge_queues(parts)


def tell_worker(namespace: str, shards: int, name: str, order: str) -> Plan[None]:
    """Put an order into a live worker's inbox, where it is heard at once. Raises WorkerNotFound."""
    if order not in WORKER_ORDERS:
        raise InvalidOption(f"{order!r}: a worker understands {', '.join(WORKER_ORDERS)}.")
    seen = yield from overview(shards)
    if all(worker.name != name for worker in seen.workers):
        names = ", ".join(worker.name for worker in seen.workers) or "none"
        raise WorkerNotFound(f"No live worker is called {name!r}; alive: {names}.", worker=name)
    inbox = keys.inbox(keys.root(namespace, 0), name)
    yield Command(0, ("RPUSH", inbox, json.dumps({"do": order})))
    yield Command(0, ("EXPIRE", inbox, INBOX_TTL_S))


def purge(shards: int, name: str) -> Plan[int]:
    """Cancel all waiting tasks of a queue; how many there were."""
    yield from queue(shards, name)
    total = 0
    for shard in range(shards):
        more = True
        while more:
            cancelled, more = yield queues.purge(shard, name)
            total += cancelled
    return total
