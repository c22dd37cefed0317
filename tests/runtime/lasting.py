"""A worker whose handlers outlive their runs: they keep a state, wait, and make tasks."""

from __future__ import annotations

import textwrap
from pathlib import Path

from coordq.client.client import Client
from tests.runtime.conftest import NewFleet
from tests.runtime.fleet import Fleet

AGENT = """
    import asyncio
    import os
    import time
    from pathlib import Path
    from coordq import Agent, Context, Middleware

    class Notes(Middleware):
        def on_suspend(self, ctx, *, wait):
            ctx.log(f"on_suspend {wait.kind} {wait.key}")

        def after_run(self, ctx, *, result=None, error=None):
            ctx.log(f"after_run {type(error).__name__}")

    agent = Agent("lasting")
    noted = Agent("noted", middleware=[Notes()])

    def say(path, *words):
        with open(path + ".started", "a") as started:
            started.write(" ".join(map(str, words)) + "\\n")

    @agent.task
    async def echo(text: str) -> str:
        return text

    @agent.task
    async def joined(parts: list, page: dict | None = None, why: dict | None = None) -> dict:
        return {"parts": parts, "page": page, "why": why}

    @agent.task(max_attempts=1)
    async def broken() -> None:
        raise ValueError("no")

    @agent.task
    async def steps(ctx: Context, path: str) -> list:
        '''Keeps how far it is, and waits for a file after the second step.'''
        done = ctx.state or []
        for step in range(len(done), 4):
            say(path, os.getpid(), ctx.attempt, step)
            done = [*done, step]
            await ctx.checkpoint(done)
            while step == 1 and not Path(path).exists():
                await asyncio.sleep(0.02)
        return done

    @agent.task
    def sync_steps(ctx: Context, path: str) -> list:
        '''The same, in a thread.'''
        done = ctx.state or []
        for step in range(len(done), 4):
            say(path, os.getpid(), ctx.attempt, step)
            done = [*done, step]
            ctx.checkpoint(done)
            while step == 1 and not Path(path).exists():
                time.sleep(0.02)
        return done

    @agent.task(isolation="process")
    async def apart(ctx: Context, path: str) -> list:
        '''Fails between two checkpoints, in a process of its own.'''
        if ctx.state is None:
            await ctx.checkpoint({"first": ctx.attempt})
            raise RuntimeError("between")
        return [ctx.state, ctx.attempt]

    @agent.task
    async def late(ctx: Context, path: str) -> None:
        '''Waits for a file, and would go on after a checkpoint.'''
        say(path, os.getpid(), ctx.attempt, ctx.fence)
        while not Path(path).exists():
            await asyncio.sleep(0.02)
        await ctx.checkpoint(ctx.fence)
        say(path, os.getpid(), ctx.attempt, -1)

    @agent.task
    def sync_late(ctx: Context, path: str) -> None:
        say(path, os.getpid(), ctx.attempt, ctx.fence)
        while not Path(path).exists():
            time.sleep(0.02)
        ctx.checkpoint(ctx.fence)
        say(path, os.getpid(), ctx.attempt, -1)

    @agent.task(isolation="process")
    async def apart_late(ctx: Context, path: str) -> None:
        await late(ctx, path)

    @agent.task
    async def parent(ctx: Context, texts: list[str]) -> list[str]:
        children = [await ctx.spawn(echo, {"text": text}) for text in texts]
        return await ctx.wait_for(children)

    @agent.task
    def sync_parent(ctx: Context, texts: list[str]) -> list[str]:
        children = [ctx.spawn("echo", {"text": text}) for text in texts]
        return ctx.wait_for(children)

    @agent.task(isolation="process")
    async def apart_parent(ctx: Context, texts: list[str]) -> list[str]:
        children = [await ctx.spawn(echo, {"text": text}) for text in texts]
        return await ctx.wait_for(children)

    @agent.task
    async def patient(ctx: Context, path: str) -> list:
        '''Asks twice, and says each time that it runs.'''
        say(path, os.getpid(), ctx.attempt, 0)
        first = await ctx.wait_approval("first")
        second = await ctx.wait_signal("go")
        return [first, second, ctx.attempt]

    @agent.task
    async def impatient(ctx: Context) -> str:
        from coordq.errors import WaitExpired
        try:
            return await ctx.wait_approval(timeout=0.05)
        except WaitExpired as error:
            return error.code

    @agent.task
    async def hasty(ctx: Context) -> list:
        '''Gives up on a child, and waits for another one.'''
        from coordq.errors import WaitExpired
        slow = await ctx.spawn("sleeper", {"seconds": 60})
        try:
            await ctx.wait_for(slow, timeout=0.05)
        except WaitExpired as error:
            return [error.code, await ctx.wait_for(await ctx.spawn("echo", {"text": "b"}))]

    @agent.task
    async def sleeper(ctx: Context, seconds: float) -> int:
        await ctx.sleep(seconds)
        await ctx.sleep(0)
        return ctx.attempt

    @agent.task
    async def greedy(ctx: Context) -> str:
        '''Catches what suspends it.'''
        try:
            await ctx.wait_approval("ok")
        except BaseException:
            return "went on"
        return "approved"

    @agent.task
    async def greedier(ctx: Context, path: str) -> str:
        '''Catches it, and asks for more.'''
        try:
            await ctx.wait_approval("ok")
        except BaseException:
            pass
        await ctx.checkpoint("went on")
        say(path, os.getpid(), ctx.attempt, 0)
        return "approved"

    @agent.task
    def sync_greedy(ctx: Context) -> str:
        try:
            ctx.wait_approval("ok")
        except BaseException:
            raise ValueError("went on")
        return "approved"

    @agent.task
    async def together(ctx: Context) -> list:
        '''Waits for two things at once.'''
        return await asyncio.gather(ctx.wait_approval("a"), ctx.wait_approval("b"))

    @agent.task
    async def grouped(ctx: Context) -> list:
        '''The same, with tasks of its own.'''
        async with asyncio.TaskGroup() as group:
            waits = [group.create_task(ctx.wait_approval(key)) for key in "ab"]
        return [wait.result() for wait in waits]

    @agent.task
    async def settled(ctx: Context) -> list:
        good = await ctx.spawn(echo, {"text": "good"})
        bad = await ctx.spawn("broken")
        found = await ctx.wait_for([good, bad], return_errors=True)
        return [found[0], found[1].code, await ctx.wait_for(good)]

    @agent.task(max_attempts=1)
    async def unsettled(ctx: Context) -> list:
        return await ctx.wait_for([await ctx.spawn("broken")])

    @agent.task
    async def waiter(ctx: Context, ids: list[str]) -> list:
        return await ctx.wait_for(ids)

    @agent.task(max_attempts=1)
    async def selfish(ctx: Context) -> None:
        await ctx.wait_for(ctx.task_id)

    @noted.task
    async def observed(ctx: Context) -> str:
        await ctx.wait_approval("ok")
        return "approved"
"""


def lasting(new_fleet: NewFleet, folder: Path, **settings: object) -> Fleet:
    """A worker with that agent."""
    file = folder / "lasting.py"
    file.write_text(textwrap.dedent(AGENT))
    return new_fleet(targets=(str(file),), **settings)


def kinds(client: Client, task_id: str) -> list[str]:
    """What happened to a task, in order."""
    return [event.kind for event in client.work.events() if event.subject == task_id]
