"""Chapter 24. One call for many tasks, for what is cheaper by the dozen."""

from __future__ import annotations

from typing import Any

import pytest

from coordq import Client
from coordq.errors import TaskFailed

AGENTS = """
from coordq import Agent, Batch, Context, Reject, Retry

agent = Agent("worker")


@agent.task(batch=Batch(size=50, delay=0.1))
async def embed(text: list[str]) -> list[list[int]]:
    return [[len(one), len(text)] for one in text]


@agent.task(batch=Batch(size=50, delay=0.1))
async def pay(ctx: Context, account: list[str], cents: list[int]) -> list:
    outcomes = []
    for task, name, amount in zip(ctx.tasks, account, cents):
        if amount < 0:
            outcomes.append(Reject("a negative amount"))
        elif name == "busy" and task.attempt == 1:
            outcomes.append(Retry(after=0))
        else:
            outcomes.append(f"{name}: {amount}, attempt {task.attempt}")
    return outcomes
"""
pytestmark = pytest.mark.usefixtures("worker")


def test_tasks_are_gathered_for_one_call(client: Client) -> None:
    """Up to `size` of them, and none waits longer than `delay` for others.

    Each parameter is a list with one entry for each task, and so is the result.
    """
    handles = client.work.enqueue_many([("embed", {"text": "x" * n}) for n in range(10)])

    results = [handle.result(timeout=60) for handle in handles]
    assert [length for length, _ in results] == list(range(10))
    assert max(together for _, together in results) > 1


def test_a_producer_sees_a_task_like_any_other(client: Client, agents: Any) -> None:
    """It gives one entry, and gets one; so does the type checker."""
    assert agents.embed.run(client, "hello")[0] == 5


def test_each_task_has_an_outcome_of_its_own(client: Client) -> None:
    """A signal or an exception in the list is for that task; one that is raised is for all."""
    orders = [("ann", 100), ("bob", -1), ("busy", 5)]
    handles = [client.work.enqueue("pay", {"account": a, "cents": c}) for a, c in orders]

    assert handles[0].result(timeout=60) == "ann: 100, attempt 1"
    assert handles[2].result(timeout=60) == "busy: 5, attempt 2"
    with pytest.raises(TaskFailed, match="a negative amount"):
        handles[1].result(timeout=60)
    assert handles[1].get().reason == "rejected: a negative amount"
