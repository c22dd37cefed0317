"""What a task keeps from one run to the next: its checkpoint, and what came of its waits.

A handler that waits for something is run again from its start when that has come. So each wait has
a key, and what came of it stands in HASH saved:<id> under `w:<key>`: the same call finds it there
and goes on at once. Where the handler gives no key it follows from the kind and the order of calls,
`approval.1` say, so a handler must wait for the same things in the same order each time.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from coordq.errors import (
    ApprovalRejected,
    CoordqError,
    InvalidInput,
    PayloadTooLarge,
    TaskCancelled,
    TaskFailed,
    WaitExpired,
)
from coordq.work.flow.refs import Outcome
from coordq.work.signals import Suspended

STATE: Final = "state"
WAIT: Final = "w:"


@dataclass(frozen=True, slots=True)
class Memory:
    """What HASH saved:<id> held when the run began."""

    state: Any = None
    """The last checkpoint, as JSON."""
    came: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What came of waits, by key: {"value": ...} or {"error": ..., "by": ..., "note": ...}."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON: for a process of its own."""
        return {"state": self.state, "came": dict(self.came)}


NOTHING: Final = Memory()


def read_memory(fields: Mapping[str, bytes]) -> Memory:
    """What the fields of a HASH saved:<id> say. Raises ValueError when coordq did not write it."""
    came = {
        name.removeprefix(WAIT): json.loads(text)
        for name, text in fields.items()
        if name.startswith(WAIT)
    }
    return Memory(json.loads(fields.get(STATE, b"null")), came)


def dump_state(task: str, state: Any) -> bytes:
    """A checkpoint as JSON. Raises InvalidInput, PayloadTooLarge."""
    from pydantic_core import to_json

    from coordq.work.hints import Unfit, check_json, first_line
    from coordq.work.payload import PAYLOAD_MAX

    try:
        check_json(state, exact=True)
        body = to_json(state)
    except (Unfit, TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            f"A checkpoint of task {task!r} cannot be kept as JSON: {first_line(error)}.", task=task
        ) from error
    if len(body) > PAYLOAD_MAX:
        raise PayloadTooLarge(
            f"A checkpoint of task {task!r} takes {len(body):,} bytes as JSON; {PAYLOAD_MAX:,} are"
            " allowed. Store the data elsewhere and keep where it is.",
            size=len(body),
        )
    return body


class Waits:
    """The waits of one run."""

    __slots__ = ("_memory", "_turns", "parting", "state")

    def __init__(self, memory: Memory | None = None) -> None:
        self._memory = memory or NOTHING
        self._turns: Counter[str] = Counter()
        self.state: Any = self._memory.state
        self.parting: Suspended | None = None
        """Why the run is over although the handler may not have noticed."""

    def key(self, kind: str, given: str = "") -> str:
        """The key of the next wait of this kind: as given, else by the order of calls."""
        if given:
            return given
        self._turns[kind] += 1
        return f"{kind}.{self._turns[kind]}"

    def came(self, key: str) -> bool:
        """Whether something has come of a wait."""
        return key in self._memory.came

    def value(self, wait: Suspended) -> Any:
        """What has come of a wait. Raises WaitExpired, ApprovalRejected."""
        came = self._memory.came[wait.key]
        error = came.get("error")
        if error is None:
            return came.get("value")
        if error == "timeout":
            raise WaitExpired(
                f"What was waited for under {wait.key!r} did not come in time.", key=wait.key
            )
        if error == "rejected":
            by, note = came.get("by", ""), came.get("note", "")
            raise ApprovalRejected(
                f"{by or 'Somebody'} rejected {wait.key!r}{note and ': '}{note}.",
                key=wait.key,
                by=by,
                note=note,
            )
        raise CoordqError(f"The wait {wait.key!r} ended with {error!r}.", key=wait.key)

    def check(self) -> None:
        """Raise what ended the run already, for a handler that caught it and went on."""
        if self.parting is not None:
            raise self.parting

    def part(self, wait: Suspended) -> Suspended:
        """What is to be raised where a handler has to wait; nothing it does afterwards counts."""
        self.parting = self.parting or wait
        return self.parting


def failure(task_id: str, outcome: Outcome) -> CoordqError:
    """The error of a task that was waited for and has no result."""
    error = outcome.error or {}
    words = error.get("message", "no reason was recorded")
    if outcome.state == "cancelled":
        return TaskCancelled(f"Task {task_id} was cancelled: {words}.", id=task_id)
    reason = error.get("reason", "error")
    return TaskFailed(
        f"Task {task_id} is a dead letter ({reason}): {error.get('type', 'error')}: {words}",
        id=task_id,
        reason=reason,
        error=error,
    )
