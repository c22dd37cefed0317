"""Scenes of bus/alone: who reads a group alone is told so twice, and nobody else is."""

from __future__ import annotations

from typing import Any

from coordq.bus.alone import NOTHING, UNREAD, Alone, alone
from coordq.engine import bus_keys
from coordq.engine.call import Call
from tests.bus.office import Office
from tests.bus.scenes import Check, scene


@scene
def read_alone(office: Office) -> tuple[Call[Any], Check]:
    """It is nobody else's for that."""
    office.group("g", "t.*")
    office.post("t.x", 1)

    def check(told: Alone) -> None:
        assert told == Alone("", {"t.x": UNREAD, "t.y": NOTHING})
        assert office.run(alone(0, "g", "r2")).other == "r1"

    return alone(0, "g", "r1", channels=["t.x", "t.y"]), check


@scene
def read_alone_no_longer(office: Office) -> tuple[Call[Any], Check]:
    """Given up once; the next one keeps it."""
    office.run(alone(0, "g", "r1"))

    def check(_: Alone) -> None:
        assert office.redis("EXISTS", bus_keys.alone(office.root, "g")) == 0

    return alone(0, "g", "r1", lease_s=0), check
