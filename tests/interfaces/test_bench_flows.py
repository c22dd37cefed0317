"""The bench measures what it says: the shapes of its flows, and how it counts."""

from __future__ import annotations

import pytest

from coordq.client.client import connect
from coordq.interfaces.bench import desk, fair, flows, limits
from coordq.interfaces.bench.report import GOALS
from coordq.interfaces.bench.server import Server
from coordq.work.flow.plan import FlowPlan


def edges(plan: FlowPlan) -> dict[str, int]:
    """How many parents each node has, by key, in order."""
    return {node.key: len(node.parents) for node in plan.nodes}


def test_a_fan_is_ten_thousand_tasks_in_a_hundred_stages() -> None:
    """99 side by side, and one that comes after all of them and before the next 99."""
    parents = list(edges(flows.fan().plan()).values())

    assert len(parents) == 10_000
    assert parents.count(99) == 100
    assert parents.count(0) == 99
    assert sum(parents) == 100 * 99 + 99 * 99


def test_a_chain_and_a_join_have_their_parents() -> None:
    """Each one after the one before it; and one after all."""
    assert list(edges(flows.chain(5).plan()).values()) == [0, 1, 1, 1, 1]
    assert list(edges(flows.join(4).plan()).values()) == [0, 0, 0, 0, 4]


@pytest.mark.parametrize(
    ("spans", "most"),
    [
        ([], 0),
        ([(0, 1), (1, 2)], 1),
        ([(0, 3), (1, 2), (2.5, 4)], 2),
        ([(0, 9), (1, 9), (2, 9), (3, 4)], 4),
    ],
)
def test_what_overlaps_is_counted(spans: list[tuple[float, float]], most: int) -> None:
    """One that ends as another starts is not beside it."""
    assert limits.most_at_once(spans) == most


@pytest.mark.live
def test_a_desk_does_the_work_of_flows_and_tenants() -> None:
    """All of it, in order; else what it costs would be that of less."""
    with Server() as server, connect(server.url) as client:
        client.flows.run(flows.chain(30))
        assert [one.spec.name for one in desk.work_off(client, 1)] == ["noop"] * 30
        fair.fill(client, ["a", None, "b"], 10)
        assert len(desk.work_off(client)) == 30
        assert desk.script_us(server, lambda: fair.fill(client, ["a"], 10)) > 0


def test_goals_name_figures_that_there_are() -> None:
    """A goal with a misspelt name would hold for ever."""
    built = {
        f"fair: scripts per task, {fair.TENANTS[1]:,} : {fair.TENANTS[0]:,} tenants",
        f"join: per parent, {flows.JOINS[1]:,} : {flows.JOINS[0]:,}",
        f"concurrency {limits.AT_ONCE}: most at once, {limits.KILLS} kills",
        *(
            f"rate ({window}): {limits.RATE} /s over {limits.WINDOW_S} s, "
            f"{limits.WORKERS} workers, % off"
            for window in ("bucket", "sliding")
        ),
    }

    assert built <= GOALS.keys()
