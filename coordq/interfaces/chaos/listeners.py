"""The agents under test that hear messages: they write down what they are given, and how it ends.

Ada, bob and dan read a mailbox each; dan or ada reads that of cyn, who is not there. Ada and bob
take part in every session, and answer each turn of the other that is no answer itself. What is
published to topics goes to two groups, one of each agent; what is for all, to each process; and a
rush to one group that is slow, through a channel that has room for few. Bob, and who hears the
rush, are plain functions: they run in threads, one message at a time.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Final

from coordq import Agent
from coordq.interfaces.chaos.handlers import Recorder
from coordq.interfaces.chaos.journal import moment_ms
from coordq.interfaces.chaos.load import BACKOFF
from coordq.work.context import Context

PEOPLE: Final = ("ada", "bob")
"""Who takes part in sessions."""
ABSENT: Final = "cyn"
STAND_INS: Final = ("ada", "dan")
"""Who acts for her: the first, or, as a fault, the other."""
MAILBOXES: Final = ("@ada", "@bob", "@cyn", "@dan")
TOPICS: Final = ("news.north", "news.south", "news.east", "news.west")
TO_ALL: Final = "call.all"
RUSH: Final = "rush.hour"
RUSH_MAX: Final = 20
"""So many messages of the rush may wait: fewer than come at a time."""
LEDGER: Final = "ledger"
MIRROR: Final = "mirror"
"""Ordered: of a topic one message at a time."""
CHORUS: Final = "chorus"
"""Each process is a group of its own, `chorus:<process>` in the journals."""
PORTER: Final = "porter"
"""Hears the rush."""
IN_THREADS: Final = frozenset({PORTER, "@bob"})
OWN_BOX: Final = "@producer-"
"""The mailbox that a producer reads itself, see `postbox`; its number follows."""
VISIBILITY_S: Final = 2.0
"""So short that a worker which is stopped loses what it holds."""
LATER_MS: Final = 500
"""What is published so much later than a critical message is overtaken for certain; what came
sooner need not be: a worker that shuts down gives back what it was given just before."""
DELIVERIES: Final = 8
PATIENT: Final = 100
"""In a session nothing is given up: a full Redis takes no answer, and that costs a delivery."""


def groups_of(channel: str) -> tuple[str, ...]:
    """Who hears a channel, but for those who are a process each."""
    if channel[0] == "@":
        return (channel,)
    return {TO_ALL: (), RUSH: (PORTER,)}.get(channel, (LEDGER, MIRROR))


def listening_agents(folder: Path) -> tuple[Agent, ...]:
    """Agents whose listeners keep their journals in `folder`."""
    told = Recorder(folder)
    ada, bob, dan = agents = tuple(Agent(name) for name in ("ada", "bob", "dan"))
    terms: dict[str, Any] = {"visibility": VISIBILITY_S, "backoff": BACKOFF}
    _add_readers(ada, bob, told, terms | {"max_deliveries": DELIVERIES})
    for agent in (ada, dan):
        _add_mailbox(agent, told, terms)

    @bob.on(concurrency=1, max_deliveries=PATIENT, **terms)
    def mailbox(ctx: Context, body: dict[str, Any]) -> None:
        """Letters, and turns of sessions."""
        _hear_in_thread(told, ctx, _mailbox_of(ctx, bob), body)

    return agents


def _add_readers(ada: Agent, bob: Agent, told: Recorder, terms: dict[str, Any]) -> None:
    """Listeners to what is published."""

    @ada.on("news.*", group=LEDGER, **terms)
    async def ledger(ctx: Context, body: dict[str, Any]) -> None:
        """In any order."""
        await _hear(told, ctx, LEDGER, body)

    @bob.on("news.*", group=MIRROR, ordered=True, **terms)
    async def mirror(ctx: Context, body: dict[str, Any]) -> None:
        """In order."""
        await _hear(told, ctx, MIRROR, body)

    @ada.on(TO_ALL, group=CHORUS, fanout=True, **terms)
    async def chorus(ctx: Context, body: dict[str, Any]) -> None:
        """Each process hears all of it."""
        await _hear(told, ctx, f"{CHORUS}:{told.journal.path.stem}", body)

    @bob.on(RUSH, group=PORTER, concurrency=1, **terms)
    def porter(ctx: Context, body: dict[str, Any]) -> None:
        """More than can be handled at once."""
        _hear_in_thread(told, ctx, PORTER, body)


def _add_mailbox(agent: Agent, told: Recorder, terms: dict[str, Any]) -> None:
    @agent.on(max_deliveries=PATIENT, **terms)
    async def mailbox(ctx: Context, body: dict[str, Any]) -> None:
        """Letters, and turns of sessions; also those of whom it stands in for."""
        await _hear(told, ctx, _mailbox_of(ctx, agent), body)


def _mailbox_of(ctx: Context, agent: Agent) -> str:
    """Whose mailbox a message came through."""
    channel: str = ctx.message.channel
    return channel if channel[0] == "@" else f"@{agent.name}"


async def _hear(told: Recorder, ctx: Context, group: str, body: dict[str, Any]) -> None:
    """Do what the message asks for: take its time, answer, fail so often."""
    _begin(told, ctx, group)
    await asyncio.sleep(body.get("seconds", 0))
    if _wants_answer(ctx, body):
        await ctx.session.say({"re": ctx.message.id})
    _end(told, ctx, group, body)


def _hear_in_thread(told: Recorder, ctx: Context, group: str, body: dict[str, Any]) -> None:
    """The same, as a plain function."""
    _begin(told, ctx, group)
    time.sleep(body.get("seconds", 0))
    if _wants_answer(ctx, body):
        ctx.session.say({"re": ctx.message.id})
    _end(told, ctx, group, body)


def _wants_answer(ctx: Context, body: dict[str, Any]) -> bool:
    return bool(ctx.message.turn) and "re" not in body


def _begin(told: Recorder, ctx: Context, group: str) -> None:
    told.journal.write("hea", *_run(told, ctx, group), moment_ms())


def _end(told: Recorder, ctx: Context, group: str, body: dict[str, Any]) -> None:
    """Raises ValueError when the message asks for that."""
    attempt = ctx.message.attempt
    fails = attempt <= body.get("failures", 0)
    # a run that was told to stop is none, whatever it returns
    how = "stopped" if ctx.cancelled else "failed" if fails else "done"
    told.journal.write("hed", *_run(told, ctx, group), how, moment_ms())
    if fails:
        raise ValueError(f"delivery {attempt} of those that fail")


def _run(told: Recorder, ctx: Context, group: str) -> tuple[object, ...]:
    return told.journal.path.stem, group, ctx.message.id, ctx.message.attempt
