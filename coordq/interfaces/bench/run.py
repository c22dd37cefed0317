"""Take the figures, in turn, as often as asked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from coordq.interfaces.bench import (
    agents,
    bus,
    cluster,
    fair,
    flows,
    guards,
    limits,
    listeners,
    measure,
    report,
    routing,
    scale,
)
from coordq.interfaces.bench.server import Server

Step = Callable[[Server], measure.Figures]
STEPS: dict[str, Step] = {
    "enqueue": measure.enqueue_one,
    "async": measure.enqueue_async,
    "bulk": measure.enqueue_bulk,
    "drain": lambda server: measure.drain(server, 1),
    "drain2": lambda server: measure.drain(server, 2),
    "latency": measure.round_trip,
    "idle": measure.idle,
    "supervisor": measure.idle_supervisor,
    "startup": lambda _: measure.start_up(),
    "scale": scale.flat,
    "cluster": lambda _: cluster.spread(),
    "flows": flows.flows,
    "fair": fair.fair,
    "limits": limits.limits,
    "routing": routing.routing,
    "agents": agents.agents,
    "guards": guards.guards,
    "bus": bus.bus,
    "listeners": listeners.listeners,
}
LONG = (
    *("scale", "cluster", "flows", "fair", "limits", "guards", "routing", "agents", "bus"),
    "listeners",
)
"""Only when asked for."""
USUAL = tuple(name for name in STEPS if name not in LONG)


def run(only: Sequence[str] = (), *, reps: int = 5, out: Path | None = None) -> bool:
    """Measure, print the table, perhaps write JSON; true when every goal is reached."""
    runs: dict[str, list[float]] = {}
    with Server() as server:
        facts = report.conditions(server.version, reps)
        for turn in range(reps):
            for name in only or USUAL:
                print(f"{turn + 1}/{reps} {name} ...", file=sys.stderr, flush=True)  # noqa: T201
                for figure, value in STEPS[name](server).items():
                    runs.setdefault(figure, []).append(value)
    print(report.as_table(facts, runs))  # noqa: T201 - the table is what was asked for
    if out is not None:
        out.write_text(report.as_json(facts, runs))
    return all(report.holds(name, median(values)) is not False for name, values in runs.items())
