"""The bench of topologies and breakers measures what it says."""

from __future__ import annotations

import pytest

from coordq.interfaces.bench import guards
from coordq.interfaces.bench.report import GOALS
from coordq.interfaces.bench.server import Server


def test_the_bench_of_guards_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small, so that it stays whole between two real runs."""
    for name in ("ASKED", "CALLS", "REPORTS"):
        monkeypatch.setattr(guards, name, 20)
    monkeypatch.setattr(guards, "LEARNERS", 2)
    with Server() as server:
        figures = guards.guards(server)

    goals = {name for name in GOALS if name.startswith(("topology", "breaker"))}
    assert goals <= set(figures)
    assert all(value > 0 for value in figures.values())
