"""Who should do this, and why: agents that fit, in the order of a score that explains itself.

The score is a sum of four parts, each from 0 to 1:

    match    0.30   how many of the capabilities that would be welcome it has
    free     0.30   how much of its room is free
    success  0.25   how often it succeeds at least, see `wilson`
    speed    0.15   how fast it is beside the fastest of those that fit; half when that is unknown

An open breaker is never recommended, one that is half open counts half. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import nsmallest
from typing import Any, Final, NamedTuple

from coordq.fleet.directory import AgentView
from coordq.fleet.sentences import counted, lasting

Z: Final = 1.96
"""95 %: how sure the lower bound is."""
UNKNOWN_SPEED: Final = 0.5
ON_TRIAL: Final = 0.5
CLOSED, HALF_OPEN, OPEN = "closed", "half-open", "open"

Breakers = Mapping[str, str]
"""By agent: closed, half-open or open. Who is not in it is closed."""


class Parts(NamedTuple):
    """What a score is made of, each from 0 to 1."""

    match: float
    free: float
    success: float
    speed: float


WEIGHTS: Final = Parts(match=0.30, free=0.30, success=0.25, speed=0.15)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An agent, and what speaks for it and against it."""

    agent: AgentView
    score: float
    """0 to 1."""
    parts: Parts
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "agent": self.agent.name,
            "score": round(self.score, 3),
            "parts": {name: round(value, 3) for name, value in self.parts._asdict().items()},
            "reasons": list(self.reasons),
        }


@lru_cache(maxsize=4096)
def wilson(succeeded: int, runs: int, z: float = Z) -> float:
    """How often it succeeds at least: the lower bound of Wilson's interval; 0 before the first run.

    3 of 3 is 0.44, 98 of 100 is 0.93: what was seen often counts for more.
    """
    if runs == 0:
        return 0.0
    share, extra = succeeded / runs, z * z / runs
    middle = share + extra / 2
    spread = z * math.sqrt((share * (1 - share) + extra / 4) / runs)
    return max(0.0, (middle - spread) / (1 + extra))


def recommend(
    views: Sequence[AgentView],
    n: int,
    *,
    preferred: frozenset[str] = frozenset(),
    breakers: Breakers | None = None,
) -> list[Recommendation]:
    """The best of those that fit, best first; equal ones by name."""
    state = breakers or {}
    able = [view for view in views if state.get(view.name, CLOSED) != OPEN] if state else views
    fastest = min((_mean_ms(view) for view in able if view.worked_ms), default=0.0)
    ranked = [
        (-(score * ON_TRIAL if state.get(view.name) == HALF_OPEN else score), view.name, view)
        for score, view in zip(_scores(able, preferred, fastest), able, strict=True)
    ]
    return [
        Recommendation(
            view,
            -score,
            _parts(view, preferred, fastest),
            _reasons(view, preferred, fastest, state.get(view.name, CLOSED)),
        )
        for score, _, view in nsmallest(n, ranked)
    ]


def _mean_ms(view: AgentView) -> float:
    """0 before the first run."""
    return view.worked_ms / ((view.succeeded + view.failed) or 1)


def _parts(view: AgentView, preferred: frozenset[str], fastest: float) -> Parts:
    mean_ms = _mean_ms(view)
    return Parts(
        len(preferred & view.capabilities) / len(preferred) if preferred else 1.0,
        1.0 - view.load,
        wilson(view.succeeded, view.succeeded + view.failed),
        fastest / mean_ms if mean_ms else UNKNOWN_SPEED,
    )


def _scores(
    views: Sequence[AgentView], preferred: frozenset[str], fastest: float
) -> Iterator[float]:
    """The sum of `_parts` by weight, for very many without making them."""
    match, free, success, speed = WEIGHTS
    each = match / len(preferred) if preferred else 0.0
    for view in views:
        runs = view.succeeded + view.failed
        fast = fastest * runs / view.worked_ms if view.worked_ms else UNKNOWN_SPEED
        yield (
            (each * len(preferred & view.capabilities) if preferred else match)
            + free * (1.0 - view.load)
            + success * wilson(view.succeeded, runs)
            + speed * fast
        )


def _reasons(
    view: AgentView, preferred: frozenset[str], fastest: float, breaker: str
) -> tuple[str, ...]:
    reasons = [_match(view, preferred)] if preferred else []
    reasons.append(_room(view))
    reasons.append(_success(view))
    mean_ms = _mean_ms(view)
    if mean_ms:
        beside = "as fast as any" if mean_ms <= fastest else f"the fastest {lasting(fastest)}"
        reasons.append(f"takes {lasting(mean_ms)} on average, {beside}")
    if breaker == HALF_OPEN:
        reasons.append("its breaker is half open: it is on trial, and counts half")
    if view.state == "outside":
        reasons.append("it is outside workers: what it does is not counted")
    return tuple(reasons)


def _match(view: AgentView, preferred: frozenset[str]) -> str:
    has, lacks = sorted(preferred & view.capabilities), sorted(preferred - view.capabilities)
    parts = [f"has {', '.join(has)}"] if has else []
    return " and ".join(parts + ([f"lacks {', '.join(lacks)}"] if lacks else []))


def _room(view: AgentView) -> str:
    if not view.slots:
        return f"{view.load:.0%} busy, as it says"
    where = "its worker" if len(view.workers) == 1 else f"its {len(view.workers)} workers"
    runs = counted(view.running, "task")
    return f"{view.load:.0%} busy: it runs {runs}, {where} can take {view.slots}"


def _success(view: AgentView) -> str:
    runs = view.succeeded + view.failed
    if not runs:
        return "has not run yet: nothing is known of how often it succeeds"
    least = wilson(view.succeeded, runs)
    return f"{view.succeeded} of {counted(runs, 'run')} succeeded: at least {least:.0%} do"
