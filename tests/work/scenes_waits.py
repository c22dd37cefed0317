"""Scenes of what tasks keep and wait for, for the tests of lost replies."""

from __future__ import annotations

from typing import Any

from coordq.engine.call import Call
from coordq.work.answer import Heard
from coordq.work.answer import answer as answering
from coordq.work.answer import signal as signalling
from coordq.work.finish import finish
from coordq.work.flow import knots
from coordq.work.flow.tidy import sweep
from coordq.work.saved import checkpoint as checkpointing
from coordq.work.saved import saved as reading
from tests.work.desk import Desk
from tests.work.flows import Flows, node
from tests.work.scenes import Check, scene
from tests.work.waiting_room import came, suspend, suspension, wait, waiter


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


@scene
def wait_for_a_task(desk: Desk) -> tuple[Call[Any], Check]:
    """One edge, however often it is said: the end of that task wakes it, and once."""
    task_id = desk.put()
    held = desk.take_one(desk.put("waiter"))

    def check(done: Any) -> None:
        assert done.verdicts == ("duplicate",)
        assert desk.redis("LLEN", desk.key(f"kids:{task_id}")) == 1
        desk.end(desk.take())
        assert desk.kinds(held.id).count("resumed") == 1

    return finish(0, [suspension(held, wait("tasks", ids=(task_id,)))]), check


@scene
def answer(desk: Desk) -> tuple[Call[Any], Check]:
    """Answered once, and no second time when that is taken as a question again."""
    held = waiter(desk, wait("approval"))

    def check(_: Any) -> None:
        assert desk.kinds(held.id).count("approved") == 1
        assert came(desk, held.id)["value"] == 7

    return answering(held.id, approved=True, by="ann", value=7), check


@scene
def signal(desk: Desk) -> tuple[Call[Any], Check]:
    """Heard once, also by one who has gone to wait for it again."""
    held = waiter(desk, wait("signal", name="go"))

    def check(heard: Any) -> None:
        assert heard == Heard(0, more=False)
        again = desk.take(served=("waiter",))
        assert again.id == held.id
        assert suspend(desk, again, wait("signal", "second", name="go")) == "ok"
        desk.run(signalling(0, "go", 1, nonce="one"))
        assert desk.state(held.id) == "suspended"

    return signalling(0, "go", 1, nonce="one"), check


@scene
def flow_tidy(desk: Desk) -> tuple[Call[Any], Check]:
    """A flow that is gone is gone; the next one is not swept for it."""
    flows = Flows(desk)
    first, second = flows.start(node("a")), flows.start(node("b"))
    flows.end("a", "b")
    desk.redis("ZADD", desk.key("flows:ended"), 1, first.id)

    def check(swept: Any) -> None:
        assert (swept.tasks, swept.flows) == (0, 0)
        assert flows.account(first) == {}
        assert flows.outcome(second) == "succeeded"

    return sweep(0), check


@scene
def flow_stuck(desk: Desk) -> tuple[Call[Any], Check]:
    """Told once."""
    made = Flows(desk).start(node("a"))
    moved = int(desk.redis("ZSCORE", desk.key("flows:open"), made.id))

    def check(told: Any) -> None:
        assert told is False
        assert desk.kinds(made.id).count("stuck") == 1

    return knots.tell(made.id, moved, knots.Knot("sign", "a waits")), check
