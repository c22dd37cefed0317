"""Chapter 11. Seeing what goes on: lists, numbers, events."""

from __future__ import annotations

import pytest

from coordq import Client

AGENTS = """
from coordq import Agent

agent = Agent("adder")


@agent.task
async def add(a: int, b: int) -> int:
    return a + b
"""
pytestmark = pytest.mark.usefixtures("worker")


def test_tasks_are_listed_by_state_queue_and_name(client: Client) -> None:
    """What runs comes first, then what is ready, scheduled, dead, and what has ended lately."""
    later = client.work.enqueue("add", {"a": 1, "b": 1}, delay=3600)
    client.work.run("add", {"a": 1, "b": 2}, wait_for=60)

    assert [task.id for task in client.work.ls(state="scheduled", name="add")] == [later.id]
    assert [task.result for task in client.work.ls(state="succeeded")] == [3]


def test_events_are_the_history_of_everything(client: Client) -> None:
    """Each transition writes one, in the same step as the transition itself."""
    handle = client.work.enqueue("add", {"a": 2, "b": 2})
    handle.result(timeout=60)
    story = [event.kind for event in client.work.events() if event.subject == handle.id]

    assert story == ["ready", "running", "succeeded"]


def test_events_can_be_followed_from_where_one_was(client: Client) -> None:
    """An event says where it stands; the next look starts there."""
    client.work.run("add", {"a": 1, "b": 1}, wait_for=60)
    seen = list(client.work.events())
    client.work.enqueue("add", {"a": 1, "b": 1}, queue="elsewhere")

    assert [event.queue for event in client.work.events(after=seen[-1].at)] == ["elsewhere"]


def test_stats_are_one_round_trip(client: Client) -> None:
    """Queues with their counters, how much runs and is dead, and all live workers."""
    stats = client.work.stats()

    assert "default" in [queue.name for queue in stats.queues]
    assert (len(stats.workers), stats.dead) == (1, 0)


def test_a_task_shows_all_there_is_to_know(client: Client) -> None:
    """State, version, fence, attempts, times, options: also as JSON."""
    handle = client.work.enqueue("add", {"a": 2, "b": 2}, priority="high")
    handle.result(timeout=60)
    shown = handle.get().to_json()

    assert (shown["state"], shown["attempt"], shown["result"]) == ("succeeded", 1, 4)
    assert (shown["priority"], shown["args"]) == ("high", {"a": 2, "b": 2})
