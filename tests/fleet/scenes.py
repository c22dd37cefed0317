"""One scene for each script of the fleet room: a call, and what is true once it had one effect."""

from __future__ import annotations

from typing import Any

from coordq.engine.call import Call
from coordq.fleet import election, report
from coordq.fleet.election import Candidate
from coordq.fleet.tell import tell as telling
from tests.work.desk import Desk
from tests.work.scenes import Check, Scene

SCENES: dict[str, Scene] = {}
CANDIDATE = Candidate("a", lease_ms=60_000)


def scene(scene: Scene) -> Scene:
    """A call whose reply gets lost, and what must be true afterwards."""
    SCENES[scene.__name__] = scene
    return scene


@scene
def campaign(desk: Desk) -> tuple[Call[Any], Check]:
    """Elected once, under one epoch."""

    def check(answer: Any) -> None:
        assert answer.leads
        assert [event.fence for event in desk.events()] == [answer.leader.epoch]

    return election.campaign(CANDIDATE), check


@scene
def resign(desk: Desk) -> tuple[Call[Any], Check]:
    """One token, one event; whoever took over meanwhile is left alone."""
    desk.run(election.campaign(CANDIDATE))

    def check(_: Any) -> None:
        assert [event.kind for event in desk.events()] == ["elected", "resigned"]
        assert desk.redis("LLEN", desk.key("handover")) == 1

    return election.resign("a"), check


@scene
def inaugurate(desk: Desk) -> tuple[Call[Any], Check]:
    """Once known is known."""

    def check(_: Any) -> None:
        assert desk.redis("GET", desk.key("epoch")) == b"7"

    return election.inaugurate(0, 7), check


@scene
def standing(desk: Desk) -> tuple[Call[Any], Check]:
    """Looking again is no effect."""
    desk.run(election.campaign(CANDIDATE))

    def check(seen: Any) -> None:
        assert seen.leader.name == "a"

    return election.standing(), check


@scene
def tell(desk: Desk) -> tuple[Call[Any], Check]:
    """Told once: a repair that is told twice looks like two."""

    def check(_: Any) -> None:
        assert [(event.kind, event.fence) for event in desk.events()] == [("repaired", 7)]

    return telling(0, 7, [("repaired", "q", "a counter had drifted")]), check


@scene
def publish(desk: Desk) -> tuple[Call[Any], Check]:
    """The same facts again."""

    def check(_: Any) -> None:
        assert desk.run(report.read_reports("rates")) == {"rates": {"done": 3}}

    return report.publish(7, "rates", {"done": 3}, 60_000), check


@scene
def reports(_: Desk) -> tuple[Call[Any], Check]:
    """Looking again is no effect."""

    def check(seen: Any) -> None:
        assert seen == {}

    return report.read_reports(), check
