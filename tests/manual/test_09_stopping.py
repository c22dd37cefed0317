"""Chapter 9. Stopping tasks, and stopping workers."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from coordq import Client, State
from coordq.errors import TaskCancelled
from tests.manual.conftest import Shell
from tests.waiting import wait_until

AGENTS = '''
import asyncio
import os
import signal
from pathlib import Path

from coordq import Agent, Context

agent = Agent("runner")


@agent.task
async def run(ctx: Context, flag: str) -> str:
    """Runs until the file `flag` is there; tidies up when it is stopped."""
    try:
        while not Path(flag).exists():
            await asyncio.sleep(0.02)
        return f"attempt {ctx.attempt}"
    finally:
        ctx.log("tidied up")


@agent.task
async def crash_once(flag: str) -> str:
    """Takes its whole process down, the first time."""
    if not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"
'''


def start(client: Client, flag: Path) -> str:
    """The id of a task that runs until `flag` exists."""
    handle = client.work.enqueue("run", {"flag": str(flag)})
    wait_until(lambda: handle.get().state is State.RUNNING)
    return handle.id


def test_a_waiting_task_is_cancelled_at_once(client: Client) -> None:
    """Nobody will start it any more."""
    handle = client.work.enqueue("run", {"flag": "x"}, queue="later")
    handle.cancel("no longer needed")

    with pytest.raises(TaskCancelled, match="no longer needed"):
        handle.result(timeout=60)


def test_a_running_task_is_told_to_stop(client: Client, shell: Shell, tmp_path: Path) -> None:
    """An async handler is interrupted at its next `await`, and may tidy up."""
    with shell.start("worker", "agents.py") as worker:
        task_id = start(client, tmp_path / "never")
        assert client.work.cancel(task_id).requested

        with pytest.raises(TaskCancelled):
            client.work.result(task_id, timeout=60)
        worker.terminate()
    assert client.work.logs(task_id) == ["tidied up"]


def test_a_worker_that_is_told_to_end_finishes_first(
    client: Client, shell: Shell, tmp_path: Path
) -> None:
    """TERM: claim nothing new, let running tasks end, go. That is what a deployment wants."""
    flag = tmp_path / "go"
    with shell.start("worker", "agents.py") as worker:
        task_id = start(client, flag)
        worker.send_signal(signal.SIGTERM)
        flag.touch()

        assert worker.wait(60) == 0
    assert client.work.result(task_id, timeout=60) == "attempt 1"


def test_what_a_drain_cuts_off_goes_back(client: Client, shell: Shell, tmp_path: Path) -> None:
    """After `--drain-timeout` a task goes back to its queue, and its attempt is not counted."""
    flag = tmp_path / "go"
    with shell.start("worker", "agents.py", "--drain-timeout", "0.2s") as worker:
        task_id = start(client, flag)
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    assert (client.work.get(task_id).state, client.work.get(task_id).attempt) == ("ready", 0)

    flag.touch()
    shell("worker", "agents.py", "--burst")
    assert client.work.result(task_id, timeout=60) == "attempt 1"


@pytest.mark.chaos
def test_a_crash_loses_nothing(client: Client, shell: Shell, tmp_path: Path) -> None:
    """A child that is killed has its tasks given back at once; the crash counts as a strike."""
    handle = client.work.enqueue("crash_once", {"flag": str(tmp_path / "crashed")})
    shell("worker", "agents.py", "--burst")

    assert handle.result(timeout=60) == "survived"
    assert handle.get().strikes == 1
