"""The agents' door: register, update, leave, get, find, stand in; and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

import coordq
from coordq import AsyncClient, Client
from coordq.errors import AgentNotFound, Conflict, CoordqError, Refused

pytestmark = pytest.mark.live


def test_an_agent_outside_workers_is_registered_found_and_leaves(client: Client) -> None:
    """The whole life of one that no worker hosts."""
    made = client.agents.register(
        "ann", role="reader", capabilities=["http"], persona="You read.", interests="rail"
    )
    found = client.agents.find(role="reader", capabilities=["http"], text="rail")
    kept_s = client.agents.heartbeat("ann", load=0.25)
    left = client.agents.leave("ann")

    assert (made.state, made.version, made.persona) == ("outside", 1, {"text": "You read."})
    assert [view.name for view in found] == ["ann"]
    assert (kept_s, left) == (30.0, True)
    assert client.agents.get("ann").state == "away"
    assert client.agents.find() == []
    assert [view.name for view in client.agents.find(state="all")] == ["ann"]
    assert not client.agents.leave("ann")
    assert client.agents.leave("ann", forget=True)
    assert client.agents.ls() == []


def test_what_an_operator_says_outlives_a_registration(client: Client) -> None:
    """It is stronger than what the agent says, until it is taken back."""
    client.agents.register("ann", weight=2, interests="rail")
    client.agents.update("ann", weight=5, max_load=3)
    client.agents.register("ann", weight=3, interests="road")

    both = client.agents.get("ann")
    own = client.agents.update("ann", weight=None, max_load=None)

    assert (both.weight, both.max_load, both.interests) == (5, 3, "road")
    assert (own.weight, own.max_load) == (3, 0)


def test_a_change_by_version_is_refused_when_somebody_was_faster(client: Client) -> None:
    """Nobody's change is lost unseen."""
    first = client.agents.register("ann")
    client.agents.update("ann", weight=2, version=first.version)

    with pytest.raises(Conflict) as conflict:
        client.agents.update("ann", weight=3, version=first.version)
    with pytest.raises(Conflict):
        client.agents.register("ann", role="other", version=0)

    assert conflict.value.version == 2
    assert client.agents.update("ann", interests="rail").weight == 2


def test_another_client_sees_a_registration_at_once(client: Client, url: str) -> None:
    """Its memory is brought up to date by each call."""
    with coordq.connect(url) as other:
        assert other.agents.find() == []
        client.agents.register("ann")
        seen = other.agents.find()
        client.agents.update("ann", weight=7)

        assert [view.name for view in seen] == ["ann"]
        assert [view.weight for view in other.agents.find()] == [7]


async def test_the_async_door_does_the_same(url: str) -> None:
    """The same names, awaitable."""
    client: AsyncClient
    async with await coordq.connect_async(url) as client:
        await client.agents.register("ann", role="reader")
        await client.agents.register("bob", role="reader", load=1)
        await client.agents.stand_in("bob", "ann")
        await client.agents.heartbeat("ann")

        assert [view.name for view in await client.agents.find(role="reader")] == ["ann", "bob"]
        assert (await client.agents.update("ann", weight=2)).weight == 2
        assert (await client.agents.get("bob")).stood_in_by is not None
        assert (await client.agents.stand_ins())["bob"].by == "ann"
        assert await client.agents.leave("ann", forget=True)
        assert [view.name for view in await client.agents.ls()] == ["bob"]


LONG = "x" * 5000
BAD_PROFILES: list[tuple[str, dict[str, Any], str]] = [
    ("", {}, "invalid-agent"),
    ("no spaces", {}, "invalid-agent"),
    ("a" * 101, {}, "invalid-agent"),
    (7, {}, "invalid-agent"),  # type: ignore[list-item]
    ("ann", {"colour": "red"}, "invalid-agent"),
    ("ann", {"role": "no spaces"}, "invalid-agent"),
    ("ann", {"role": 7}, "invalid-agent"),
    ("ann", {"capabilities": "http"}, "invalid-agent"),
    ("ann", {"capabilities": ["a b"]}, "invalid-agent"),
    ("ann", {"capabilities": [f"c{n}" for n in range(101)]}, "invalid-agent"),
    ("ann", {"tasks": {"a": 1}}, "invalid-agent"),
    ("ann", {"persona": 7}, "invalid-agent"),
    ("ann", {"persona": {1: "x"}}, "invalid-agent"),
    ("ann", {"persona": {"voice": object()}}, "invalid-agent"),
    ("ann", {"persona": "x" * 20_000}, "invalid-agent"),
    ("ann", {"interests": LONG}, "invalid-agent"),
    ("ann", {"interests": 7}, "invalid-agent"),
    ("ann", {"interests": "\ud800"}, "invalid-agent"),
    ("ann", {"zone": "a b"}, "invalid-agent"),
    ("ann", {"max_load": -1}, "invalid-agent"),
    ("ann", {"max_load": 1.5}, "invalid-agent"),
    ("ann", {"max_load": True}, "invalid-agent"),
    ("ann", {"weight": 0}, "invalid-agent"),
    ("ann", {"weight": float("nan")}, "invalid-agent"),
    ("ann", {"weight": "2"}, "invalid-agent"),
    ("ann", {"stand_ins": ["ann"]}, "invalid-agent"),
    ("ann", {"stand_ins": [f"a{n}" for n in range(9)]}, "invalid-agent"),
    ("ann", {"ttl": 0}, "invalid-agent"),
    ("ann", {"ttl": float("inf")}, "invalid-agent"),
    ("ann", {"load": 2}, "invalid-option"),
    ("ann", {"load": "high"}, "invalid-option"),
    ("ann", {"version": -1}, "invalid-option"),
    ("ann", {"version": "1"}, "invalid-option"),
]


@pytest.mark.parametrize(("name", "given", "code"), BAD_PROFILES)
def test_a_bad_description_is_refused_and_nothing_is_changed(
    client: Client, name: str, given: dict[str, Any], code: str
) -> None:
    """With a stable code, before anything was sent."""
    with pytest.raises(CoordqError) as error:
        client.agents.register(name, **given)

    assert error.value.code == code
    assert client.agents.ls() == []


BAD_QUESTIONS: list[tuple[dict[str, Any], str]] = [
    ({"role": "a b"}, "invalid-name"),
    ({"task": 7}, "invalid-name"),
    ({"capabilities": "http"}, "invalid-option"),
    ({"capabilities": ["a b"]}, "invalid-name"),
    ({"text": 7}, "invalid-option"),
    ({"max_load": 1.1}, "invalid-option"),
    ({"max_load": True}, "invalid-option"),
    ({"state": "lost"}, "invalid-option"),
    ({"limit": 0}, "invalid-option"),
    ({"limit": 1.0}, "invalid-option"),
]


@pytest.mark.parametrize(("given", "code"), BAD_QUESTIONS)
def test_a_question_that_makes_no_sense_is_refused(
    client: Client, given: dict[str, Any], code: str
) -> None:
    """An empty answer would hide the mistake."""
    with pytest.raises(CoordqError) as error:
        client.agents.find(**given)

    assert error.value.code == code


def test_who_is_not_known_cannot_be_changed(client: Client) -> None:
    """The error names those that are."""
    client.agents.register("ann")

    for ask in (
        lambda: client.agents.get("bob"),
        lambda: client.agents.update("bob", weight=2),
        lambda: client.agents.leave("bob"),
        lambda: client.agents.heartbeat("bob"),
        lambda: client.agents.stand_in("bob", "ann"),
        lambda: client.agents.stand_in("ann", "bob"),
    ):
        with pytest.raises(AgentNotFound, match="bob"):
            ask()
    with pytest.raises(AgentNotFound, match="there are: ann"):
        client.agents.get("bob")


def test_what_is_not_an_operators_to_say_is_refused(client: Client) -> None:
    """Claims go by what an agent's code says; the registry must not say otherwise."""
    client.agents.register("ann", role="reader")
    client.agents.register("bob")
    client.agents.stand_in("ann", "bob")

    for given in ({"role": "writer"}, {"capabilities": ["x"]}, {"persona": "You write."}):
        with pytest.raises(coordq.CoordqError, match="cannot be said by others"):
            client.agents.update("ann", **given)
    with pytest.raises(Refused, match="itself"):
        client.agents.stand_in("ann", "ann")
    with pytest.raises(Refused, match="end that first"):
        client.agents.stand_in("bob", "ann")

    assert client.agents.get("ann").version == 1
