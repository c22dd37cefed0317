"""The routing door: agents and declared routes in one index, as old as the registry or younger."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import pytest

import coordq
from coordq import Client
from coordq.client import guide
from coordq.errors import InvalidArguments, InvalidRoutes, Unreachable
from coordq.fleet.semantic.cache import Caching
from coordq.fleet.semantic.lexical import Lexical

pytestmark = pytest.mark.live


@pytest.fixture
def town(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Three agents, and a registry that is asked at each call."""
    monkeypatch.setattr(guide, "FRESH_S", 0.0)
    client.agents.register("ann", interests="Refunds and invoices. Wrong charges on a card")
    client.agents.register("bob", capabilities=["parcel-tracking"], persona={"domain": "delivery"})
    client.agents.register("eve")
    return client


def test_a_text_finds_the_agent_whose_interests_lie_near(town: Client) -> None:
    """By a sentence of its interests, a capability in words, or the domain of its persona."""
    decision = town.routing.route("there is a wrong charge on my card")

    assert (decision.route, decision.candidates[0].phrase) == ("ann", "Wrong charges on a card")
    assert town.routing.route("the tracking of my parcel").route == "bob"
    assert town.routing.route("late delivery").route == "bob"
    assert town.routing.route("sing a song").route is None


def test_an_agent_that_says_nothing_is_no_route(town: Client) -> None:
    """Nothing can be meant for it."""
    routes = town.routing.routes()

    assert set(routes) == {"ann", "bob"}
    assert routes["ann"].texts == ("Refunds and invoices", "Wrong charges on a card")
    assert routes["bob"].texts == ("delivery", "parcel tracking")


def test_the_index_follows_the_registry(town: Client) -> None:
    """Agents that come, change, leave, and come back."""
    text = "sing a song"
    assert town.routing.route(text).route is None

    town.agents.register("zoe", interests="songs to sing")
    assert town.routing.route(text).route == "zoe"
    town.agents.update("zoe", interests="dances")
    assert town.routing.route(text).route is None
    town.agents.update("zoe", interests=None)
    assert town.routing.route(text).route == "zoe"
    town.agents.leave("zoe")
    assert town.routing.route(text).route is None


def test_an_agent_that_is_away_is_found_while_somebody_stands_in(town: Client) -> None:
    """Its mailbox is read by the other."""
    town.agents.leave("ann")
    assert town.routing.route("a refund of the invoice").route is None

    town.agents.stand_in("ann", "bob")

    assert town.routing.route("a refund of the invoice").route == "ann"


@pytest.mark.usefixtures("town")
def test_another_client_sees_what_one_registers(url: str) -> None:
    """The registry is everybody's, the index each one's own."""
    with coordq.connect(url) as other:
        assert other.routing.route("a refund of the invoice").route == "ann"


def test_news_are_asked_for_once_in_a_while(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two looks a decision is a matter of memory."""
    monkeypatch.setattr(guide, "FRESH_S", 3600.0)
    client.agents.register("ann", interests="refunds of invoices")
    assert client.routing.route("a refund").route == "ann"
    client.agents.register("zoe", interests="songs to sing")

    assert client.routing.route("sing songs").route is None
    monkeypatch.setattr(guide, "FRESH_S", 0.0)
    assert client.routing.route("sing songs").route == "zoe"


def test_routes_can_be_declared_by_hand(town: Client, tmp_path: Path) -> None:
    """For topics and tasks, beside the agents or instead of them; in a file, and in code."""
    path = tmp_path / "routes.yaml"
    path.write_text("routes: {choir.songs: [songs to sing]}\nfallback: desk\n")

    town.routing.use(file=path, routes={"task:bake": ["bake bread"]})
    asked = ("sing a song", "bake bread", "refund an invoice", "fly to the moon")
    assert [town.routing.route(text).route for text in asked] == [
        "choir.songs",
        "task:bake",
        "ann",
        "desk",
    ]
    town.routing.use(file=path, agents=False)
    assert [town.routing.route(text).route for text in asked] == [
        "choir.songs",
        "desk",
        "desk",
        "desk",
    ]


def test_what_cannot_be_used_leaves_all_as_it_was(town: Client) -> None:
    """The routes, the embedder and the cache."""
    town.routing.use(routes={"choir": ["songs to sing"]})
    town.routing.route("sing songs")

    with pytest.raises(InvalidRoutes):
        town.routing.use(routes={"choir": []})
    with pytest.raises(InvalidArguments):
        town.routing.route("")

    assert town.routing.route("sing songs").cached == "exact"


def test_only_some_agents_may_be_asked_for(town: Client) -> None:
    """Those that were found otherwise, by role or load."""
    found = [view.name for view in town.agents.find(capabilities=["parcel-tracking"])]

    decision = town.routing.route("refund the delivery", top=5, among=found)

    assert decision.routes == ("bob",)


def test_the_cache_reports_what_it_does(town: Client) -> None:
    """Hits of both kinds; `use` sets how decisions are remembered."""
    town.routing.use(caching=Caching(similarity=1.5))
    for _ in range(3):
        town.routing.route("refund the invoice")

    report = town.routing.report()

    assert (report.exact, report.similar, report.misses) == (2, 0, 1)


def test_a_redis_that_is_away_is_asked_again(new_server: Any) -> None:
    """The first call fails; the next does not act as if it had been told that there is nobody."""
    server = new_server()
    with coordq.connect(server.url, patience=0.0) as client:
        client.agents.register("ann", interests="refunds of invoices")
        server.stop()
        for _ in range(2):
            with pytest.raises(Unreachable):
                client.routing.route("a refund")
        server.start()
        client.agents.register("ann", interests="refunds of invoices")

        assert client.routing.route("a refund").route == "ann"


@pytest.mark.usefixtures("town")
async def test_the_async_door_routes_as_the_sync_one(url: str) -> None:
    """Also for many at once, and with an embedder that takes its time: that runs in a thread."""
    text = "there is a wrong charge on my card"
    threads: list[Any] = []

    def embed(texts: Sequence[str]) -> Any:
        threads.append(current_thread())
        return Lexical().embed(texts)

    async with coordq.connect_async(url) as client:
        decisions = await asyncio.gather(*(client.routing.route(text) for _ in range(20)))
        assert {one.route for one in decisions} == {"ann"}
        assert set(await client.routing.routes()) == {"ann", "bob"}
        assert (await client.routing.report()).exact >= 1

        await client.routing.use(embedder=embed, threshold=0.2, fallback="desk")
        assert (await client.routing.route(text)).route == "ann"
        assert main_thread() not in threads
        assert (await client.routing.route("sing")).route == "desk"
