"""What is said of a flow is what its plan does: edges, inputs, fallbacks, maps, branches, waits."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.ids import is_id, shard_of
from coordq.work.agent import Agent
from coordq.work.flow.build import Flow
from coordq.work.flow.expand import Expansion, expansion
from coordq.work.flow.plan import Edge, FlowPlan, Node
from coordq.work.flow.refs import Outcome, fill, ids_in
from coordq.work.flow.step import Step
from coordq.work.middleware import Middleware, Outgoing

agent = Agent("auditor")


@agent.task(queue="audits", timeout=30, on_full="refuse")
def audit(path: str, depth: int, tags: list[str] | None = None) -> int:
    """How bad it is."""
    return len(path) * depth + len(tags or ())


def nodes(flow: Flow) -> dict[str, Node]:
    """The planned nodes by key."""
    return {node.key: node for node in flow.plan().nodes}


def edges(plan: FlowPlan) -> set[tuple[str, str, str, str, str | None]]:
    """(parent, child, on, policy, condition) by keys."""
    keys = {node.id: node.key for node in plan.nodes}
    return {
        (keys[e.parent], node.key, e.on, e.policy, e.condition.text if e.condition else None)
        for node in plan.nodes
        for e in node.parents
    }


def inputs(plan: FlowPlan, key: str) -> Any:
    """What `$from` says of a node, with keys for ids."""
    node = next(node for node in plan.nodes if node.key == key)
    text = json.dumps(json.loads(node.args).get("$from", {}))
    for one in plan.nodes:
        text = text.replace(one.id, one.key)
    return json.loads(text)


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
    planned = nodes(flow)

    assert (planned["most"].want, planned["most"].early) == (2, False)
    assert (planned["any"].want, planned["any"].early) == (1, True)


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


# -- many ------------------------------------------------------------------------------------------


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


# -- waits, callbacks, milestones, other flows -----------------------------------------------------


def test_waits_are_nodes_without_a_handler() -> None:
    """What each waits for is in the plan."""
    flow = Flow("f")
    flow.approval("ok", "Ship it?", timeout=60)
    flow.signal("deploy", after=flow["ok"])
    flow.timer(timedelta(minutes=5), after=flow["deploy"])
    ok, deploy, timer = flow.plan().nodes

    assert [(one.kind, one.template.spec.name) for one in (ok, deploy, timer)] == [
        ("approval", "coordq.approval"),
        ("signal", "coordq.signal"),
        ("timer", "coordq.timer"),
    ]
    assert json.loads(ok.args) == {"message": "Ship it?"}
    assert ok.template.spec.timeout_ms == 60_000
    assert (deploy.signal, timer.delay_ms) == ("deploy", 300_000)


def test_callbacks_come_after_every_end() -> None:
    """Wherever they are said; a failure that was only heard of is not mended."""
    flow = Flow("f")
    flow.on_failure("page")
    flow.on_success("cheer")
    first = flow.task("a")
    flow.task("b", after=first, if_failed="skip")
    flow.task("c", fallback="d")

    assert edges(flow.plan()) == {
        ("a", "b", "success", "skip", None),
        ("b", "page", "failure", "ignore", None),
        ("c", "page", "failure", "ignore", None),
        ("a", "page", "failure", "ignore", None),
        ("b", "cheer", "success", "skip", None),
        ("c", "cheer", "success", "skip", None),
    }


def test_callbacks_are_no_results_of_the_flow() -> None:
    """They are named in the plan, so that whoever looks knows what came after everything."""
    flow = Flow("f")
    flow.on_success("cheer", key="hooray")
    flow.task("a")

    assert flow.plan().about == {"callbacks": ["hooray"]}


def test_a_milestone_is_about_keys() -> None:
    """They are what people know; the date is kept in milliseconds."""
    flow = Flow("f", description="d", labels={"team": "x"}, ttl=timedelta(hours=2))
    flow.milestone("half", needs=flow.group("a", "b"), by=datetime(2026, 1, 1, tzinfo=UTC))
    flow.milestone("all", needs=[flow.task("c")])
    plan = flow.plan()

    assert plan.ttl_s == 7200
    assert plan.about == {
        "description": "d",
        "labels": {"team": "x"},
        "milestones": [
            {"name": "half", "needs": ["a", "b"], "by": 1_767_225_600_000},
            {"name": "all", "needs": ["c"]},
        ],
    }


def test_another_flow_becomes_part_of_this_one() -> None:
    """As often as wanted, and without being changed itself."""
    sub = Flow("sub")
    files = sub.task("list")
    checked = sub.map("check", files["names"], into="file", fallback=())
    sub.task("report", {"found": checked, "first": files}, fallback="excuse", key="end")
    flow = Flow("f")
    start = flow.task("start")
    once = flow.include(sub, after=start)
    twice = flow.include(sub, key="again", after=once["end"])
    flow.task("done", {"a": once["end"], "b": twice["end"]})
    plan = flow.plan()

    assert {step.key for step in sub} == {"list", "check", "end", "end.fallback"}
    assert ("start", "sub.list", "success", "fail", None) in edges(plan)
    assert ("sub.end", "again.list", "success", "fail", None) in edges(plan)
    assert inputs(plan, "again.end") == {"found": "again.check*", "first": "again.list"}
    assert inputs(plan, "done") == {"a": "sub.end", "b": "again.end"}
    assert len(plan.nodes) == 10
    assert len(sub.plan().nodes) == 4


def test_flows_and_steps_say_what_they_are() -> None:
    """In a debugger and in a message."""
    flow = Flow("f")
    step = flow.task("a", key="x")

    assert (repr(flow), repr(step)) == ("<Flow f: 1 step>", "<Step x (a) of flow f>")
    assert repr(flow.group(step)) == "<Group of 1 in flow f>"
    assert repr(flow.map("b", step)) == "<Group over b in flow f>"


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
