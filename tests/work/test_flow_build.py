"""What is said of a flow is what its plan does: tasks, edges, inputs, fallbacks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.ids import is_id, shard_of
from coordq.work.agent import Agent
from coordq.work.flow.build import Flow
from coordq.work.flow.step import Step
from coordq.work.middleware import Middleware, Outgoing
from tests.work.planned import edges, inputs, nodes

agent = Agent("auditor")


@agent.task(queue="audits", timeout=30, on_full="refuse")
def audit(path: str, depth: int, tags: list[str] | None = None) -> int:
    """How bad it is."""
    return len(path) * depth + len(tags or ())


# -- tasks and inputs ------------------------------------------------------------------------------


def test_a_step_as_an_argument_is_its_result_and_an_edge() -> None:
    """The most common thing to say takes no words."""
    flow = Flow("f")
    page = flow.task("fetch", {"url": "u"})
    flow.task("parse", {"page": page, "title": page["head"]["title"], "depth": 2})
    plan = flow.plan()

    assert edges(plan) == {("fetch", "parse", "success", "fail", None)}
    assert inputs(plan, "parse") == {"page": "fetch", "title": "fetch/head/title"}
    assert json.loads(plan.nodes[1].args)["depth"] == 2


def test_ids_are_new_for_each_plan_and_on_the_wanted_shard() -> None:
    """A flow may be run again and again; each run is a flow of its own."""
    flow = Flow("f")
    flow.chain("a", "b")
    first, second = flow.plan(7), flow.plan(7)

    ids = [first.id, second.id, *(node.id for plan in (first, second) for node in plan.nodes)]
    assert len(set(ids)) == 6
    assert {(is_id(one), shard_of(one)) for one in ids} == {(True, 7)}
    assert first.shard == 7


def test_keys_are_counted_when_they_are_taken() -> None:
    """Nobody has to think of names for tasks that nobody asks about."""
    flow = Flow("f")
    steps = [flow.task("a"), flow.task("a"), flow.task("a", key="x"), flow.task("a")]

    assert [step.key for step in steps] == ["a", "a.2", "x", "a.3"]
    assert flow["a.2"] is steps[1]
    assert ("x" in flow, "y" in flow, len(flow)) == (True, False, 4)


@pytest.mark.parametrize(
    ("options", "mark", "edge"),
    [
        ({}, "", ("success", "fail")),
        ({"if_failed": "skip"}, "", ("success", "skip")),
        ({"if_failed": "continue"}, "?", ("success", "continue")),
        ({"on": "always"}, "?", ("always", "fail")),
        ({"need": 1}, "?", ("success", "ignore")),
        ({"first": 1}, "?", ("success", "ignore")),
    ],
)
def test_an_input_that_may_be_missing_is_null(
    options: dict[str, Any], mark: str, edge: tuple[str, str]
) -> None:
    """And one that has to be there is not: a fault must not look like an empty result."""
    flow = Flow("f")
    first = flow.task("a")
    flow.task("b", {"x": first}, **options)
    plan = flow.plan()

    assert inputs(plan, "b") == {"x": f"a{mark}"}
    assert edges(plan) == {("a", "b", *edge, None)}


def test_an_error_as_an_argument_is_an_edge_on_failure() -> None:
    """Together with the result it is an edge on either end."""
    flow = Flow("f")
    first = flow.task("a")
    flow.task("mend", {"why": first.error["message"]})
    flow.task("log", {"why": first.error, "result": first.or_none})
    flow.task("both", {"why": first.error, "result": first})
    plan = flow.plan()

    assert edges(plan) == {
        ("a", "mend", "failure", "fail", None),
        ("a", "log", "always", "fail", None),
        ("a", "both", "always", "fail", None),
    }
    assert inputs(plan, "mend") == {"why": "a!/message"}
    assert inputs(plan, "both") == {"why": "a!", "result": "a?"}


def test_need_and_first_become_wants() -> None:
    """Enough successes; with `first` nobody waits for the rest."""
    flow = Flow("f")
    three = flow.group("a", "b", "c")
    three.reduce("most", need=2)
    three.reduce("any", first=1)
    three.reduce("one", first=1, cancel_losers=True)
    planned = nodes(flow)

    assert (planned["most"].want, planned["most"].early) == (2, False)
    assert (planned["any"].want, planned["any"].early) == (1, True)
    assert (planned["one"].cancel_losers, planned["any"].cancel_losers) == (True, False)


def test_a_link_has_conditions_of_its_own() -> None:
    """One task may come after several for different reasons."""
    flow = Flow("f")
    a, b, c = flow.group("a", "b", "c")
    flow.task("d", after=[a, b.link(on="failure"), c.link(if_failed="skip", when="x > 1")])

    assert edges(flow.plan()) == {
        ("a", "d", "success", "fail", None),
        ("b", "d", "failure", "fail", None),
        ("c", "d", "success", "skip", "x > 1"),
    }


def test_a_condition_is_about_the_first_parent_or_the_one_that_is_named() -> None:
    """`unless` is the same condition, turned round."""
    flow = Flow("f")
    a, b = flow.group("a", "b")
    flow.task("one", after=[a, b], when="x > 1")
    flow.task("two", after=[a, b], of=b, when="x > 1")
    flow.task("three", {"y": a}, unless="x > 1")
    flow.task("four", of=b, when="x > 1")
    found = {(parent, child, text) for parent, child, _, _, text in edges(flow.plan()) if text}

    assert found == {
        ("a", "one", "x > 1"),
        ("b", "two", "x > 1"),
        ("a", "three", "not (x > 1)"),
        ("b", "four", "x > 1"),
    }


def test_the_definition_of_a_task_counts_as_it_does_for_enqueue() -> None:
    """Options: the flow's, over them the definition's, over them those said here."""
    flow = Flow("f", priority="low", queue="slow")
    flow.task(audit, {"path": "p", "depth": 1})
    flow.task(audit, {"path": "p", "depth": 1}, queue="other", delay=1.5)
    flow.task("plain")
    first, second, plain = flow.plan().nodes

    assert first.template.spec.queue == "audits"
    assert (first.template.spec.priority, first.template.spec.timeout_ms) == ("low", 30_000)
    assert (second.template.spec.queue, second.delay_ms) == ("other", 1500)
    assert plain.template.spec.queue == "slow"


def test_arguments_are_checked_though_some_come_later() -> None:
    """What is there is converted by the signature; what comes later is left to the worker."""
    flow = Flow("f")
    path = flow.task("find")
    flow.task(audit, {"path": path, "depth": "3", "tags": ("a", "b")})

    plan = flow.plan()

    assert json.loads(plan.nodes[1].args) == {
        "depth": 3,
        "tags": ["a", "b"],
        "$from": {"path": plan.nodes[0].id},
    }


def test_middleware_of_the_agent_sees_the_tasks_of_a_flow() -> None:
    """A trace context, say, travels with them as with all others."""

    class Tracing(Middleware):
        def before_enqueue(self, order: Outgoing) -> None:
            order.set_header("trace", order.name)

    traced = Agent("traced", middleware=[Tracing()])

    @traced.task
    def work(x: int) -> int:
        return x

    flow = Flow("f")
    flow.task(work, {"x": 1})

    assert nodes(flow)["work"].template.spec.headers == {"trace": "work"}


# -- fallbacks -------------------------------------------------------------------------------------


def test_a_fallback_has_the_same_arguments_unless_it_says_its_own() -> None:
    """And knows, if it asks, why the one before it failed."""
    flow = Flow("f")
    page = flow.task("fetch")
    flow.task(
        "audit",
        {"page": page},
        fallback=[
            "simple",
            ("note", {"why": Flow.ERROR["message"]}, {"queue": "slow", "key": "last"}),
        ],
    )
    plan = flow.plan()
    by_key = {node.key: node for node in plan.nodes}

    assert by_key["audit"].fallback == by_key["audit.fallback"].id
    assert by_key["audit.fallback"].fallback == by_key["last"].id
    assert [by_key[key].is_alternative for key in ("audit", "audit.fallback", "last")] == [
        False,
        True,
        True,
    ]
    assert inputs(plan, "audit.fallback") == {"page": "fetch"}
    assert inputs(plan, "last") == {"why": "audit.fallback!/message"}
    assert by_key["last"].template.spec.queue == "slow"
    assert (by_key["audit.fallback"].parents, by_key["last"].parents) == ((), ())


def test_a_step_may_be_a_fallback() -> None:
    """A person, for instance, when nothing else has helped."""
    flow = Flow("f")
    person = flow.approval("by_hand", "Do it yourself?")
    audited = flow.task("audit", fallback=person)
    flow.task("report", {"x": audited})
    plan = flow.plan()
    by_key = {node.key: node for node in plan.nodes}

    assert by_key["audit"].fallback == by_key["by_hand"].id
    assert by_key["by_hand"].is_alternative
    assert edges(plan) == {("audit", "report", "success", "fail", None)}


# -- any graph -------------------------------------------------------------------------------------

GRAPHS = st.integers(1, 12).flatmap(
    lambda size: st.lists(
        st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=30, unique=True
    ).map(lambda pairs: (size, [(a, b) for a, b in pairs if a < b]))
)


@given(GRAPHS, st.randoms(use_true_random=False))
def test_a_plan_puts_every_task_after_its_parents(
    graph: tuple[int, list[Any]], random: Any
) -> None:
    """In whatever order steps and edges were said; and nothing is lost or added."""
    size, pairs = graph
    flow = Flow("f")
    steps: list[Step] = [flow.task("t", key=f"k{at}") for at in range(size)]
    random.shuffle(pairs)
    for parent, child in pairs:
        flow.edge(steps[parent], steps[child])
    plan = flow.plan()

    seen: set[str] = set()
    for node in plan.nodes:
        assert {edge.parent for edge in node.parents} <= seen
        seen.add(node.id)
    assert len(plan.nodes) == size
    assert {(a, b) for a, b, *_ in edges(plan)} == {(f"k{a}", f"k{b}") for a, b in pairs}


def test_plans_are_values() -> None:
    """Equal when they say the same, so that a test may compare them."""
    flow = Flow("f")
    flow.task("a")
    plan = flow.plan()

    assert replace(plan) == plan
    assert flow.plan() != plan
