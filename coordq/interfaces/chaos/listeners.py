"""The agents under test that hear messages: they write down what they are given, and how it ends.

Ada and bob read a mailbox each, take part in every session, and answer each turn of the other that
is no answer itself. What is published to topics goes to two groups, one of each agent.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from coordq import Agent, clock
from coordq.interfaces.chaos.handlers import Recorder
from coordq.interfaces.chaos.load import BACKOFF
from coordq.work.context import Context

PEOPLE: Final = ("ada", "bob")
TOPICS: Final = ("news.north", "news.south", "news.east", "news.west")
LEDGER: Final = "ledger"
MIRROR: Final = "mirror"
"""Ordered: of a topic one message at a time."""
VISIBILITY_S: Final = 2.0
"""So short that a worker which is stopped loses what it holds."""
DELIVERIES: Final = 8
PATIENT: Final = 100
"""In a session nothing is given up: a full Redis takes no answer, and that costs a delivery."""


def groups_of(channel: str) -> tuple[str, ...]:
    """Who hears a channel."""
    return (channel,) if channel[0] == "@" else (LEDGER, MIRROR)


def listening_agents(folder: Path) -> tuple[Agent, Agent]:
    """Two agents whose listeners keep their journals in `folder`."""
    told = Recorder(folder)
    ada, bob = (Agent(name) for name in PEOPLE)
    terms: dict[str, Any] = {"visibility": VISIBILITY_S, "backoff": BACKOFF}

    @ada.on("news.*", group=LEDGER, max_deliveries=DELIVERIES, **terms)
    async def ledger(ctx: Context, body: dict[str, Any]) -> None:
        """What was published, in any order."""
        await _hear(told, ctx, LEDGER, body)

    @bob.on("news.*", group=MIRROR, ordered=True, max_deliveries=DELIVERIES, **terms)
    async def mirror(ctx: Context, body: dict[str, Any]) -> None:
        """What was published, in order."""
        await _hear(told, ctx, MIRROR, body)

    for agent in (ada, bob):
        _add_mailbox(agent, told, terms)
    return ada, bob


def _add_mailbox(agent: Agent, told: Recorder, terms: dict[str, Any]) -> None:
    @agent.on(max_deliveries=PATIENT, **terms)
    async def mailbox(ctx: Context, body: dict[str, Any]) -> None:
        """Letters, and turns of sessions."""
        await _hear(told, ctx, f"@{agent.name}", body)


async def _hear(told: Recorder, ctx: Context, group: str, body: dict[str, Any]) -> None:
    """Do what the message asks for: take its time, answer, fail so often."""
    message = ctx.message
    run = (told.journal.path.stem, group, message.id, message.attempt)
    told.journal.write("hea", *run, _now_ms())
    await asyncio.sleep(body.get("seconds", 0))
    if message.turn and "re" not in body:
        await ctx.session.say({"re": message.id})
    fails = message.attempt <= body.get("failures", 0)
    # a run that was told to stop is none, whatever it returns
    how = "stopped" if ctx.cancelled else "failed" if fails else "done"
    told.journal.write("hed", *run, how, _now_ms())
    if fails:
        raise ValueError(f"delivery {message.attempt} of those that fail")


def _now_ms() -> int:
    return int(clock.monotonic() * 1000)
