"""A flow's tasks run in the order of its edges, and its account says how it stands."""

from __future__ import annotations

import pytest

from coordq.work.flow import calls
from tests.work.desk import Desk
from tests.work.flows import Flows, node, plan


@pytest.fixture
def flows(desk: Desk) -> Flows:
    """The flows of this test's shard."""
    return Flows(desk)


def test_a_chain_runs_in_order(flows: Flows) -> None:
    """Each is claimed once the one before it has ended."""
    first = node("first")
    second = node("second", first)
    third = node("third", second)
    made = flows.start(first, second, third)

    flows.end("first")
    assert flows.states(first, second, third) == ["succeeded", "ready", "waiting"]
    flows.end("second")
    flows.end("third")

    assert flows.outcome(made) == "succeeded"


def test_a_join_waits_for_all_its_parents(flows: Flows) -> None:
    """However many there are, the last one releases it."""
    parents = [node(f"p{n}") for n in range(20)]
    join = node("join", *parents)
    made = flows.start(*parents, join)
    held = flows.take()

    for n in range(19):
        flows.finish(held[f"p{n}"])
    assert flows.state(join) == "waiting"
    flows.finish(held["p19"])

    assert flows.state(join) == "ready"
    flows.end("join")
    assert flows.outcome(made) == "succeeded"


def test_a_wide_fan_out_is_fired_page_by_page(flows: Flows) -> None:
    """More children than a call may release: the rest follows at the next claim."""
    root = node("root")
    children = [node(f"c{n}", root) for n in range(1200)]
    made = flows.start(root, *children)

    flows.end("root")
    keys: set[str] = set()
    while held := flows.take():
        keys |= set(held)
        for claim in held.values():
            flows.finish(claim)

    assert keys == {f"c{n}" for n in range(1200)}
    assert flows.outcome(made) == "succeeded"
    assert flows.desk.redis("HLEN", flows.desk.key("rippling")) == 0


def test_nothing_starts_before_the_launch(flows: Flows) -> None:
    """A flow that is still being built waits."""
    first = node("first")
    made = plan(first)
    flows.submit(made)

    assert flows.take() == {}
    flows.run(calls.launch(made))
    assert list(flows.take()) == ["first"]
