"""Agents that listen, for tests of workers; what is sent to them, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from coordq.bus.dead import DeadMessage, dead
from coordq.bus.envelope import parcel
from coordq.bus.publish import publish
from coordq.bus.reply import read_reply
from coordq.client.client import Client
from coordq.engine import bus_keys, keys

Hearing = Callable[..., Any]
"""Starts a worker whose agents listen."""
Noted = Callable[[str], list[list[str]]]
"""What handlers wrote down, by kind: words of each line."""

AGENT = """
    import asyncio
    import json
    import os
    import time
    from pathlib import Path
    from typing import Any
    from coordq import Agent, Context, Depends, Middleware, Reject

    HERE = Path(__file__).parent

    def note(kind: str, *words: object) -> None:
        with (HERE / kind).open("a") as file:
            file.write(" ".join(map(str, words)) + "\\n")

    class Counts(Middleware):
        async def before_run(self, ctx, args):
            note("before", ctx.name, ctx.queue)

    def greeting() -> str:
        return "hello"

    agent = Agent("ada", middleware=[Counts()])
    other = Agent("bob")

    @agent.on("orders.*")
    async def hears(ctx: Context, number: int) -> None:
        note("hears", number, ctx.attempt, os.getpid())

    @agent.on("slow.*", visibility=4, concurrency=2)
    async def gated(ctx: Context, path: str) -> None:
        note("gated", ctx.attempt, os.getpid())
        while not Path(path).exists():
            await asyncio.sleep(0.02)

    @agent.on("rough.*", max_deliveries=2)
    async def fails(ctx: Context, number: int) -> None:
        note("fails", number, ctx.attempt)
        raise (Reject("no use") if number == 0 else ValueError(f"unlucky {number}"))

    @agent.on("threads.*")
    def threaded(number: int, hello: str = Depends(greeting)) -> None:
        note("threaded", number, hello)

    @agent.on("news", fanout=True)
    async def told(body: Any) -> None:
        note("told", body, os.getpid())

    @agent.on("steps", ordered=True)
    async def steps(number: int) -> None:
        note("steps", "begin", number)
        await asyncio.sleep(0.01)
        note("steps", "end", number)

    @agent.on()
    async def reads(ctx: Context, body: str) -> str:
        note("reads", body, ctx.message.sender)
        return body.upper()

    @agent.on(kind="parts")
    def in_parts(ctx: Context, body: list[str]) -> None:
        for part in body:
            ctx.reply(part, last=False)
        ctx.reply("done")

    @other.on("task.*")
    async def hears_of_tasks(ctx: Context, id: str = "", kind: str = "", body: Any = None) -> None:
        note("hears_of_tasks", ctx.message.topic, json.dumps(body))

    @agent.task
    async def done() -> None: ...

    @other.on("orders.*")
    async def listens_too(number: int) -> None:
        note("listens_too", number)
"""


def send(client: Client, channel: str, *bodies: Any, **said: Any) -> list[str]:
    """Publish; ids."""
    parcels = [parcel(channel, body, **said) for body in bodies]
    posted = client.engine.run(publish(0, parcels, mode="refuse", nonce=uuid4().hex))
    assert all(one.receivers for one in posted), "a group hears it"
    return [one.id for one in posted]


def buried(client: Client) -> list[DeadMessage]:
    """Dead letters of the bus."""
    return client.engine.run(dead(0))


def held(client: Client, group: str) -> int:
    """How many messages a group's readers hold."""
    key = bus_keys.held(keys.root(client.namespace, 0), group)
    return int(client.engine.execute(0, "ZCARD", key))


def due_ms(client: Client, group: str) -> float:
    """When the first of them is given out again, unless it is kept longer or acknowledged."""
    key = bus_keys.held(keys.root(client.namespace, 0), group)
    found = client.engine.execute(0, "ZRANGE", key, 0, 0, "WITHSCORES")
    return float(found[1]) if found else 0.0


def given_back(client: Client, group: str) -> int:
    """How many of them are to be given out again by now."""
    key = bus_keys.held(keys.root(client.namespace, 0), group)
    seconds, micros = client.engine.execute(0, "TIME")
    return int(
        client.engine.execute(0, "ZCOUNT", key, "-inf", int(seconds) * 1000 + int(micros) // 1000)
    )


def answers(client: Client, asker: str) -> list[tuple[str, Any]]:
    """What came back for an asker."""
    key = bus_keys.replies(keys.root(client.namespace, 0), asker)
    read = (read_reply(fields) for _, fields in client.engine.execute(0, "XRANGE", key, "-", "+"))
    return [(one.how, one.body) for one in read if one is not None]
