"""What a task waits for that is not its turn: other tasks, an answer, a signal, a moment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from coordq.work.task import Task
from coordq.work.why import span

SHOWN_MAX: Final = 5
"""Tasks that are named."""


def why_waiting(task: Task, before: Sequence[tuple[str, str]], *, left: int, of: int) -> str:
    """Why a waiting task waits, in a sentence.

    before: key and state of each task before it that has not ended, as far as they are known.
    left, of: how many of how many it waits for.
    """
    if task.spec.stands_for:
        return (
            f"It stands in for task {task.spec.stands_for}: it runs if that fails for good, and is "
            "skipped otherwise."
        )
    left = max(left, len(before))
    of = max(of, left)
    what = "another task" if of <= 1 else f"{left} of {of} tasks"
    named = ", ".join(f"{key} ({state})" for key, state in before[:SHOWN_MAX])
    more = f" and {left - SHOWN_MAX} more" if named and left > SHOWN_MAX else ""
    return f"It waits for {what} to end{named and ': '}{named}{more}."


def why_suspended(task: Task, fields: Mapping[str, bytes], *, now_ms: int) -> str:
    """What a suspended task waits for, since when and until when, in a sentence.

    fields: those of HASH saved:<id>.
    """
    wait = wait_of(task, fields)
    since = f"for {span(max(0, now_ms - task.since_ms))}"
    until_ms = int(fields.get("until", b"0") or 0)
    until = f", and will for {span(max(0, until_ms - now_ms))} more at most" if until_ms else ""
    return f"It is suspended and holds no slot; it has waited {since} {_what(task, wait)}{until}."


def wait_of(task: Task, fields: Mapping[str, bytes]) -> dict[str, Any]:
    """The wait of a suspended task: kind, and key, ids or name; {} when that cannot be read."""
    if task.spec.waits == "a":
        return {"kind": "approval", "key": ""}
    if task.spec.waits.startswith("s:"):
        return {"kind": "signal", "name": task.spec.waits[2:]}
    try:
        found = json.loads(fields.get("wait", b"{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _what(task: Task, wait: Mapping[str, Any]) -> str:
    match wait.get("kind"):
        case "approval":
            key = f" of {wait['key']!r}" if wait.get("key") else ""
            return f"for an approval{key}: `coordq approve {task.id}`"
        case "signal":
            return f"for the signal {wait.get('name')!r}: `coordq signal {wait.get('name')}`"
        case "tasks":
            ids = [str(one) for one in wait.get("ids", ())]
            more = f" and {len(ids) - SHOWN_MAX} more" if len(ids) > SHOWN_MAX else ""
            noun = "task" if len(ids) == 1 else "tasks"
            return f"for {noun} {', '.join(ids[:SHOWN_MAX])}{more}"
        case "time":
            return "for a moment to come"
    return "for something that this version does not know"
