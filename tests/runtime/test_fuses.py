"""Workers tell the breaker of an agent how its runs end, when the agent asks for it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from coordq.client.client import Client
from coordq.errors import CoordqError, InvalidAgent, TaskFailed
from coordq.runtime.fuses import failed
from coordq.runtime.verdict import error_body
from coordq.work.agent import Agent
from coordq.work.finish import Outcome
from tests.fleet.fuses import pass_time, seen
from tests.runtime.conftest import NewFleet
from tests.waiting import wait_until
from tests.work.desk import Desk

AGENTS = """
    import asyncio
    from typing import Any
    from coordq import Agent, Reject, Retry

    ada, bob = Agent("ada", role="clerk", breaker=True), Agent("bob", role="clerk")

    @ada.task(max_attempts=1)
    async def does(how: str) -> str:
        if how == "fail":
            raise ValueError("broken")
        if how == "reject":
            raise Reject("not that")
        return how

    @ada.task(max_attempts=1, timeout=0.05)
    async def is_slow() -> None:
        await asyncio.sleep(60)

    @bob.task(max_attempts=1)
    async def fails() -> None:
        raise ValueError("broken")

    @ada.on("orders.*", max_deliveries=1)
    async def hears(body: Any) -> None:
        raise ValueError(body)

    @ada.on("tries.*", max_deliveries=5)
    async def tries(body: Any) -> None:
        raise Retry(0.001, "not yet")
"""
ADA = "agent:ada"


@pytest.fixture
def client(new_fleet: NewFleet, client: Client, tmp_path: Path) -> Client:
    """A client, and a worker with both agents."""
    file = tmp_path / "fused.py"
    file.write_text(textwrap.dedent(AGENTS))
    new_fleet(targets=(str(file),), concurrency=4)
    return client


@pytest.fixture
def desk(client: Client) -> Desk:
    """The shard of this test, by hand."""
    return Desk(client.engine)


def run(client: Client, name: str, **args: Any) -> Any:
    """A task's result, or what it failed with."""
    try:
        return client.work.enqueue(name, args).result(timeout=60)
    except CoordqError as error:
        return type(error)


def changes(client: Client) -> list[str]:
    """What became of the breaker, in order."""
    return [
        event.kind
        for event in client.work.events()
        if event.kind.startswith("breaker-") and event.subject == ADA
    ]


@pytest.mark.live
def test_an_agent_that_fails_is_left_out_until_it_is_well_again(client: Client, desk: Desk) -> None:
    """The fifth failure opens it, with no call after it: nobody has to notice first.

    When it is time the worker tries, with the next tasks that it is given.
    """
    wait_until(lambda: len(client.agents.find(role="clerk")) == 2, what="both to serve")
    for _ in range(5):
        assert run(client, "does", how="fail") is TaskFailed

    wait_until(lambda: changes(client) == ["breaker-opened"], what="word that it is open")
    named = [one.agent.name for one in client.routing.recommend(role="clerk", n=5)]
    assert named == ["bob"]

    assert run(client, "does", how="on") == "on", "what was claimed is run all the same"
    pass_time(desk, 31_000, ADA)

    def is_well() -> bool:
        assert run(client, "does", how="well") == "well"
        return changes(client)[1:] == ["breaker-probing", "breaker-closed"]

    wait_until(is_well, what="it to be closed again")


@pytest.mark.live
def test_timeouts_and_messages_that_died_count(client: Client, desk: Desk) -> None:
    """Three of one and two of the other open it together."""
    for number in range(3):
        client.bus.publish("orders.new", number)
    wait_until(lambda: seen(desk, ADA).failures == 3, what="three failures")

    for _ in range(2):
        assert run(client, "is_slow") is TaskFailed

    wait_until(lambda: changes(client) == ["breaker-opened"], what="word that it is open")


@pytest.mark.live
def test_a_message_that_is_tried_again_is_a_call_each_time(client: Client) -> None:
    """As an attempt of a task is: who fails five times in a row is not well."""
    client.bus.publish("tries.it", None)

    wait_until(lambda: changes(client) == ["breaker-opened"], what="word that it is open")


@pytest.mark.live
def test_what_is_not_the_agents_fault_does_not_count(client: Client, desk: Desk) -> None:
    """What it refuses, what does not fit, and what is cancelled; nor do those who did not ask."""
    for _ in range(6):
        run(client, "does", how="reject")
        run(client, "does", what="does not fit")
        run(client, "fails")
    client.work.cancel(client.work.enqueue("is_slow", delay=3600).id)
    assert run(client, "does", how="fail") is TaskFailed

    wait_until(lambda: seen(desk, ADA).failures == 1, what="the one failure")
    assert changes(client) == []
    assert not seen(desk, "agent:bob").known


@pytest.mark.parametrize(
    ("kind", "reason", "has_failed"),
    [
        ("succeeded", "", False),
        ("failed", "exception", True),
        ("retry", "exception: not yet", True),
        ("retry", "timeout", True),
        ("failed", "dependency", True),
        ("failed", "crashed: signal 9", True),
        ("failed", "result-not-json", True),
        ("failed", "rejected: not that", None),
        ("failed", "invalid-arguments", None),
        ("failed", "input-gone", None),
        ("failed", "deadline", None),
        ("failed", "other-shard", None),
        ("cancelled", "cancelled", None),
        ("release", "", None),
        ("snooze", "", None),
        ("suspend", "", None),
        ("rate-limited", "", None),
        ("", "", None),
    ],
)
def test_what_an_end_says_about_the_agent(kind: str, reason: str, has_failed: bool | None) -> None:  # noqa: FBT001 - a column of the table
    """By the stable part of the reason."""
    body = error_body(ValueError("no"), reason) if reason else b""
    outcome = Outcome(kind, "0" * 22, 1, body) if kind else None

    assert failed(outcome) is has_failed


@pytest.mark.parametrize("breaker", [1, "yes", None, {"failures": 3}])
def test_what_is_no_answer_is_refused(breaker: Any) -> None:
    """Thresholds are set with `client.breakers.set`, for the whole fleet, and not by workers."""
    with pytest.raises(InvalidAgent, match="breaker="):
        Agent("ada", breaker=breaker)
