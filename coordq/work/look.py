"""See tasks: one, many, or the moment they end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordq.engine.call import Call
from coordq.errors import ForeignData, TaskNotFound
from coordq.ids import is_id, shard_of
from coordq.work.allowance import Parked, read_parked
from coordq.work.queue import Queue, read_queue
from coordq.work.task import State, Task, foreign_task, read_task

PAGE_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Turn:
    """How the tenant of a ready task stands among those that wait at its line."""

    weight: float
    weights: float
    """Of all of them, this one among them."""
    before: int
    """How many come before it."""
    tenants: int
    """How many there are, this one among them."""

    @property
    def share(self) -> float:
        """Of the line's turns, from 0 to 1."""
        return self.weight / self.weights


@dataclass(frozen=True, slots=True)
class Glance:
    """A task with what surrounds it: what `why` reasons about."""

    task: Task
    queue: Queue
    """Its shard's part of the queue."""
    expires_in_ms: int | None
    """Until its queue timeout; None when it has none."""
    total_left_ms: int | None
    turn: Turn | None = None
    """Of a ready task with a tenant."""
    parked: Parked | None = None
    """Of a ready task that a limit does not let start."""
    kept_ms: int | None = None
    """How long a ready task keeps the slots of its last run; None when it has none."""


def check_id(task_id: object) -> str:
    """`task_id` itself when it has the shape of an id; else raises TaskNotFound."""
    if isinstance(task_id, str) and is_id(task_id):
        return task_id
    raise TaskNotFound(
        f"{task_id!r} is not a task id: ids are 22 characters of 0-9 and a-v.", id=task_id
    )


def glance(task_id: str) -> Call[Glance]:
    """Everything about one task. The reply raises TaskNotFound, ForeignData."""
    check_id(task_id)

    def read(reply: Any) -> Glance:
        if not reply:
            raise TaskNotFound(
                f"There is no task {task_id}: it never existed, or its record has expired.",
                id=task_id,
            )
        if len(reply) == 1:
            raise ForeignData(
                f"The record of task {task_id} holds something coordq did not write: "
                f"{reply[0][:60]!r}.",
                id=task_id,
            )
        record, args, progress, lease_left, due_in, position, fields, expires, total = reply[:9]
        task = read_task(
            task_id,
            record,
            args=args,
            progress=json.loads(progress) if progress else None,
            position=None if position in {None, -1} else position,
            lease_left_ms=lease_left,
            due_in_ms=due_in,
        )
        place = (_turn(reply[10]), read_parked(reply[11]), reply[12])
        return Glance(task, read_queue(task.queue, fields, -1), expires, total, *place)

    return Call("work/look", shard_of(task_id), (task_id,), read)


def _turn(reply: Any) -> Turn | None:
    if not reply:
        return None
    weight, weights, before, tenants = reply
    return Turn(float(weight), float(weights), before, tenants)


@dataclass(frozen=True, slots=True)
class Page:
    """Some tasks of a shard, and whether there may be more behind them."""

    tasks: tuple[Task, ...]
    looked_at: int


def page(
    shard: int, state: State, *, queue: str = "", offset: int = 0, limit: int = 100
) -> Call[Page]:
    """Tasks of one state: ready ones in line order, dead letters and ended ones newest first.

    Waiting and suspended ones of flows come first, flow by flow.
    """

    def read(reply: Any) -> Page:
        pairs = zip(reply[1::2], reply[2::2], strict=True)
        return Page(tuple(_task(key.decode(), record) for key, record in pairs), int(reply[0]))

    return Call("work/list", shard, (state.letter, queue, offset, min(limit, PAGE_MAX)), read)


def _task(task_id: str, record: bytes) -> Task:
    try:
        return read_task(task_id, record)
    except ForeignData:
        return foreign_task(task_id, record)


def watch(ids: Sequence[str], *, mailbox: str = "") -> Call[list[Task | None]]:
    """The tasks that have ended, None for those that go on (the mailbox will hear of them).

    The reply raises TaskNotFound. Up to 500 ids of one shard.
    """

    def read(reply: Any) -> list[Task | None]:
        return [_ended(task_id, record) for task_id, record in zip(ids, reply, strict=True)]

    return Call("work/watch", shard_of(ids[0]), (mailbox, *ids), read)


def _ended(task_id: str, record: bytes | None) -> Task | None:
    if record is None:
        raise TaskNotFound(
            f"There is no task {task_id}: it never existed, or its record has expired.", id=task_id
        )
    return read_task(task_id, record) if record else None


def read_letter(letter: bytes) -> tuple[str, Task]:
    """What a mailbox holds: an id and the task that ended."""
    task_id, _, record = letter.partition(b"\n")
    return task_id.decode(), read_task(task_id.decode(), record)
