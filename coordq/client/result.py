"""What waiting for a task gives: its result, or an error that says why there is none."""

from __future__ import annotations

from typing import Any

from coordq.errors import TaskCancelled, TaskFailed
from coordq.work.task import State, Task


def result_of(task: Task) -> Any:
    """The result of an ended task. Raises TaskFailed, TaskCancelled."""
    if task.state is State.SUCCEEDED:
        return task.result
    error = task.error or {}
    words = error.get("message", "no reason was recorded")
    if task.state is State.CANCELLED:
        raise TaskCancelled(f"Task {task.id} ({task.name}) was cancelled: {words}.", id=task.id)
    raise TaskFailed(
        f"Task {task.id} ({task.name}) is a dead letter ({error.get('reason', 'error')}): "
        f"{error.get('type', 'error')}: {words}",
        id=task.id,
        reason=error.get("reason", "error"),
        error=error,
    )
