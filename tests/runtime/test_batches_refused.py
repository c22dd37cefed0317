"""What cannot take batches, and batches that cannot be, are refused where they are made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from coordq.errors import InvalidAgent, InvalidOption, NotDurable
from coordq.runtime.executor import Executor
from coordq.work.agent import Agent
from coordq.work.batch import Batch
from coordq.work.context import Context
from coordq.work.finish import Outcome
from tests.claims import claim_of, error_of, executed


def refuse_default(text: list[str] = []) -> None:  # noqa: B006 - what is refused
    """Whose would it be?"""


def refuse_text(text: str) -> None:
    """No list."""


def refuse_nothing() -> None:
    """Nothing to gather."""


def refuse_extra(text: list[str], **more: Any) -> None:
    """Columns without names."""


@pytest.mark.parametrize("fn", [refuse_default, refuse_text, refuse_nothing, refuse_extra])
def test_a_function_that_cannot_take_batches_is_refused(fn: Callable[..., Any]) -> None:
    """Where it is defined, with what to write."""
    with pytest.raises(InvalidAgent, match=fn.__name__):
        Agent("a").task(batch=Batch(size=3))(fn)


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0},
        {"size": 1.5},
        {"delay": -1},
        {"delay": 61},
        {"delay": float("nan")},
        {"bytes": 0},
    ],
)
def test_a_batch_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    """Sizes are whole and not too large."""
    with pytest.raises(InvalidOption, match=next(iter(options))):
        Batch(**options)


def test_what_is_no_batch_is_refused() -> None:
    """As is one for a process of its own."""
    agent = Agent("a")

    def fine(n: list[int]) -> None: ...

    for options in ({"batch": 100}, {"batch": Batch(), "isolation": "process"}):
        with pytest.raises(InvalidAgent, match="batch"):
            agent.task(**options)(refuse_text if "isolation" in options else fine)


async def checkpoint(ctx: Context) -> None:
    """Keep something."""
    await ctx.checkpoint({"n": 1})


async def spawn(ctx: Context) -> None:
    """Make another task."""
    await ctx.spawn("other")


async def wait_for(ctx: Context) -> None:
    """Wait for another task."""
    await ctx.wait_for(ctx.task_id)


async def sleep(ctx: Context) -> None:
    """Wait for a moment."""
    await ctx.sleep(60)


async def wait_signal(ctx: Context) -> None:
    """Wait for a signal."""
    await ctx.wait_signal("go")


async def wait_approval(ctx: Context) -> None:
    """Wait for a person."""
    await ctx.wait_approval("ship")


async def checkpoint_of_one(ctx: Context) -> None:
    """Neither for a single task of it: the call is of all."""
    await ctx.tasks[0].checkpoint(1)


@pytest.mark.parametrize(
    "ask", [checkpoint, spawn, wait_for, sleep, wait_signal, wait_approval, checkpoint_of_one]
)
def test_a_batch_cannot_keep_make_or_wait_for_anything(
    ask: Callable[[Context], Awaitable[None]],
) -> None:
    """Whose would it be? Each task of it fails with the code, and is told what to write."""
    agent = Agent("a")
    raised: list[NotDurable] = []

    @agent.task(batch=Batch(size=2, delay=60))
    async def embed(ctx: Context, text: list[str]) -> None:
        assert text == ["0", "1"]
        try:
            await ask(ctx)
        except NotDurable as error:
            raised.append(error)
            raise

    claims = [claim_of("embed", text=str(n)) for n in range(2)]

    async def steps(executor: Executor) -> list[Outcome | None]:
        return list(await asyncio.gather(*(executor.run(claim) for claim in claims)))

    outcomes = executed(agent, steps)

    assert [error_of(one)["type"] for one in outcomes] == ["NotDurable"] * 2
    (error,) = raised
    assert error.code == "not-durable"
    assert "a batch is one run for many tasks" in str(error)


def test_a_batch_that_is_not_async_is_told_the_same() -> None:
    """It stands in a thread."""
    agent = Agent("a")

    @agent.task(batch=Batch(size=1))
    def embed(ctx: Context, text: list[str]) -> None:
        ctx.checkpoint(text)

    outcome = executed(agent, lambda executor: executor.run(claim_of("embed", text="a")))

    assert error_of(outcome)["type"] == "NotDurable"
