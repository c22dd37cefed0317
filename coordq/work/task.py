"""What a task is, and the only ways it may change.

`NEXT` says which event leads from which state to which; `lua/lib` carries the transitions out, and
`tests/work/test_states.py` holds one against the other. A task's record is read here (`read_task`)
and written only by the scripts; its four lines are described in lua/lib/record.lua.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from coordq.errors import ForeignData
from coordq.ids import created_ms
from coordq.work.spec import MAX_ATTEMPTS, Spec, read_spec


class State(StrEnum):
    """Where a task stands."""

    WAITING = "waiting"
    SCHEDULED = "scheduled"
    READY = "ready"
    RUNNING = "running"
    SUSPENDED = "suspended"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def letter(self) -> str:
        """How records spell it."""
        return _LETTERS[self]

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in TERMINAL


_LETTERS: Final = {
    State.WAITING: "w",
    State.SCHEDULED: "d",
    State.READY: "q",
    State.RUNNING: "r",
    State.SUSPENDED: "p",
    State.SUCCEEDED: "s",
    State.FAILED: "f",
    State.CANCELLED: "c",
}
BY_LETTER: Final = {letter: state for state, letter in _LETTERS.items()}
TERMINAL: Final = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})

NEXT: Final[dict[State, dict[str, State]]] = {
    State.WAITING: {
        "unblock": State.READY,
        "delay": State.SCHEDULED,
        "wait": State.SUSPENDED,
        "skip": State.CANCELLED,
        "parent-failed": State.CANCELLED,
        "cancel": State.CANCELLED,
        "overrun": State.FAILED,
    },
    State.SCHEDULED: {
        "promote": State.READY,
        "elapse": State.SUCCEEDED,
        "requeue": State.READY,
        "cancel": State.CANCELLED,
        "expire": State.FAILED,
        "overrun": State.FAILED,
    },
    State.READY: {
        "claim": State.RUNNING,
        "cancel": State.CANCELLED,
        "expire": State.FAILED,
        "overrun": State.FAILED,
        "shed": State.FAILED,
    },
    State.RUNNING: {
        "succeed": State.SUCCEEDED,
        "retry": State.SCHEDULED,
        "snooze": State.SCHEDULED,
        "release": State.READY,
        "crash": State.READY,
        "lapse": State.READY,
        "suspend": State.SUSPENDED,
        "fail": State.FAILED,
        "poison": State.FAILED,
        "cancelled": State.CANCELLED,
    },
    State.SUSPENDED: {
        "resume": State.READY,
        "approve": State.SUCCEEDED,
        "signal": State.SUCCEEDED,
        "reject": State.FAILED,
        "time-out": State.FAILED,
        "cancel": State.CANCELLED,
        "overrun": State.FAILED,
    },
    State.SUCCEEDED: {"requeue": State.READY},
    State.FAILED: {"requeue": State.READY},
    State.CANCELLED: {"requeue": State.READY},
}
"""State -> event -> next state."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task as it was when it was looked at."""

    id: str
    name: str
    queue: str
    state: State
    version: int
    """Raised by every transition."""
    fence: int
    """Of the current claim, or of the last one that committed an outcome; 0 when there is none."""
    attempt: int
    """How often it was tried; the run going on counts."""
    strikes: int
    """How often a worker died at it."""
    spec: Spec
    created_ms: int
    since_ms: int
    """When it came into its state, by Redis's clock; creation until the first transition."""
    worker: str | None
    cancel_requested: bool
    args: dict[str, Any] | None
    """None when the look did not fetch them."""
    result: Any = None
    """What the handler returned, once succeeded."""
    error: dict[str, Any] | None = None
    """The last error: type, message, traceback, reason."""
    progress: dict[str, Any] | None = None
    position: int | None = None
    """How many stand before it in its line, when ready and near the front."""
    lease_left_ms: int | None = None
    due_in_ms: int | None = None
    raw: str | None = field(default=None, repr=False)
    """What the record holds, when coordq did not write it."""

    @property
    def priority(self) -> str:
        """critical, high, normal or low."""
        return self.spec.priority

    @property
    def max_attempts(self) -> int:
        """How often it may be tried, unless its definition says otherwise."""
        return self.spec.max_attempts or MAX_ATTEMPTS

    @property
    def reason(self) -> str | None:
        """Why it failed or was cancelled, in a word."""
        return None if self.error is None else self.error.get("reason")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, for `--json` and the dashboard."""
        return {
            "id": self.id,
            "name": self.name,
            "queue": self.queue,
            "state": self.state.value,
            "priority": self.priority,
            "version": self.version,
            "fence": self.fence,
            "attempt": self.attempt,
            "max_attempts": self.max_attempts,
            "strikes": self.strikes,
            "created_ms": self.created_ms,
            "since_ms": self.since_ms,
            "worker": self.worker,
            "cancel_requested": self.cancel_requested,
            "role": self.spec.role or None,
            "capabilities": list(self.spec.capabilities),
            "args": self.args,
            "result": self.result,
            "error": self.error,
            "progress": self.progress,
            "position": self.position,
            "lease_left_ms": self.lease_left_ms,
            "due_in_ms": self.due_in_ms,
            "schedule": self.spec.schedule or None,
            "slot_ms": self.spec.slot_ms or None,
        }


def _number(fields: list[str], at: int) -> int:
    return int(fields[at]) if len(fields) > at and fields[at] else 0


def _word(fields: list[str], at: int) -> str:
    return fields[at] if len(fields) > at and fields[at] else "-"


def _json(text: bytes) -> Any:
    return json.loads(text) if text else None


def read_task(task_id: str, record: bytes, *, args: bytes | None = None, **extra: Any) -> Task:
    """The task that `record` describes; `args` when they are kept apart.

    Raises ForeignData when coordq did not write the record.
    """
    try:
        return _read_task(task_id, record, args, extra)
    except (ValueError, KeyError, IndexError) as error:
        raise ForeignData(
            f"The record of task {task_id} holds something coordq did not write: "
            f"{record[:60]!r}. Purge it with `coordq dead purge {task_id}`.",
            id=task_id,
        ) from error


def _read_task(task_id: str, record: bytes, args: bytes | None, extra: dict[str, Any]) -> Task:
    life, spec_line, inline, *rest = record.split(b"\n", 3)
    fields = life.decode().split(" ")
    state = BY_LETTER[fields[0][0]]
    spec = read_spec(spec_line)
    outcome = _json(rest[0]) if rest else None
    body = inline if inline != b"@" else args
    worker = _word(fields, 5)
    return Task(
        id=task_id,
        name=spec.name,
        queue=spec.queue,
        state=state,
        version=int(fields[0][1:]),
        fence=_number(fields, 1),
        attempt=_number(fields, 2),
        strikes=_number(fields, 3),
        spec=spec,
        created_ms=created_ms(task_id),
        since_ms=_number(fields, 4) or created_ms(task_id),
        worker=None if worker == "-" else worker,
        cancel_requested="x" in _word(fields, 7),
        args=_json(body) if body is not None else None,
        result=outcome if state is State.SUCCEEDED else None,
        error=None if state is State.SUCCEEDED else outcome,
        **extra,
    )


def foreign_task(task_id: str, record: bytes) -> Task:
    """A dead letter made of a record that coordq did not write."""
    return Task(
        id=task_id,
        name="?",
        queue="?",
        state=State.FAILED,
        version=0,
        fence=0,
        attempt=0,
        strikes=0,
        spec=Spec(queue="?", name="?"),
        created_ms=0,
        since_ms=0,
        worker=None,
        cancel_requested=False,
        args=None,
        error={
            "type": "ForeignData",
            "message": "the record holds something coordq did not write",
            "reason": "foreign-data",
        },
        raw=record[:200].decode(errors="replace"),
    )
