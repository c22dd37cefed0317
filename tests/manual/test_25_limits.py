"""Chapter 25. Limits: how often, how many at once, how much; and a remote that says "too many"."""

from __future__ import annotations

import json

import pytest

from coordq import Client
from coordq.errors import InvalidLimit, TaskCancelled
from tests.manual.conftest import Shell
from tests.waiting import wait_until

AGENTS = """
import asyncio

from coordq import Agent, Context, RateLimited

agent = Agent("caller")


@agent.task
async def ask(question: str) -> str:
    return f"{question}? yes"


@agent.task
async def summarize(ctx: Context, text: str) -> int:
    used = len(text)  # what the model says that it has used
    ctx.spend(used)
    return used


@agent.task
async def polite(ctx: Context) -> int:
    if "weather" not in [view.slot for view in await ctx.client.limits.ls()]:
        raise RateLimited(retry_after=60, key="weather")  # what the answer 429 said
    return ctx.attempt


@agent.task
async def stay() -> None:
    await asyncio.sleep(3600)
"""
pytestmark = pytest.mark.usefixtures("worker")


def test_a_rate_is_kept_by_the_whole_fleet(client: Client) -> None:
    """Name a limit where tasks are enqueued, and set it once for all workers there are."""
    client.limits.set("openai", rate="20/s", burst=1)

    handles = [
        client.work.enqueue("ask", {"question": f"{n}"}, limits=["openai:gpt-4"]) for n in range(5)
    ]
    for handle in handles:
        handle.result(timeout=60)

    starts = sorted(event.ms for event in client.work.events() if event.kind == "running")
    assert starts[-1] - starts[0] >= 4 * 50 - 1, "five starts, one every 50 ms"


def test_each_key_of_a_limit_counts_for_itself(client: Client) -> None:
    """One that is set for a key comes before the one that is set for all."""
    client.limits.set("openai", concurrency=10)
    client.limits.set("openai:gpt-4", concurrency=2)

    allowed = {
        slot: client.limits.get(slot).to_json()["limit"]["concurrency"]
        for slot in ("openai:gpt-3", "openai:gpt-4")
    }
    assert allowed == {"openai:gpt-3": 10, "openai:gpt-4": 2}


def test_why_says_which_limit_a_task_waits_for(client: Client) -> None:
    """With its place, and when it will come."""
    client.limits.set("task:stay", concurrency=1)
    running = client.work.enqueue("stay")
    wait_until(lambda: client.work.get(running.id).state == "running")
    waiting = client.work.enqueue("stay")

    wait_until(lambda: "parked" in client.work.why(waiting.id))
    assert "limit 'task:stay', which allows 1 at once" in client.work.why(waiting.id)
    assert "it is the next of 1 there" in client.work.why(waiting.id)
    assert client.work.get(waiting.id).state == "ready"
    client.work.cancel(running.id)
    client.work.cancel(waiting.id)


def test_a_newer_task_can_take_the_place_of_an_older(client: Client) -> None:
    """Waiting is only one way out of a conflict."""
    client.limits.set("task:stay", concurrency=1, on_conflict="cancel-oldest")
    old = client.work.enqueue("stay")
    wait_until(lambda: client.work.get(old.id).state == "running")

    new = client.work.enqueue("stay")

    with pytest.raises(TaskCancelled):
        old.result(timeout=60)
    wait_until(lambda: client.work.get(new.id).state == "running")
    client.work.cancel(new.id)


def test_a_remote_that_is_busy_is_left_alone_by_everybody(client: Client) -> None:
    """`RateLimited` costs no attempt, and pauses the limit for all who count against it."""
    handle = client.work.enqueue("polite")
    wait_until(lambda: client.work.get(handle.id).state == "scheduled")

    other = client.work.enqueue("ask", {"question": "rain"}, limits=["weather"])
    wait_until(lambda: "nothing starts for another" in client.work.why(other.id))
    client.work.retry(handle.id)

    assert handle.result(timeout=60) == 1
    client.limits.resume("weather")
    assert other.result(timeout=60) == "rain? yes"


def test_a_budget_counts_what_runs_report(client: Client) -> None:
    """Declare a cost, spend another: the budget goes by what was spent."""
    client.limits.set("tenant:acme", budget="1000/day")

    used = client.work.enqueue("summarize", {"text": "a" * 120}, tenant="acme", cost=500).result(
        timeout=60
    )

    assert used == 120
    wait_until(lambda: client.limits.get("tenant:acme").spent == 120)


def test_a_limit_can_be_paused_by_hand(client: Client) -> None:
    """While the other side is being repaired, say; what waits goes on afterwards."""
    client.limits.pause("openai")
    handle = client.work.enqueue("ask", {"question": "now"}, limits=["openai"])
    wait_until(lambda: "coordq limit resume" in client.work.why(handle.id))

    client.limits.resume("openai")

    assert handle.result(timeout=60) == "now? yes"


def test_a_limit_that_makes_no_sense_is_refused_in_words() -> None:
    """With what would."""
    from coordq.work.limit import make

    with pytest.raises(InvalidLimit, match="fortnight"):
        make("openai", rate="5/fortnight")


def test_the_shell_sets_and_shows_limits(shell: Shell) -> None:
    """The same, for operators."""
    assert "100 in 60 s" in shell("limit", "set", "github", "--rate", "100/min")
    assert json.loads(shell("limit", "show", "github", "--json"))["parked"] == 0
    shell("limit", "pause", "github", "--during", "5m")
    assert "paused" in shell("limit", "ls")
    shell("limit", "resume", "github")
    shell("limit", "rm", "github")
    assert "github" not in shell("limit", "ls")
