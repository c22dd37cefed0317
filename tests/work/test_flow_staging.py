"""What is too much for one call is staged by pages, and added to its flow all at once or not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from coordq.engine.call import Call
from coordq.errors import (
    Conflict,
    DuplicateTask,
    FlowEnded,
    FlowNotFound,
    StaleClaim,
    TaskNotFound,
    WouldCycle,
)
from coordq.ids import new_id
from coordq.work.finish import Outcome
from coordq.work.flow import calls
from coordq.work.flow.look import members
from coordq.work.flow.plan import Edge, FlowPlan, Node
from coordq.work.flow.tidy import sweep
from tests.work.desk import Desk
from tests.work.flows import Flows, after, node
from tests.work.test_flow_races import at_once, end_and_claim, run

MANY = 1001
Link = tuple[Node, Edge]


@pytest.fixture
def flows(desk: Desk) -> Flows:
    """The flows of this test's shard."""
    return Flows(desk)


def many(*before: Edge) -> list[Node]:
    """More nodes than a call may have: a head, half come after it, half wait for nothing."""
    head = node("head", *before)
    return [head, *(node(f"n{n}", *([head] if n % 2 else [])) for n in range(1, MANY))]


def growing(
    made: FlowPlan, nodes: Sequence[Node], *links: Link, member: str = ""
) -> list[Call[None]]:
    """The calls of one growth."""
    edges = [(child.id, edge) for child, edge in links]
    return [*calls.grow(made.id, nodes, edges, member=member)]


def run_all(flows: Flows, growth: Sequence[Call[None]]) -> None:
    """All calls of a growth."""
    for call in growth:
        flows.run(call)


def work_off(flows: Flows) -> list[str]:
    """Claim and end whatever is ready until nothing is; their keys, in order."""
    ended: list[str] = []
    while held := flows.desk.claim(200).claims:
        ended += [json.loads(each.args)["key"] for each in held]
        flows.desk.finish(*(Outcome("succeeded", each.id, each.fence, b'{"n":1}') for each in held))
    return ended


def test_all_of_it_is_added_at_once(flows: Flows) -> None:
    """Behind old tasks, before old tasks, with alternatives: as if it had come in one call."""
    over, root = node("over"), node("root")
    join = node("join", root)
    early = node("early", after(root, policy="ignore"), want=2, early=True)
    made = flows.start(over, root, join, early)
    held = flows.take()
    flows.finish(held["over"])
    spare = node("spare", is_alternative=True)
    nodes = many(after(over))
    nodes[2] = replace(nodes[2], fallback=spare.id)
    behind = node("behind", nodes[0], nodes[7], root)
    asks = after(nodes[0], policy="ignore", when="n == 1")
    links = [(join, after(each)) for each in nodes]
    links += [(early, after(nodes[4], policy="ignore")), (early, asks)]

    *staging, last = growing(made, [*nodes, spare, behind], *links)
    run_all(flows, staging)
    assert flows.take() == {}
    assert flows.account(made)["total"] == "4"
    flows.run(last)

    assert flows.account(made)["total"] == str(4 + MANY + 2)
    assert sorted(work_off(flows)) == sorted(["early", *(each.key for each in nodes)])
    assert flows.states(join, behind, spare) == ["waiting", "waiting", "skipped"]
    flows.finish(held["root"])
    assert sorted(work_off(flows)) == ["behind", "join"]
    assert flows.outcome(made) == "succeeded"
    graph = [members(made.id, at) for at in range(8)]
    assert len({each.key for page in graph for each in flows.run(page).nodes}) == 4 + MANY + 2


@pytest.mark.parametrize("done", range(6))
def test_it_may_be_begun_again_after_any_call(flows: Flows, done: int) -> None:
    """Whoever died on the way adds the same once more: it has one effect."""
    root = node("root")
    join = node("join", root)
    made = flows.start(root, join)
    held = flows.take()["root"]
    nodes = many()
    links = [(join, after(each)) for each in nodes]
    for call in growing(made, nodes, *links, member=held.member)[:done]:
        flows.run(call)

    run_all(flows, growing(made, nodes, *links, member=held.member))

    assert flows.account(made)["total"] == str(2 + MANY)
    flows.finish(held)
    ended = work_off(flows)
    assert ended[-1] == "join"
    assert sorted(ended[:-1]) == sorted(each.key for each in nodes)
    assert flows.outcome(made) == "succeeded"


def test_what_is_refused_leaves_nothing(flows: Flows) -> None:
    """Whatever is wrong with it is found before anything of it counts; in an hour it is gone."""
    over, open_ = node("over"), node("open")
    waits = node("waits", open_)
    made = flows.start(over, open_, waits)
    held = flows.take()
    flows.finish(held["over"])
    before = flows.account(made)
    nodes = many(after(waits))
    refused: list[tuple[list[Call[None]], type[Exception]]] = [
        (growing(made, many(), (over, after(open_))), Conflict),
        (growing(made, many(Edge(new_id()))), TaskNotFound),
        (growing(made, nodes, (waits, after(nodes[-1])), (waits, after(nodes[1]))), WouldCycle),
        (growing(made, many(), member=f"{over.id}|1"), StaleClaim),
        (growing(replace(made, id=new_id()), many()), FlowNotFound),
    ]
    late = many()
    refused.append((growing(made, late, *[(open_, after(each)) for each in late]), Conflict))

    for staged, wrong in refused:
        with pytest.raises(wrong):
            run_all(flows, staged)

    assert flows.account(made) == before
    desk = flows.desk
    for flow in desk.redis("ZRANGE", desk.key("flows:ended"), 0, -1):
        desk.redis("ZADD", desk.key("flows:ended"), 1, flow)
    while flows.run(sweep(0)).due_in_ms == 0:
        pass
    left = [name for name in desk.names() if ":t:" in name]
    assert len(left) == 3
    flows.finish(held["open"])
    flows.end("waits")
    assert flows.outcome(made) == "succeeded"


def test_a_flow_that_ends_meanwhile_takes_nothing(flows: Flows) -> None:
    """What was staged stays apart; what was swept is said to be."""
    root = node("root")
    made = flows.start(root)
    *staging, last = growing(made, many())
    run_all(flows, staging)
    flows.end("root")

    with pytest.raises(FlowEnded):
        flows.run(last)

    assert flows.account(made)["total"] == "1"
    assert flows.take() == {}


def test_what_was_swept_cannot_be_added(flows: Flows) -> None:
    """And who comes with a task that there is, is told so."""
    root = node("root")
    made = flows.start(root)
    nodes = many()
    *staging, last = growing(made, nodes)

    with pytest.raises(Conflict, match="not there whole"):
        flows.run(last)
    with pytest.raises(DuplicateTask):
        flows.run(growing(made, [node("new"), root, *nodes])[0])

    flows.run(staging[0])
    flows.end("root")


def test_what_was_staged_is_retried_with_its_flow(flows: Flows) -> None:
    """Its roots are roots of the flow."""
    root = node("root")
    made = flows.start(root)
    held = flows.take()["root"]
    run_all(flows, growing(made, many()))
    flows.cancel(made)
    flows.finish(held, "cancelled")
    assert flows.outcome(made) == "cancelled"

    flows.retry(made)

    assert len(work_off(flows)) == MANY + 1
    assert flows.outcome(made) == "succeeded"


def test_a_child_that_starts_meanwhile_waits_for_all_or_for_none(
    flows: Flows, redis_url: str
) -> None:
    """Its last parent ends while edges from a thousand new ones are added."""
    for _ in range(8):
        root = node("root")
        join = node("join", root)
        made = flows.start(root, join)
        held = flows.take()["root"]
        nodes = many()
        *staging, last = growing(made, nodes, *((join, after(each)) for each in nodes))
        run_all(flows, staging)

        claimed, refused = at_once(redis_url, flows.desk, end_and_claim(held), run(last))

        for each in claimed:
            flows.finish(each)
        ended = len(claimed) + len(work_off(flows))
        assert ended == (1 if refused else MANY + 1)
        assert flows.account(made)["total"] == str(ended + 1)
        assert flows.outcome(made) == "succeeded"
