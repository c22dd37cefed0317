"""Several clients at once on one flow: what may happen once happens once, and every flow ends."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from coordq.engine.call import Call
from coordq.engine.connection import open_engine
from coordq.errors import Conflict, FlowEnded
from coordq.work.cancel import cancel
from coordq.work.claim import Claim
from coordq.work.finish import Outcome, finish
from coordq.work.flow import calls
from coordq.work.flow.plan import FlowPlan
from tests.work.desk import Desk, ask
from tests.work.flows import Flows, after, node, plan

ROUNDS = 25

Part = Callable[[Desk], Any]


@pytest.fixture
def flows(desk: Desk) -> Flows:
    """The flows of this test's shard."""
    return Flows(desk)


def at_once(redis_url: str, desk: Desk, *parts: Part) -> list[Any]:
    """Run each part in a thread of its own, with a connection of its own, all at one moment."""
    gate = threading.Barrier(len(parts))
    came: list[Any] = [None] * len(parts)

    def play(number: int, part: Part) -> None:
        with open_engine(redis_url, namespace=desk.engine.namespace) as engine:
            mine = Desk(engine)
            mine.redis("PING")
            gate.wait(30)
            try:
                came[number] = part(mine)
            except (Conflict, FlowEnded) as refused:
                came[number] = refused

    threads = [threading.Thread(target=play, args=pair) for pair in enumerate(parts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return came


def run(call: Call[Any]) -> Part:
    """One call."""
    return lambda desk: desk.run(call)


def end_and_claim(held: Claim) -> Part:
    """Commit a success and claim what comes next, as a worker of its own."""
    outcome = Outcome("succeeded", held.id, held.fence, b"1")
    who = ask(claimant=f"w{held.fence}/1:a")
    return lambda desk: desk.run(finish(0, [outcome], who)).claimed.claims


def retry(made: FlowPlan, nonce: str) -> Part:
    """Retry a flow, a task a call."""

    def play(desk: Desk) -> None:
        while desk.run(calls.retry(made.id, nonce=nonce, limit=1)).more:
            pass

    return play


def test_two_finishers_of_the_last_two_parents_release_a_join_once(
    flows: Flows, redis_url: str
) -> None:
    """Whoever is second does, and the join is claimed by one of both."""
    for _ in range(ROUNDS):
        one, two = node("one"), node("two")
        join = node("join", one, two)
        made = flows.start(one, two, join)
        held = flows.take()

        claimed = at_once(
            redis_url, flows.desk, end_and_claim(held["one"]), end_and_claim(held["two"])
        )

        assert [each.id for claims in claimed for each in claims] == [join.id]
        flows.finish(next(each for claims in claimed for each in claims))
        assert flows.outcome(made) == "succeeded"


def test_a_cancel_against_a_finish_ends_every_task(flows: Flows, redis_url: str) -> None:
    """Whichever comes first: nothing waits for ever, and nothing runs afterwards."""
    seen: Counter[str] = Counter()
    for _ in range(ROUNDS):
        first = node("first")
        second = node("second", first)
        made = flows.start(first, second, node("third", second))
        claim = flows.take()["first"]
        outcome = Outcome("succeeded", claim.id, claim.fence, b"1")

        at_once(
            redis_url,
            flows.desk,
            run(finish(0, [outcome])),
            run(calls.cancel(made.id)),
        )

        assert flows.take() == {}
        assert flows.outcome(made) == "cancelled"
        assert flows.account(made)["left"] == "0"
        seen[flows.state(first)] += 1
    assert set(seen) <= {"succeeded", "cancelled"}


def test_a_task_is_cancelled_or_released_and_never_both(flows: Flows, redis_url: str) -> None:
    """A cancel of the child against the end of its parent."""
    for _ in range(ROUNDS):
        first = node("first")
        second = node("second", first)
        made = flows.start(first, second)
        claim = flows.take()["first"]
        outcome = Outcome("succeeded", claim.id, claim.fence, b"1")

        at_once(
            redis_url,
            flows.desk,
            run(finish(0, [outcome])),
            run(cancel(second.id)),
        )

        assert flows.state(second) == "cancelled"
        assert flows.take() == {}
        assert flows.account(made)["left"] == "0"


def test_a_flow_is_launched_once(flows: Flows, redis_url: str) -> None:
    """By whichever of four clients: its roots are ready once."""
    for _ in range(ROUNDS):
        made = plan(node("a"), node("b"))
        flows.submit(made)

        at_once(redis_url, flows.desk, *[run(calls.launch(made))] * 4)

        flows.end("a", "b")
        assert flows.outcome(made) == "succeeded"


def test_growth_against_the_end_is_taken_whole_or_not_at_all(flows: Flows, redis_url: str) -> None:
    """Either the flow goes on with the new task, or it has ended and the new one does not exist."""
    grown: Counter[bool] = Counter()
    for _ in range(ROUNDS):
        root = node("root")
        made = flows.start(root)
        claim = flows.take()["root"]
        outcome = Outcome("succeeded", claim.id, claim.fence, b"1")
        (call,) = calls.grow(made.id, [node("new", root)])

        came = at_once(
            redis_url,
            flows.desk,
            run(finish(0, [outcome])),
            run(call),
        )

        refused = isinstance(came[1], FlowEnded)
        grown[not refused] += 1
        if not refused:
            flows.end("new")
        assert flows.account(made)["total"] == ("1" if refused else "2")
        assert flows.outcome(made) == "succeeded"


def test_two_growers_add_one_edge_once(flows: Flows, redis_url: str) -> None:
    """The second finds it there."""
    for _ in range(ROUNDS):
        root, other = node("root"), node("other")
        child = node("child", root)
        made = flows.start(root, other, child)
        (call,) = calls.grow(made.id, (), [(child.id, after(other))])

        at_once(redis_url, flows.desk, *[run(call)] * 3)

        flows.end("root", "other")
        flows.end("child")
        assert flows.outcome(made) == "succeeded"


def test_two_retries_are_one(flows: Flows, redis_url: str) -> None:
    """The other one is told that the flow runs again."""
    for _ in range(ROUNDS):
        first = node("first")
        made = flows.start(first, node("second", first))
        flows.end("first", how="failed")

        came = at_once(redis_url, flows.desk, retry(made, "one"), retry(made, "two"))

        assert [type(each) for each in came].count(Conflict) == 1
        flows.end("first")
        flows.end("second")
        assert flows.outcome(made) == "succeeded"
