"""Nodes of flows that wait for a person, a signal or a moment; and flows that are refused."""

from __future__ import annotations

import asyncio

import pytest

import coordq
from coordq import Client, Flow
from coordq.client.flow_plans import planned
from coordq.engine import keys
from coordq.errors import (
    Conflict,
    FlowFailed,
    FlowNotFound,
    InvalidFlow,
    InvalidOption,
    ReadOnly,
    TaskNotFound,
)
from tests.client.hands import succeed, take_one


def chain(*names: str) -> Flow:
    """Tasks one after the other, each called by its key."""
    flow = Flow("chain")
    flow.chain(*(("job", None, {"key": name}) for name in names))
    return flow


def test_an_approval_is_answered_once(client: Client) -> None:
    """By whom and why is in the task's log; the second answer is refused."""
    flow = Flow("ask")
    flow.approval("ship")
    handle = client.flows.run(flow)
    asked = handle.get().node("ship")

    client.flows.approve(asked.id, by="ada", note="fine", value=[1])

    assert handle.result(timeout=60) == {"ship": [1]}
    assert "approved by ada: fine" in client.work.logs(asked.id)
    with pytest.raises(Conflict):
        client.flows.reject(asked.id)


def test_a_step_is_answered_by_its_key(url: str) -> None:
    """In both clients; a flow larger than a page is looked through until the key is found."""
    flow = Flow("ask")
    flow.approval("ship")
    flow.approval("bill")
    flow.map("job", ({"n": n} for n in range(501)), key="part")

    async def refuse(flow_id: str) -> None:
        async with coordq.connect_async(url) as other:
            await other.flows.reject(flow_id, "bill", by="bob")

    with coordq.connect(url) as client:
        handle = client.flows.run(flow)
        client.flows.approve(handle.id, "ship", value=7)
        asyncio.run(refuse(handle.id))

        view = handle.get()
        assert client.work.get(view.node("ship").id).result == 7
        assert view.node("bill").state == "failed"
        with pytest.raises(TaskNotFound, match="has no task 'shop'; did you mean 'ship'"):
            client.flows.approve(handle.id, "shop")
        with pytest.raises(Conflict, match=view.node("part.500").id):
            client.flows.approve(handle.id, "part.500")
        with pytest.raises(FlowNotFound):
            client.flows.approve(coordq.new_id(), "ship")
        with pytest.raises(TaskNotFound, match="is flow 'ask', not a task"):
            client.flows.approve(handle.id)


def test_a_rejection_fails_the_node(client: Client) -> None:
    """What comes after it learns of it as of any failure."""
    flow = Flow("ask")
    flow.approval("ship")
    handle = client.flows.run(flow)

    client.flows.reject(handle.get().node("ship").id, by="bob", note="too early")

    with pytest.raises(FlowFailed, match="too early"):
        handle.result(timeout=60)


def test_a_signal_wakes_those_who_wait_on_every_shard(sharded_url: str) -> None:
    """Flows are spread over the shards; a signal need not know where."""
    with coordq.connect(sharded_url) as client:
        handles = []
        for _ in range(4):
            flow = Flow("mail")
            flow.signal("letter")
            handles.append(client.flows.run(flow))

        assert len({handle.id[9:11] for handle in handles}) == 4
        assert client.flows.signal("letter", "hi") == 4
        assert [handle.result(timeout=60) for handle in handles] == [{"letter": "hi"}] * 4
        assert len(client.flows.ls()) == 4


def test_a_timer_is_heard_of_by_whoever_waits_for_work(client: Client) -> None:
    """An idle worker that blocks cannot know of a moment that nobody has told it."""
    flow = Flow("late")
    flow.timer(3600)

    client.flows.run(flow)

    key = keys.marker(keys.root(client.namespace, 0), "default", "*")
    assert client.engine.execute(0, "ZCARD", key) == 1


def test_why_names_what_is_waited_for(client: Client) -> None:
    """The tasks before it, by key and state; the answer, and until when."""
    flow = Flow("why")
    parts = flow.map("job", [{"n": 1}, {"n": 2}], key="part")
    flow.approval("ship", after=flow.join("job", parts, key="sum"))
    handle = client.flows.run(flow)
    ids = {node.key: node.id for node in handle.get().nodes}
    held = take_one(client)

    words = client.work.why(ids["sum"])
    assert words.startswith("It waits for 2 of 2 tasks to end: part.0 (running), part.1 (ready).")
    succeed(client, held)
    assert "1 of 2 tasks to end: part.1 (ready)." in client.work.why(ids["sum"])
    assert "waits for another task to end: sum (waiting)." in client.work.why(ids["ship"])
    succeed(client, take_one(client))
    succeed(client, take_one(client))
    assert f"for an approval: `coordq approve {ids['ship']}`" in client.work.why(ids["ship"])


def test_a_flow_that_is_none_is_refused(client: Client) -> None:
    """A wrong id, a wrong state, a wrong picture: each with what to do instead."""
    for wrong in ("x", coordq.new_id()):
        with pytest.raises(FlowNotFound):
            client.flows.get(wrong)
        with pytest.raises(FlowNotFound):
            client.flows.result(wrong)
        with pytest.raises(FlowNotFound):
            client.flows.cancel(wrong)
    with pytest.raises(InvalidOption, match="state='odd'"):
        client.flows.ls(state="odd")
    with pytest.raises(InvalidOption, match="format='png'"):
        client.flows.graph(chain("a"), format="png")
    with pytest.raises(InvalidOption, match="durability='both'"):
        client.flows.run(chain("a"), durability="both")
    with pytest.raises(InvalidFlow, match="is no flow"):
        client.flows.run("chain")  # type: ignore[arg-type]


def test_a_read_only_fleet_takes_no_flow(client: Client) -> None:
    """Unless somebody insists."""
    client.fleet.read_only(on=True, reason="moving")

    with pytest.raises(ReadOnly):
        client.flows.run(chain("a"))
    assert client.flows.run(chain("a"), force=True).progress().state == "running"


def test_flows_are_spread_over_the_shards() -> None:
    """By turns, so that no shard has all of them."""
    shards = {planned(chain("a"), 3).shard for _ in range(6)}

    assert shards == {0, 1, 2}


async def test_the_async_door_waits_as_well(client: Client, url: str) -> None:
    """One listener hears of all flows of an event loop, also of one that has ended already."""
    async with coordq.connect_async(url) as door:
        handle = await door.flows.run(chain("a"))
        waiting = handle.result(timeout=60)
        succeed(client, take_one(client), 1)

        assert await waiting == {"a": 1}
        assert await handle.result() == {"a": 1}
        second = await door.work.enqueue("job", depends_on=[take_one_id(client)])
        assert (await second.get()).state == "waiting"


def take_one_id(client: Client) -> str:
    """The id of a task that is ready."""
    return client.work.enqueue("job").id
