"""The table: every figure as median (minimum-maximum), with what must be reached beside it."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
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
    "worker child, MB (PSS)": ("<=", 50),
    "import coordq, ms": ("<=", 150),
    "coordq --help, ms": ("<=", 300),
}


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


def conditions(redis_version: str, reps: int) -> dict[str, Any]:
    """Where and how the figures were taken."""
    return {
        "date": datetime.fromtimestamp(clock.now_ms() / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "coordq": __version__,
        "python": platform.python_version(),
        "redis": f"{redis_version}, loopback, no persistence",
        **machine(),
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
    widths = [max(len(row[at]) for row in rows) for at in range(6)]
    lines = [f"{key}: {value}" for key, value in facts.items()] + [""]
    for number, row in enumerate(rows):
        cells = [
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"| {' | '.join(cells)} |")
        if number == 0:
            lines.append(f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    return "\n".join(lines)
