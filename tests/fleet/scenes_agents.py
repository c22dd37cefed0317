"""Scenes for the registry of agents; see scenes.py."""

from __future__ import annotations

from typing import Any

from coordq.engine.call import Call
from coordq.fleet import registry
from coordq.fleet.profile import make_profile
from coordq.fleet.registry import Verdict
from tests.fleet.scenes import scene
from tests.work.desk import Desk
from tests.work.scenes import Check

READER = make_profile("ann", role="reader", ttl=60)


def kinds(desk: Desk) -> list[str]:
    """What was told, in order."""
    return [event.kind for event in desk.events()]


def here(desk: Desk, *names: str) -> None:
    """Agents outside workers that are there."""
    for name in names:
        desk.run(registry.register(name, READER))


@scene
def host(desk: Desk) -> tuple[Call[Any], Check]:
    """Told of once, whatever the second answer says."""
    desk.beat(worker="w1")

    def check(_: Any) -> None:
        assert (
            desk.redis("ZCARD", desk.key("hosts")) == desk.redis("ZCARD", desk.key("hosted")) == 1
        )
        assert kinds(desk) == ["agent-registered"]

    return registry.host("w1", {"ann": READER}), check


@scene
def unhost(desk: Desk) -> tuple[Call[Any], Check]:
    """It left once."""
    desk.beat(worker="w1")
    desk.run(registry.host("w1", {"ann": READER}))

    def check(_: Any) -> None:
        assert (
            desk.redis("ZCARD", desk.key("hosts")) == desk.redis("ZCARD", desk.key("hosted")) == 0
        )
        assert kinds(desk) == ["agent-registered", "agent-left"]

    return registry.unhost("w1"), check


@scene
def register(desk: Desk) -> tuple[Call[Any], Check]:
    """The one that wants to be the first is not kept out by itself."""

    def check(done: Any) -> None:
        assert done == Verdict("ok", 1)
        assert kinds(desk) == ["agent-registered"]

    return registry.register("ann", READER, version=0), check


@scene
def present(desk: Desk) -> tuple[Call[Any], Check]:
    """Being there twice is being there."""
    here(desk, "ann")

    def check(left_ms: Any) -> None:
        assert left_ms == 60_000
        assert kinds(desk) == ["agent-registered"]

    return registry.present("ann"), check


@scene
def revise(desk: Desk) -> tuple[Call[Any], Check]:
    """One version more, not a conflict with itself."""
    here(desk, "ann")

    def check(done: Any) -> None:
        assert done == Verdict("ok", 2)
        assert kinds(desk) == ["agent-registered", "agent-updated"]

    return registry.revise("ann", '{"weight":2.0}', version=1, who="bob"), check


@scene
def depart(desk: Desk) -> tuple[Call[Any], Check]:
    """It left once."""
    here(desk, "ann")

    def check(done: Any) -> None:
        assert done.verdict == "gone"
        assert kinds(desk) == ["agent-registered", "agent-left"]

    return registry.depart("ann"), check


@scene
def agents(desk: Desk) -> tuple[Call[Any], Check]:
    """Looking again is no effect."""
    here(desk, "ann")

    def check(news: Any) -> None:
        assert list(news.records) == ["ann"]

    return registry.look(), check


@scene
def stand_in(desk: Desk) -> tuple[Call[Any], Check]:
    """Begun once."""
    here(desk, "ann", "bob")

    def check(verdict: Any) -> None:
        assert verdict == "ok"
        assert kinds(desk).count("stand-in") == 1

    return registry.stand_in("ann", "bob", who="eve"), check


@scene
def tend(desk: Desk) -> tuple[Call[Any], Check]:
    """Found gone once, and replaced once."""
    here(desk, "bob")
    desk.beat(worker="w1")
    desk.run(registry.host("w1", {"ann": make_profile("ann", stand_ins=["bob"])}))
    desk.redis("DEL", desk.key("worker:w1"))

    def check(_: Any) -> None:
        assert kinds(desk)[2:] == ["agent-left", "stand-in"]

    return registry.tend(7, after_s=0), check
