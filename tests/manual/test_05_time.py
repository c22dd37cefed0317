"""Chapter 5. Later, not later than, and not longer than."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from coordq import Client, State
from coordq.errors import InvalidTime, TaskFailed

AGENTS = """
import asyncio

from coordq import Agent

agent = Agent("clock")


@agent.task
async def tick() -> str:
    return "tock"


@agent.task(timeout=0.1, max_attempts=1)
async def dawdle() -> None:
    await asyncio.sleep(60)
"""
pytestmark = pytest.mark.usefixtures("worker")


def test_a_task_may_be_delayed(client: Client) -> None:
    """Seconds or a timedelta. Until then it is scheduled and holds nothing up."""
    handle = client.work.enqueue("tick", delay=timedelta(hours=1))
    soon = client.work.enqueue("tick", delay=0.1)

    assert handle.get().state is State.SCHEDULED
    assert soon.result(timeout=60) == "tock"


def test_a_task_may_have_a_moment(client: Client) -> None:
    """`at` takes an aware datetime: a time without a zone means something else on each machine."""
    moment = datetime.now(UTC) + timedelta(minutes=5)
    task = client.work.enqueue("tick", at=moment).get()

    assert 290_000 < (task.due_in_ms or 0) <= 300_000
    with pytest.raises(InvalidTime, match="no time zone"):
        client.work.enqueue("tick", at=datetime(2030, 1, 1))  # noqa: DTZ001


def test_one_run_may_be_limited(client: Client) -> None:
    """`timeout` stops a run that takes too long; that counts as a failed attempt."""
    with pytest.raises(TaskFailed) as caught:
        client.work.run("dawdle", wait_for=60)
    assert caught.value.reason == "timeout"


def test_waiting_in_the_queue_may_be_limited(client: Client) -> None:
    """`expires`: what nobody began in time is a dead letter, not a surprise hours later."""
    client.work.pause("default")
    handle = client.work.enqueue("tick", expires=0.1)

    with pytest.raises(TaskFailed) as caught:
        handle.result(timeout=60)
    assert caught.value.reason == "expired"
    client.work.resume("default")


def test_a_delay_can_be_ended(client: Client) -> None:
    """`retry` makes a scheduled task ready now."""
    handle = client.work.enqueue("tick", delay=3600)
    client.work.retry(handle.id)

    assert handle.result(timeout=60) == "tock"
