"""The leader says which flows do not get on, and what holds each of them up."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from coordq.client.client import Client
from coordq.engine.aio import open_async_engine
from coordq.errors import Deposed
from coordq.fleet.election import inaugurate
from coordq.runtime.supervisor.knots import Knots
from coordq.runtime.supervisor.settings import SupervisorSettings
from coordq.runtime.supervisor.term import Term
from coordq.work.flow import calls
from coordq.work.flow.look import look as look_at
from coordq.work.flow.plan import FlowPlan
from tests.runtime.conftest import NewWatchman
from tests.waiting import wait_until
from tests.work.damages import NOBODY, rewrite
from tests.work.desk import Desk
from tests.work.flows import Flows, after, node, plan
from tests.work.waiting_room import say, suspend, wait

AFTER_S = 300.0


@pytest.fixture
def desk(client: Client) -> Desk:
    """The shard of this test, by hand."""
    return Desk(client.engine)


@pytest.fixture
def flows(desk: Desk) -> Flows:
    """The flows of that shard."""
    return Flows(desk)


@pytest.fixture
def part() -> Knots:
    """The part under test."""
    return Knots(SupervisorSettings(stuck_after_s=AFTER_S))


def look(desk: Desk, url: str, part: Knots, *, times: int = 1, epoch: int = 7) -> float:
    """Some rounds of a leader; gives the pause after the last."""

    async def rounds() -> float:
        pause_s = 0.0
        async with await open_async_engine(url, namespace=desk.engine.namespace) as engine:
            term = Term(engine, name="s", epoch=epoch)
            for _ in range(times):
                pause_s = await part.round_on(term, desk.shard)
        return pause_s

    return asyncio.run(rounds())


def stand_still(desk: Desk, made: FlowPlan) -> None:
    """Nothing of a flow has ended for ten minutes."""
    desk.redis("ZADD", desk.key("flows:open"), desk.now_ms() - 600_000, made.id)


def told(desk: Desk) -> list[tuple[str, str]]:
    """The events that tell of knots."""
    return [(one.subject, one.detail) for one in desk.events() if one.kind == "stuck"]


def serve(desk: Desk, **facts: Any) -> None:
    """A worker lives that can do jobs."""
    info = {"queues": ["default"], "agents": [{"name": "a", "tasks": ["job"]}], "slots": 4, **facts}
    desk.beat(info=json.dumps(info).encode())


def only(desk: Desk, made: FlowPlan) -> str:
    """The words that were told, of that flow and nothing else."""
    ((flow_id, words),) = told(desk)
    assert flow_id == made.id
    return words


def test_a_task_that_nobody_can_do(desk: Desk, flows: Flows, redis_url: str, part: Knots) -> None:
    """The reason that `why` gives, once, however often it is looked."""
    made = flows.start(node("first", name="exotic"))
    serve(desk)
    stand_still(desk, made)

    assert look(desk, redis_url, part, times=5) == AFTER_S / 5

    assert only(desk, made).startswith(
        "first is ready, but: No live worker on queue 'default' knows a task named 'exotic'"
    )


def test_a_flow_that_moves_is_left_alone(
    desk: Desk, flows: Flows, redis_url: str, part: Knots
) -> None:
    """One that is young, one whose task runs, one that waits for a moment, and one for its turn."""
    serve(desk)
    flows.start(node("young", name="exotic"))
    running = flows.start(node("runs"))
    desk.take()
    later = flows.start(node("later", delay_ms=60_000))
    turn = flows.start(node("turn"))
    for made in (running, later, turn):
        stand_still(desk, made)

    look(desk, redis_url, part, times=5)

    assert told(desk) == []


def test_a_flow_that_is_not_launched_is_no_knot(
    desk: Desk, flows: Flows, redis_url: str, part: Knots
) -> None:
    """Its maker is on the way, or it is swept away."""
    made = plan(node("only"))
    flows.submit(made)
    stand_still(desk, made)

    look(desk, redis_url, part)

    assert told(desk) == []


def test_an_approval_that_nobody_gives(
    desk: Desk, flows: Flows, redis_url: str, part: Knots
) -> None:
    """Who waits, since when, and what to do; of a node and of a handler."""
    asks = node("asks")
    made = flows.start(node("deploy", name="coordq.approval", kind="approval"), asks)
    suspend(desk, desk.take(), wait("approval", "really?"))
    stand_still(desk, made)

    look(desk, redis_url, part)

    words = only(desk, made)
    assert f"coordq approve {made.nodes[0].id}" in words
    assert "asks waits for the approval 'really?' since 20" in words


def test_a_signal_and_a_paused_queue(desk: Desk, flows: Flows, redis_url: str, part: Knots) -> None:
    """All that holds it up is named."""
    serve(desk)
    made = flows.start(node("listens"), node("ready", queue="mail"))
    suspend(desk, desk.take(), wait("signal", name="deployed"))
    desk.configure("mail", paused=True)
    stand_still(desk, made)

    look(desk, redis_url, part)

    words = only(desk, made)
    assert "listens waits for the signal 'deployed' since 20" in words
    assert "ready is ready, but: Queue 'mail' is paused." in words


def test_a_wait_with_an_end_is_no_knot(
    desk: Desk, flows: Flows, redis_url: str, part: Knots
) -> None:
    """It goes on by itself: a sleep, and a wait for tasks that has a timeout."""
    made = flows.start(node("sleeps"), node("waits"))
    for claim, what in ((desk.take(), wait("time")), (desk.take(), wait("tasks"))):
        held = dict(what, ids=[each.id for each in made.nodes if each.id != claim.id][:1])
        assert suspend(desk, claim, held, timeout_ms=90_000) == "ok"
    stand_still(desk, made)

    look(desk, redis_url, part)

    assert told(desk) == []


def test_tasks_that_wait_for_nobody(desk: Desk, flows: Flows, redis_url: str, part: Knots) -> None:
    """As if the end of the parent had been lost; the audit knows what to do."""
    first, last = node("first"), node("last")
    made = flows.start(first, replace(last, parents=(after(first),)))
    rewrite(desk, first.id, f"e={last.id}".encode(), f"e={NOBODY}".encode())
    flows.end("first")
    stand_still(desk, made)

    look(desk, redis_url, part)

    assert only(desk, made) == "nothing goes on before last: `coordq audit --repair`"


def test_a_task_that_goes_round_and_round(
    desk: Desk, flows: Flows, redis_url: str, part: Knots
) -> None:
    """It snoozes, again and again, and nothing ends: that is no progress either."""
    serve(desk)
    made = flows.start(node("polls"))
    stand_still(desk, made)

    for _ in range(50):
        desk.end(desk.take(), "snooze", delay_ms=1)
        desk.make_due(made.nodes[0].id)
        desk.promote()
        look(desk, redis_url, part)

    assert only(desk, made).startswith("polls was seen to begin anew 5 times since")


def test_another_knot_is_told_again(desk: Desk, flows: Flows, redis_url: str, part: Knots) -> None:
    """And the same one, when the flow has moved in between."""
    made = flows.start(
        node("deploy", name="coordq.approval", kind="approval"), node("other", name="x")
    )
    stand_still(desk, made)
    look(desk, redis_url, part)
    assert len(told(desk)) == 1

    say(desk, made.nodes[0].id)
    stand_still(desk, made)
    look(desk, redis_url, part)

    assert len(told(desk)) == 2
    assert "approve" not in told(desk)[1][1]


def test_the_next_leader_does_not_repeat_it(
    desk: Desk, flows: Flows, redis_url: str, part: Knots
) -> None:
    """What was told stands in Redis."""
    made = flows.start(node("first", name="exotic"))
    stand_still(desk, made)
    look(desk, redis_url, part)

    look(desk, redis_url, Knots(SupervisorSettings(stuck_after_s=AFTER_S)), epoch=8)

    assert len(told(desk)) == 1


def test_a_knot_shows_until_the_flow_moves(
    desk: Desk, flows: Flows, redis_url: str, part: Knots
) -> None:
    """Whoever looks at the flow sees it."""
    made = flows.start(node("deploy", name="coordq.approval", kind="approval"), node("other"))
    stand_still(desk, made)
    look(desk, redis_url, part)
    assert desk.run(look_at(made.id)).knot == told(desk)[0][1]

    say(desk, made.nodes[0].id)

    assert desk.run(look_at(made.id)).knot == ""


def test_a_leader_of_the_past_tells_nothing(
    desk: Desk, flows: Flows, redis_url: str, part: Knots
) -> None:
    """That ends its term."""
    made = flows.start(node("first", name="exotic"))
    stand_still(desk, made)
    desk.run(inaugurate(0, 9))

    with pytest.raises(Deposed):
        look(desk, redis_url, part)

    assert told(desk) == []


def test_a_retry_that_was_given_up_half_way(
    desk: Desk, flows: Flows, redis_url: str, part: Knots
) -> None:
    """Who began it is gone; nobody else goes on with it."""
    made = flows.start(*(node(f"n{n}") for n in range(3)))
    flows.end("n0", "n1", "n2", how="failed")
    assert desk.run(calls.retry(made.id, nonce=calls.new_nonce(), limit=1)).more
    stand_still(desk, made)

    look(desk, redis_url, part)

    assert only(desk, made).endswith("retry it again")


def test_a_supervisor_does_it(desk: Desk, flows: Flows, new_watchman: NewWatchman) -> None:
    """The part is one of the leader's."""
    made = flows.start(node("first", name="exotic"))
    stand_still(desk, made)

    new_watchman(stuck_after_s=0.5)

    wait_until(lambda: told(desk), what="the knot to be told")
    assert (
        only(desk, made)
        == "first is ready, but: No worker is alive. Start one with `coordq worker`."
    )
