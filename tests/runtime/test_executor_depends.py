"""What is opened around a run is closed after it, whatever happened."""

# ruff: noqa: ARG001, B008 - handlers need not use what they take; Depends stands in defaults

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from coordq.errors import InvalidAgent
from coordq.runtime.executor import Executor
from coordq.work.agent import Agent
from coordq.work.depends import Depends
from coordq.work.signals import Snooze
from tests.claims import agent_of, claim_of, end_of, error_of, executed, outcome_of


class Strange:
    """A type that JSON knows nothing about."""


def journal(scope: Any = "task") -> tuple[Any, list[str]]:
    log: list[str] = []

    async def session() -> AsyncIterator[str]:
        log.append("open")
        try:
            yield "session"
        except BaseException as error:
            log.append(type(error).__name__)
            raise
        finally:
            log.append("close")

    return Depends(session, scope=scope), log


def test_the_task_s_dependencies_close_after_success_failure_and_cancel() -> None:
    """Always, and they see what happened."""
    dependency, log = journal()

    async def fine(it: Any = dependency) -> Any:
        return it

    async def broken(it: Any = dependency) -> None:
        raise ValueError

    async def waiting(it: Any = dependency) -> None:
        await asyncio.Event().wait()

    assert end_of(fine).body == b'"session"'
    assert end_of(broken).kind == "retry"
    assert end_of(waiting, timeout_ms=20).kind == "retry"
    assert log == [
        "open",
        "close",
        "open",
        "ValueError",
        "close",
        "open",
        "CancelledError",
        "close",
    ]


def test_sync_handlers_get_theirs_as_well() -> None:
    """Opened before the thread is asked for."""
    dependency, log = journal()

    def fine(it: Any = dependency) -> Any:
        return it

    assert end_of(fine).body == b'"session"'
    assert log == ["open", "close"]


def test_the_worker_s_dependencies_close_when_the_worker_does() -> None:
    """Not after each task."""
    dependency, log = journal("worker")

    async def use(it: Any = dependency) -> None:
        log.append("use")

    agent, task = agent_of(use)

    async def steps(executor: Executor) -> None:
        await asyncio.gather(*(executor.run(claim_of(task)) for _ in range(3)))

    executed(agent, steps)
    assert log == ["open", "use", "use", "use", "close"]


def test_a_commit_that_fails_is_a_failure_of_the_task() -> None:
    """A task that says it is done must have done it."""

    def session() -> Iterator[None]:
        yield
        raise OSError("the disk is full")

    async def save(it: Any = Depends(session)) -> str:
        return "saved"

    end = end_of(save)

    assert end.kind == "retry"
    assert (error_of(end)["type"], error_of(end)["reason"]) == ("OSError", "dependency")


def test_a_provider_cannot_turn_a_failure_into_a_success() -> None:
    """Swallowing the exception, as a `with` block may, is not an answer."""

    def lenient() -> Iterator[None]:
        try:
            yield
        except ValueError:
            return

    async def broken(it: Any = Depends(lenient)) -> None:
        raise ValueError("no")

    assert error_of(end_of(broken))["message"] == "no"


def test_a_dependency_that_cannot_be_opened_fails_the_run() -> None:
    """With its own reason, so that a broken database is not mistaken for broken code."""

    async def database() -> None:
        raise ConnectionError("down")

    async def use(it: Any = Depends(database)) -> None: ...

    end = end_of(use)

    assert (end.kind, error_of(end)["reason"]) == ("retry", "dependency")


def test_a_provider_may_signal() -> None:
    """A rate limiter can be a dependency."""

    async def limiter() -> None:
        raise Snooze(4)

    async def use(it: Any = Depends(limiter)) -> None: ...

    assert (end_of(use).kind, end_of(use).delay_ms) == ("snooze", 4000)


def test_an_agent_s_dependencies_open_around_every_task() -> None:
    """Without being passed to any."""
    dependency, log = journal()
    agent = Agent("a", dependencies=[dependency])

    @agent.task
    async def plain() -> None:
        log.append("run")

    outcome_of(agent, claim_of(plain))
    assert log == ["open", "run", "close"]


def test_a_hint_nobody_can_read_stops_the_worker_and_not_a_task() -> None:
    """It is found when the worker starts."""

    def handler(strange: Strange) -> None: ...

    agent, _ = agent_of(handler)

    async def steps(executor: Executor) -> None: ...

    with pytest.raises(InvalidAgent, match="'strange'"):
        executed(agent, steps)
