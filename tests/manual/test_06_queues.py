"""Chapter 6. Queues: lines of ready tasks with settings of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordq import Client
from coordq.errors import QueueFull
from tests.manual.conftest import Shell

AGENTS = """
from pathlib import Path

from coordq import Agent

agent = Agent("clerk")


@agent.task(queue="letters")
def write(path: str, text: str) -> None:
    with Path(path).open("a") as file:
        file.write(text)
"""


def test_a_queue_is_there_when_it_is_used(client: Client) -> None:
    """Nothing to declare; `default` is just the one that is used when none is named."""
    client.work.enqueue("write", {"path": "x", "text": "a"}, queue="invoices")

    assert client.work.queue("invoices").ready == 1


def test_urgent_tasks_go_first(client: Client, shell: Shell, tmp_path: Path) -> None:
    """critical, high, normal, low. Lower ones age, so that they are late but not for ever."""
    path = str(tmp_path / "order")
    for text, priority in [("d", "low"), ("c", "normal"), ("b", "high"), ("a", "critical")]:
        client.work.enqueue(
            "write", {"path": path, "text": text}, queue="letters", priority=priority
        )
    shell("worker", "agents.py", "--burst", "--concurrency", "1")

    assert Path(path).read_text() == "abcd"


def test_a_worker_serves_the_queues_it_is_told(
    client: Client, shell: Shell, tmp_path: Path
) -> None:
    """By default all that its tasks name; `--queues` chooses, with weights if you like."""
    path = str(tmp_path / "letter")
    letter = client.work.enqueue("write", {"path": path, "text": "a"}, queue="letters")
    memo = client.work.enqueue("write", {"path": path, "text": "b"}, queue="memos")
    shell("worker", "agents.py", "--burst", "--queues", "memos:3,drafts")

    assert (memo.get().state, letter.get().state) == ("succeeded", "ready")


def test_a_queue_can_be_paused(client: Client, shell: Shell, tmp_path: Path) -> None:
    """Workers go on with what they have; producers go on enqueueing; nothing new starts."""
    client.work.pause("letters")
    handle = client.work.enqueue(
        "write", {"path": str(tmp_path / "x"), "text": "a"}, queue="letters"
    )
    shell("worker", "agents.py", "--burst")
    assert handle.get().state == "ready"

    client.work.resume("letters")
    shell("worker", "agents.py", "--burst")
    assert handle.get().state == "succeeded"


def test_a_queue_can_be_bounded(client: Client) -> None:
    """At the high mark producers wait by default. Others want to be refused, and say so."""
    client.work.limit("small", high=2)
    for _ in range(2):
        client.work.enqueue("write", {"path": "x", "text": "a"}, queue="small")

    with pytest.raises(QueueFull) as caught:
        client.work.enqueue("write", {"path": "x", "text": "a"}, queue="small", on_full="refuse")
    assert (caught.value.depth, caught.value.high) == (2, 2)


def test_a_queue_can_be_emptied(client: Client) -> None:
    """A purge cancels what waits. Running tasks are not touched."""
    client.work.enqueue_many([("write", {"path": "x", "text": "a"})] * 10, queue="junk")

    assert client.work.purge("junk") == 10
    assert client.work.queue("junk").ready == 0
