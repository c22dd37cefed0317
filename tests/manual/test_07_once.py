"""Chapter 7. Once: unique keys, ids of one's own, and what "at least once" means."""

from __future__ import annotations

import pytest

import coordq
from coordq import Client
from coordq.errors import DuplicateTask

AGENTS = """
from coordq import Agent

agent = Agent("printer")


@agent.task
async def print_report(day: str) -> str:
    return f"report of {day}"
"""


def test_a_unique_key_admits_one_task_at_a_time(client: Client) -> None:
    """While the first lives, the second enqueue gets the first one's handle."""
    first = client.work.enqueue("print_report", {"day": "monday"}, unique="monday")
    second = client.work.enqueue("print_report", {"day": "monday"}, unique="monday")

    assert (first.created, second.created) == (True, False)
    assert first.id == second.id


def test_a_duplicate_can_be_refused(client: Client) -> None:
    """For who must know that it was somebody else's."""
    client.work.enqueue("print_report", {"day": "tuesday"}, unique="tuesday")

    with pytest.raises(DuplicateTask):
        client.work.enqueue(
            "print_report", {"day": "tuesday"}, unique="tuesday", on_duplicate="reject"
        )


@pytest.mark.usefixtures("worker")
def test_a_key_is_free_again_when_its_task_has_ended(client: Client) -> None:
    """Unless `unique_for` keeps it for longer."""
    first = client.work.enqueue("print_report", {"day": "friday"}, unique="friday")
    first.result(timeout=60)

    assert client.work.enqueue("print_report", {"day": "friday"}, unique="friday").created


@pytest.mark.usefixtures("worker")
def test_a_key_can_be_held_for_a_time(client: Client) -> None:
    """Not more than one report an hour, however often it is asked for."""
    options = {"unique": "hourly", "unique_for": 3600}
    first = client.work.enqueue("print_report", {"day": "today"}, **options)
    first.result(timeout=60)

    assert not client.work.enqueue("print_report", {"day": "today"}, **options).created


def test_an_id_makes_an_enqueue_safe_to_repeat(client: Client) -> None:
    """Draw the id first, keep it with your own data: after a crash, enqueue again without fear."""
    order = coordq.new_id()
    client.work.enqueue("print_report", {"day": "sunday"}, id=order, queue="once")
    client.work.enqueue("print_report", {"day": "sunday"}, id=order, queue="once")

    assert client.work.queue("once").enqueued == 1
