"""Claims made by hand, for tests of what happens between a claim and its outcome."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from coordq.ids import new_id
from coordq.runtime.executor import Executor
from coordq.work.agent import Agent
from coordq.work.claim import Claim
from coordq.work.finish import Outcome
from coordq.work.progress import Progress
from coordq.work.spec import Spec
from coordq.work.typed import TaskFunction


def claim_of(task: Any, *, attempt: int = 1, args: bytes | None = None, **given: Any) -> Claim:
    """A claim of a task, with the options of a Spec and the task's arguments as keywords."""
    name = task.name if isinstance(task, TaskFunction) else task
    spec = {key: given.pop(key) for key in list(given) if key in Spec.__slots__}
    body = json.dumps(given).encode() if args is None else args
    task_id = new_id()
    return Claim(
        task_id,
        7,
        1,
        attempt,
        0,
        Spec(**{"queue": "default", "name": name, **spec}),
        body,
        f"{task_id}|7",
    )


def executed(agent: Agent, steps: Callable[[Executor], Awaitable[Any]], **settings: Any) -> Any:
    """What `steps` gives with a running executor of one agent."""

    async def run() -> Any:
        executor = Executor([agent], **settings)
        await executor.boot()
        try:
            return await asyncio.wait_for(steps(executor), 200)
        finally:
            await executor.close()

    return asyncio.run(run())


def outcome_of(agent: Agent, claim: Claim, **settings: Any) -> Outcome:
    """The outcome of a claim."""
    outcome = executed(agent, lambda executor: executor.run(claim), **settings)
    assert isinstance(outcome, Outcome)
    return outcome


def error_of(outcome: Outcome | None) -> dict[str, str]:
    """What a failed, retried or cancelled outcome says."""
    assert outcome is not None
    error = json.loads(outcome.body)
    assert set(error) == {"type", "message", "traceback", "reason"}
    return dict(error)


def agent_of(fn: Callable[..., Any], **options: Any) -> tuple[Agent, Any]:
    """An agent with one task."""
    agent = Agent("a")
    return agent, agent.task(**options)(fn)


def end_of(fn: Callable[..., Any], *, attempt: int = 1, **given: Any) -> Outcome:
    """How one run of `fn` ends, as the only task of an agent."""
    agent, task = agent_of(fn)
    return outcome_of(agent, claim_of(task, attempt=attempt, **given), chance=lambda: 0.5)


class Heard:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def progress(self, claim: Any, progress: Progress, /) -> None:
        self.said.append((claim.id, progress))

    def log(self, claim: Any, line: str, /) -> None:
        self.said.append((claim.id, line))
