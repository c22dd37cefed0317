"""What may happen around every task of an agent, and what it may and may not change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from coordq.client.client import connect
from coordq.errors import InvalidAgent, InvalidInput
from coordq.work.agent import Agent
from coordq.work.context import Context
from coordq.work.middleware import Hooks, Middleware, Outgoing
from coordq.work.signals import Reject, Retry, Signal, Snooze
from tests.claims import claim_of, error_of, executed, outcome_of


class Recorder(Middleware):
    """Writes down every hook that is called."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log

    def note(self, hook: str) -> None:
        self.log.append(f"{self.name} {hook}")

    def before_enqueue(self, order: Outgoing) -> None:
        self.note("before_enqueue")

    def after_enqueue(self, order: Outgoing, handle: Any) -> None:
        self.note("after_enqueue")

    async def before_worker_boot(self) -> None:
        self.note("before_worker_boot")

    def after_worker_boot(self) -> None:
        self.note("after_worker_boot")

    async def before_worker_shutdown(self) -> None:
        self.note("before_worker_shutdown")

    def before_run(self, ctx: Context, args: Mapping[str, Any]) -> None:
        self.note(f"before_run {dict(args)}")

    async def wrap_run(self, ctx: Context, call_next: Callable[[], Any]) -> Any:
        self.note("enter")
        try:
            return await call_next()
        finally:
            self.note("leave")

    async def after_run(
        self, ctx: Context, *, result: Any = None, error: BaseException | None = None
    ) -> None:
        self.note(f"after_run {result} {error!r}")

    def after_skip(self, ctx: Context, signal: Signal) -> None:
        self.note(f"after_skip {signal!r}")

    def on_retry(self, ctx: Context, *, error: Mapping[str, str], delay: float) -> None:
        self.note(f"on_retry {error['type']} {delay:g}")

    async def on_dead(self, ctx: Context, *, error: Mapping[str, str]) -> None:
        self.note(f"on_dead {error['reason']}")

    def on_cancel(self, ctx: Context) -> None:
        self.note("on_cancel")


def test_hooks_run_like_layers_of_an_onion() -> None:
    """The first in the list is the outermost: first in, last out."""
    log: list[str] = []
    agent = Agent("a", middleware=[Recorder("outer", log), Recorder("inner", log)])

    @agent.task
    async def double(n: int) -> int:
        log.append("run")
        return 2 * n

    outcome_of(agent, claim_of(double, n=2))

    assert log == [
        "outer before_worker_boot",
        "inner before_worker_boot",
        "inner after_worker_boot",
        "outer after_worker_boot",
        "outer before_run {'n': 2}",
        "inner before_run {'n': 2}",
        "outer enter",
        "inner enter",
        "run",
        "inner leave",
        "outer leave",
        "inner after_run 4 None",
        "outer after_run 4 None",
        "outer before_worker_shutdown",
        "inner before_worker_shutdown",
    ]


def test_sync_handlers_are_wrapped_as_well() -> None:
    """A trace does not care in which thread the work was done."""
    log: list[str] = []
    agent = Agent("a", middleware=[Recorder("m", log)])

    @agent.task
    def double(n: int) -> int:
        return 2 * n

    assert outcome_of(agent, claim_of(double, n=4)).body == b"8"
    assert "m after_run 8 None" in log


def test_a_retry_and_a_dead_letter_are_announced() -> None:
    """With the error, as it will be stored."""
    log: list[str] = []
    agent = Agent("a", middleware=[Recorder("m", log)])

    @agent.task(max_attempts=2)
    async def fail() -> None:
        raise ValueError("no")

    outcome_of(agent, claim_of(fail), chance=lambda: 0.5)
    outcome_of(agent, claim_of(fail, attempt=2))
    outcome_of(agent, claim_of(fail, args=b'{"x":1}'))

    told = [line for line in log if "on_" in line]
    assert told == [
        "m on_retry ValueError 0.5",
        "m on_dead exception",
        "m on_dead invalid-arguments",
    ]


def test_a_cancel_is_announced() -> None:
    """And after_run sees that the handler was cut off."""
    log: list[str] = []
    agent = Agent("a", middleware=[Recorder("m", log)])
    started = asyncio.Event()

    @agent.task
    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    async def steps(executor: Any) -> Any:
        claim = claim_of(wait)
        running = asyncio.create_task(executor.run(claim))
        await started.wait()
        executor.cancel(claim.member)
        return await running

    assert executed(agent, steps).kind == "cancelled"
    assert log[-3:-1] == ["m after_run None CancelledError()", "m on_cancel"]


@pytest.mark.parametrize(
    ("signal", "kind"), [(Snooze(3), "snooze"), (Reject("no"), "failed"), (Retry(1), "retry")]
)
def test_before_run_may_decide_that_the_task_does_not_run(signal: Signal, kind: str) -> None:
    """A rate limit or a policy belongs into one place, not into every handler."""
    log: list[str] = []

    class Gate(Middleware):
        async def before_run(self, ctx: Context, args: Mapping[str, Any]) -> None:
            raise signal

    agent = Agent("a", middleware=[Recorder("m", log), Gate()])

    @agent.task
    async def never() -> None:
        log.append("run")

    assert outcome_of(agent, claim_of(never)).kind == kind
    assert "run" not in log
    assert f"m after_skip {signal!r}" in log


def test_before_run_that_breaks_fails_the_run() -> None:
    """A policy that cannot be asked has not said yes."""

    class Broken(Middleware):
        def before_run(self, ctx: Context, args: Mapping[str, Any]) -> None:
            raise LookupError("policy server")

    agent = Agent("a", middleware=[Broken()])

    @agent.task
    async def never() -> None: ...

    outcome = outcome_of(agent, claim_of(never))

    assert outcome.kind == "retry"
    assert error_of(outcome)["type"] == "LookupError"


def test_an_after_hook_that_breaks_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The work is done; what watches it has no say."""

    class Broken(Middleware):
        def after_run(self, ctx: Context, *, result: Any = None, error: Any = None) -> None:
            raise LookupError("metrics server")

    agent = Agent("a", middleware=[Broken()])

    @agent.task
    async def fine() -> int:
        return 1

    assert outcome_of(agent, claim_of(fine)).kind == "succeeded"
    assert "after_run failed" in caplog.text


def test_a_hook_that_hangs_is_left(caplog: pytest.LogCaptureFixture) -> None:
    """An outcome is not held back for ever by somebody who only wanted to know."""

    class Slow(Middleware):
        async def after_run(self, ctx: Context, *, result: Any = None, error: Any = None) -> None:
            await asyncio.Event().wait()

    agent = Agent("a", middleware=[Slow()])

    @agent.task
    async def fine() -> int:
        return 1

    assert outcome_of(agent, claim_of(fine), grace_s=0.05).kind == "succeeded"
    assert "took longer" in caplog.text


def test_wrap_run_may_replace_result_and_error() -> None:
    """It is part of the run."""

    class Cache(Middleware):
        async def wrap_run(self, ctx: Context, call_next: Callable[[], Any]) -> Any:
            try:
                return await call_next()
            except KeyError:
                return "from the cache"

    agent = Agent("a", middleware=[Cache()])

    @agent.task
    async def fail() -> str:
        raise KeyError

    assert json.loads(outcome_of(agent, claim_of(fail)).body) == "from the cache"


def test_enqueue_hooks_see_and_edit_what_is_sent() -> None:
    """A trace context travels in the headers, and the handler finds it there."""
    log: list[str] = []

    class Tracing(Middleware):
        def before_enqueue(self, order: Outgoing) -> None:
            order.set_header("trace", f"{order.name}-1")

        def after_enqueue(self, order: Outgoing, handle: Any) -> None:
            log.append(handle.id)

    agent = Agent("a", middleware=[Tracing()])

    @agent.task
    async def show(n: int) -> None: ...

    with connect("fake://") as client:
        handle = show.options(headers={"mine": "yes"}).enqueue(client, 1)
        spec = handle.get().spec

    assert spec.headers == {"mine": "yes", "trace": "show-1"}
    assert log == [handle.id]


def test_before_enqueue_may_refuse(namespace: str) -> None:
    """Then nothing is sent."""

    class Closed(Middleware):
        def before_enqueue(self, order: Outgoing) -> None:
            raise InvalidInput("closed for today")

    agent = Agent("a", middleware=[Closed()])

    @agent.task
    async def never() -> None: ...

    with connect("fake://", namespace=namespace) as client:
        with pytest.raises(InvalidInput, match="closed for today"):
            never.enqueue(client)
        assert client.work.ls(name="never") == []


def test_after_enqueue_that_breaks_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The task is in the queue, so the caller gets its handle."""

    class Broken(Middleware):
        def after_enqueue(self, order: Outgoing, handle: Any) -> None:
            raise LookupError("metrics server")

    agent = Agent("a", middleware=[Broken()])

    @agent.task
    async def fine() -> None: ...

    with connect("fake://") as client:
        assert fine.enqueue(client).created
    assert "after_enqueue failed" in caplog.text


def test_hooks_nobody_overrides_cost_nothing() -> None:
    """An agent without middleware, or with an idle one, runs on the short way."""
    assert not Hooks([]).runs
    assert not Hooks([Middleware()]).runs


class AsyncEnqueue(Middleware):
    """A hook that sync producers could not call."""

    async def before_enqueue(self, order: Outgoing) -> None: ...  # type: ignore[override]


class Misspelt(Middleware):
    """A hook that nobody would ever call."""

    def befor_run(self, ctx: Context, args: Mapping[str, Any]) -> None: ...


@pytest.mark.parametrize(
    ("middleware", "problem"),
    [
        ([Recorder], "not an instance"),
        ([object()], "not an instance"),
        (["tracing"], "not an instance"),
        ("tracing", "is not a list"),
        (7, "is not a list"),
        ([AsyncEnqueue()], "use def"),
        ([Misspelt()], "did you mean before_run"),
    ],
)
def test_what_is_not_middleware_is_refused(middleware: Any, problem: str) -> None:
    """When the agent is defined."""
    with pytest.raises(InvalidAgent, match=problem):
        Agent("a", middleware=middleware)
