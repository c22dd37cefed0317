"""The bench of routing measures what it says."""

from __future__ import annotations

import pytest

from coordq.fleet.semantic.labelled import shipped
from coordq.interfaces.bench import routing
from coordq.interfaces.bench.report import GOALS
from coordq.interfaces.bench.server import Server


def test_a_thousand_routes_have_phrases_of_their_own() -> None:
    """Else a search would be over less than is said."""
    routes = routing.many(shipped(), routing.ROUTES)

    assert len(routes) == 1000
    assert len({text for texts in routes.values() for text in texts}) == 3000


def test_each_embedder_has_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with a goal among them: a misspelt name would hold for ever."""
    monkeypatch.setattr(routing, "ROUTES", 20)
    monkeypatch.setattr(routing, "STREAM", 200)
    monkeypatch.setattr(routing, "_TEXTS", 60)
    monkeypatch.setattr(routing, "available", lambda: ("lexical",))
    with Server() as server:
        figures = routing.routing(server)

    goals = {name for name in GOALS if name.startswith("routing, lexical")}
    assert len(goals) == 5
    assert goals <= set(figures)
    assert all(value >= 0 for value in figures.values())
