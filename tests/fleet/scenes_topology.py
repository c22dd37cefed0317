"""Scenes for the scripts of topologies; see scenes.py. Those of breakers join them."""

from __future__ import annotations

from typing import Any

from coordq.engine.call import Call
from coordq.fleet.topology import calls
from coordq.fleet.topology.make import make
from tests.work.desk import Desk
from tests.work.scenes import Check, Scene

MESH = make("mesh", ["a", "b"])
SCENES: dict[str, Scene] = {}


def scene(scene: Scene) -> Scene:
    """A call whose reply gets lost, and what must be true afterwards."""
    SCENES[scene.__name__] = scene
    return scene


@scene
def topology_set(desk: Desk) -> tuple[Call[Any], Check]:
    """One version, one event; the second answer is that it is done, not that it is too late."""

    def check(version: Any) -> None:
        assert version == 1
        assert [one.version for one in desk.run(calls.past())] == [1]
        assert [event.kind for event in desk.events()] == ["arranged"]

    return calls.put(MESH, expect=0, who="ada"), check


@scene
def topology_taken_away(desk: Desk) -> tuple[Call[Any], Check]:
    """Once."""
    desk.run(calls.put(MESH, who="ada"))

    def check(version: Any) -> None:
        assert version == 2
        assert desk.run(calls.look()).topology is None

    return calls.put(None, expect=1, who="ada"), check


@scene
def topology_look(desk: Desk) -> tuple[Call[Any], Check]:
    """Looking again is no effect."""
    desk.run(calls.put(MESH, who="ada"))

    def check(seen: Any) -> None:
        assert (seen.version, seen.topology) == (1, MESH)

    return calls.look(), check


@scene
def topology_past(desk: Desk) -> tuple[Call[Any], Check]:
    """Looking again is no effect."""
    desk.run(calls.put(MESH, who="ada"))

    def check(seen: Any) -> None:
        assert [one.version for one in seen] == [1]

    return calls.past(), check
