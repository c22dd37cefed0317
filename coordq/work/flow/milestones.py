"""Milestones of a flow: which tasks they need, by when, and how they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Standing = Literal["reached", "on-time", "late", "open", "missed"]

_REACHED: Final = ("succeeded", "skipped")
_LOST: Final = ("failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Milestone:
    """One milestone, as it stands."""

    name: str
    needs: tuple[str, ...]
    """Keys of the tasks that must be done."""
    done: int
    """How many of them are: they succeeded, or were left out."""
    standing: Standing
    """reached; on-time or late, by what is expected; open when nothing can be said, or no date was
    set; missed when the date has passed, or a task that it needs has failed for good."""
    by_ms: int = 0
    """By when, in milliseconds since 1970; 0: no date."""
    expected_ms: int = 0
    """When it will be reached at the present pace; 0: nobody knows."""
    blockers: tuple[str, ...] = ()
    """Keys of the tasks that stand in its way: those that failed, else those that are not done."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "name": self.name,
            "needs": list(self.needs),
            "done": self.done,
            "total": len(self.needs),
            "standing": self.standing,
            "by_ms": self.by_ms or None,
            "expected_ms": self.expected_ms or None,
            "blockers": list(self.blockers),
        }


def milestones(
    about: Mapping[str, Any],
    states: Mapping[str, str],
    *,
    now_ms: int,
    expected_ms: Mapping[str, int] | None = None,
) -> tuple[Milestone, ...]:
    """How a flow's milestones stand, the one with the earliest date first.

    about: the flow's, see FlowPlan. states: of each task by its key; a task that was left out by a
    condition is "skipped". expected_ms: when each task that goes on will have ended.
    """
    stated = about.get("milestones")
    listed = stated if isinstance(stated, list) else []
    found = [_milestone(one, states, now_ms, expected_ms or {}) for one in listed]
    return tuple(sorted(found, key=lambda one: (one.by_ms == 0, one.by_ms)))


def _milestone(
    facts: Mapping[str, Any], states: Mapping[str, str], now_ms: int, expected: Mapping[str, int]
) -> Milestone:
    needs = tuple(facts["needs"])
    by_ms = int(facts.get("by") or 0)
    open_ = [key for key in needs if states.get(key) not in _REACHED]
    lost = tuple(key for key in open_ if states.get(key) in _LOST)
    known = all(key in expected for key in open_)
    when_ms = max((expected[key] for key in open_), default=0) if known else 0
    return Milestone(
        name=str(facts["name"]),
        needs=needs,
        done=len(needs) - len(open_),
        standing=_standing(open_, lost, by_ms=by_ms, when_ms=when_ms, now_ms=now_ms),
        by_ms=by_ms,
        expected_ms=0 if lost else when_ms,
        blockers=lost or tuple(open_),
    )


def _standing(
    open_: list[str], lost: tuple[str, ...], *, by_ms: int, when_ms: int, now_ms: int
) -> Standing:
    if not open_:
        return "reached"
    if lost or (by_ms and now_ms > by_ms):
        return "missed"
    if not by_ms or not when_ms:
        return "open"
    return "late" if when_ms > by_ms else "on-time"
