"""The table: every figure as median (minimum-maximum), with what must be reached beside it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from coordq import __version__, clock
from coordq.interfaces.bench.server import machine

GOALS: Mapping[str, tuple[str, float]] = {
    "enqueue one : raw EVALSHA": (">=", 0.75),
    "enqueue from 100 coroutines /s": (">=", 20_000),
    "bulk /s": (">=", 50_000),
    "bulk : raw XADD": (">=", 0.7),
    "drain, 1 process /s": (">=", 10_000),
    "drain, 2 processes /s": (">=", 12_000),
    "bytes per queued task": ("<=", 300),
    "Redis CPU per drained task, us": ("<=", 50),
    "Redis CPU per bulk-enqueued task, us": ("<=", 15),
    "commands per drained task": ("<=", 4),
    "idle worker, Redis commands /s": ("<=", 5),
    "idle worker, % of a core": ("<=", 1),
    "worker child, MB (PSS)": ("<=", 50),
    "import coordq, ms": ("<=", 150),
    "coordq --help, ms": ("<=", 300),
    "build and submit a fan of 100 x 100, s": ("<=", 2),
    "build and submit a chain of 10,000, s": ("<=", 2),
    "a fan of 100 x 100: scripts' time added : plain": ("<=", 1.5),
    "a chain of 10,000: scripts' time added : plain": ("<=", 1.5),
    "join: per parent, 10,000 : 1,000": ("<=", 1.3),
    "chain, step to step p50, ms": ("<=", 5),
    "chain, step to step p99, ms": ("<=", 50),
    "fair: worst share of 99 small tenants, % off": ("<=", 10),
    "fair: scripts per task, 10,000 : 100 tenants": ("<=", 1.5),
    "rate (bucket): 100 /s over 60 s, 8 workers, % off": ("<=", 2),
    "rate (sliding): 100 /s over 60 s, 8 workers, % off": ("<=", 2),
    "concurrency 5: most at once, 5 kills": ("<=", 5),
    "bus: publish in batches /s": (">=", 30_000),
    "bus: publish : raw XADD": (">=", 0.6),
    "bus: taken and acknowledged, 2 processes /s": (">=", 15_000),
    "bus: taken and acknowledged : raw XREADGROUP": (">=", 0.6),
    "bus: publish to receive at 1,000 /s, p50, ms": ("<=", 2),
    "bus: publish to receive at 1,000 /s, p99, ms": ("<=", 20),
    "bus: mesh, per message, 100 : 2": ("<=", 2),
    "bus: overflow, lost of what was published": ("<=", 0),
    "bus: overflow, Redis memory : bound": ("<=", 1),
    "bus: overflow, critical p99, ms": ("<=", 100),
    "listeners: handled, 2 processes /s": (">=", 15_000),
    "listeners: publish to handler at 1,000 /s, p50, ms": ("<=", 2),
    "listeners: publish to handler at 1,000 /s, p99, ms": ("<=", 20),
    "listeners: idle worker, Redis commands /s": ("<=", 5),
    "listeners: idle worker, % of a core": ("<=", 1),
    "topology of 1,000, mesh: may_talk, us": ("<=", 5),
    "topology of 1,000, groups: may_talk, us": ("<=", 5),
    "breaker: guard a call, closed, us": ("<=", 50),
    "breaker: known to 10 other clients after, ms": ("<=", 5_000),
    "agents, 1,000: find by role, p50, ms": ("<=", 5),
    "agents, 1,000: find by words, p50, ms": ("<=", 5),
    "agents, 1,000: find among all, p50, ms": ("<=", 5),
    "agents, 1,000: recommend by skill, p50, ms": ("<=", 5),
    "agents, 1,000: recommend among all, p50, ms": ("<=", 5),
    **{
        f"routing, {name}: {figure}": goal
        for name in ("lexical", "wordllama")
        for figure, goal in {
            "decision, not cached, p50, ms": ("<=", 2.0),
            "decision, same text, p50, ms": ("<=", 0.1),
            "decision, similar text, p50, ms": ("<=", 0.1),
            "held out: hits at 0.85, %": (">=", 60.0),
            "held out: hits at 0.85 of other wordings alone, %": (">=", 60.0),
        }.items()
    },
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that was measured, and the most it may be."""

    name: str
    value: float
    goal: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether it reaches its goal; None when it has none."""
        return None if self.goal is None else self.value <= self.goal


def shown(value: float) -> str:
    """A figure with the digits that mean something."""
    if value >= 1000:  # noqa: PLR2004 - thousands are read in groups
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"  # noqa: PLR2004 - two digits are enough


def holds(name: str, value: float) -> bool | None:
    """Whether a figure reaches its goal; None when it has none."""
    if name not in GOALS:
        return None
    sign, goal = GOALS[name]
    return value >= goal if sign == ">=" else value <= goal


def surroundings(redis_version: str) -> dict[str, Any]:
    """Where and when figures are taken, and how busy the machine is with other things."""
    return {
        "date": datetime.fromtimestamp(clock.now_ms() / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "coordq": __version__,
        "python": platform.python_version(),
        "redis": f"{redis_version}, loopback, no persistence",
        **machine(),
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def conditions(redis_version: str, reps: int) -> dict[str, Any]:
    """Where and how the figures of the bench were taken."""
    return {
        **surroundings(redis_version),
        "repetitions": reps,
        "tasks": "no-op, 100 B payload, acknowledged late, fenced, results kept, events on",
    }


def as_json(facts: dict[str, Any], runs: Mapping[str, Sequence[float]]) -> str:
    """All single figures."""
    return json.dumps({"conditions": facts, "figures": runs}, indent=2)


def as_table(facts: dict[str, Any], runs: Mapping[str, Sequence[float]]) -> str:
    """The table as Markdown, which reads well in a terminal too."""
    rows = [("figure", "median", "min", "max", "goal", "")]
    for name, values in runs.items():
        middle = median(values)
        goal = "{} {:g}".format(*GOALS[name]) if name in GOALS else ""
        verdict = {True: "ok", False: "MISSED", None: ""}[holds(name, middle)]
        rows.append((name, shown(middle), shown(min(values)), shown(max(values)), goal, verdict))
    return "\n".join([*(f"{key}: {value}" for key, value in facts.items()), "", *markdown(rows)])


def as_verdicts(facts: dict[str, Any], figures: Sequence[Figure]) -> str:
    """Figures that were taken once, each with its own goal, as Markdown."""
    rows = [("figure", "value", "goal", "")]
    for one in figures:
        verdict = {True: "ok", False: "MISSED", None: ""}[one.holds]
        goal = f"<= {one.goal:g}" if one.goal is not None else ""
        rows.append((one.name, shown(one.value), goal, verdict))
    return "\n".join([*(f"{key}: {value}" for key, value in facts.items()), "", *markdown(rows)])


def markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table's lines, its columns aligned; the first row is its head."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"| {' | '.join(cells)} |")
        if number == 0:
            lines.append(f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    return lines
