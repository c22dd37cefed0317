"""Carrying out plans: each step on the engine, until the plan has its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from coordq.client.plan import Command, Plan
from coordq.engine.call import Call
from coordq.errors import CoordqError

if TYPE_CHECKING:  # whoever has one has it imported
    from coordq.engine.aio import AsyncEngine
    from coordq.engine.connection import Engine

R = TypeVar("R")


def drive(engine: Engine, plan: Plan[R]) -> R:
    """Carry out a plan. Raises what it raises, and as the engine."""

    def take(step: Call[Any] | Command) -> Any:
        if isinstance(step, Call):
            return engine.run(step)
        return engine.execute(step.shard, *step.words, timeout_s=step.timeout_s)

    try:
        step = next(plan)
        while True:
            try:
                answer = take(step)
            except CoordqError as error:  # which the plan may know what to do about
                step = plan.throw(error)
            else:
                step = plan.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def drive_async(engine: AsyncEngine, plan: Plan[R]) -> R:
    """Like `drive`, on an event loop."""

    async def take(step: Call[Any] | Command) -> Any:
        if isinstance(step, Call):
            return await engine.run(step)
        return await engine.execute(step.shard, *step.words, timeout_s=step.timeout_s)

    try:
        step = next(plan)
        while True:
            try:
                answer = await take(step)
            except CoordqError as error:  # which the plan may know what to do about
                step = plan.throw(error)
            else:
                step = plan.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
