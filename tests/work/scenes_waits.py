"""Scenes of what tasks keep and wait for, for the tests of lost replies."""

from __future__ import annotations

from typing import Any

from coordq.engine.call import Call
from coordq.work.saved import checkpoint as checkpointing
from coordq.work.saved import saved as reading
from tests.work.desk import Desk
from tests.work.scenes import Check, scene


@scene
def checkpoint(desk: Desk) -> tuple[Call[Any], Check]:
    """Kept once is kept."""
    desk.put()
    held = desk.take()
    version = desk.task(held.id).version

    def check(kept: Any) -> None:
        assert kept
        assert desk.run(reading(0, [held.id])) == [{"state": b'{"page":3}'}]
        assert desk.task(held.id).version == version

    return checkpointing(held.member, b'{"page":3}'), check


@scene
def saved(desk: Desk) -> tuple[Call[Any], Check]:
    """Reading again is no effect."""
    desk.put()
    held = desk.take()
    desk.run(checkpointing(held.member, b"1"))

    def check(found: Any) -> None:
        assert found == [{"state": b"1"}, {}]

    return reading(0, [held.id, "0" * 22]), check
