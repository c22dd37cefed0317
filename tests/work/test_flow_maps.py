"""Many tasks at once: maps over lists and over results, chains, joins, branches."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.errors import InvalidFlow
from coordq.ids import shard_of
from coordq.work.agent import Agent
from coordq.work.flow.build import Flow
from coordq.work.flow.expand import Expansion, expansion
from coordq.work.flow.plan import Edge, FlowPlan
from coordq.work.flow.refs import Outcome, fill, ids_in
from tests.work.planned import edges, inputs, nodes

agent = Agent("auditor")


@agent.task(queue="audits", timeout=30, on_full="refuse")
def audit(path: str, depth: int, tags: list[str] | None = None) -> int:
    """How bad it is."""
    return len(path) * depth + len(tags or ())


def test_a_map_over_a_list_makes_a_task_of_each_member() -> None:
    """In order, with numbers in their keys; `reduce` gets their results in the same order."""
    flow = Flow("f")
    parts = flow.map("part", ["a", "b", "c"], {"depth": 1}, into="x", queue="q")
    parts.reduce("sum", {"unit": "kg"}, into="found")
    plan = flow.plan()

    assert [step.key for step in parts] == ["part.0", "part.1", "part.2"]
    assert [json.loads(node.args)["x"] for node in plan.nodes[:3]] == ["a", "b", "c"]
    assert inputs(plan, "sum") == {"found": ["part.0", "part.1", "part.2"]}
    assert len(edges(plan)) == 3


def test_a_map_over_nothing_is_reduced_to_nothing() -> None:
    """Real lists are empty at times; the flow is not wrong for that."""
    flow = Flow("f")
    flow.map("part", [], into="x").reduce("sum")

    assert json.loads(nodes(flow)["sum"].args) == {"parts": []}


def test_two_maps_of_one_task_do_not_get_into_each_others_way() -> None:
    """Their keys are told apart like those of single tasks."""
    flow = Flow("f")
    first, second = flow.map("p", [1], into="x"), flow.map("p", [1, 2], into="x")

    assert [step.key for step in (*first, *second)] == ["p.0", "p.2.0", "p.2.1"]


def test_tasks_that_a_map_makes_later_have_keys_of_their_own() -> None:
    """They are not in the flow yet, but they will be."""
    flow = Flow("f")
    source = flow.task("list")
    maps = [flow.map("p", [1], into="x"), flow.map("p", source, into="x"), flow.map("p", source)]

    assert [step.key for group in maps for step in group.ends] == ["p.0", "p.2", "p.3"]


def test_no_other_step_has_the_key_of_a_task_that_a_map_makes_later() -> None:
    """Neither one that was there before nor one that comes, nor one that gets its key by itself."""
    flow = Flow("f")
    source = flow.task("list")
    flow.task("x", key="early.07")
    flow.task("x", key="early.7")
    flow.map("p", source, into="x")
    with pytest.raises(InvalidFlow, match="the map 'p' will have this key"):
        flow.task("x", key="p.3")
    with pytest.raises(InvalidFlow, match=r"early.0, early.1, ...: a step has one"):
        flow.map("p", source, into="x", key="early")
    flow.task("x", key="p.03")
    flow.task("x", key="p.a")

    assert flow.map("early", source, into="x").ends[0].key == "early.2"
    assert [flow.task("p").key for _ in range(2)] == ["p-2", "p-3"]


def test_a_flow_that_is_included_keeps_the_keys_of_its_maps_to_itself() -> None:
    """The same is refused under its prefix."""
    part = Flow("part")
    part.map("p", part.task("list"), into="x")
    flow = Flow("f")
    flow.task("x", key="part.p.1")

    with pytest.raises(InvalidFlow, match="a step has one"):
        flow.include(part, key="part")


def test_a_chain_hands_results_on_when_asked_to() -> None:
    """Names, pairs, triples and steps may be mixed."""
    flow = Flow("f")
    first = flow.task("first")
    flow.chain(
        first, "second", ("third", {"y": 1}), ("fourth", None, {"queue": "q"}), into="x", after=()
    )
    plan = flow.plan()

    assert inputs(plan, "second") == {"x": "first"}
    assert inputs(plan, "fourth") == {"x": "third"}
    assert len(edges(plan)) == 3


def test_a_join_is_about_order_unless_it_takes_results() -> None:
    """Groups count with all their steps."""
    flow = Flow("f")
    two = flow.group("a", ("b", {"x": 1}))
    flow.join("after_both", [two, flow.task("c")], after=flow.task("d"))
    plan = flow.plan()

    assert inputs(plan, "after_both") == {}
    assert {parent for parent, *_ in edges(plan)} == {"a", "b", "c", "d"}


def test_a_branch_goes_one_way() -> None:
    """Each way has its own condition and the denial of those before it."""
    flow = Flow("f")
    first = flow.task("assess")
    fast = flow.task("fast", {"x": first})
    flow.branch(first, ("q > 0.8", fast), ("q > 0.5", "medium"), otherwise=("deep", {"x": first}))
    flow.task("publish", {"audit": fast | flow["medium"] | flow["deep"]["report"]})
    plan = flow.plan()

    conditions = {child: text for _, child, _, _, text in edges(plan) if text}
    assert conditions == {
        "fast": "q > 0.8",
        "medium": "not (q > 0.8) and (q > 0.5)",
        "deep": "not (q > 0.8) and not (q > 0.5)",
    }
    assert inputs(plan, "publish") == {"audit": "fast?|medium?|deep?/report"}


@given(st.floats(0, 1), st.booleans())
def test_one_way_of_a_branch_is_open_and_no_other(score: float, flagged: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever the result is."""
    flow = Flow("f")
    flow.branch(
        flow.task("a"), ("score > 0.8", "b"), ("flagged or score < 0.2", "c"), otherwise="d"
    )
    result = {"score": score, "flagged": flagged}
    ways = [node.parents[0].condition for node in flow.plan().nodes if node.parents]

    assert [way is not None and way.holds(result) for way in ways].count(True) == 1


def test_after_a_branch_the_way_that_was_not_taken_is_null() -> None:
    """A plain argument from it, too: one of the parents is always missing."""
    flow = Flow("f")
    ways = flow.branch(flow.task("a"), ("x", "b"), otherwise="c")
    flow.task("d", {"b": ways[0], "c": ways[1]})

    assert inputs(flow.plan(), "d") == {"b": "b?", "c": "c?"}


# -- maps over a result ----------------------------------------------------------------------------


def expanded(flow: Flow, key: str, over: Any) -> tuple[FlowPlan, Expansion]:
    """What the expander of a map makes of a list."""
    plan = flow.plan()
    node = next(node for node in plan.nodes if node.key == key)
    args = json.loads(node.args)
    found = {one: Outcome("succeeded", over) for one in ids_in(args)}
    return plan, expansion(node.id, fill(args, found))


def test_a_map_over_a_result_makes_its_tasks_when_that_is_there() -> None:
    """One task for each member, and an edge to everybody who waits for all of them."""
    flow = Flow("f")
    files = flow.task("list")
    seed = flow.task("seed")
    checked = flow.map("check", files, {"seed": seed}, into="file", queue="q", delay=2)
    checked.reduce("sum", if_failed="continue")
    flow.task("later", after=checked, on="always")
    plan, made = expanded(flow, "check", ["a", "b"])
    ids = {node.key: node.id for node in plan.nodes}

    assert [node.key for node in made.nodes] == ["check.0", "check.1"]
    assert [json.loads(node.args) for node in made.nodes] == [
        {"file": "a", "$from": {"seed": ids["seed"]}},
        {"file": "b", "$from": {"seed": ids["seed"]}},
    ]
    assert {(node.template.spec.queue, node.delay_ms) for node in made.nodes} == {("q", 2000)}
    assert made.edges == (
        *((ids["sum"], Edge(one, "success", "continue")) for one in made.result),
        *((ids["later"], Edge(one, "always", "fail")) for one in made.result),
    )
    assert inputs(plan, "sum") == {"parts": "check*"}


def test_an_expander_that_runs_again_makes_the_same_tasks() -> None:
    """A crash in the middle makes none of them twice."""
    flow = Flow("f")
    flow.map("check", flow.task("list"), into="file")
    plan = flow.plan()
    args = {**json.loads(plan.nodes[1].args), "over": ["a", "b"]}
    first, again = expansion(plan.nodes[1].id, args), expansion(plan.nodes[1].id, args)

    assert first == again
    assert len({*first.result, *(node.id for node in plan.nodes)}) == 4
    assert {shard_of(one) for one in first.result} == {plan.shard}


def test_members_may_be_the_arguments_themselves() -> None:
    """Without `into` each member is an object; it is stronger than what all of them share."""
    flow = Flow("f")
    source = flow.task("list")
    flow.map(audit, source["todo"], {"depth": 1})
    _, made = expanded(flow, "audit", {"todo": [{"path": "p"}, {"path": "q", "depth": 2}]})

    assert [json.loads(node.args) for node in made.nodes] == [
        {"depth": 1, "path": "p"},
        {"depth": 2, "path": "q"},
    ]


def test_need_counts_the_tasks_of_a_map_not_its_expander() -> None:
    """The expander has to succeed in any case: without it nobody knows how many there are."""
    flow = Flow("f")
    flow.map("check", flow.task("list"), into="file").reduce("sum", first=3)
    node = nodes(flow)["sum"]

    assert (node.want, node.early, node.parents[0].policy) == (4, True, "fail")


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ("abc", "what it maps over is str, not a list"),
        ({"a": 1}, "what it maps over is dict"),
        (None, "what it maps over is NoneType"),
        ([1], "member 0 is no object of arguments"),
        ([{"$from": {}}], "member 0 has a field '$from'"),
        ([{}] * 10_001, "it maps over 10,001 members; 10,000 are allowed"),
    ],
)
def test_what_cannot_be_mapped_over_is_refused(over: Any, words: str) -> None:
    """For good: the same result would be refused again."""
    flow = Flow("f")
    flow.map("check", flow.task("list"))

    with pytest.raises(ValueError, match="cannot be made") as caught:
        expanded(flow, "check", over)

    assert words in str(caught.value)
