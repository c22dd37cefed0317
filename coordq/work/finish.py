"""Commit outcomes, and claim the next tasks in the same round trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordq.engine.call import Argument, Call
from coordq.work.amount import shown
from coordq.work.claim import NOBODY, Ask, Claimed, read_claimed

OUTCOMES_MAX: Final = 200
LETTERS: Final = {
    "succeeded": "s",
    "retry": "t",
    "failed": "f",
    "snooze": "z",
    "release": "l",
    "cancelled": "c",
    "suspend": "p",
    "rate-limited": "k",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run of a task ended."""

    kind: str
    """succeeded, retry, failed (a dead letter), snooze, release (back to the head of its line),
    cancelled or suspend (it waits, and holds nothing). Snooze, release and suspend give the attempt
    back. rate-limited is a snooze that pauses a limit, its body, for the whole fleet."""
    id: str
    fence: int
    body: bytes = b""
    """JSON: the result, or the error as {"type", "message", "traceback", "reason"}; for suspend
    what it waits for: {"kind": "tasks" | "approval" | "signal" | "time", "key", "ids", "name"}."""
    delay_ms: int = 0
    """For retry, snooze and rate-limited; for suspend the timeout, 0 for none, and for a time how
    long it is."""
    units: float | None = None
    """What the run cost, in units of budgets; None: as declared."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of the outcomes, and what was claimed."""

    verdicts: tuple[str, ...]
    """Per outcome: "ok"; "duplicate", committed before by the same claim; "stale", refused because
    the claim is no longer held; "would-cycle" or "senseless-wait": it is a dead letter instead of
    suspended."""
    claimed: Claimed


def finish(shard: int, outcomes: Sequence[Outcome], ask: Ask | None = None) -> Call[Finished]:
    """Commit up to 200 outcomes and claim what `ask` wants. Repeating it has no second effect."""
    args: list[Argument] = list((ask or NOBODY).args)
    for outcome in outcomes:
        letter = LETTERS[outcome.kind]
        args += (
            letter if outcome.units is None else f"{letter} {shown(outcome.units)}",
            f"{outcome.id}|{outcome.fence}",
            outcome.delay_ms,
            outcome.body,
        )
    return Call("work/finish", shard, tuple(args), _read)


def _read(reply: Any) -> Finished:
    verdicts, granted, wait_ms, more, routes = reply
    return Finished(
        tuple(verdict.decode() for verdict in verdicts),
        read_claimed(granted, wait_ms, more, routes),
    )
