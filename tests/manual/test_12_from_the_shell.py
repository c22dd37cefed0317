"""Chapter 12. The command line: everything above without a line of Python."""

from __future__ import annotations

import json

import pytest

from coordq import Client
from tests.manual.conftest import Shell

AGENTS = """
from coordq import Agent

agent = Agent("parrot")


@agent.task
async def echo(text: str, times: int = 1) -> str:
    return " ".join([text] * times)
"""
pytestmark = pytest.mark.usefixtures("worker")


def test_enqueue_and_wait(shell: Shell) -> None:
    """`key=value`: numbers, true, false, null and JSON are what they seem, the rest is text."""
    assert shell("enqueue", "echo", "text=hi", "times=2", "--wait") == "hi hi"


def test_enqueue_and_look_later(shell: Shell) -> None:
    """Without `--wait` it prints the id, for `show`, `result`, `why`, `cancel`."""
    task_id = shell("enqueue", "echo", "text=hi")

    assert shell("result", task_id) == "hi"
    assert json.loads(shell("show", task_id, "--json"))["state"] == "succeeded"


def test_enqueue_a_file_of_tasks(shell: Shell, client: Client) -> None:
    """JSON lines, 500 tasks a round trip, with a progress bar on a terminal."""
    lines = [json.dumps({"name": "echo", "args": {"text": f"line {n}"}}) for n in range(20)]
    (shell.folder / "tasks.jsonl").write_text("\n".join(lines))
    shell("enqueue", "--file", "tasks.jsonl", "--queue", "paper")

    assert client.work.queue("paper").enqueued == 20


def test_errors_have_a_code_and_an_exit_status(shell: Shell) -> None:
    """2 usage, 3 not found, 4 cannot reach Redis, 5 refused: a script can tell them apart."""
    assert "invalid-name" in shell("enqueue", "no such name", code=2)
    assert "task-not-found" in shell("show", "0" * 22, code=3)


def test_everything_that_shows_can_be_json(shell: Shell) -> None:
    """For jq, for scripts, for other programs."""
    shell("enqueue", "echo", "text=hi", "--wait")
    queues = json.loads(shell("queue", "ls", "--json"))

    assert "default" in [queue["name"] for queue in queues]
