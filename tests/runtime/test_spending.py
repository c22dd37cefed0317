"""What a run says of limits: what it has cost, and that the other side asks for less."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from coordq.errors import InvalidLimit
from coordq.runtime.loader import load
from coordq.work.context import Context
from coordq.work.signals import RateLimited
from tests.claims import agent_of, claim_of, end_of, error_of, outcome_of

APART = """
from coordq.work.agent import Agent
from coordq.work.context import Context

agent = Agent("apart")


@agent.task(isolation="process")
async def costly(ctx: Context) -> str:
    ctx.spend(7)
    ctx.spend(0.5)
    return "done"
"""


def test_what_a_run_spends_adds_up() -> None:
    """And goes with its outcome."""

    async def costly(ctx: Context) -> None:
        ctx.spend(100)
        ctx.spend(20.5)

    done = end_of(costly)

    assert (done.kind, done.units) == ("succeeded", 120.5)


def test_a_run_that_says_nothing_costs_what_was_declared() -> None:
    """Which is not nothing."""

    async def quiet(ctx: Context) -> None:
        ctx.log("no word of what it costs")

    assert end_of(quiet).units is None


@pytest.mark.parametrize("error", [ValueError("no"), RateLimited(5, key="api")])
def test_a_run_that_fails_has_cost_something_all_the_same(error: Exception) -> None:
    """The tokens are gone."""

    async def costly(ctx: Context) -> None:
        ctx.spend(3)
        raise error

    assert end_of(costly).units == 3


def test_what_is_no_amount_fails_the_run() -> None:
    """With an error that says so."""

    async def costly(ctx: Context) -> None:
        ctx.spend(float("nan"))

    done = end_of(costly)

    assert error_of(done)["type"] == InvalidLimit.__name__
    assert done.units is None


def test_a_run_in_its_own_process_reports_its_cost(tmp_path: Path) -> None:
    """Over the wire, with its last word."""
    file = tmp_path / "apart.py"
    file.write_text(textwrap.dedent(APART))
    (agent,) = load([str(file)]).agents

    done = outcome_of(agent, claim_of("costly"))

    assert (done.kind, done.units) == ("succeeded", 7.5)


@pytest.mark.parametrize(
    ("key", "limits", "paused"),
    [
        ("openai:gpt 4", (), "openai:gpt%204"),
        ("", ("openai:gpt%204", "other"), "openai:gpt%204"),
        ("weather", ("openai",), "weather"),
    ],
)
def test_a_remote_that_asks_for_less_pauses_a_limit(
    key: str, limits: tuple[str, ...], paused: str
) -> None:
    """The one that is named, else the first of the task's own."""

    async def call() -> None:
        raise RateLimited(1.5, key=key)

    agent, task = agent_of(call)
    done = outcome_of(agent, claim_of(task, limits=limits))

    assert (done.kind, done.body, done.delay_ms) == ("rate-limited", paused.encode(), 1500)


def test_a_key_that_cannot_be_kept_makes_a_dead_letter() -> None:
    """No repetition mends it, and its author should see it."""

    async def call() -> None:
        raise RateLimited(1.5, key="openai:" + "k" * 300)

    done = end_of(call)

    assert (done.kind, error_of(done)["type"]) == ("failed", "InvalidLimit")


def test_without_a_limit_only_the_task_itself_waits() -> None:
    """There is nothing else to pause."""

    async def call() -> Any:
        raise RateLimited(1.5)

    done = end_of(call)

    assert (done.kind, done.delay_ms) == ("snooze", 1500)
