"""Handlers that wait, by hand: they are claimed, suspended, woken and claimed again."""

from __future__ import annotations

import json
from typing import Any

from coordq.work.answer import Heard, answer, signal
from coordq.work.claim import Claim
from coordq.work.finish import Outcome
from coordq.work.saved import saved
from tests.work.desk import Desk


def wait(kind: str, key: str = "k", *, ids: tuple[str, ...] = (), name: str = "") -> dict[str, Any]:
    """What a handler waits for."""
    return {"kind": kind, "key": key, "ids": ids, "name": name}


def suspend(desk: Desk, held: Claim, what: dict[str, Any], *, timeout_ms: int = 0) -> str:
    """End a run by waiting; the verdict."""
    outcome = suspension(held, what, timeout_ms=timeout_ms)
    (verdict,) = desk.finish(outcome).verdicts
    return verdict


def suspension(held: Claim, what: dict[str, Any], *, timeout_ms: int = 0) -> Outcome:
    """The outcome of a run that waits."""
    return Outcome("suspend", held.id, held.fence, json.dumps(what).encode(), timeout_ms)


def waiter(desk: Desk, what: dict[str, Any], *, timeout_ms: int = 0, **options: Any) -> Claim:
    """A task that waits; the claim that it gave up."""
    task_id = desk.put("waiter", **options)
    held = desk.take_one(task_id)
    assert suspend(desk, held, what, timeout_ms=timeout_ms) == "ok"
    return held


def came(desk: Desk, task_id: str, key: str = "k") -> Any:
    """What came of a wait; None while nothing has."""
    (fields,) = desk.run(saved(desk.shard, [task_id]))
    text = fields.get(f"w:{key}")
    return None if text is None else json.loads(text)


def say(desk: Desk, task_id: str, *, approved: bool = True, **how: Any) -> None:
    """Answer an approval."""
    desk.run(answer(task_id, approved=approved, by="ann", **how))


def send(desk: Desk, name: str, value: Any = None, *, keep: float = 0, nonce: str = "n") -> Heard:
    """Signal once."""
    heard = desk.run(signal(desk.shard, name, value, keep=keep, nonce=nonce))
    assert isinstance(heard, Heard)
    return heard
