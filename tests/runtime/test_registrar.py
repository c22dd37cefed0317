"""Agents of real workers: registered, asked, gone, and back."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import textwrap
from pathlib import Path

import pytest

from coordq.client.client import Client, connect
from coordq.engine.aio import open_async_engine
from coordq.errors import InvalidOption
from coordq.fleet.election import inaugurate
from coordq.runtime.supervisor.tender import Tender
from coordq.runtime.supervisor.term import Term
from tests.runtime.conftest import NewFleet
from tests.runtime.present import serving, state
from tests.waiting import wait_until
from tests.work.desk import Desk

pytestmark = pytest.mark.live

CRITIC = """
    from coordq.work.agent import Agent
    from coordq.work.context import Context

    agent = Agent(
        "critic",
        role="reviewer",
        capabilities={"python"},
        persona={"role": "a careful reviewer", "voice": "short", "limits": ["no code"]},
        interests="tests and types",
        weight=2,
        stand_ins=["tester"],
    )

    @agent.task
    async def who(ctx: Context) -> str:
        return ctx.persona.prompt() if ctx.persona else "nobody"

    @agent.task(isolation="process")
    def who_apart(ctx: Context) -> str:
        return ctx.persona.voice if ctx.persona else "nobody"
"""


@pytest.fixture
def both(tmp_path: Path) -> tuple[str, ...]:
    """The targets of a worker with two agents."""
    file = tmp_path / "critic.py"
    file.write_text(textwrap.dedent(CRITIC))
    return str(tmp_path / "tester.py"), str(file)


def test_a_worker_registers_its_agents_and_takes_leave_of_them(
    new_fleet: NewFleet, client: Client, both: tuple[str, ...]
) -> None:
    """All that the definition says is there for others, and stays when the worker has gone."""
    fleet = new_fleet(targets=both, concurrency=3)
    wait_until(lambda: state(client, "critic") and client.agents.get("critic").version, what="it")
    serving(client, "critic", "tester")
    view = client.agents.get("critic")

    fleet.signal(signal.SIGTERM)
    assert fleet.wait() == 0

    assert (view.role, view.capabilities, view.tasks) == (
        "reviewer",
        frozenset({"python"}),
        frozenset({"who", "who_apart"}),
    )
    assert (view.weight, view.stand_ins, view.slots) == (2, ("tester",), 3)
    assert view.persona["voice"] == "short"
    assert [one.name for one in client.agents.find(text="types", state="all")] == ["critic"]
    assert {state(client, "critic"), state(client, "tester")} == {"away"}
    kinds = [event.kind for event in Desk(client.engine).events() if event.subject == "critic"]
    assert kinds == ["agent-registered", "agent-left"]


def test_a_handler_has_its_agents_persona(
    new_fleet: NewFleet, client: Client, both: tuple[str, ...]
) -> None:
    """In the worker, and in a process of its own."""
    new_fleet(targets=both)

    assert client.work.run("who", timeout=20) == (
        "You are a careful reviewer.\nYour voice: short.\nYour limits: no code."
    )
    assert client.work.run("who_apart", timeout=20) == "short"


def test_every_child_that_has_an_agent_answers(new_fleet: NewFleet, client: Client) -> None:
    """From the loop on which handlers run; with the time that it took."""
    new_fleet(processes=2)
    serving(client, "tester")
    client.agents.register("ann")

    pings = {ping.name: ping for ping in client.fleet.ping(timeout=60)}

    tester = pings["tester"]
    assert (tester.ok, tester.answered, tester.silent) == (True, 2, ())
    assert tester.best_ms is not None
    assert tester.worst_ms is not None
    assert 0 < tester.best_ms <= tester.worst_ms
    assert (pings["ann"].state, pings["ann"].answered, pings["ann"].silent) == ("outside", 0, ())


def test_a_child_that_does_not_turn_is_silent(new_fleet: NewFleet, client: Client) -> None:
    """Its parent answers and beats: that is not what was asked."""
    fleet = new_fleet(processes=2, stall_after_s=600.0)
    serving(client, "tester")
    served = re.search(r"child (\d+) \(pid (\d+)\) serves", fleet.log())
    assert served is not None
    number, stopped = served[1], int(served[2])
    os.kill(stopped, signal.SIGSTOP)
    try:
        (ping,) = client.fleet.ping(timeout=6.0)
    finally:
        os.kill(stopped, signal.SIGCONT)

    assert (ping.ok, ping.answered) == (False, 1)
    assert [one.rpartition("/")[2] for one in ping.silent] == [number]


@pytest.mark.parametrize("timeout", [0, -1, 61, "2", True, float("nan")])
def test_a_ping_waits_for_a_sensible_time(client: Client, timeout: float) -> None:
    """Nobody was asked anything."""
    with pytest.raises(InvalidOption):
        client.fleet.ping(timeout)


def test_the_async_door_calls_the_roll_as_well(redis_url: str, namespace: str) -> None:
    """An empty fleet answers at once."""
    from coordq.client.client_async import connect_async

    async def ask() -> tuple[object, ...]:
        async with await connect_async(redis_url, namespace=namespace) as client:
            return await client.fleet.ping()

    assert asyncio.run(ask()) == ()


def test_the_leader_notices_who_crashed(redis_url: str, client: Client) -> None:
    """And lets the stand-in begin that was away itself until then."""
    desk = Desk(client.engine)
    client.agents.register("ann", stand_ins=["bob"])
    client.agents.register("bob")
    desk.redis("HSET", desk.key("outside"), "ann", "1 30000 ")
    part = Tender()

    async def look() -> float:
        async with await open_async_engine(redis_url, namespace=client.namespace) as engine:
            await engine.run(inaugurate(0, 7))
            return await part.round(Term(engine, name="s", epoch=7))

    pause_s = asyncio.run(look())
    desk.redis("HSET", desk.key("away"), "ann", 1)
    asyncio.run(look())

    assert (pause_s, part.counts["left"], part.counts["stand_ins"]) == (2.0, 1, 1)
    assert client.agents.stand_ins()["ann"].by == "bob"


def test_a_worker_that_was_given_up_registers_anew(
    new_fleet: NewFleet, client: Client, redis_url: str
) -> None:
    """It was silent for a while, declared dead, and is back under a new incarnation."""
    desk = Desk(client.engine)
    new_fleet(beat_s=0.2)
    serving(client, "tester")
    wait_until(lambda: desk.redis("ZCARD", desk.key("hosts")) == 1, what="the registration")

    desk.redis("DEL", desk.key("hosts"), desk.key("hosted"))
    (worker,) = desk.redis("ZRANGE", desk.key("workers"), 0, -1)
    desk.redis("ZREM", desk.key("workers"), worker)
    desk.redis("DEL", desk.key(f"worker:{worker.decode()}"))

    wait_until(lambda: desk.redis("ZCARD", desk.key("hosts")) == 1, what="it to come back")
    with connect(redis_url, namespace=client.namespace) as other:
        serving(other, "tester")
