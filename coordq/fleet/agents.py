"""What the agents of a fleet have done, out of what its workers say of themselves.

Each worker counts since it was started. So these are the figures of those who are here: what a
worker has done is gone with it. Workers of 0.1 count all their agents together; such a
worker's figures are its agent's when it has one, and else nobody's.

Pure, but for `look`, which is a Call.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from coordq.amounts import is_number, is_whole
from coordq.engine.call import Call

REST: Final = "*"
"""Of a worker with very many agents: those that it does not count one by one."""
COUNTS: Final = ("succeeded", "failed", "worked_ms", "running")
_AGENTS_MAX: Final = 1000
"""Of one worker, whatever a stranger may have put there."""

Counts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Recent:
    """What an agent did in the last minute or so, as the leader's aggregator measured it."""

    ended_s: float
    """Runs a second that succeeded or failed."""
    success_percent: float | None
    mean_ms: float | None


@dataclass(frozen=True, slots=True)
class AgentSummary:
    """One agent, on all workers that have it, since each of them was started."""

    name: str
    """`*`: agents that their worker does not count one by one."""
    roles: tuple[str, ...]
    """One as a rule; several when workers know different agents by this name, none without."""
    workers: int
    """How many have it."""
    uncounted: int
    """How many of these do not say what it has done: they are of an older version."""
    running: int
    """Tasks that it holds now."""
    succeeded: int
    """Runs that ended well."""
    failed: int
    """Runs that did not, those included that are tried again."""
    worked_ms: int
    """How long all these runs took together."""
    recent: Recent | None = None
    """None when nobody measures."""

    @property
    def success_percent(self) -> float | None:
        """How many of a hundred runs end well; None before the first."""
        return success_percent(self.succeeded, self.failed)

    @property
    def mean_ms(self) -> float | None:
        """How long a run takes on average; None before the first."""
        return mean_ms(self.worked_ms, self.succeeded + self.failed)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        recent = self.recent
        return {
            "name": self.name,
            "roles": list(self.roles),
            "workers": self.workers,
            "uncounted": self.uncounted,
            "running": self.running,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "worked_ms": self.worked_ms,
            "success_percent": self.success_percent,
            "mean_ms": self.mean_ms,
            "recent": None
            if recent is None
            else {
                "ended_s": recent.ended_s,
                "success_percent": recent.success_percent,
                "mean_ms": recent.mean_ms,
            },
        }


def look() -> Call[list[dict[str, Any]]]:
    """What each worker says of itself, by this moment's beats; what is no info is left out."""

    def read(reply: Any) -> list[dict[str, Any]]:
        return [info for text in reply[2][1::3] if (info := _read(text)) is not None]

    return Call("fleet/look", 0, (), read)


def _read(text: bytes) -> dict[str, Any] | None:
    try:
        info = json.loads(text)
    except ValueError:
        return None
    return info if isinstance(info, dict) else None


@dataclass(slots=True)
class _Sum:
    roles: dict[str, None] = field(default_factory=dict)
    workers: int = 0
    uncounted: int = 0
    counts: Counts = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))


def summarize(
    infos: Iterable[Mapping[str, Any]], rates: Mapping[str, Any] | None = None
) -> tuple[AgentSummary, ...]:
    """All agents by name. rates: what the aggregator measured, see `rates.py`."""
    sums: dict[str, _Sum] = {}
    for info in infos:
        hosted, counted = roles(info), counts(info)
        for name in dict.fromkeys((*hosted, *counted)):
            one = sums.setdefault(name, _Sum())
            one.workers += 1
            one.roles |= dict.fromkeys(hosted.get(name, ()))
            one.uncounted += name not in counted and not says(info)
            for what, amount in counted.get(name, {}).items():
                one.counts[what] += amount
    measured = (rates or {}).get("agents")
    each = measured if isinstance(measured, dict) else {}
    return tuple(_summary(name, sums[name], each.get(name)) for name in sorted(sums))


def _summary(name: str, one: _Sum, recent: Any) -> AgentSummary:
    known = None
    if isinstance(recent, dict):
        rate = _number(recent.get("ended_s")) or 0.0
        known = Recent(rate, _number(recent.get("success_percent")), _number(recent.get("mean_ms")))
    return AgentSummary(
        name, tuple(sorted(one.roles)), one.workers, one.uncounted, **one.counts, recent=known
    )


# -- what one worker says, whatever its version ----------------------------------------------------


def says(info: Mapping[str, Any]) -> bool:
    """Whether a worker counts by agent."""
    return isinstance(info.get("by_agent"), dict)


def roles(info: Mapping[str, Any]) -> dict[str, list[str]]:
    """The agents of a worker, and the roles of each."""
    found: dict[str, list[str]] = {}
    for agent in _agents(info):
        role = agent.get("role")
        found.setdefault(agent["name"], []).extend([role] if isinstance(role, str) and role else [])
    return found


def profiles(info: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What a worker says of each of its agents: name, role, capabilities, tasks."""
    return {agent["name"]: agent for agent in _agents(info)}


def counts(info: Mapping[str, Any]) -> dict[str, Counts]:
    """What each agent of a worker has done, as far as it says so."""
    if not says(info):
        names = list(roles(info))
        return {names[0]: _counts(info)} if len(names) == 1 else {}
    pairs = list(info["by_agent"].items())[:_AGENTS_MAX]
    return {name: _counts(one) for name, one in pairs if isinstance(one, dict)}


def _agents(info: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = info.get("agents")
    some = given[:_AGENTS_MAX] if isinstance(given, list) else []
    return [one for one in some if isinstance(one, dict) and isinstance(one.get("name"), str)]


def _counts(facts: Mapping[str, Any]) -> Counts:
    return {what: whole(facts.get(what)) for what in COUNTS}


# -- figures ---------------------------------------------------------------------------------------


def success_percent(succeeded: float, failed: float) -> float | None:
    """How many of a hundred; None of none."""
    runs = succeeded + failed
    return round(100 * succeeded / runs, 1) if runs else None


def mean_ms(worked_ms: float, runs: float) -> float | None:
    """How long one took; None of none."""
    return round(worked_ms / runs, 1) if runs else None


def whole(value: Any) -> int:
    """A whole number from 0, whatever a worker of another version, or a stranger, has put there."""
    return value if is_whole(value, 0, 2**53 - 1) else 0


def _number(value: Any) -> float | None:
    return float(value) if is_number(value) else None
