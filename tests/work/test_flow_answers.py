"""Several steps answer one question: how it is said, and what is made of how they ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.errors import InvalidArguments, InvalidFlow, TooFewAnswers
from coordq.work.flow.answers import synthesis
from coordq.work.flow.build import Flow
from coordq.work.flow.draw import text as drawn
from coordq.work.flow.file import parse_file
from coordq.work.flow.graph import graph_of_plan
from coordq.work.flow.plan import FlowPlan, Node
from coordq.work.flow.refs import Outcome, fill

SKIPPED = {"error": {"reason": "skipped", "message": "no edge held"}}
FAILED = {"error": {"reason": "exception", "message": "no"}}


def node(plan: FlowPlan, key: str) -> Node:
    """A node by its key."""
    return next(one for one in plan.nodes if one.key == key)


def ties(plan: FlowPlan, key: str) -> list[tuple[str, str, str]]:
    """(parent, on, policy) of the edges into a node."""
    keys = {one.id: one.key for one in plan.nodes}
    return [(keys[edge.parent], edge.on, edge.policy) for edge in node(plan, key).parents]


def verdict(asked: Any, *answers: Any, same: str = "json", **terms: Any) -> dict[str, Any]:
    """What is made of some answers."""
    return synthesis({"asked": asked, "answers": list(answers), "same": same, **terms})


# -- how it is said --------------------------------------------------------------------------------


def test_answers_come_from_all_however_they_end() -> None:
    """An edge after any end: who fails is silent, and does not take the others along."""
    flow = Flow("f", queue="audits")
    ada, crew = flow.task("ada"), flow.group("bob", "eve")
    flow.synthesize("verdict", [ada, crew, ada], same="casefold", priority="high")
    plan = flow.plan()
    args = json.loads(node(plan, "verdict").args)
    spec = node(plan, "verdict").template.spec

    assert ties(plan, "verdict") == [(one, "always", "fail") for one in ("ada", "bob", "eve")]
    assert (args["asked"], args["same"]) == (["ada", "bob", "eve"], "casefold")
    assert (spec.name, spec.queue, spec.priority) == ("coordq.synthesize", "audits", "high")
    filled = fill(args, {plan.nodes[0].id: Outcome("succeeded", "yes")})
    assert filled["answers"][0] == {"ok": "yes"}


def test_the_tasks_of_a_map_over_a_result_may_be_asked() -> None:
    """How many there are is known later; they are called after the map."""
    flow = Flow("f")
    flow.synthesize("verdict", flow.map("ask", over=flow.task("list"), into="who"))
    plan = flow.plan()
    args = json.loads(node(plan, "verdict").args)

    assert args["asked"] == "ask"
    assert args["$from"]["answers"] == f"{node(plan, 'ask').id}*="
    assert json.loads(node(plan, "ask").args)["then"] == [
        [node(plan, "verdict").id, "always", "fail"]
    ]


def test_a_group_may_be_taken_in_order_settled_or_as_the_first_there_is() -> None:
    """Three words for what callers of several agents want: all, all however they end, the first."""
    flow = Flow("f")
    crew = flow.group("a", "b")
    crew.reduce("order", key="order")
    crew.settled.reduce("settle", key="settle")
    flow.task("first", {"x": crew.either}, first=1)
    plan = flow.plan()
    ids = [one.id for one in plan.nodes[:2]]
    sources = {one.key: json.loads(one.args).get("$from") for one in plan.nodes}

    assert sources["order"] == {"parts": ids}
    assert sources["settle"] == {"parts": [f"{one}=" for one in ids]}
    assert sources["first"] == {"x": "|".join(f"{one}?" for one in ids)}
    assert ties(plan, "settle") == [("a", "always", "fail"), ("b", "always", "fail")]
    assert ties(plan, "first") == [("a", "success", "ignore"), ("b", "success", "ignore")]
    assert (node(plan, "first").want, node(plan, "first").early) == (1, True)


def test_one_step_may_be_taken_as_it_settled() -> None:
    """With a part of it, which is null when it ended otherwise."""
    flow = Flow("f")
    one = flow.task("a")
    flow.task("b", {"all": one.settled, "why": one.settled["error"]["message"]})
    plan = flow.plan()

    assert ties(plan, "b") == [("a", "always", "fail")]
    assert json.loads(node(plan, "b").args)["$from"] == {
        "all": f"{plan.nodes[0].id}=",
        "why": f"{plan.nodes[0].id}=/error/message",
    }


@pytest.mark.parametrize(
    ("of", "options", "words"),
    [
        ([], {}, "it has nobody to ask"),
        (["ada"], {}, "'ada' cannot be asked"),
        ("step", {"same": "roughly"}, "same='roughly': use one of json, casefold"),
        ("map in a list", {}, "cannot be asked: give steps, or one map over a result"),
        ("part", {}, "cannot be asked"),
        ("foreign", {}, "belongs to flow 'other'"),
        ("step", {"fallback": "x"}, "fallback"),
        ("step", {"at_least": -1}, "at_least=-1: give a number of answers"),
        ("step", {"at_least": True}, "at_least=True"),
        ("step", {"at_least": 2}, "at_least=2: only 1 are asked"),
    ],
)
def test_what_cannot_be_asked_is_refused(of: Any, options: dict[str, Any], words: str) -> None:
    """With the step that it is about."""
    flow = Flow("f")
    step = flow.task("a")
    stands = {
        "step": step,
        "part": step["x"],
        "map in a list": [step, flow.map("m", over=step, into="x")],
        "foreign": Flow("other").task("b"),
    }
    with pytest.raises(Exception, match=words) as caught:
        flow.synthesize("verdict", stands.get(of, of) if isinstance(of, str) else of, **options)

    assert getattr(caught.value, "code", "") in {"invalid-flow", "invalid-option"}


def test_an_empty_group_has_no_first() -> None:
    """It is refused where it is written, not by the worker."""
    flow = Flow("f")

    with pytest.raises(InvalidFlow, match="an empty group has no result"):
        assert flow.group().either


def test_an_included_question_keeps_the_names_of_its_agents() -> None:
    """A sub-flow is a part that was written by somebody who knows them by these."""
    inner, outer = Flow("inner"), Flow("outer")
    inner.synthesize("verdict", [inner.task("ada"), inner.task("bob")])
    outer.include(inner)
    plan = outer.plan()

    assert json.loads(node(plan, "inner.verdict").args)["asked"] == ["ada", "bob"]
    assert ties(plan, "inner.verdict")[0][0] == "inner.ada"


def test_an_included_group_stays_settled() -> None:
    """What is known of an end must not become a result by being copied."""
    inner, outer = Flow("inner"), Flow("outer")
    start = inner.task("start")
    inner.synthesize("crowd", inner.map("ask", over=start, into="who"))
    inner.group("a", "b").settled.reduce("report")
    outer.include(inner)
    plan = outer.plan()

    crowd = json.loads(node(plan, "inner.crowd").args)["$from"]
    report = json.loads(node(plan, "inner.report").args)["$from"]
    assert crowd == {"answers": f"{node(plan, 'inner.ask').id}*="}
    assert report == {"parts": [f"{node(plan, f'inner.{one}').id}=" for one in "ab"]}


FILE = """
name: f
tasks:
  verdict: {synthesize: [ada, bob]}
  ada: {}
  bob: {}
  ask: {map: {over: ada.names, into: who}}
  many: {synthesize: {of: ask, same: casefold, at_least: 2}, priority: high}
  told: {inputs: {one: ada=, all: ask=}}
"""


def test_a_file_says_the_same() -> None:
    """For those who run flows from the shell."""
    plan = parse_file(FILE, Path("f.yaml")).plan()

    assert json.loads(node(plan, "verdict").args)["asked"] == ["ada", "bob"]
    assert json.loads(node(plan, "many").args)["same"] == "casefold"
    assert json.loads(node(plan, "many").args)["at_least"] == 2
    assert node(plan, "many").template.spec.priority == "high"
    assert json.loads(node(plan, "told").args)["$from"] == {
        "one": f"{node(plan, 'ada').id}=",
        "all": f"{node(plan, 'ask').id}*=",
    }
    assert "verdict (synthesis)" in drawn(graph_of_plan(plan))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("verdict: {synthesize: [ada, bib]}", "there is no task 'bib'; did you mean bob"),
        ("verdict: {synthesize: {from: ada}}", "tasks.verdict.synthesize: from is not known"),
        ("verdict: {synthesize: {of: ada, same: x}}", "use one of json, casefold"),
        ("verdict: {synthesize: []}", "it has nobody to ask"),
        ("verdict: {synthesize: ada, timer: 5}", "it cannot be timer and synthesize at once"),
    ],
)
def test_a_file_that_asks_nobody_is_refused(given: str, words: str) -> None:
    """With the place."""
    with pytest.raises(InvalidFlow, match=words) as caught:
        parse_file(f"name: f\ntasks:\n  ada: {{}}\n  bob: {{}}\n  {given}", Path("f.yaml"))

    assert "f.yaml" in str(caught.value)


# -- what is made of it ----------------------------------------------------------------------------


def test_equal_answers_stand_together_with_what_they_rest_on() -> None:
    """A result in words of an answer is one; what an agent scores itself decides nothing."""
    told = verdict(
        ["ada", "bob", "eve"],
        {"ok": {"value": "yes", "evidence": ["p. 3", {"page": 4}], "about": {"score": 0.2}}},
        {"ok": {"value": "no", "about": {"score": 0.99}}},
        {"ok": "yes"},
    )

    assert (told["asked"], told["answered"], told["majority"], told["agree"]) == (3, 3, "yes", 2)
    assert [one["agents"] for one in told["opinions"]] == [["ada", "eve"], ["bob"]]
    assert told["opinions"][0]["answers"][0]["evidence"] == ["p. 3", '{"page": 4}']
    assert told["opinions"][1]["answers"][0]["about"] == {"score": 0.99}


def test_null_is_an_answer_and_a_failure_is_none() -> None:
    """Two who say that there is nothing agree; one who has died has said nothing."""
    told = verdict(["ada", "bob", "eve"], {"ok": None}, {"ok": None}, FAILED)

    assert (told["agree"], told["majority"], told["silent"]) == (2, None, ["eve"])
    assert told["opinions"][0]["value"] is None


def test_who_was_skipped_was_not_asked() -> None:
    """A branch that was not taken must not weaken the majority of those who were."""
    told = verdict(["ada", "bob", "eve"], {"ok": 1}, SKIPPED, SKIPPED)

    assert (told["asked"], told["unanimous"], told["silent"]) == (1, True, [])


def test_an_object_that_says_more_is_an_answer_as_it_is() -> None:
    """Only what has the three words and no other is taken apart."""
    told = verdict(["ada", "bob"], {"ok": {"value": 1, "unit": "m"}}, {"ok": {"evidence": []}})

    assert [one["value"] for one in told["opinions"]] == [
        {"value": 1, "unit": "m"},
        {"evidence": []},
    ]


def test_words_may_be_equal_whatever_their_case() -> None:
    """White space too; what is no text is compared as JSON."""
    told = verdict(["a", "b", "c"], {"ok": "Yes  sir"}, {"ok": "yes SIR\n"}, {"ok": 1})

    assert len(told["opinions"]) == 3
    loose = verdict(
        ["a", "b", "c"], {"ok": "Yes  sir"}, {"ok": "yes SIR\n"}, {"ok": 1}, same="casefold"
    )
    assert [one["agents"] for one in loose["opinions"]] == [["a", "b"], ["c"]]


def test_the_tasks_of_a_map_are_named_by_their_number() -> None:
    """As their keys are."""
    told = verdict("ask", {"ok": 1}, FAILED, {"ok": 1})

    assert told["opinions"][0]["agents"] == ["ask.0", "ask.2"]
    assert told["silent"] == ["ask.1"]


def test_nobody_who_answers_is_a_failure_unless_it_was_said_otherwise() -> None:
    """A synthesis of nothing looks like one of something to who does not read the counts."""
    with pytest.raises(TooFewAnswers, match="Of 2 agents that were asked 0 answered") as caught:
        verdict(["ada", "bob"], FAILED, FAILED)
    assert caught.value.facts == {"answered": 0, "asked": 2, "least": 1}
    with pytest.raises(TooFewAnswers, match="at least 2 must"):
        verdict(["ada", "bob"], {"ok": 1}, FAILED, at_least=2)

    assert verdict(["ada", "bob"], FAILED, FAILED, at_least=0)["silent"] == ["ada", "bob"]
    assert verdict(["ada", "bob"], {"ok": 1}, FAILED, at_least=1)["answered"] == 1


def test_a_question_that_nobody_was_asked_fails_only_if_somebody_must_answer() -> None:
    """A map over an empty list is no failure; a number that was named is meant."""
    assert verdict("ask")["asked"] == 0
    assert verdict(["ada"], SKIPPED)["asked"] == 0
    with pytest.raises(TooFewAnswers):
        verdict("ask", at_least=1)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({}, "no answers to put together"),
        ({"answers": {}, "asked": []}, "no answers to put together"),
        ({"answers": [{"ok": 1}], "asked": ["a"], "same": "roughly"}, "same= is none we know"),
        ({"answers": [{"ok": 1}], "asked": []}, "1 answers of 0 agents"),
        ({"answers": [3], "asked": ["a"]}, "does not say how a task ended"),
        ({"answers": [], "asked": [], "at_least": "x"}, "at_least='x' is no number"),
        ({"answers": [{"ok": {"value": 1, "evidence": 3}}], "asked": ["a"]}, "'a' cannot be read"),
        ({"answers": [{"ok": {"value": 1, "about": "x"}}], "asked": ["a"]}, "`about` is str"),
    ],
)
def test_what_is_no_answer_is_refused(args: dict[str, Any], words: str) -> None:
    """Somebody enqueued it by hand, or an agent says something odd: nothing is made up of it."""
    with pytest.raises(InvalidArguments, match=words):
        synthesis(args)


ENDED = st.one_of(
    st.fixed_dictionaries({"ok": st.sampled_from([None, True, 1, 1.0, "a", "A", [1], {"x": 1}])}),
    st.just(FAILED),
    st.just(SKIPPED),
)


@given(st.lists(ENDED, max_size=8), st.sampled_from(["json", "casefold"]))
def test_nobody_is_lost_and_nothing_is_made_up(ended: list[dict[str, Any]], same: str) -> None:
    """Each agent stands in one place; a majority is more than half of those who were asked."""
    names = [f"a{at}" for at in range(len(ended))]
    told = verdict(names, *ended, same=same, at_least=0)
    heard = [name for one in told["opinions"] for name in one["agents"]]
    asked = [name for name, one in zip(names, ended, strict=True) if one != SKIPPED]

    assert sorted([*heard, *told["silent"]]) == sorted(asked)
    assert told["asked"] == len(asked)
    assert all(one["value"] == one["answers"][0]["value"] for one in told["opinions"])
    most = max((len(one["agents"]) for one in told["opinions"]), default=0)
    assert told["agree"] == (most if 2 * most > len(asked) else 0)
    assert json.loads(json.dumps(told)) == told
