"""The bench of listeners measures what it says."""

from __future__ import annotations

import pytest

from coordq.interfaces.bench import listeners, measure
from coordq.interfaces.bench.report import GOALS
from coordq.interfaces.bench.server import Server

pytestmark = [pytest.mark.live, pytest.mark.slow]


def test_every_goal_of_listeners_has_its_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt name would hold for ever."""
    monkeypatch.setattr(listeners, "MESSAGES", 2_000)
    monkeypatch.setattr(listeners, "PACED_S", 1)
    monkeypatch.setattr(measure, "IDLE_S", 0.5)
    with Server() as server:
        figures = listeners.listeners(server)

    goals = {name for name in GOALS if name.startswith("listeners")}
    assert len(goals) == 5
    assert goals <= set(figures)
    assert all(value >= 0 for value in figures.values())
