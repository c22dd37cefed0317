"""The leader sweeps the bus: a group that nobody reads is gone, and an event says so."""

from __future__ import annotations

import asyncio

import pytest

from coordq.bus.group import Group
from coordq.client.client import Client
from coordq.engine import bus_keys, keys
from coordq.engine.aio import open_async_engine
from coordq.errors import Deposed, SessionNotFound
from coordq.fleet.election import inaugurate
from coordq.runtime.supervisor.parts import parts
from coordq.runtime.supervisor.settings import SupervisorSettings
from coordq.runtime.supervisor.sweeper import PAGE_PAUSE_S, WALK_EVERY_S, Sweeper
from coordq.runtime.supervisor.term import Term
from tests.bus.office import Office


@pytest.fixture
def office(client: Client) -> Office:
    """The shard of this test, by hand."""
    return Office(client.engine)


def walk(office: Office, url: str, part: Sweeper, *, epoch: int = 7) -> list[float]:
    """Rounds of a leader to the end of a walk; the pauses after each."""

    async def rounds() -> list[float]:
        async with await open_async_engine(url, namespace=office.engine.namespace) as engine:
            term = Term(engine, name="s", epoch=epoch)
            pauses = [await part.round_on(term, 0)]
            while pauses[-1] < WALK_EVERY_S:
                pauses.append(await part.round_on(term, 0))
        return pauses

    return asyncio.run(rounds())


def test_the_leader_has_a_sweeper() -> None:
    """It is on the one list of its parts."""
    assert "sweeper" in [part.name for part in parts(SupervisorSettings())]


def test_an_abandoned_group_is_let_go_page_by_page(office: Office, redis_url: str) -> None:
    """With short pauses until the walk is over."""
    office.run_group(Group("g", ("t.*",), abandon_s=60))
    for _ in range(2):
        office.post("t.x", *range(400))
    office.pass_time(120_000)
    part = Sweeper()

    pauses = walk(office, redis_url, part)

    assert set(pauses[:-1]) == {PAGE_PAUSE_S}
    assert part.figures()["entries"] == 800
    assert part.figures()["groups"] == 1
    assert office.view("g") is None


def test_a_deposed_leader_sweeps_nothing(office: Office, redis_url: str) -> None:
    """Its term is over."""
    office.run(inaugurate(0, epoch=9))

    with pytest.raises(Deposed):
        walk(office, redis_url, Sweeper(), epoch=8)


def age(client: Client, *session_ids: str) -> None:
    """Their time is over."""
    due = bus_keys.sessions_due(keys.root(client.namespace, 0))
    for session_id in session_ids:
        client.engine.execute(0, "ZADD", due, "1", session_id)


def test_a_session_that_nobody_speaks_in_is_closed_and_goes(
    office: Office, client: Client, redis_url: str
) -> None:
    """First the one, and when it was kept long enough the other; both are counted."""
    session = client.sessions.open("plan")
    part = Sweeper()

    age(client, session.id)
    walk(office, redis_url, part)
    assert session.get().why == "idle"
    age(client, session.id)
    walk(office, redis_url, part)

    with pytest.raises(SessionNotFound):
        session.get()
    figures = part.figures()
    assert (figures["sessions_closed"], figures["sessions_gone"]) == (1, 1)


def test_many_sessions_are_tended_page_by_page(
    office: Office, client: Client, redis_url: str
) -> None:
    """The next page comes soon, not after a whole walk."""
    age(client, *[client.sessions.open("plan").id for _ in range(201)])
    part = Sweeper()

    assert walk(office, redis_url, part)[0] == PAGE_PAUSE_S

    assert part.figures()["sessions_closed"] == 201


def test_a_deposed_leader_closes_no_session(office: Office, client: Client, redis_url: str) -> None:
    """As it sweeps nothing."""
    session = client.sessions.open("plan")
    age(client, session.id)
    office.run(inaugurate(0, epoch=9))

    with pytest.raises(Deposed):
        walk(office, redis_url, Sweeper(), epoch=8)

    assert session.get().state == "open"
