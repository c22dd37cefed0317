"""Chapter 1. A task is a name and arguments; somewhere, a worker has an agent that can do it."""

from __future__ import annotations

import subprocess

import pytest

import coordq
from coordq import Client, State
from coordq.errors import TaskFailed, WaitTimeout
from tests.waiting import wait_until

AGENTS = '''
from coordq import Agent

agent = Agent("greeter")


@agent.task
async def greet(name: str) -> str:
    """Async handlers run on the worker's event loop."""
    return f"Hello, {name}!"


@agent.task
def add(a: int, b: int) -> int:
    """Sync handlers run in threads, so they may block."""
    return a + b


@agent.task(max_attempts=1)
async def divide(a: int, b: int) -> float:
    return a / b
'''
pytestmark = pytest.mark.usefixtures("worker")


def test_enqueue_a_task_and_wait_for_its_result(client: Client) -> None:
    """The producer needs the task's name, not its code. Arguments and results are JSON."""
    handle = client.work.enqueue("greet", {"name": "Ada"})

    assert handle.result(timeout=60) == "Hello, Ada!"


def test_run_does_both_in_one_call(client: Client) -> None:
    """`run` enqueues and waits: a remote function call that survives a crash of the worker."""
    assert client.work.run("add", {"a": 2, "b": 3}, wait_for=60) == 5


def test_a_result_is_kept_for_a_while(client: Client) -> None:
    """Ten minutes by default (`result_ttl`): it can be read again, by anybody who has the id."""
    task_id = client.work.enqueue("add", {"a": 1, "b": 1}).id

    assert client.work.result(task_id, timeout=60) == 2
    assert client.work.result(task_id) == 2


def test_a_failure_arrives_as_an_error(client: Client) -> None:
    """What the handler raised is told to who waits, with its type, message and reason."""
    handle = client.work.enqueue("divide", {"a": 1, "b": 0})

    with pytest.raises(TaskFailed, match="division by zero") as caught:
        handle.result(timeout=60)
    assert caught.value.error["type"] == "ZeroDivisionError"


def test_arguments_are_checked_before_the_handler_runs(client: Client) -> None:
    """The type hints are the contract. What does not fit them is a dead letter at once."""
    handle = client.work.enqueue("add", {"a": 2, "b": "three"})

    with pytest.raises(TaskFailed, match="b") as caught:
        handle.result(timeout=60)
    assert caught.value.reason == "invalid-arguments"


def test_waiting_does_not_have_to_be_for_ever(client: Client) -> None:
    """A wait that runs out leaves the task as it is."""
    handle = client.work.enqueue("greet", {"name": "Grace"}, delay=3600)

    with pytest.raises(WaitTimeout):
        handle.result(timeout=0.05)
    assert handle.get().state is State.SCHEDULED


def test_every_task_has_an_id_that_sorts_by_birth(client: Client) -> None:
    """22 characters; later ones are larger. Draw one yourself, and enqueue it safely twice."""
    task_id = coordq.new_id()
    first = client.work.enqueue("add", {"a": 1, "b": 2}, id=task_id)
    again = client.work.enqueue("add", {"a": 1, "b": 2}, id=task_id)

    assert first.id == again.id == task_id
    assert coordq.new_id() > task_id


def test_the_worker_tells_who_it_is(client: Client, worker: subprocess.Popen[str]) -> None:
    """`workers` lists all that are alive, with what they can do and how loaded they are."""
    wait_until(lambda: client.work.workers()[0].info["agents"])
    (one,) = client.work.workers()
    (agent,) = one.info["agents"]

    assert one.info["pid"] == worker.pid
    assert (agent["name"], sorted(agent["tasks"])) == ("greeter", ["add", "divide", "greet"])
