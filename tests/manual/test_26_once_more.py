"""Chapter 26. Once more: what becomes of a task that waits when another comes with its key."""

from __future__ import annotations

import pytest

from coordq import Client
from tests.waiting import wait_until

AGENTS = """
import asyncio

from coordq import Agent, Context

agent = Agent("indexer")


@agent.task
async def index(text: str) -> str:
    return text


@agent.task
async def rebuild(ctx: Context, version: int) -> int:
    while version == 1 and "gate" not in [queue.name for queue in await ctx.client.work.queues()]:
        await asyncio.sleep(0.01)  # a long one: the test says when it ends
    return version
"""


def test_throttle_takes_the_first(client: Client) -> None:
    """One task in a time, whatever comes after it."""
    options = {"unique": "home", "unique_for": 60, "on_duplicate": "throttle"}
    first = client.work.enqueue("index", {"text": "one"}, **options)
    second = client.work.enqueue("index", {"text": "two"}, **options)

    assert second.id == first.id
    assert client.work.get(first.id).args == {"text": "one"}


def test_replace_takes_the_last(client: Client) -> None:
    """The one that waits keeps its place, and gets the newer arguments."""
    options = {"unique": "page", "on_duplicate": "replace"}
    first = client.work.enqueue("index", {"text": "one"}, **options)
    second = client.work.enqueue("index", {"text": "two"}, **options)

    assert second.id == first.id
    assert client.work.get(first.id).args == {"text": "two"}


def test_debounce_waits_until_nobody_comes_any_more(client: Client) -> None:
    """Each newcomer starts the delay anew; `unique_for` says how long that may go on."""
    options = {"unique": "feed", "on_duplicate": "debounce", "delay": 60, "unique_for": 600}
    first = client.work.enqueue("index", {"text": "one"}, **options)
    second = client.work.enqueue("index", {"text": "two"}, **options)

    assert second.id == first.id
    assert client.work.get(first.id).state == "scheduled"
    assert client.work.get(first.id).args == {"text": "two"}


@pytest.mark.usefixtures("worker")
def test_keep_last_runs_once_more_with_the_latest(client: Client) -> None:
    """While one runs, one more waits for its end; what came in between is left out."""
    options = {"unique": "site", "on_duplicate": "keep-last"}
    first = client.work.enqueue("rebuild", {"version": 1}, **options)
    wait_until(lambda: client.work.get(first.id).state == "running")

    second = client.work.enqueue("rebuild", {"version": 2}, **options)
    third = client.work.enqueue("rebuild", {"version": 3}, **options)
    client.work.enqueue("index", {"text": "the first may end"}, queue="gate")

    assert second.created
    assert third.id == second.id
    assert first.result(timeout=60) == 1
    assert second.result(timeout=60) == 3
