"""Nodes that only wait: for a person or a signal, and for no longer than they were told to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from coordq.work.flow.plan import Node
from tests.work.desk import Desk
from tests.work.flows import Flows, after, node
from tests.work.waiting_room import say, send


@pytest.fixture
def flows(desk: Desk) -> Flows:
    """The flows of this test's shard."""
    return Flows(desk)


def approval(*parents: Node, **how: Any) -> Node:
    """A node that waits for a person."""
    return node("ok", *parents, name="coordq.approval", kind="approval", **how)


def signal(*parents: Node, **how: Any) -> Node:
    """A node that waits for a signal."""
    return node("heard", *parents, name="coordq.signal", kind="signal", signal="go", **how)


def time_limit(desk: Desk, waiting: Node) -> Any:
    """When its wait ends by itself."""
    return desk.redis("ZSCORE", desk.key("due"), f"z{waiting.id}")


@pytest.mark.parametrize("make", [approval, signal])
def test_a_node_that_has_waited_long_enough_fails(flows: Flows, make: Any) -> None:
    """The time counts from the end of its parents, not from when the flow was made."""
    first = node("first")
    waiting = make(first, timeout=60)
    late = node("late", after(waiting, on="failure"))
    made = flows.start(first, waiting, late)
    assert time_limit(flows.desk, waiting) is None
    flows.end("first")
    assert flows.state(waiting) == "suspended"
    assert float(time_limit(flows.desk, waiting)) > flows.desk.now_ms()

    flows.desk.make_due(f"z{waiting.id}")
    flows.desk.promote()

    assert (flows.state(waiting), flows.desk.task(waiting.id).reason) == ("failed", "timeout")
    flows.end("late")
    assert flows.outcome(made) == "succeeded"


def test_an_alternative_takes_over_when_nobody_answers(flows: Flows) -> None:
    """What is to happen when a person is away can be said beforehand."""
    instead = node("instead", is_alternative=True)
    waiting = replace(approval(timeout=60), fallback=instead.id)
    made = flows.start(waiting, instead)

    flows.desk.make_due(f"z{waiting.id}")
    flows.desk.promote()
    flows.end("instead")

    assert flows.outcome(made) == "succeeded"


@pytest.mark.parametrize("make", [approval, signal])
def test_an_answer_in_time_ends_the_clock(flows: Flows, make: Any) -> None:
    """It cannot fail afterwards."""
    waiting = make(timeout=60)
    made = flows.start(waiting)

    if make is approval:
        say(flows.desk, waiting.id, value=1)
    else:
        send(flows.desk, "go", 1)

    assert time_limit(flows.desk, waiting) is None
    assert (flows.state(waiting), flows.outcome(made)) == ("succeeded", "succeeded")


def test_a_node_without_a_limit_waits_for_ever(flows: Flows) -> None:
    """A person takes as long as a person takes."""
    waiting = approval()
    flows.start(waiting)

    assert flows.state(waiting) == "suspended"
    assert time_limit(flows.desk, waiting) is None


def test_a_node_that_is_tried_again_has_all_its_time_again(flows: Flows) -> None:
    """A retried flow asks once more, with a new limit."""
    waiting = approval(timeout=60)
    made = flows.start(waiting)
    flows.desk.make_due(f"z{waiting.id}")
    flows.desk.promote()
    assert flows.outcome(made) == "failed"

    flows.retry(made)

    assert flows.state(waiting) == "suspended"
    assert float(time_limit(flows.desk, waiting)) > flows.desk.now_ms()
