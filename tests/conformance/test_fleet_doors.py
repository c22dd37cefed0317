"""Topologies and breakers do the same on every engine."""

from __future__ import annotations

import pytest

from coordq.client.client import connect
from coordq.errors import BreakerOpen, Conflict
from tests.fleet.fuses import ask, end, pass_time, seen, tell
from tests.work.desk import Desk


def test_a_topology_is_set_by_version(engine_url: str, namespace: str) -> None:
    """Compare-and-set, history, and what clients see."""
    with connect(engine_url, namespace=namespace) as client:
        client.topology.set("star", ["a", "b", "c"], expect=0, why="calm")
        with pytest.raises(Conflict):
            client.topology.set("mesh", ["a", "b"], expect=0)
        client.topology.clear(expect=1)
        client.topology.restore(1, expect=2)

        assert not client.topology.view(max_age=0).may_talk("b", "c")
        past = client.topology.history()
        assert [(one.version, one.why) for one in past] == [
            (3, "version 1 again"),
            (2, ""),
            (1, "calm"),
        ]


def test_a_breaker_lives_its_life(engine_url: str, namespace: str) -> None:
    """Closed, open, half-open and closed again; and an operator is stronger."""
    with connect(engine_url, namespace=namespace) as client:
        desk = Desk(client.engine)
        tell(desk, good=5, bad=5)
        with pytest.raises(BreakerOpen), client.breakers.guard("api"):
            raise AssertionError("it was called")
        pass_time(desk, 30_000)
        tokens = [ask(desk).token for _ in range(4)]
        assert [bool(token) for token in tokens] == [True, True, True, False]
        for token in tokens[:3]:
            end(desk, token, "good")

        view = seen(desk)
        assert (view.state, view.opened, view.all_calls) == ("closed", 1, 13)
        assert client.breakers.open("api").forced == "open"
        assert client.breakers.reset("api").state == "closed"
        kinds = [event.kind for event in desk.events()]
        assert kinds == [
            "breaker-opened", "breaker-probing", "breaker-closed", "breaker-opened",
            "breaker-closed",
        ]  # fmt: skip
