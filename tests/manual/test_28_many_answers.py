"""Chapter 28. Many answers: what becomes of several results."""

from __future__ import annotations

import json

import pytest

from coordq import Answer, Client, Flow, synthesize
from coordq.errors import FlowFailed
from tests.manual.conftest import Shell
from tests.waiting import wait_until

AGENTS = """
from typing import Any

from coordq import Agent, Reject

ada = Agent("ada", role="historian")
bob = Agent("bob", role="librarian")


@ada.task
async def recall(question: str) -> dict:
    return {"value": "Moon", "evidence": ["diary, p. 3"], "about": {"confidence": 0.4}}


@bob.task
async def look_up(question: str) -> str:
    return "moon"


@bob.task
async def guess(question: str) -> dict:
    return {"value": "Mars", "about": {"confidence": 0.99}}


@bob.task(max_attempts=1)
async def refuse(question: str) -> None:
    raise Reject("never heard of it")


@ada.task
async def names() -> list[str]:
    return ["one", "two", "three"]


@ada.task
async def echo(value: Any) -> Any:
    return value
"""
pytestmark = pytest.mark.usefixtures("worker")
QUESTION = {"question": "Where is it?"}


def test_all_results_in_order(client: Client) -> None:
    """The plain join: one failure ends it, as it ends every child."""
    flow = Flow("in-order")
    parts = flow.map("echo", [3, 1, 2], into="value")
    parts.reduce("echo", into="value", key="all")

    assert client.flows.run(flow).result(timeout=60) == {"all": [3, 1, 2]}


def test_all_results_however_they_end(client: Client) -> None:
    """`settled`: {"ok": result} or {"error": ...} of each, in order. Nothing fails by it."""
    flow = Flow("all-settled")
    asked = flow.group(("recall", QUESTION), ("refuse", QUESTION))
    asked.settled.reduce("echo", into="value", key="all")

    known, unknown = client.flows.run(flow).result(timeout=60)["all"]

    assert known["ok"]["value"] == "Moon"
    assert unknown["error"]["message"] == "never heard of it"


def test_the_first_that_succeeds(client: Client) -> None:
    """`first=1` starts with the first success, `either` is its result; the others run on."""
    flow = Flow("first-success")
    asked = flow.group(("refuse", QUESTION), ("look_up", QUESTION))
    flow.task("echo", {"value": asked.either}, first=1, key="answer")

    handle = client.flows.run(flow)

    assert handle.result(timeout=60) == {"answer": "moon"}
    assert handle.get().node("refuse").state == "failed"


def test_several_agents_answer_one_question(client: Client) -> None:
    """Every answer is kept, with who gave it and what it rests on; equal ones stand together.

    Agreement is a count. The agent that is surest of itself counts as one, like the others, and
    one that fails is silent: it agrees with nobody.
    """
    flow = Flow("question")
    panel = [
        flow.task("recall", QUESTION, key="ada"),
        flow.task("look_up", QUESTION, key="bob"),
        flow.task("guess", QUESTION, key="carl"),
        flow.task("refuse", QUESTION, key="dora"),
    ]
    flow.synthesize("verdict", panel, same="casefold")

    verdict = client.flows.run(flow).result(timeout=60)["verdict"]

    opinions = [(one["value"], one["agents"]) for one in verdict["opinions"]]
    assert opinions == [("Moon", ["ada", "bob"]), ("Mars", ["carl"])]
    assert verdict["opinions"][0]["answers"][0]["evidence"] == ["diary, p. 3"]
    assert (verdict["asked"], verdict["answered"], verdict["silent"]) == (4, 3, ["dora"])


def test_nobody_answers(client: Client) -> None:
    """The flow has failed, and says why each of them has; `at_least=0` goes on without answers."""
    flow = Flow("question")
    flow.synthesize("verdict", [flow.task("refuse", QUESTION, key="dora")])
    with pytest.raises(FlowFailed, match="dora: Reject: never heard of it; verdict: TooFewAnswers"):
        client.flows.run(flow).result(timeout=60)

    loose = Flow("question")
    loose.synthesize("verdict", [loose.task("refuse", QUESTION, key="dora")], at_least=0)
    assert client.flows.run(loose).result(timeout=60)["verdict"]["silent"] == ["dora"]


def test_half_is_no_majority(client: Client) -> None:
    """Two of four: there is none, and none is made up. What follows may ask for one."""
    flow = Flow("careful")
    panel = flow.group(("recall", QUESTION), ("look_up", QUESTION))
    verdict = flow.synthesize("verdict", panel)
    flow.branch(
        verdict,
        ("unanimous", ("echo", {"value": "they agree"}, {"key": "agreed"})),
        otherwise=("echo", {"value": verdict["opinions"]}, {"key": "ask_a_person"}),
    )

    results = client.flows.run(flow).result(timeout=60)

    assert [one["value"] for one in results["ask_a_person"]] == ["Moon", "moon"]


def test_as_many_agents_as_a_result_names(client: Client) -> None:
    """A map over a result is a panel too: its tasks are called by their number."""
    flow = Flow("crowd")
    flow.synthesize("verdict", flow.map("echo", over=flow.task("names"), into="value", key="ask"))

    verdict = client.flows.run(flow).result(timeout=60)["verdict"]

    assert (verdict["asked"], verdict["majority"]) == (3, None)
    assert verdict["opinions"][2]["agents"] == ["ask.2"]


def test_without_a_flow() -> None:
    """`coordq.synthesize` is a function: for answers that came in another way."""
    answers = [Answer("ada", 42), Answer("bob", 42.0), Answer("carl", 41)]

    told = synthesize(answers, asked=["ada", "bob", "carl", "dora"])

    assert told.majority is None
    assert [opinion.agents for opinion in told.opinions] == [("ada", "bob"), ("carl",)]
    assert told.silent == ("dora",)


def test_from_the_shell(shell: Shell) -> None:
    """The same in a flow file: `synthesize`, `key=` for how a task ended."""
    (shell.folder / "panel.yaml").write_text(
        """
name: panel
tasks:
  ada: {task: recall, args: {question: "Where?"}}
  dora: {task: refuse, args: {question: "Where?"}}
  verdict: {synthesize: {of: [ada, dora], same: casefold}}
  ended: {task: echo, inputs: {value: ["ada=", "dora="]}}
"""
    )

    told = json.loads(shell("flow", "run", "panel.yaml", "--wait", "--json"))

    assert told["results"]["verdict"]["silent"] == ["dora"]
    assert [list(one) for one in told["results"]["ended"]] == [["ok"], ["error"]]


def test_what_each_agent_has_done(shell: Shell, client: Client) -> None:
    """Completed, failed, success rate, average: over all workers that are there."""
    for task in ("recall", "look_up"):
        client.work.run(task, QUESTION, wait_for=60)
    client.work.enqueue("refuse", QUESTION)

    wait_until(
        lambda: {one.name for one in client.fleet.agents() if one.succeeded} >= {"ada", "bob"},
        what="the next beat",
    )
    wait_until(lambda: any(one.failed for one in client.fleet.agents()), what="the one after")

    seen = {one.name: one for one in client.fleet.agents()}
    assert seen["ada"].roles == ("historian",)
    assert seen["ada"].success_percent == 100.0
    assert seen["bob"].failed > 0
    assert "librarian" in shell("fleet", "agents")
