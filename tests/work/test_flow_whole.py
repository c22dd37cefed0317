"""What is done to a flow as a whole: looked at, listed, cancelled, tried again, forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coordq.errors import Conflict, FlowEnded, FlowNotFound
from coordq.work.flow.look import look
from tests.work.desk import Desk
from tests.work.flows import Flows, after, node, plan


@pytest.fixture
def flows(desk: Desk) -> Flows:
    """The flows of this test's shard."""
    return Flows(desk)


def test_the_account_adds_up(flows: Flows) -> None:
    """Each task is in one of its numbers."""
    good, bad = node("good"), node("bad")
    skipped = node("skipped", after(bad, policy="skip"))
    unmet = node("unmet", bad)
    waits = node("waits", good)
    made = flows.start(good, bad, skipped, unmet, waits, name="sums", ttl_s=90)
    held = flows.take()
    flows.finish(held["bad"], "failed")
    flows.finish(held["good"])

    seen = flows.run(look(made.id))

    numbers = (seen.total, seen.left, seen.succeeded, seen.failed, seen.cancelled, seen.skipped)
    assert numbers == (5, 1, 1, 1, 1, 1)
    assert (seen.name, seen.state, seen.ttl_s) == ("sums", "running", 90)
    assert seen.moved_ms >= seen.started_ms > 0


@pytest.mark.parametrize("limit", [1, 500])
def test_a_cancelled_flow_ends_when_its_workers_have_heard(flows: Flows, limit: int) -> None:
    """What waits is cancelled at once, also what comes after an end of any kind."""
    runs, other = node("runs"), node("other")
    always = node("always", after(other, on="always"))
    spare = node("spare", is_alternative=True)
    primary = replace(node("primary", other), fallback=spare.id)
    made = flows.start(runs, other, always, primary, spare)
    held = flows.take()
    flows.desk.end(held["other"], "release", b"")

    page = flows.cancel(made, limit)

    assert page.left == 1
    assert flows.states(other, always, spare)[0] == "cancelled"
    assert flows.take() == {}
    assert flows.desk.task(runs.id).cancel_requested
    flows.finish(held["runs"], "cancelled")
    assert flows.outcome(made) == "cancelled"
    with pytest.raises(FlowEnded):
        flows.cancel(made)


def test_a_flow_that_was_never_launched_can_be_cancelled(flows: Flows) -> None:
    """It ends there and then."""
    made = plan(node("a"))
    flows.submit(made)

    assert flows.cancel(made).left == 0

    assert flows.outcome(made) == "cancelled"
    with pytest.raises(FlowNotFound):
        flows.cancel(plan(node("b")))


@pytest.mark.parametrize("limit", [1, 500])
def test_a_retry_runs_what_did_not_succeed(flows: Flows, limit: int) -> None:
    """And keeps what did: joins count the old results."""
    good, bad = node("good"), node("bad")
    join = node("join", good, bad)
    last = node("last", join)
    made = flows.start(good, bad, join, last)
    held = flows.take()
    flows.finish(held["good"])
    flows.finish(held["bad"], "failed")
    assert flows.outcome(made) == "failed"

    assert flows.retry(made, limit).left == 3

    assert flows.states(good, bad, join, last) == ["succeeded", "ready", "waiting", "waiting"]
    flows.end("bad")
    flows.end("join")
    flows.end("last")
    assert flows.outcome(made) == "succeeded"
    assert flows.account(made)["failed"] == "0"


def test_a_retry_asks_conditions_again(flows: Flows) -> None:
    """What a result left out stays left out."""
    good, bad = node("good"), node("bad")
    left_out = node("left-out", after(good, when="missing"))
    join = node("join", after(left_out, on="always"), bad)
    made = flows.start(good, bad, left_out, join)
    held = flows.take()
    flows.finish(held["good"], result={})
    flows.finish(held["bad"], "failed")

    flows.retry(made)
    flows.end("bad")
    flows.end("join")

    assert flows.states(good, bad, left_out, join) == [
        "succeeded",
        "succeeded",
        "skipped",
        "succeeded",
    ]
    assert flows.outcome(made) == "succeeded"


def test_a_failure_whose_alternative_succeeded_is_not_retried(flows: Flows) -> None:
    """It was taken care of; what came after the alternative fires again."""
    spare = node("spare", is_alternative=True)
    first = replace(node("first"), fallback=spare.id)
    child = node("child", first)
    made = flows.start(first, spare, child)
    flows.end("first", how="failed")
    flows.end("spare")
    flows.end("child", how="failed")

    flows.retry(made)

    assert flows.states(first, spare, child) == ["failed", "succeeded", "ready"]
    flows.end("child")
    assert flows.outcome(made) == "succeeded"


def test_only_what_failed_or_was_cancelled_is_retried(flows: Flows) -> None:
    """A flow that runs, or that succeeded, has nothing to retry."""
    made = flows.start(node("a"))

    with pytest.raises(Conflict):
        flows.retry(made)
    flows.end("a")
    with pytest.raises(Conflict):
        flows.retry(made)
    with pytest.raises(FlowNotFound):
        flows.retry(plan(node("b")))


def test_a_cancelled_flow_can_be_retried(flows: Flows) -> None:
    """And succeeds then."""
    first = node("first")
    second = node("second", first)
    made = flows.start(first, second)
    flows.cancel(made)

    flows.retry(made)
    flows.end("first")
    flows.end("second")

    assert flows.outcome(made) == "succeeded"


@pytest.mark.parametrize("limit", [1, 2, 500])
def test_a_forgotten_flow_leaves_nothing(flows: Flows, limit: int) -> None:
    """Neither keys of its own nor of its tasks."""
    big = replace(node("big"), args=b'{"key":"big","text":"%s"}' % (b"x" * 3000))
    children = [node(f"c{n}", big) for n in range(9)]
    join = node("join", *children, total_timeout=600)
    made = flows.start(big, *children, join)
    with pytest.raises(Conflict):
        flows.forget(made, limit)
    flows.end("big", how="failed")

    flows.forget(made, limit)

    ids = [made.id, *(each.id for each in made.nodes)]
    assert [name for name in flows.desk.names() if any(each in name for each in ids)] == []
    assert flows.desk.redis("ZCARD", flows.desk.key("dead")) == 0
    assert flows.desk.redis("ZCARD", flows.desk.key("due")) == 0


def test_a_letter_tells_the_end_of_a_flow(flows: Flows) -> None:
    """Whoever waits for it hears once."""
    made = flows.start(node("a"), mailbox="m")
    flows.end("a")

    letters = flows.desk.redis("LRANGE", flows.desk.key("mailbox:m"), 0, -1)

    assert [letter.partition(b"\n")[0].decode() for letter in letters] == [made.id]
    assert b'"state":"succeeded"' in letters[0]
    kinds = [event.kind for event in flows.desk.events() if event.subject == made.id]
    assert kinds == ["flow-started", "flow-ended"]
