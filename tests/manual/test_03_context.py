"""Chapter 3. What a handler knows about its run, and what it can say while it works."""

from __future__ import annotations

import pytest

from coordq import Client

AGENTS = """
from coordq import Agent, Context

agent = Agent("worker")


@agent.task(timeout=60)
async def describe(ctx: Context) -> dict:
    return {
        "id": ctx.task_id,
        "attempt": ctx.attempt,
        "fence": ctx.fence,
        "key": ctx.idempotency_key,
        "remaining": ctx.remaining(),
        "trace": ctx.headers.get("trace"),
    }


@agent.task
async def chapters(ctx: Context, count: int) -> int:
    for number in range(1, count + 1):
        ctx.log(f"reading chapter {number}")
        ctx.progress(number, count, "reading")
    return count


@agent.task
async def split(ctx: Context, numbers: list[int]) -> list[str]:
    handles = await ctx.client.work.enqueue_many(("square", {"n": n}) for n in numbers)
    return [handle.id for handle in handles]


@agent.task
async def square(n: int) -> int:
    return n * n
"""
pytestmark = pytest.mark.usefixtures("worker")


def test_a_run_knows_its_task_and_attempt(client: Client) -> None:
    """The id stays over all attempts; the attempt counts from 1."""
    handle = client.work.enqueue("describe")
    seen = handle.result(timeout=60)

    assert (seen["id"], seen["attempt"]) == (handle.id, 1)
    assert 0 < seen["remaining"] <= 60


def test_a_fence_grows_with_every_claim(client: Client) -> None:
    """Send it with writes elsewhere: who refuses smaller ones is safe from late workers."""
    first = client.work.run("describe", wait_for=60)
    second = client.work.run("describe", wait_for=60)

    assert second["fence"] > first["fence"] > 0
    assert first["key"] != second["key"]


def test_headers_travel_beside_the_arguments(client: Client) -> None:
    """A trace context, a tenant, a user: what belongs to the call and not to the work."""
    seen = client.work.run("describe", headers={"trace": "00-abc-01"}, wait_for=60)

    assert seen["trace"] == "00-abc-01"


def test_a_task_says_how_far_it_is(client: Client) -> None:
    """Progress can be watched by everybody while the task runs, and afterwards."""
    handle = client.work.enqueue("chapters", {"count": 3})
    handle.result(timeout=60)
    progress = client.work.progress(handle.id)

    assert progress is not None
    assert (progress["done"], progress["total"], progress["message"]) == (3, 3, "reading")


def test_a_task_has_a_log_of_its_own(client: Client) -> None:
    """The last 1,000 lines of each task, kept for a day: no grep through the logs of a fleet."""
    handle = client.work.enqueue("chapters", {"count": 2})
    handle.result(timeout=60)

    assert client.work.logs(handle.id) == ["reading chapter 1", "reading chapter 2"]


def test_a_task_may_enqueue_tasks(client: Client) -> None:
    """`ctx.client` is a client of the worker's own namespace: async in an async handler."""
    ids = client.work.run("split", {"numbers": [2, 3]}, wait_for=60)

    assert [client.work.result(task_id, timeout=60) for task_id in ids] == [4, 9]
