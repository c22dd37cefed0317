"""A retry goes page by page while its tasks run: each end is told once, whenever it comes."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from coordq.errors import Conflict
from coordq.work.flow import calls
from coordq.work.flow.plan import Edge, FlowPlan, Node
from tests.work.desk import Desk, order
from tests.work.flows import Flows, after, node


@pytest.fixture
def flows(desk: Desk) -> Flows:
    """The flows of this test's shard."""
    return Flows(desk)


def carry_on(flows: Flows, made: FlowPlan, pages: int = 1000, nonce: str = "n") -> bool:
    """So many pages of a retry, a task each; whether there are more."""
    more = True
    while more and pages:
        more = flows.run(calls.retry(made.id, nonce=nonce, limit=1)).more
        pages -= 1
    return more


def failed_join(flows: Flows) -> tuple[FlowPlan, list[Node]]:
    """A flow that failed: one of the two parents of a join did, and was revived by itself."""
    nodes = [node("revived"), node("other")]
    join = node("join", *nodes)
    made = flows.start(*nodes, join)
    held = flows.take()
    flows.finish(held["other"])
    flows.finish(held["revived"], "failed")
    assert flows.desk.requeue(nodes[0].id) == ["ok"]
    return made, [*nodes, join]


@pytest.mark.parametrize("pages", range(8))
@pytest.mark.parametrize("how", ["succeeded", "failed", "cancelled"])
def test_the_end_of_a_revived_task_between_two_pages_is_told_once(
    flows: Flows, pages: int, how: str
) -> None:
    """Neither is its child left waiting, nor does it count one parent twice."""
    made, (revived, other, join) = failed_join(flows)
    held = flows.take()["revived"]

    more = carry_on(flows, made, pages)
    flows.finish(held, how)
    carry_on(flows, made, 1000 if more else 0)

    if pages == 0 and how != "succeeded":  # the retry has found that it failed again
        flows.end("revived")
        how = "succeeded"
    assert flows.states(revived, other)[1] == "succeeded"
    if how == "succeeded":
        flows.end("join")
        assert flows.outcome(made) == "succeeded"
    else:
        assert flows.state(join) == "unmet"
        assert flows.outcome(made) == "failed"
    assert flows.account(made)["left"] == "0"


@pytest.mark.parametrize("pages", range(10))
def test_a_join_waits_for_all_its_parents_while_a_retry_goes_on(flows: Flows, pages: int) -> None:
    """One parent ends at some point of the retry, another after it: the join comes last."""
    first, bad = node("first"), node("bad")
    second = node("second", bad)
    join = node("join", first, second)
    made = flows.start(first, bad, second, join)
    held = flows.take()
    flows.finish(held["bad"], "failed")
    flows.finish(held["first"], "failed")
    flows.desk.requeue(first.id)
    held = flows.take()

    more = carry_on(flows, made, pages)
    flows.finish(held["first"])
    carry_on(flows, made, 1000 if more else 0)
    flows.end("bad")
    assert flows.state(join) == "waiting"
    flows.end("second")
    flows.end("join")

    assert flows.outcome(made) == "succeeded"


@pytest.mark.parametrize("seed", range(12))
def test_what_runs_before_a_retry_is_over_is_told_once(flows: Flows, seed: int) -> None:
    """Roots that the first page released end before the last page looks at them."""
    chance = random.Random(seed)
    roots = [node(f"root{n}") for n in range(3)]
    middle = [node(f"middle{n}", *chance.sample(roots, 2)) for n in range(3)]
    last = node("last", *middle)
    made = flows.start(*roots, *middle, last)
    flows.cancel(made)

    more, ended = True, []
    while more or flows.outcome(made) == "running":
        more = more and carry_on(flows, made, 1)
        for key, held in flows.take().items():
            ended.append(key)
            flows.finish(held)

    assert sorted(ended) == sorted(each.key for each in (*roots, *middle, last))
    assert ended[-1] == "last"
    assert flows.outcome(made) == "succeeded"


def test_a_retry_that_was_not_carried_on_is_carried_on_by_the_next(flows: Flows) -> None:
    """Whoever began it may be gone; whoever comes later has its own nonce."""
    made, _ = failed_join(flows)
    carry_on(flows, made, 2, "gone")
    assert flows.outcome(made) == "retrying"

    assert not carry_on(flows, made, nonce="next")

    flows.end("revived")
    flows.end("join")
    assert flows.outcome(made) == "succeeded"
    with pytest.raises(Conflict):
        carry_on(flows, made, nonce="late")


def test_who_waits_outside_the_flow_hears_of_an_end_once(flows: Flows) -> None:
    """A task behind a member and another task does not run before that other one."""
    good, bad = node("good"), node("bad")
    made = flows.start(good, bad)
    slow = flows.desk.put(args={"key": "slow"})
    outside = order(args={"key": "outside"})
    flows.run(calls.depend(outside, [Edge(good.id), Edge(slow)]))
    held = flows.take()
    flows.finish(held["good"])
    flows.finish(held["bad"], "failed")

    carry_on(flows, made)

    flows.end("bad")
    assert flows.desk.state(outside.id) == "waiting"
    flows.finish(held["slow"])
    flows.end("outside")


def test_a_revived_alternative_is_not_overtaken_by_the_task_it_stands_in_for(flows: Flows) -> None:
    """It runs in its place: the task itself is not tried again beside it."""
    spare = node("spare", is_alternative=True)
    first = replace(node("first"), fallback=spare.id)
    child = node("child", first)
    made = flows.start(first, spare, child)
    flows.end("first", how="failed")
    flows.end("spare", how="failed")
    flows.desk.requeue(spare.id)

    carry_on(flows, made)

    flows.end("spare")
    flows.end("child")
    assert flows.states(first, spare, child) == ["failed", "succeeded", "succeeded"]
    assert flows.outcome(made) == "succeeded"


@pytest.mark.parametrize("pages", range(1, 5))
def test_an_edge_that_comes_during_a_retry_counts_once(flows: Flows, pages: int) -> None:
    """Its parent has ended, and tells of it as soon as the retry comes to it."""
    good, bad = node("good"), node("bad")
    made = flows.start(good, bad)
    held = flows.take()
    flows.finish(held["good"])
    flows.finish(held["bad"], "failed")
    carry_on(flows, made, 3)  # the flow runs again; who has ended has not told it yet
    more = carry_on(flows, made, pages - 1)
    new: dict[str, Any] = flows.take()

    flows.grow(made, node("child", after(good), after(bad)))
    carry_on(flows, made, 1000 if more else 0)

    new.update(flows.take())
    assert sorted(new) == ["bad"]
    flows.finish(new["bad"])
    flows.end("child")
    assert flows.outcome(made) == "succeeded"


def test_a_task_that_was_grown_without_parents_is_retried(flows: Flows) -> None:
    """As a root of the flow: nobody else would tell it to start."""
    holds = node("holds")
    made = flows.start(holds)
    grown = node("grown")
    flows.grow(made, grown)
    held = flows.take()
    flows.finish(held["grown"], "failed")
    flows.finish(held["holds"])

    flows.retry(made)

    flows.end("grown")
    assert flows.outcome(made) == "succeeded"
