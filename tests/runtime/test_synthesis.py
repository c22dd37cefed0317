"""Every worker puts answers side by side, whatever became of those who were asked."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from coordq.client.client import Client
from coordq.errors import FlowFailed
from coordq.work.flow.build import Flow
from tests.runtime.conftest import NewFleet
from tests.runtime.fleet import Fleet
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.chaos]

PANEL = """
    import asyncio
    from pathlib import Path
    from typing import Any

    from coordq import Agent, Reject

    agent = Agent("panel")

    @agent.task
    async def say(value: Any) -> Any:
        return value

    @agent.task
    async def claim(value: Any, evidence: list[str], score: float) -> dict:
        return {"value": value, "evidence": evidence, "about": {"score": score}}

    @agent.task(max_attempts=1)
    async def refuse() -> None:
        raise Reject("no comment")

    @agent.task
    async def wait(path: str) -> str:
        while not Path(path).exists():
            await asyncio.sleep(0.02)
        return "late"
"""


@pytest.fixture
def panel(new_fleet: NewFleet, tmp_path: Path) -> Fleet:
    """A worker with that agent."""
    (tmp_path / "panel.py").write_text(textwrap.dedent(PANEL))
    return new_fleet(targets=(str(tmp_path / "panel.py"),), concurrency=4)


def run(client: Client, flow: Flow) -> Any:
    """The results of a flow, by key."""
    return client.flows.run(flow).result(timeout=60)


@pytest.mark.usefixtures("panel")
def test_answers_are_put_side_by_side(client: Client) -> None:
    """Those who failed or were cancelled are silent, who was skipped was not asked; null counts."""
    flow = Flow("question")
    first = flow.task("say", {"value": 0}, key="first")
    ada = flow.task("claim", {"value": "yes", "evidence": ["p. 3"], "score": 0.1}, key="ada")
    bob = flow.task("say", {"value": "Yes"}, key="bob")
    eve = flow.task("say", {"value": None}, key="eve")
    fay = flow.task("refuse", key="fay")
    gus = flow.task("say", {"value": "yes"}, after=fay, key="gus")
    hal = flow.task("say", {"value": "yes"}, after=first, when="result > 1", key="hal")
    flow.synthesize("verdict", [ada, bob, eve, fay, gus, hal], same="casefold")

    told = run(client, flow)["verdict"]

    assert (told["asked"], told["answered"], told["majority"]) == (5, 3, None)
    assert told["silent"] == ["fay", "gus"]
    assert [(one["value"], one["agents"]) for one in told["opinions"]] == [
        ("yes", ["ada", "bob"]),
        (None, ["eve"]),
    ]
    assert told["opinions"][0]["answers"][0] == {
        "agent": "ada",
        "value": "yes",
        "evidence": ["p. 3"],
        "about": {"score": 0.1},
    }


@pytest.mark.usefixtures("panel")
def test_the_tasks_of_a_map_may_be_asked(client: Client) -> None:
    """And one that has an alternative answers through it."""
    flow = Flow("crowd")
    listed = flow.task("say", {"value": [1, 1.0, 2]}, key="listed")
    flow.synthesize("crowd", flow.map("say", over=listed, into="value", key="ask"))
    stood = flow.task("refuse", key="ada", fallback=[("say", {"value": 7})])
    flow.synthesize("one", [stood])

    told = run(client, flow)

    assert told["crowd"]["majority"] == 1
    assert told["crowd"]["opinions"][1]["agents"] == ["ask.2"]
    assert (told["one"]["unanimous"], told["one"]["majority"]) == (True, 7)


@pytest.mark.usefixtures("panel")
def test_a_map_that_made_nothing_is_silent(client: Client) -> None:
    """What was to be asked is no list: the verdict says so, and makes nothing up."""
    flow = Flow("crowd")
    asked = flow.map("say", over=flow.task("say", {"value": 3}, key="three"), into="value")
    flow.synthesize("crowd", asked, at_least=0)
    flow.task("say", {"value": asked.settled}, key="settled")

    told = run(client, flow)

    assert (told["crowd"]["answered"], len(told["crowd"]["silent"])) == (0, 1)
    assert [list(one) for one in told["settled"]] == [["error"]]


@pytest.mark.usefixtures("panel")
def test_all_settled_and_the_first(client: Client, tmp_path: Path) -> None:
    """However they end, in order; and the first that succeeds, while another is still at it."""
    flow = Flow("race")
    gate = tmp_path / "gate"
    slow = flow.task("wait", {"path": str(gate)}, key="slow")
    quick = flow.group(slow, flow.task("refuse"), flow.task("say", {"value": "quick"}, key="quick"))
    flow.task("say", {"value": quick.either}, first=1, key="winner")
    flow.task("say", {"value": quick.settled}, key="settled")
    handle = client.flows.run(flow)

    wait_until(lambda: handle.get().node("winner").state == "succeeded", what="the winner")
    wait_until(lambda: handle.get().node("slow").state == "running", what="the other one")
    gate.touch()

    told = handle.result(timeout=60)
    assert told["winner"] == "quick"
    late, failed, ok = told["settled"]
    assert (late, ok) == ({"ok": "late"}, {"ok": "quick"})
    assert failed["error"]["message"] == "no comment"


@pytest.mark.usefixtures("panel")
def test_what_is_no_answer_fails_at_once(client: Client) -> None:
    """Trying again would bring the same words; the reason names the agent."""
    flow = Flow("odd")
    odd = flow.task("say", {"value": {"value": 1, "about": "sure"}}, key="ada")
    flow.synthesize("verdict", [odd])
    handle = client.flows.run(flow)

    wait_until(lambda: handle.progress().ended, what="the end")

    verdict = handle.get().node("verdict")
    assert (verdict.state, verdict.attempt) == ("failed", 1)
    assert "'ada' cannot be read" in str(client.work.get(verdict.id).error)


@pytest.mark.usefixtures("panel")
def test_a_question_that_nobody_answers_fails_its_flow(client: Client) -> None:
    """At once, with the reasons of all who were asked; `at_least=0` goes on without answers."""
    flow = Flow("silence")
    asked = [flow.task("refuse", key=name) for name in ("ada", "bob")]
    flow.synthesize("verdict", asked)
    loose = Flow("silence")
    loose.synthesize("verdict", [loose.task("refuse", key="ada")], at_least=0)
    handle = client.flows.run(flow)

    with pytest.raises(FlowFailed, match="Of 2 agents that were asked 0 answered") as caught:
        handle.result(timeout=60)

    assert list(caught.value.failed) == ["ada", "bob", "verdict"]
    assert ".. " not in caught.value.message
    assert handle.get().node("verdict").attempt == 1
    assert run(client, loose)["verdict"]["silent"] == ["ada"]
