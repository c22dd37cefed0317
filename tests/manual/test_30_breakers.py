"""Chapter 29. Circuit breakers: what fails is left alone for a while, and tried again with care."""

from __future__ import annotations

import pytest

import coordq
from coordq import Client
from coordq.errors import BreakerOpen, BulkheadFull, TaskFailed
from tests.manual.conftest import Shell
from tests.waiting import wait_until

AGENTS = """
from coordq import Agent

painter = Agent("painter", role="artist", breaker=True)
sculptor = Agent("sculptor", role="artist")


@painter.task(max_attempts=1)
async def paint(colour: str) -> str:
    if colour == "octarine":
        raise ValueError("there is no such paint")
    return f"a {colour} picture"


@sculptor.task
async def carve(shape: str) -> str:
    return shape
"""


class Unavailable(Exception):
    """What the other side says."""


def ask_model(*, works: bool) -> str:
    """What is called; it may be down."""
    if not works:
        raise Unavailable
    return "42"


def test_a_guarded_call(client: Client) -> None:
    """Nothing has to be set up: name what you call."""
    with client.breakers.guard("model-a"):
        answer = ask_model(works=True)

    assert answer == "42"


def test_what_fails_is_not_called_any_more(client: Client) -> None:
    """Five failures that are half of all calls in a minute: for thirty seconds nobody calls it."""
    for _ in range(5):
        with pytest.raises(Unavailable), client.breakers.guard("model-b"):
            ask_model(works=False)

    with pytest.raises(BreakerOpen) as caught, client.breakers.guard("model-b"):
        pytest.fail("it was called")

    assert 0 < caught.value.retry_after <= 30


def test_the_whole_fleet_knows(client: Client, url: str) -> None:
    """Whoever has asked a second ago asks again; who has not, asks before its first call."""
    with coordq.connect(url) as other:
        assert other.breakers.get("model-b").failures == 0, "its window begins anew"
        with pytest.raises(BreakerOpen), other.breakers.guard("model-b"):
            pytest.fail("it was called")

    assert client.breakers.states("model-a", "model-b")["model-b"] == "open"


def test_when_it_is_time_some_calls_are_tried(client: Client) -> None:
    """Of all clients together so many; when all went well it closes."""
    client.breakers.set("model-c", failures=1, min_calls=1, recovery=0.1, probes=1)
    with pytest.raises(Unavailable), client.breakers.guard("model-c"):
        ask_model(works=False)

    def came_back() -> bool:
        try:
            with client.breakers.guard("model-c"):
                return ask_model(works=True) == "42"
        except BreakerOpen:
            return False

    wait_until(came_back)
    assert client.breakers.get("model-c").state == "closed"


def test_retries_have_a_budget(client: Client) -> None:
    """At most a fifth more calls, or three in ten seconds: failures do not cascade."""
    tries = iter([False, False, True])

    answer = client.breakers.call(
        "model-d", lambda: ask_model(works=next(tries)), retries=2, delay=0.01
    )

    assert answer == "42"


def test_a_bulkhead_keeps_hands_free(client: Client) -> None:
    """So many calls to one subject at once, in this process."""
    with client.breakers.guard("model-e", concurrency=1):
        assert ask_model(works=True) == "42"
        with pytest.raises(BulkheadFull), client.breakers.guard("model-e", concurrency=1):
            pytest.fail("it was called")


def test_what_is_your_own_mistake_does_not_count(client: Client) -> None:
    """Say which exceptions are no fault of the subject."""
    for _ in range(10):
        with pytest.raises(ValueError), client.breakers.guard("model-f", ignore=(ValueError,)):  # noqa: PT011 - a mistake
            raise ValueError

    assert client.breakers.states("model-f") == {"model-f": "closed"}


def test_workers_tell_how_an_agent_does(client: Client, worker: object) -> None:  # noqa: ARG001 - it must run
    """`Agent(breaker=True)`: who fails five times in a row is not recommended for a while."""
    wait_until(lambda: len(client.agents.find(role="artist")) == 2, what="both artists")
    for _ in range(5):
        with pytest.raises(TaskFailed):
            client.work.run("paint", {"colour": "octarine"}, wait_for=60)

    def recommended() -> list[str]:
        return [one.agent.name for one in client.routing.recommend(role="artist", n=2)]

    wait_until(lambda: recommended() == ["sculptor"], what="the painter to be left out")
    assert client.breakers.get("agent:painter").state == "open"
    assert client.work.run("paint", {"colour": "red"}, wait_for=60) == "a red picture"


def test_an_operator_is_stronger(client: Client, shell: Shell) -> None:
    """`coordq breaker ls|show|set|unset|open|close|reset`."""
    shell("breaker", "open", "model-a", "--why", "it is being moved")
    assert "open, forced" in shell("breaker", "ls")

    shell("breaker", "reset", "model-a")

    assert client.breakers.get("model-a").state == "closed"


async def test_on_an_event_loop(url: str) -> None:
    """The same names, awaited."""
    async with (
        coordq.connect_async(url) as client,
        client.breakers.guard("model-g", concurrency=10),
    ):
        assert ask_model(works=True) == "42"
