"""Chapter 23. A task waits for other tasks, for a person, for a signal or for a moment.

While it waits it holds no slot, no lease and no process: the run ends, and the handler is run
again from its start when what it waits for has come. The same call returns at once then. So what
a handler does before a wait is done again; what must not happen twice belongs into a task of its
own, made with `ctx.spawn`, or behind a checkpoint.
"""

from __future__ import annotations

import pytest

from coordq import Client, State
from tests.waiting import wait_until

AGENTS = """
from coordq import Agent, Context
from coordq.errors import ApprovalRejected, WaitExpired

agent = Agent("worker")


@agent.task
async def square(n: int) -> int:
    return n * n


@agent.task(max_attempts=1)
async def broken() -> None:
    raise ValueError("no")


@agent.task
async def total(ctx: Context, numbers: list[int]) -> int:
    parts = [await ctx.spawn(square, {"n": n}) for n in numbers]
    return sum(await ctx.wait_for(parts))


@agent.task
def total_in_a_thread(ctx: Context, numbers: list[int]) -> int:
    parts = [ctx.spawn(square, {"n": n}) for n in numbers]
    return sum(ctx.wait_for(parts))


@agent.task
async def careful(ctx: Context) -> list[str]:
    parts = [await ctx.spawn("square", {"n": 3}), await ctx.spawn("broken")]
    good, bad = await ctx.wait_for(parts, return_errors=True)
    return [str(good), bad.code]


@agent.task
async def deploy(ctx: Context, version: str) -> str:
    try:
        said = await ctx.wait_approval("deploy", timeout=3600)
    except ApprovalRejected as no:
        return f"not deployed: {no.by} said {no.note}"
    return f"{version} deployed to {said['region']}"


@agent.task
async def listen(ctx: Context) -> str:
    weather = await ctx.wait_signal("weather")
    try:
        await ctx.wait_signal("thunder", timeout=0.1)
    except WaitExpired:
        return f"{weather}, and nothing since"
    return "two"


@agent.task
async def nap(ctx: Context) -> int:
    await ctx.sleep(0.2)
    return ctx.attempt
"""
pytestmark = pytest.mark.usefixtures("worker")


def suspended(client: Client, task_id: str) -> None:
    """Wait until a task waits."""
    wait_until(lambda: client.work.get(task_id).state is State.SUSPENDED)


@pytest.mark.parametrize("task", ["total", "total_in_a_thread"])
def test_a_task_makes_tasks_and_waits_for_their_results(client: Client, task: str) -> None:
    """In order. The ids follow from the task's own, so a second run makes no second child."""
    assert client.work.run(task, {"numbers": [1, 2, 3]}, wait_for=60) == 14


def test_children_that_fail_raise_or_are_returned(client: Client) -> None:
    """TaskFailed and TaskCancelled, as `handle.result()` raises them."""
    assert client.work.run("careful", wait_for=60) == ["9", "task-failed"]


def test_a_person_decides(client: Client) -> None:
    """`coordq approve <id>` in a shell; whoever approves may say something with it."""
    handle = client.work.enqueue("deploy", {"version": "1.2"})
    suspended(client, handle.id)

    client.flows.approve(handle.id, by="ann", value={"region": "eu"})

    assert handle.result(timeout=60) == "1.2 deployed to eu"


def test_a_person_says_no(client: Client) -> None:
    """An exception with who and why; uncaught it fails the attempt like any other."""
    handle = client.work.enqueue("deploy", {"version": "1.3"})
    suspended(client, handle.id)

    client.flows.reject(handle.id, by="bob", note="not on a Friday")

    assert handle.result(timeout=60) == "not deployed: bob said not on a Friday"


def test_a_signal_wakes_all_who_wait_for_it(client: Client) -> None:
    """With a value for them. A wait may have a timeout; then it raises WaitExpired."""
    handles = [client.work.enqueue("listen") for _ in range(2)]
    for handle in handles:
        suspended(client, handle.id)

    assert client.flows.signal("weather", "rain") == 2
    assert [handle.result(timeout=60) for handle in handles] == ["rain, and nothing since"] * 2


def test_a_sleep_is_a_wait_for_a_moment(client: Client) -> None:
    """Seconds or months: nothing is held, and it costs no attempt."""
    assert client.work.run("nap", wait_for=60) == 1
