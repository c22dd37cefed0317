"""The agent under test: its handlers write down when they begin and how they end."""

from __future__ import annotations

import asyncio
import json
import os
import time
from functools import cached_property
from pathlib import Path
from threading import Lock

from coordq import Agent, Snooze
from coordq.interfaces.chaos.journal import Journal, moment_ms
from coordq.interfaces.chaos.resource import Resource
from coordq.work.context import Context


class Recorder:
    """Writes the journal of one process, opened with its first task."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opening = Lock()

    @cached_property
    def _own(self) -> tuple[Journal, Resource]:
        """The journal of the process that we are in, and the outside system."""
        name = f"run-{os.getpid()}-{moment_ms()}.journal"
        return Journal(self._folder / name), Resource(self._folder / "resource")

    @property
    def journal(self) -> Journal:
        """The process's own; its first handlers may ask from several threads at once."""
        with self._opening:
            return self._own[0]

    @property
    def resource(self) -> Resource:
        """The outside system."""
        with self._opening:
            return self._own[1]

    def begin(self, ctx: Context) -> None:
        """A run begins."""
        self.journal.write("beg", ctx.task_id, ctx.fence, ctx.attempt, moment_ms())

    def end(self, ctx: Context, how: str = "done") -> None:
        """A run is about to end."""
        self.journal.write("end", ctx.task_id, ctx.fence, how, moment_ms())

    def write(self, ctx: Context, step: str, slot: int) -> None:
        """Show the fence to the resource, or write to it. Raises PermissionError when refused."""
        answer: str = getattr(self.resource, step)(slot, ctx.fence)
        self.journal.write("res", ctx.task_id, ctx.fence, answer)
        if answer == "refused":
            self.end(ctx, "refused")
            raise PermissionError("the resource has seen a newer fence")


def recording_agent(folder: Path) -> Agent:
    """An agent whose handlers keep their journals in `folder`."""
    agent, told = Agent("chaos"), Recorder(folder)
    _add_steady(agent, told)
    _add_difficult(agent, told)
    _add_kin(agent, told)
    return agent


def _add_steady(agent: Agent, told: Recorder) -> None:
    """Handlers that do what they are asked."""

    @agent.task
    async def quick(ctx: Context, load: str = "") -> int:
        """Do nothing."""
        told.begin(ctx)
        told.end(ctx)
        return len(load)

    @agent.task
    async def nap(ctx: Context, seconds: float) -> None:
        """Wait without holding the loop."""
        told.begin(ctx)
        await asyncio.sleep(seconds)
        told.end(ctx)

    @agent.task
    def blocking(ctx: Context, seconds: float) -> None:
        """Hold a thread."""
        told.begin(ctx)
        time.sleep(seconds)
        told.end(ctx)

    @agent.task
    async def fenced(ctx: Context, slot: int, seconds: float) -> None:
        """Write to the outside resource, once and for all."""
        told.begin(ctx)
        told.write(ctx, "announce", slot)
        await asyncio.sleep(seconds)
        told.write(ctx, "apply", slot)
        told.end(ctx)


def _add_kin(agent: Agent, told: Recorder) -> None:
    """Handlers of the tasks of a flow."""

    @agent.task
    async def part(ctx: Context, value: int) -> int:
        """Say a number."""
        told.begin(ctx)
        told.end(ctx)
        return value

    @agent.task
    async def join(ctx: Context, seen: list[int]) -> dict[str, int]:
        """Note what the parents said."""
        told.begin(ctx)
        told.journal.write("saw", ctx.task_id, ctx.fence, json.dumps(seen))
        told.end(ctx)
        return {"value": len(seen)}

    @agent.task
    async def brood(ctx: Context) -> list[int]:
        """Add two tasks, and wait for them without a slot; go on from a checkpoint."""
        told.begin(ctx)
        ids = ctx.state or [await ctx.spawn("part", {"value": n}, key=f"{n}") for n in range(2)]
        for one in ids:
            told.journal.write("kid", one)
        if ctx.state is None:
            await ctx.checkpoint(ids)
        answers: list[int] = await ctx.wait_for(ids)
        told.end(ctx)
        return answers


def _add_difficult(agent: Agent, told: Recorder) -> None:
    """Handlers that do not succeed at once."""

    @agent.task
    async def flaky(ctx: Context, failures: int) -> None:
        """Fail so often, then succeed."""
        told.begin(ctx)
        if ctx.attempt <= failures:
            told.end(ctx, "failed")
            raise ValueError(f"attempt {ctx.attempt} of {failures} that fail")
        told.end(ctx)

    @agent.task
    async def doomed(ctx: Context) -> None:
        """Fail always."""
        told.begin(ctx)
        told.end(ctx, "failed")
        raise ValueError("as always")

    @agent.task
    async def snoozer(ctx: Context) -> None:
        """Come back later, most of the time."""
        told.begin(ctx)
        if ctx.fence % 3:
            told.end(ctx, "snoozed")
            raise Snooze(0.3)
        told.end(ctx)
