"""The flows door, with hands that do the tasks: what a caller is told, at once and in the end."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import coordq
from coordq import Client, Flow
from coordq.engine import keys
from coordq.errors import (
    Conflict,
    FlowEnded,
    FlowFailed,
    FlowNotFound,
    InvalidFlow,
    TaskNotFound,
    WaitTimeout,
)
from coordq.work.flow.look import members
from tests.client.hands import bury, end, succeed, take, take_one
from tests.waiting import wait_until


def chain(*names: str) -> Flow:
    """Tasks one after the other, each called by its key."""
    flow = Flow("chain")
    flow.chain(*(("job", None, {"key": name}) for name in names))
    return flow


def states(client: Client, flow_id: str) -> dict[str, str]:
    """Where each task stands, by key."""
    return {node.key: node.state for node in client.flows.get(flow_id).nodes}


def test_a_flow_is_looked_at_from_start_to_end(client: Client) -> None:
    """The account, the tasks and the results are told by one handle."""
    handle = client.flows.run(chain("a", "b"))
    assert states(client, handle.id) == {"a": "ready", "b": "waiting"}

    succeed(client, take_one(client), "first")
    half = handle.progress()
    assert (half.left, half.succeeded, half.fraction, half.nodes) == (1, 1, 0.5, ())
    succeed(client, take_one(client), "second")

    assert handle.result(timeout=60) == {"b": "second"}
    done = handle.get()
    assert (done.state, done.left, done.total) == ("succeeded", 0, 2)
    assert done.to_json()["nodes"][1]["key"] == "b"


def test_a_plan_that_is_run_twice_is_one_flow(client: Client) -> None:
    """A producer that does not know whether it was heard says it again."""
    plan = chain("a").plan()

    first, second = client.flows.run(plan), client.flows.run(plan)

    assert first.id == second.id
    assert len(take(client, want=5)) == 1


def test_a_flow_larger_than_a_page_is_submitted_and_looked_at(client: Client) -> None:
    """500 tasks go in one call, and are looked at in one."""
    flow = Flow("large")
    flow.map("job", ({"n": n} for n in range(1203)), key="part").reduce("job", into="parts")

    view = client.flows.run(flow).get()

    assert [node.key for node in view.nodes[:2]] == ["part.0", "part.1"]
    assert (len(view.nodes), len(view.edges), view.total) == (1204, 1203, 1204)
    assert client.engine.run(members(view.id, 0)).pages == 3


def test_waiting_is_woken_by_the_end_of_the_flow(client: Client, url: str) -> None:
    """A thread that waits hears of the end; it does not have to ask."""
    handle = client.flows.run(chain("a"))
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(handle.result(timeout=60)))
    thread.start()
    key = keys.flow(keys.root(client.namespace, 0), handle.id)
    wait_until(lambda: client.engine.execute(0, "HGET", key, "mailbox"))

    with coordq.connect(url) as other:
        succeed(other, take_one(other), 1)
    thread.join(60)

    assert found == [{"a": 1}]


def test_a_wait_that_is_too_short_says_so(client: Client) -> None:
    """And the flow goes on."""
    handle = client.flows.run(chain("a"))

    with pytest.raises(WaitTimeout, match=f"coordq flow show {handle.id}"):
        handle.result(timeout=0.01)


def test_a_failed_flow_tells_what_failed_and_why(client: Client) -> None:
    """With the error of every task that failed, by key; those that could not run are not named."""
    handle = client.flows.run(chain("a", "b"))
    bury(client, take_one(client), "no such host")

    with pytest.raises(FlowFailed, match="a: ValueError: no such host") as caught:
        handle.result(timeout=60)

    assert list(caught.value.failed) == ["a"]
    assert (caught.value.state, caught.value.id) == ("failed", handle.id)
    assert states(client, handle.id) == {"a": "failed", "b": "cancelled"}


def test_a_result_is_its_alternatives_when_a_task_failed(client: Client) -> None:
    """Under the key of the task that was asked for."""
    flow = Flow("robust")
    flow.task("job", key="a", fallback="other")
    handle = client.flows.run(flow)
    bury(client, take_one(client))
    succeed(client, take_one(client, "other"), "second best")

    assert handle.result(timeout=60) == {"a": "second best"}
    assert handle.get().failures() == ()


def test_a_flow_returns_the_result_of_a_step(client: Client) -> None:
    """`returns`: not all results by key, and not those of what comes after the step."""
    flow = Flow("sum")
    part = flow.task("job", key="part")
    flow.returns(flow.task("job", {"part": part}, key="total", fallback="other"))
    flow.task("job", after=flow["total"], key="tell")
    handle = client.flows.run(flow)
    succeed(client, take_one(client), 1)
    bury(client, take_one(client))
    succeed(client, take_one(client, "other"), [1, 2])
    assert (handle.get().returns, handle.get().result) == ("total", None)
    succeed(client, take_one(client), "told")

    assert handle.result(timeout=60) == [1, 2]
    view = handle.get()
    assert (view.result, view.to_json()["result"]) == ([1, 2], [1, 2])
    assert handle.progress().result is None


def test_a_flow_returns_nothing_when_its_step_was_left_out(client: Client) -> None:
    """It has succeeded all the same."""
    flow = Flow("maybe")
    first = flow.task("job", key="first")
    flow.returns(flow.task("job", after=first, when="result > 1", key="second"))
    handle = client.flows.run(flow)
    succeed(client, take_one(client), 1)

    assert handle.result(timeout=60) is None
    assert (handle.get().state, handle.get().result) == ("succeeded", None)


def test_a_flow_that_failed_returns_its_failures(client: Client) -> None:
    """Whether the step that it returns has succeeded or not."""
    flow = Flow("half")
    flow.returns(flow.task("job", key="a"))
    flow.task("other", key="b")
    handle = client.flows.run(flow)
    succeed(client, take_one(client), 1)
    bury(client, take_one(client, "other"))

    with pytest.raises(FlowFailed, match="b: ValueError"):
        handle.result(timeout=60)
    assert handle.get().result is None


def test_flows_are_listed_newest_first(client: Client) -> None:
    """All, or those of a state or a name."""
    first, second = client.flows.run(chain("a")), client.flows.run(chain("b"))
    first.cancel()

    assert [flow.id for flow in client.flows.ls()] == [second.id, first.id]
    assert [flow.id for flow in client.flows.ls(state="cancelled")] == [first.id]
    assert client.flows.ls(name="other") == []
    assert len(client.flows.ls(limit=1)) == 1


def test_a_cancelled_flow_starts_nothing_new(client: Client) -> None:
    """Its tasks are cancelled, those that run are asked to stop, and it ends when they have."""
    handle = client.flows.run(chain("a", "b"))
    held = take_one(client)

    handle.cancel("not needed")
    assert states(client, handle.id) == {"a": "running", "b": "cancelled"}
    assert client.work.get(held.id).cancel_requested
    end(client, held, "cancelled", {"reason": "cancelled", "type": "x", "message": "stopped"})

    with pytest.raises(FlowFailed, match="was cancelled"):
        handle.result(timeout=60)
    with pytest.raises(FlowEnded):
        handle.cancel()


def test_what_failed_is_run_again(client: Client) -> None:
    """What has succeeded keeps its result; only a flow that did not succeed is run again."""
    handle = client.flows.run(chain("a", "b", "c"))
    succeed(client, take_one(client), 1)
    bury(client, take_one(client))

    handle.retry()
    assert states(client, handle.id) == {"a": "succeeded", "b": "ready", "c": "waiting"}
    succeed(client, take_one(client), 2)
    succeed(client, take_one(client), 3)

    assert handle.result(timeout=60) == {"c": 3}
    with pytest.raises(Conflict):
        handle.retry()


def test_word_of_an_earlier_end_is_not_taken_for_the_last(client: Client) -> None:
    """A letter that nobody fetched may be about the time before a retry."""
    handle = client.flows.run(chain("a"))
    with pytest.raises(WaitTimeout):
        handle.result(timeout=0.01)
    bury(client, take_one(client))
    handle.retry()

    with pytest.raises(WaitTimeout):
        handle.result(timeout=0.05)
    succeed(client, take_one(client), 1)
    assert handle.result(timeout=60) == {"a": 1}


def test_a_flow_grows_from_outside(client: Client) -> None:
    """New tasks come after tasks that are there, by their keys; a key is taken only once."""
    handle = client.flows.run(chain("a"))
    more = chain("b", "c")

    ids = client.flows.grow(handle.id, more, after="a")

    assert list(ids) == ["b", "c"]
    assert states(client, handle.id) == {"a": "ready", "b": "waiting", "c": "waiting"}
    with pytest.raises(InvalidFlow, match="'b' already"):
        client.flows.grow(handle.id, chain("b"))
    with pytest.raises(InvalidFlow, match="no task 'x'"):
        client.flows.grow(handle.id, chain("d"), after=["x"])
    for result in (1, 2, 3):
        succeed(client, take_one(client), result)
    assert handle.result(timeout=60) == {"c": 3}
    with pytest.raises(FlowEnded):
        client.flows.grow(handle.id, chain("d"))


def test_a_flow_that_has_ended_can_be_forgotten(client: Client) -> None:
    """With its tasks; one that runs is to be cancelled first."""
    handle = client.flows.run(chain("a"))
    with pytest.raises(Conflict):
        client.flows.forget(handle.id)
    held = take_one(client)
    succeed(client, held)

    client.flows.forget(handle.id)

    for look in (handle.get, lambda: client.flows.forget(handle.id)):
        with pytest.raises(FlowNotFound):
            look()
    with pytest.raises(TaskNotFound):
        client.work.get(held.id)
