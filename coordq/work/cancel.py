"""A task shall not run, or not go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coordq.engine.call import Call
from coordq.errors import ForeignData, TaskNotFound
from coordq.ids import shard_of
from coordq.work.task import BY_LETTER, State


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What a cancel did."""

    id: str
    state: State
    """cancelled; running while its worker is being told; or the state it had already ended in."""
    worker: str | None = None

    @property
    def requested(self) -> bool:
        """Whether it runs and its worker was told."""
        return self.state is State.RUNNING


def cancel(task_id: str, *, reason: str = "cancelled by request") -> Call[Cancellation]:
    """Cancel a task that waits, or ask its worker to stop it. The reply raises TaskNotFound."""

    def read(reply: Any) -> Cancellation:
        match reply[0]:
            case b"cancelled":
                return Cancellation(task_id, State.CANCELLED)
            case b"requested":
                return Cancellation(task_id, State.RUNNING, reply[1].decode())
            case b"ended":
                return Cancellation(task_id, BY_LETTER[reply[1].decode()])
            case b"foreign":
                raise ForeignData(
                    f"The record of task {task_id} was not written by coordq.", id=task_id
                )
            case _:
                raise TaskNotFound(
                    f"There is no task {task_id}: it never existed, or its record has expired.",
                    id=task_id,
                )

    return Call("work/cancel", shard_of(task_id), (task_id, reason[:200]), read)
