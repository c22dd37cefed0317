"""The first success wins: those that a task did not wait for are cancelled, if that is wanted."""

from __future__ import annotations

import pytest

from coordq.work.flow.plan import Node
from tests.work.desk import Desk
from tests.work.flows import Flows, after, node
from tests.work.test_flow_races import at_once, end_and_claim


@pytest.fixture
def flows(desk: Desk) -> Flows:
    """The flows of this test's shard."""
    return Flows(desk)


def race(*parents: Node, first: int = 1) -> Node:
    """What the first of them releases."""
    edges = [after(each, policy="ignore") for each in parents]
    return node("winner", *edges, want=first, early=True, cancel_losers=True)


def settle(flows: Flows) -> None:
    """Let all that is due happen; nobody is there to claim anything."""
    while flows.desk.redis("ZCOUNT", flows.desk.key("due"), "-inf", flows.desk.now_ms()):
        flows.desk.promote()


def test_those_that_have_not_started_are_cancelled_at_once(flows: Flows) -> None:
    """Ready, scheduled, waiting and suspended ones; the one that runs is asked to stop."""
    quick, slow, ready = node("quick"), node("slow"), node("ready", name="other")
    later = node("later", slow, delay_ms=60_000)
    approval = node("ask", kind="approval")
    runners = [quick, slow, ready, node("soon", delay_ms=60_000), later, approval]
    winner = race(*runners)
    made = flows.start(*runners, winner)
    held = flows.take()

    flows.finish(held["quick"])
    settle(flows)

    assert flows.states(*runners) == ["succeeded", "running", *["cancelled"] * 4]
    assert "did not wait" in (flows.desk.task(ready.id).error or {})["message"]
    assert flows.desk.task(slow.id).cancel_requested
    flows.end("winner")
    flows.finish(held["slow"], "cancelled")
    assert flows.outcome(made) == "succeeded"
    assert flows.account(made)["cancelled"] == "5"


def test_without_being_asked_nobody_is_cancelled(flows: Flows) -> None:
    """The others run on, as ever."""
    quick, slow = node("quick"), node("slow")
    edges = [after(each, policy="ignore") for each in (quick, slow)]
    flows.start(quick, slow, node("winner", *edges, want=1, early=True))
    held = flows.take()

    flows.finish(held["quick"])
    settle(flows)

    assert flows.state(slow) == "running"
    assert not flows.desk.task(slow.id).cancel_requested


def test_failures_win_nothing_and_two_may_have_to(flows: Flows) -> None:
    """Only when so many have succeeded; whoever has ended stays as it is."""
    runners = [node(f"n{n}") for n in range(4)]
    winner = race(*runners, first=2)
    flows.start(*runners, winner)
    held = flows.take()

    flows.finish(held["n0"], "failed")
    flows.finish(held["n1"])
    settle(flows)
    assert not flows.desk.task(runners[3].id).cancel_requested
    flows.finish(held["n2"])
    settle(flows)

    assert flows.states(*runners, winner) == [
        "failed",
        "succeeded",
        "succeeded",
        "running",
        "ready",
    ]
    assert flows.desk.task(runners[3].id).cancel_requested


@pytest.mark.parametrize("amount", [3, 250, 700])
def test_tasks_of_a_map_that_came_later_lose_as_well(flows: Flows, amount: int) -> None:
    """However they were added, and however many there are."""
    root = node("root")
    winner = node("winner", root, want=2, early=True, cancel_losers=True)
    made = flows.start(root, winner)
    held = flows.take()["root"]
    runners = [node(f"n{n}") for n in range(amount)]
    links = [(winner, after(each, policy="ignore")) for each in runners]
    flows.grow(made, *runners, links=links, member=held.member)
    flows.finish(held)
    first = flows.desk.take()

    flows.finish(first)
    settle(flows)

    states = flows.states(*runners)
    assert (states.count("succeeded"), states.count("cancelled")) == (1, amount - 1)
    flows.end("winner")
    assert flows.outcome(made) == "succeeded"
    assert flows.account(made)["cancelled"] == str(amount - 1)


def test_losers_are_cancelled_again_when_their_flow_is_retried(flows: Flows) -> None:
    """The one that won has won: only what failed after it runs again."""
    quick, slow = node("quick"), node("slow", name="other")
    winner = race(quick, slow)
    last = node("last", winner)
    made = flows.start(quick, slow, winner, last)
    flows.end("quick")
    settle(flows)
    flows.end("winner")
    flows.end("last", how="failed")
    assert flows.outcome(made) == "failed"

    flows.retry(made)
    settle(flows)

    assert flows.states(quick, slow, winner, last) == [
        "succeeded",
        "cancelled",
        "succeeded",
        "ready",
    ]
    flows.end("last")
    assert flows.outcome(made) == "succeeded"


def test_a_scheduled_loser_that_comes_due_with_its_cancel_stays_cancelled(flows: Flows) -> None:
    """Both are taken in one call."""
    quick, soon = node("quick"), node("soon", delay_ms=60_000)
    made = flows.start(quick, soon, race(quick, soon))
    flows.finish(flows.take()["quick"])

    flows.desk.make_due(soon.id, ago_ms=0)
    settle(flows)

    assert flows.state(soon) == "cancelled"
    flows.end("winner")
    assert flows.outcome(made) == "succeeded"


def test_two_that_win_at_once_cancel_once(flows: Flows, redis_url: str) -> None:
    """Both have succeeded; the third is told to stop, the winner runs once."""
    for _ in range(10):
        runners = [node(f"n{n}") for n in range(3)]
        made = flows.start(*runners, race(*runners))
        held = flows.take()

        came = at_once(redis_url, flows.desk, end_and_claim(held["n0"]), end_and_claim(held["n1"]))

        settle(flows)
        claimed = [each for claims in came for each in claims] + [*flows.take().values()]
        assert len(claimed) == 1
        flows.finish(claimed[0])
        assert flows.states(*runners) == ["succeeded", "succeeded", "running"]
        flows.finish(held["n2"], "cancelled")
        assert flows.outcome(made) == "succeeded"
