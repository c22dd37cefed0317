"""How a running task is stopped: by its time limit, and from outside."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from coordq.runtime.executor import Executor
from coordq.work.agent import Agent
from coordq.work.context import Context
from coordq.work.finish import Outcome
from tests.claims import Heard, agent_of, claim_of, end_of, error_of, executed, outcome_of
from tests.waiting import wait_until_async


def test_an_async_handler_out_of_time_is_interrupted_and_tried_again() -> None:
    """Its cleaning up is done before the outcome is reported."""
    log: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            log.append("cleaned up")

    late = end_of(slow, timeout_ms=20)

    assert (late.kind, error_of(late)["reason"]) == ("retry", "timeout")
    assert "0.02 s" in error_of(late)["message"]
    assert log == ["cleaned up"]
    assert end_of(slow, timeout_ms=20, attempt=3).kind == "failed"


def test_the_task_s_own_time_limit_counts_when_the_producer_gave_none() -> None:
    """A producer without the code does not know it."""

    async def slow() -> None:
        await asyncio.Event().wait()

    agent, task = agent_of(slow, timeout=0.02)

    assert error_of(outcome_of(agent, claim_of(task)))["reason"] == "timeout"


def test_a_sync_handler_out_of_time_is_reported_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """A thread cannot be stopped: it is told, left alone, and what it says later is dropped."""
    go, heard, seen = threading.Event(), Heard(), []

    def slow(ctx: Context) -> str:
        seen.append(ctx)
        go.wait(200)
        ctx.log("too late")
        return "too late"

    agent, task = agent_of(slow)

    async def steps(executor: Executor) -> Outcome | None:
        for timeout_ms in (20, 2_000, 100_000):  # a busy machine may need long to begin a thread
            end = await executor.run(claim_of(task, timeout_ms=timeout_ms))
            if executor.stuck:
                break
        assert executor.stuck == 1
        await wait_until_async(lambda: seen, what="the handler's first line")
        assert seen[0].cancelled
        go.set()
        await wait_until_async(lambda: executor.stuck == 0)
        await wait_until_async(lambda: "its result is dropped" in caplog.text, what="a warning")
        return end

    with caplog.at_level(logging.WARNING):
        late = executed(agent, steps, reporter=heard)

    assert (late.kind, error_of(late)["reason"]) == ("retry", "timeout")
    assert heard.said == []


def test_threads_that_are_stuck_starve_nobody() -> None:
    """Ten handlers that hang leave a pool of one as able as before."""
    go = threading.Event()

    def hang() -> None:
        go.wait(200)

    agent, stuck = agent_of(hang)

    @agent.task
    def fine() -> int:
        return 1

    async def steps(executor: Executor) -> list[str]:
        for _ in range(10):
            await executor.run(claim_of(stuck, timeout_ms=10))
        ends = [await executor.run(claim_of(fine)) for _ in range(20)]
        go.set()
        return [end.kind for end in ends if end]

    assert executed(agent, steps, threads=1) == ["succeeded"] * 20


def test_sync_handlers_share_the_threads_they_are_given() -> None:
    """No more at a time than asked for, and all get their turn."""
    most, now, lock = [0], [0], threading.Lock()

    def work(n: int) -> int:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        os.sched_yield()
        with lock:
            now[0] -= 1
        return n

    agent, task = agent_of(work)

    async def steps(executor: Executor) -> list[bytes]:
        runs = [executor.run(claim_of(task, n=n)) for n in range(200)]
        return [end.body for end in await asyncio.gather(*runs) if end]

    assert executed(agent, steps, threads=3) == [str(n).encode() for n in range(200)]
    assert most[0] <= 3


async def sleeper() -> None:
    await asyncio.Event().wait()


def stopped(fn: Callable[..., Any], *reasons: str, **settings: Any) -> Outcome | None:
    """How a run ends that was told to stop once it had started."""
    started = threading.Event()

    async def started_async(*args: Any) -> Any:
        started.set()
        return await fn(*args)

    def started_sync(*args: Any) -> Any:
        started.set()
        return fn(*args)

    wrapper: Any = started_async if asyncio.iscoroutinefunction(fn) else started_sync
    wrapper.__wrapped__ = fn
    agent, task = agent_of(wrapper, name="task")

    async def steps(executor: Executor) -> Outcome | None:
        claim = claim_of(task)
        running = asyncio.create_task(executor.run(claim))
        await asyncio.to_thread(started.wait, 60)
        for reason in reasons:
            assert executor.cancel(claim.member, reason)
        end = await running
        assert not executor.cancel(claim.member)
        assert executor.running == 0
        assert running.cancelling() == 0
        return end

    end: Outcome | None = executed(agent, steps, **settings)
    return end


@pytest.mark.parametrize(
    ("reason", "kind", "stored"),
    [
        ("cancelled", "cancelled", "cancelled"),
        ("the customer left", "cancelled", "cancelled"),
        ("shutdown", "release", None),
        ("deadline", "failed", "deadline"),
        ("lost", None, None),
    ],
)
@pytest.mark.parametrize("sync", [False, True])
def test_the_reason_decides_what_is_reported(
    reason: str,
    kind: str | None,
    stored: str | None,
    sync: bool,  # noqa: FBT001
) -> None:
    """A cancel ends the task, a shutdown gives it back, a lost claim has nothing to say."""
    go = threading.Event()

    def blocker() -> None:
        go.wait(200)

    end = stopped(blocker if sync else sleeper, reason)
    go.set()

    assert (end.kind if end else None) == kind
    if stored:
        assert error_of(end)["reason"] == stored
    if reason == "the customer left":
        assert error_of(end)["message"] == reason


def test_the_first_reason_counts_unless_the_claim_is_lost() -> None:
    """Two people may press the button; but nothing is reported for a claim that is not ours."""
    assert getattr(stopped(sleeper, "cancelled", "shutdown"), "kind", None) == "cancelled"
    assert stopped(sleeper, "cancelled", "lost") is None


def test_a_handler_cannot_turn_a_cancel_into_a_success() -> None:
    """Its work may be half done, and somebody already counts on its end."""

    async def swallows() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "fine"

    async def breaks() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while cleaning up")

    for fn in (swallows, breaks):
        assert getattr(stopped(fn, "cancelled"), "kind", None) == "cancelled"
        assert getattr(stopped(fn, "shutdown"), "kind", None) == "release"


def test_a_handler_that_goes_on_regardless_is_interrupted_again() -> None:
    """Until it gives in: a slot is not held for ever by one broad except."""
    tries: list[int] = []

    async def stubborn() -> None:
        while len(tries) < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                tries.append(1)

    end = stopped(stubborn, "cancelled", grace_s=0.02)

    assert getattr(end, "kind", None) == "cancelled"
    assert len(tries) == 3


def test_a_handler_may_ask_whether_to_stop() -> None:
    """The only way for a sync one to end early."""
    ended = threading.Event()

    def polite(ctx: Context) -> None:
        try:
            while True:
                ctx.raise_if_cancelled()
                os.sched_yield()
        finally:
            ended.set()

    assert getattr(stopped(polite, "cancelled"), "kind", None) == "cancelled"
    assert ended.wait(60)


def test_stopping_what_does_not_run_changes_nothing() -> None:
    """The message may be late, or for another child."""

    async def steps(executor: Executor) -> bool:
        return executor.cancel("no|1")

    assert executed(Agent("a"), steps) is False


def test_a_cancellation_from_elsewhere_is_passed_on() -> None:
    """It was not ours to explain; but the handler has ended."""
    log: list[str] = []

    async def careful() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            log.append("cleaned up")

    agent, task = agent_of(careful)

    async def steps(executor: Executor) -> None:
        running = asyncio.create_task(executor.run(claim_of(task)))
        await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert executor.running == 0

    executed(agent, steps)
    assert log == ["cleaned up"]
