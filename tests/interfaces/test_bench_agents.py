"""The bench of agents measures what it says."""

from __future__ import annotations

from statistics import mean

import pytest

from coordq.fleet.balance.kinds import KINDS
from coordq.interfaces.bench import agents
from coordq.interfaces.bench.report import GOALS
from coordq.interfaces.bench.server import Server


def test_every_goal_has_its_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt name would hold for ever."""
    monkeypatch.setattr(agents, "CALLS", 5)
    monkeypatch.setattr(agents, "ARRIVALS", 200)
    with Server() as server:
        figures = agents.agents(server)

    goals = {name for name in GOALS if name.startswith("agents, ")}
    assert len(goals) == 5
    assert goals <= set(figures)
    assert all(value >= 0 for value in figures.values())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_reckoned_can_be_done_again(kind: str) -> None:
    """The same seed is the same day; and nothing is done sooner than it takes."""
    first = agents.waits(kind, arrivals=500, seed=7)

    assert first == agents.waits(kind, arrivals=500, seed=7)
    assert min(first) > 0
    assert mean(first) > agents.FAST_MS / 2
