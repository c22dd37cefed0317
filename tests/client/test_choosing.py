"""Choosing among agents: recommendations, and turns of balancers, with breakers as they stand."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

import coordq
from coordq import Client
from coordq.client.choice_plans import subject_of
from coordq.errors import AgentNotFound, CoordqError

pytestmark = pytest.mark.live


def trip(client: Client, agent: str) -> None:
    """An operator opens the breaker of an agent."""
    client.breakers.open(subject_of(agent), who="op", why="a test")


def test_who_fits_is_recommended_and_who_is_broken_is_not(client: Client, url: str) -> None:
    """The state of breakers is asked for only as far as it matters."""
    for name, load in (("ann", 0.1), ("bob", 0.5), ("eve", 0.9)):
        client.agents.register(name, role="reader", tasks=["read"], load=load)
    client.agents.register("far", role="writer")
    before = client.routing.recommend("read", n=2)
    trip(client, "bob")

    with coordq.connect(url) as other:
        after = other.routing.recommend("read", n=2)

    assert [one.agent.name for one in before] == ["ann", "bob"]
    assert [one.agent.name for one in after] == ["ann", "eve"]
    assert client.routing.recommend("paint") == []
    assert before[0].score > before[1].score


def test_a_turn_is_given_timed_and_learnt_from(client: Client) -> None:
    """Failures are seen by what leaves the block, and cost trust."""
    for name in ("ann", "bob"):
        client.agents.register(name, role="reader")
    balance = client.routing.balance("round-robin", role="reader")
    served: Counter[str] = Counter()

    def read(name: str) -> None:
        served[name] += 1
        if name == "bob":
            raise RuntimeError("bob cannot read")

    for _ in range(40):
        with suppress(RuntimeError), balance.turn() as agent:
            read(agent.name)

    assert served["bob"] < served["ann"] / 3


def test_an_interrupt_says_nothing_of_the_agent(client: Client) -> None:
    """It was the caller who went away."""
    client.agents.register("ann")
    balance = client.routing.balance("least-connections")

    with pytest.raises(KeyboardInterrupt), balance.turn():
        raise KeyboardInterrupt

    seen = balance.balancer._seen["ann"]
    assert (seen.in_flight, seen.trust) == (0, 1.0)


def test_a_broken_agent_has_no_turns(client: Client, url: str) -> None:
    """None at all when all are broken: that is said."""
    for name in ("ann", "bob"):
        client.agents.register(name)
    trip(client, "bob")
    balance = client.routing.balance("two-choices")

    for _ in range(20):
        with balance.turn() as agent:
            assert agent.name == "ann"
    trip(client, "ann")
    with coordq.connect(url) as fresh:
        nobody = fresh.routing.balance("two-choices").turn()
        with pytest.raises(AgentNotFound, match="breakers are open"):
            nobody.__enter__()
    with pytest.raises(AgentNotFound, match="fits"), client.routing.balance(role="x").turn():
        pass


async def test_the_async_door_gives_turns_as_well(url: str) -> None:
    """The same names, awaited."""
    async with await coordq.connect_async(url) as client:
        await client.agents.register("ann", tasks=["read"])
        balance = await client.routing.balance("response-time", task="read", quantile="p99")
        async with balance.turn() as agent:
            name = agent.name
        found = await client.routing.recommend("read")

    assert (name, [one.agent.name for one in found]) == ("ann", ["ann"])


@pytest.mark.parametrize(
    "given",
    [
        {"n": 0},
        {"n": 1001},
        {"n": "3"},
        {"task": "a b"},
        {"preferred": "http"},
        {"preferred": ["a b"]},
        {"capabilities": "http"},
        {"max_load": 2},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(client: Client, given: dict[str, Any]) -> None:
    """An empty answer would hide the mistake."""
    with pytest.raises(CoordqError) as error:
        client.routing.recommend(**given)

    assert error.value.code in ("invalid-option", "invalid-name")


@pytest.mark.parametrize(
    "given", [{"kind": "random"}, {"warm_up_s": -1}, {"role": "a b"}, {"colour": "red"}]
)
def test_a_balance_that_cannot_be_is_refused(client: Client, given: dict[str, Any]) -> None:
    """When it is made, not when it is used."""
    with pytest.raises(CoordqError) as error:
        client.routing.balance(**given)

    assert error.value.exit_code == 2
