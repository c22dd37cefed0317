"""Chapter 20. Flows: tasks that depend on each other."""

from __future__ import annotations

from typing import Any

import pytest

import coordq
from coordq import Client, Flow
from coordq.errors import FlowFailed, InvalidFlow
from tests.waiting import wait_until

AGENTS = """
from coordq import Agent, Reject

agent = Agent("kitchen")


@agent.task
async def number(value: int) -> int:
    return value


@agent.task
async def double(value: int) -> int:
    return 2 * value


@agent.task
async def add(parts: list[int | None]) -> int:
    return sum(part or 0 for part in parts)


@agent.task
async def judge(score: float) -> dict:
    return {"score": score, "remarks": ["short", "clear"]}


@agent.task
async def say(text: str = "done") -> str:
    return text


@agent.task(max_attempts=1)
async def refuse(why: str = "not today") -> None:
    raise Reject(why)


@agent.task
async def explain(error: dict) -> str:
    return f"instead, because: {error['message']}"


mood = {"good": False}


@agent.task(max_attempts=1)
async def moody() -> str:
    if not mood["good"]:
        raise Reject("not in the mood")
    return "fine"


@agent.task
async def cheer_up() -> None:
    mood["good"] = True
"""
pytestmark = pytest.mark.usefixtures("worker")


def test_a_step_given_to_a_step_is_its_result(client: Client) -> None:
    """And an edge: `double` starts when `number` has succeeded. Nothing is sent before `run`."""
    flow = Flow("chain")
    first = flow.task("number", {"value": 20})
    flow.task("double", {"value": first})

    assert client.flows.run(flow).result(timeout=60) == {"double": 40}


def test_an_order_without_results_is_after(client: Client) -> None:
    """`chain` strings tasks together; `after=` says the same of one."""
    flow = Flow("morning")
    flow.chain("say", ("number", {"value": 1}), ("say", {"text": "later"}, {"key": "last"}))

    assert client.flows.run(flow).result(timeout=60) == {"last": "later"}


def test_fan_out_and_fan_in(client: Client) -> None:
    """A map makes a task of each member; `reduce` gets all results, in order."""
    flow = Flow("sum")
    doubled = flow.map("double", [1, 2, 3, 4], into="value")
    doubled.reduce("add", into="parts")

    assert client.flows.run(flow).result(timeout=60) == {"add": 20}


def test_a_flow_returns_a_step(client: Client) -> None:
    """Without it the result is that of all steps that nothing comes after, by key; see above."""
    flow = Flow("sum")
    total = flow.map("double", [1, 2, 3], into="value").reduce("add", into="parts")
    flow.task("say", {"text": "done"}, after=total)
    flow.returns(total)

    handle = client.flows.run(flow)

    assert handle.result(timeout=60) == 12
    assert handle.get().result == 12


def test_a_map_over_a_result(client: Client) -> None:
    """How many tasks there will be is known when the list is there: the flow grows by itself."""
    flow = Flow("remarks")
    judged = flow.task("judge", {"score": 0.5})
    said = flow.map("say", over=judged["remarks"], into="text")
    flow.join("say", said, {"text": "all said"}, key="end")

    handle = client.flows.run(flow)

    assert handle.result(timeout=60) == {"end": "all said"}
    assert handle.get().total == 5


def test_a_condition_chooses_the_way(client: Client) -> None:
    """Conditions are decided on the result, inside Redis; a task that is left out is skipped."""
    flow = Flow("quality")
    judged = flow.task("judge", {"score": 0.9})
    flow.branch(
        judged,
        ("score > 0.8", ("say", {"text": "fast path"}, {"key": "fast"})),
        otherwise=("say", {"text": "comprehensive audit"}, {"key": "deep"}),
    )

    handle = client.flows.run(flow)

    assert handle.result(timeout=60) == {"fast": "fast path"}
    assert handle.get().node("deep").state == "skipped"


def test_a_fallback_runs_in_the_place_of_what_failed(client: Client) -> None:
    """It is told why, and what comes after it does not notice."""
    flow = Flow("robust")
    step = flow.task(
        "refuse", {"why": "no paper"}, fallback=[("explain", {"error": Flow.ERROR})], key="print"
    )
    flow.task("say", {"text": step}, key="tell")

    assert client.flows.run(flow).result(timeout=60) == {"tell": "instead, because: no paper"}


@pytest.mark.parametrize(
    ("policy", "state"), [("fail", "cancelled"), ("skip", "skipped"), ("continue", "succeeded")]
)
def test_what_the_failure_of_a_parent_means(client: Client, policy: str, state: str) -> None:
    """`if_failed` says so of each edge: the child ends as well, is skipped, or runs all the same.

    In any case it ends: no task waits for ever for one that has failed.
    """
    flow = Flow("policies")
    broken = flow.task("refuse")
    flow.task("say", after=broken, if_failed=policy)

    handle = client.flows.run(flow)

    wait_until(lambda: handle.progress().ended)
    assert handle.get().node("say").state == state


def test_a_task_for_the_case_of_failure(client: Client) -> None:
    """`on="failure"` runs then only, `on="always"` in any case; whoever runs has dealt with it."""
    flow = Flow("tidy")
    broken = flow.task("refuse", {"why": "disk full"})
    flow.task("explain", {"error": broken.error}, on="failure")
    flow.task("say", {"text": "cleaned up"}, after=broken, on="always")

    results = client.flows.run(flow).result(timeout=60)

    assert results == {"explain": "instead, because: disk full", "say": "cleaned up"}


def test_enough_is_enough(client: Client) -> None:
    """`need=2`: two of three parents must succeed, the failure of another is ignored."""
    flow = Flow("quorum")
    three = [flow.task("number", {"value": 1}), flow.task("number", {"value": 2})]
    flow.join("add", [*three, flow.task("refuse")], into="parts", need=2)

    assert client.flows.run(flow).result(timeout=60) == {"add": 3}


def test_a_failed_flow_names_what_failed(client: Client) -> None:
    """`result` raises FlowFailed, which has the errors of all tasks that failed, by key."""
    flow = Flow("hopeless")
    flow.task("say", after=flow.task("refuse", {"why": "no paper"}, key="print"))

    with pytest.raises(FlowFailed, match=r"print: .*no paper") as caught:
        client.flows.run(flow).result(timeout=60)

    assert caught.value.facts["failed"]["print"]["message"] == "no paper"


def test_a_person_may_be_asked(client: Client) -> None:
    """An approval is a node: it holds no slot, for hours or days, and its value is its result.

    It is answered by its id, or by that of the flow and its key: `approve(handle.id, "ship")`.
    """
    flow = Flow("release")
    ship = flow.approval("ship", "Ship version 2?", after=flow.task("say"))
    flow.task("double", {"value": ship["amount"]})
    handle = client.flows.run(flow)
    wait_until(lambda: handle.get().node("ship").state == "suspended")

    client.flows.approve(handle.id, "ship", by="ada", note="looks good", value={"amount": 21})

    assert handle.result(timeout=60) == {"double": 42}


def test_a_signal_and_a_timer_are_nodes_too(client: Client) -> None:
    """Whoever says the signal need not know who waits for it."""
    flow = Flow("mail")
    letter = flow.signal("letter-came", after=flow.timer(0.1))
    flow.task("say", {"text": letter["text"]})
    handle = client.flows.run(flow)
    wait_until(lambda: handle.get().node("letter-came").state == "suspended")

    assert client.flows.signal("letter-came", {"text": "Dear Ada"}) == 1
    assert handle.result(timeout=60) == {"say": "Dear Ada"}


def test_a_flow_that_failed_is_run_again_from_there(client: Client) -> None:
    """What succeeded stays as it is; what failed, or ended because of that, runs."""
    flow = Flow("again")
    flow.task("say", {"text": flow.task("moody", after=flow.task("number", {"value": 1}))})
    handle = client.flows.run(flow)
    with pytest.raises(FlowFailed):
        handle.result(timeout=60)
    client.work.run("cheer_up", wait_for=60)

    handle.retry()

    assert handle.result(timeout=60) == {"say": "fine"}
    assert handle.get().node("number").attempt == 1


def test_a_flow_is_cancelled_as_a_whole(client: Client) -> None:
    """What has not ended is cancelled, and nothing new starts."""
    flow = Flow("never")
    flow.task("say", after=flow.approval("wait"))
    handle = client.flows.run(flow)

    handle.cancel("not needed")

    with pytest.raises(FlowFailed, match="was cancelled"):
        handle.result(timeout=60)


def test_a_flow_that_cannot_be_carried_out_is_refused(client: Client) -> None:
    """Before anything is sent, and with the path of the cycle."""
    flow = Flow("circle")
    first = flow.task("say", key="first")
    second = flow.task("say", after=first, key="second")
    flow.edge(second, first)

    with pytest.raises(InvalidFlow, match="first -> second -> first"):
        client.flows.run(flow)


def test_a_single_task_may_wait_for_others(client: Client) -> None:
    """`depends_on` needs no flow: an order without results. A parent that fails takes it along.

    `why` names those that have not ended, and how they stand.
    """
    client.work.pause("default")
    first = client.work.enqueue("number", {"value": 1})
    second = client.work.enqueue("say", depends_on=[first])
    assert f"number {first.id} (ready)" in client.work.why(second.id)
    client.work.resume("default")

    assert second.result(timeout=60) == "done"
    assert first.get().state == "succeeded"


def test_a_flow_can_be_drawn(client: Client) -> None:
    """For a terminal, as Mermaid, as SVG; also before it is run."""
    flow = Flow("picture")
    judged = flow.task("judge", {"score": 0.5})
    flow.task("say", when="score > 0.8", after=judged)

    assert client.flows.graph(flow).splitlines()[1] == "└─ say  [score > 0.8]"
    assert client.flows.graph(flow, format="mermaid").startswith("flowchart")
    assert client.flows.graph(flow, format="svg").startswith("<svg")


async def test_the_async_client_has_the_same_door(url: str) -> None:
    """With `await`, as everywhere."""
    flow = Flow("async")
    flow.task("double", {"value": flow.task("number", {"value": 4})})

    async with coordq.connect_async(url) as client:
        handle = await client.flows.run(flow)
        results: dict[str, Any] = await handle.result(timeout=60)

    assert results == {"double": 8}
