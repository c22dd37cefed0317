"""Agents of real workers hold sessions, and go on with them when processes die."""

from __future__ import annotations

import signal
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordq.client.client import Client
from coordq.client.sessions import Session
from tests.runtime.conftest import NewFleet
from tests.waiting import wait_until

pytestmark = pytest.mark.live

AGENTS = """
    import asyncio
    import os
    from pathlib import Path
    from typing import Any
    from coordq import Agent, Context

    HERE = Path(__file__).parent
    ada, bob = Agent("ada"), Agent("bob")

    def note(kind: str, *words: object) -> None:
        with (HERE / kind).open("a") as file:
            file.write(" ".join(map(str, words)) + "\\n")

    @ada.on()
    async def hears(ctx: Context, body: Any) -> None:
        note("ada", ctx.message.turn, body, os.getpid())

    @ada.on(kind="closed")
    async def ends(ctx: Context, body: Any) -> None:
        note("ada", "closed", body["why"])

    @ada.on(kind="sum")
    async def asks(ctx: Context, body: list[int]) -> None:
        total = 0
        for number in body:
            total = await ctx.session.ask("bob", [total, number], timeout=60)
        await ctx.session.say(total, kind="total")

    @ada.on(kind="fragile")
    async def says_two_things(ctx: Context, body: str) -> None:
        await ctx.session.say("one")
        note("fragile", os.getpid())
        while not Path(body).exists():
            await asyncio.sleep(0.02)
        await ctx.session.say("two")

    @bob.on(kind="ask")
    def adds(ctx: Context, body: list[int]) -> int:
        return sum(body)

    @bob.on()
    async def is_silent(body: Any) -> None: ...
"""


@pytest.fixture
def talk(new_fleet: NewFleet, client: Client, tmp_path: Path) -> Callable[..., Any]:
    """Start a worker with both agents, and a session with them that the test takes part in."""
    file = tmp_path / "talking.py"
    file.write_text(textwrap.dedent(AGENTS))

    def start(**settings: Any) -> tuple[Any, Session]:
        fleet = new_fleet(targets=(str(file),), **settings)
        return fleet, client.sessions.open("plan", participants=["ada", "bob"], me="test")

    return start


def lines(folder: Path, name: str) -> list[list[str]]:
    """What a handler wrote down."""
    file = folder / name
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def said(session: Session) -> list[tuple[str, str, Any]]:
    """Who said what."""
    return [(turn.speaker, turn.kind, turn.body) for turn in session.transcript()]


def test_turns_are_handled_in_order_by_whichever_process(
    talk: Callable[..., Any], tmp_path: Path
) -> None:
    """Two processes with four slots each; the second turn begins when the first is done with."""
    _, session = talk(processes=2, concurrency=4)

    for number in range(20):
        session.say(number)

    wait_until(lambda: len(lines(tmp_path, "ada")) == 20, what="all turns")
    assert [line[:2] for line in lines(tmp_path, "ada")] == [
        [str(number + 1), str(number)] for number in range(20)
    ]


def test_agents_ask_each_other_and_the_answers_are_kept(talk: Callable[..., Any]) -> None:
    """A handler waits for another agent's; what that returns is the answer."""
    _, session = talk(processes=1, concurrency=4)

    session.say([1, 2, 3], kind="sum", to=["ada"])

    wait_until(lambda: said(session)[-1][1] == "total", what="the total")
    assert said(session) == [
        ("test", "sum", [1, 2, 3]),
        ("ada", "ask", [0, 1]),
        ("bob", "reply", 1),
        ("ada", "ask", [1, 2]),
        ("bob", "reply", 3),
        ("ada", "ask", [3, 3]),
        ("bob", "reply", 6),
        ("ada", "total", 6),
    ]


@pytest.mark.chaos
def test_a_handler_that_was_killed_says_nothing_twice(
    talk: Callable[..., Any], tmp_path: Path
) -> None:
    """It dies between its two turns; its second run goes on with the second."""
    fleet, session = talk(processes=2)
    gate = tmp_path / "gate"
    session.say(str(gate), kind="fragile", to=["ada"])
    wait_until(lambda: lines(tmp_path, "fragile"), what="the first turn")

    fleet.signal(signal.SIGKILL, pid=int(lines(tmp_path, "fragile")[0][0]))
    wait_until(lambda: len(lines(tmp_path, "fragile")) == 2, what="the second run")
    gate.touch()

    wait_until(lambda: len(said(session)) == 3, what="the second turn")
    assert [body for _, _, body in said(session)] == [str(gate), "one", "two"]


def test_only_who_asked_for_it_hears_of_coming_and_going(
    talk: Callable[..., Any], client: Client, tmp_path: Path
) -> None:
    """A listener for whatever is said is not called for what nobody has said."""
    _, session = talk()

    client.sessions.get(session.id, me="eve").join()
    session.say("hello")
    session.close("done")

    wait_until(lambda: ["closed", "done"] in lines(tmp_path, "ada"), what="word of the end")
    assert [line[1] for line in lines(tmp_path, "ada")] == ["hello", "done"]
    assert client.bus.dead() == []
