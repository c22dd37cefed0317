"""What becomes of a claimed task: every way a handler may succeed or fail."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq import clock
from coordq.errors import CoordqError, InvalidInput
from coordq.runtime.executor import Executor
from coordq.work.agent import Agent
from coordq.work.backoff import Backoff
from coordq.work.claim import Claim
from coordq.work.context import Context
from coordq.work.progress import Progress
from coordq.work.signals import Reject, Retry, Snooze
from tests.claims import Heard, agent_of, claim_of, end_of, error_of, executed, outcome_of


def test_an_async_handler_gives_its_result() -> None:
    """The main road."""

    async def double(n: int) -> int:
        return 2 * n

    done = end_of(double, n=3)

    assert (done.kind, done.body, done.delay_ms, done.fence) == ("succeeded", b"6", 0, 7)


def test_a_sync_handler_runs_in_a_thread_with_the_caller_s_context() -> None:
    """It may block without holding up the others; traces still find it."""
    variable = contextvars.ContextVar("variable", default="")

    def where() -> list[Any]:
        return [threading.current_thread() is threading.main_thread(), variable.get()]

    variable.set("seen")
    assert json.loads(end_of(where).body) == [False, "seen"]


def test_a_sync_handler_may_return_something_to_await() -> None:
    """As a wrapper around an async function does."""

    async def inner() -> str:
        return "inner"

    def outer() -> Any:
        return inner()

    assert end_of(outer).body == b'"inner"'


def test_the_context_tells_what_is_known_of_the_run() -> None:
    """Fence, attempt, deadline and the rest, to be used or passed on."""
    seen: list[Context] = []

    async def look(ctx: Context) -> None:
        seen.append(ctx)

    agent, task = agent_of(look, max_attempts=9)
    claim = claim_of(task, attempt=2, timeout_ms=5000, headers={"trace": "t"})
    started = clock.monotonic()
    outcome_of(agent, claim)
    ctx = seen[0]

    assert (ctx.task_id, ctx.fence, ctx.attempt, ctx.max_attempts) == (claim.id, 7, 2, 9)
    assert (ctx.name, ctx.queue, ctx.agent, ctx.headers) == ("look", "default", "a", {"trace": "t"})
    assert ctx.idempotency_key == f"coordq:{claim.id}"
    assert ctx.deadline is not None
    assert started + 5 <= ctx.deadline <= clock.monotonic() + 5
    assert 0 < (ctx.remaining() or 0) <= 5
    assert not ctx.cancelled


def test_progress_and_log_reach_the_reporter_from_any_thread() -> None:
    """Cheap to call, and never in the way."""
    heard = Heard()

    def sync(ctx: Context) -> None:
        ctx.progress(1, 2, "half", unit="files", blockers=["a key"], remaining=9)
        ctx.log("hello")

    async def quick(ctx: Context) -> None:
        ctx.progress(3)
        ctx.log(ValueError("any object"))

    for fn in (sync, quick):
        agent, task = agent_of(fn)
        outcome_of(agent, claim_of(task), reporter=heard)

    assert [entry[1:] for entry in heard.said] == [
        (Progress(1, 2, "half", "files", ("a key",), 9),),
        ("hello",),
        (Progress(3),),
        ("any object",),
    ]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), "1", None, True])
def test_progress_that_is_no_number_is_refused(wrong: Any) -> None:
    """In the handler, where it can be seen."""

    async def report(ctx: Context) -> None:
        with pytest.raises(InvalidInput):
            ctx.progress(wrong)
        with pytest.raises(InvalidInput):
            ctx.progress(1, wrong or "x")  # type: ignore[arg-type]

    assert end_of(report).kind == "succeeded"


def test_the_client_is_made_on_first_use_and_of_the_right_kind() -> None:
    """Async handlers get the async one; those that need none cost none."""
    asked: list[bool] = []

    def provide(asynchronous: bool) -> str:  # noqa: FBT001 - as asked
        asked.append(asynchronous)
        return "client"

    async def quick(ctx: Context) -> str:
        return str(ctx.client) + str(ctx.client)

    def sync(ctx: Context) -> str:
        return str(ctx.client)

    async def without(ctx: Context) -> None: ...

    for fn in (quick, sync, without):
        agent, task = agent_of(fn)
        outcome_of(agent, claim_of(task), provider=provide)

    assert asked == [True, False]


def test_a_missing_client_is_named() -> None:
    """A handler that is run by hand has none."""

    async def use(ctx: Context) -> None:
        with pytest.raises(CoordqError, match="not available"):
            _ = ctx.client

    assert end_of(use).kind == "succeeded"


async def fail() -> None:
    raise ValueError("no")


def test_an_exception_is_tried_again_after_the_backoff() -> None:
    """With what happened, for whoever looks."""
    again = end_of(fail)
    error = error_of(again)

    assert (again.kind, again.delay_ms) == ("retry", 500)
    assert (error["type"], error["message"], error["reason"]) == ("ValueError", "no", "exception")
    assert 'raise ValueError("no")' in error["traceback"]
    assert "coordq/runtime" not in error["traceback"]


def test_the_last_attempt_makes_a_dead_letter() -> None:
    """Three by default."""
    assert [end_of(fail, attempt=n).kind for n in (1, 2, 3)] == ["retry", "retry", "failed"]


def test_what_the_producer_asked_for_comes_before_what_the_task_says() -> None:
    """And the task's own settings before the defaults."""
    agent, task = agent_of(fail, max_attempts=7, backoff=Backoff.fixed(5))
    own = outcome_of(agent, claim_of(task, attempt=6))
    asked = outcome_of(agent, claim_of(task, attempt=6, max_attempts=6))
    backed = outcome_of(agent, claim_of(task, backoff=Backoff.fixed(9)))

    assert (own.kind, own.delay_ms) == ("retry", 5000)
    assert asked.kind == "failed"
    assert backed.delay_ms == 9000


def test_an_exception_not_worth_another_attempt_ends_the_task() -> None:
    """A 404 does not get better by asking again."""
    agent, task = agent_of(fail, give_up_on=ValueError)

    assert outcome_of(agent, claim_of(task)).kind == "failed"


@pytest.mark.parametrize(
    ("signal", "kind", "delay_ms", "reason"),
    [
        (Retry(), "retry", 500, "exception"),
        (Retry(9), "retry", 9000, "exception"),
        (Retry(9, "rate limit"), "retry", 9000, "exception: rate limit"),
        (Snooze(3), "snooze", 3000, None),
        (Reject("bad page"), "failed", 0, "rejected: bad page"),
        (Reject('say "\n\\x"'), "failed", 0, "rejected: say ' /x'"),
    ],
)
def test_a_signal_says_what_is_next(
    signal: Exception, kind: str, delay_ms: int, reason: str | None
) -> None:
    """From async and sync handlers alike."""

    async def quick() -> None:
        raise signal

    def sync() -> None:
        raise signal

    for fn in (quick, sync):
        end = end_of(fn)
        assert (end.kind, end.delay_ms) == (kind, delay_ms)
        assert reason is None or error_of(end)["reason"] == reason


def test_retry_on_the_last_attempt_makes_a_dead_letter() -> None:
    """A signal cannot be used to go on for ever; Snooze is there for waiting."""

    async def again() -> None:
        raise Retry(1)

    async def later() -> None:
        raise Snooze(1)

    assert end_of(again, attempt=3).kind == "failed"
    assert end_of(later, attempt=99).kind == "snooze"


@pytest.mark.parametrize("args", [b"{}", b'{"n":"x"}', b'{"n":1,"m":2}', b"[]", b"", b"\xff"])
def test_arguments_that_do_not_fit_make_a_dead_letter_at_once(args: bytes) -> None:
    """No repetition can mend them."""

    async def double(n: int) -> int:
        return 2 * n

    dead = end_of(double, args=args)

    assert dead.kind == "failed"
    assert error_of(dead)["reason"] == "invalid-arguments"
    assert "double" in error_of(dead)["message"]


def test_a_task_nobody_here_knows_is_left_to_others() -> None:
    """A newer worker may know it; its attempt is refunded."""
    left = outcome_of(Agent("a"), claim_of("other"))

    assert (left.kind, left.delay_ms) == ("snooze", 5000)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "result-not-json"),
        (float("nan"), "result-not-json"),
        ({"a": {1, 2, object()}}, "result-not-json"),
        ("\ud800", "result-not-json"),
        ("x" * 1001, "result-too-large"),
    ],
)
def test_a_result_that_cannot_be_kept_makes_a_dead_letter(value: Any, reason: str) -> None:
    """The work is done, so doing it again would not help."""

    async def give() -> Any:
        return value

    agent, task = agent_of(give)
    dead = outcome_of(agent, claim_of(task), result_max=1000)

    assert dead.kind == "failed"
    assert error_of(dead)["reason"] == reason


@pytest.mark.parametrize(
    "kind", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError]
)
@pytest.mark.parametrize("sync", [False, True])
def test_nothing_a_handler_raises_gets_out(kind: type[BaseException], sync: bool) -> None:  # noqa: FBT001
    """sys.exit() in a library ends the task, not the worker."""

    async def quick() -> None:
        raise kind

    def slow() -> None:
        raise kind

    end = end_of(slow if sync else quick)

    assert end.kind == "retry"
    assert error_of(end)["reason"] == "exception"


class Unspeakable(Exception):
    """An exception that cannot even be printed."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


def recurse() -> None:
    recurse()


def chain() -> None:
    try:
        dict[str, int]()["first"]
    except KeyError as error:
        raise ValueError("second") from error


@pytest.mark.parametrize(
    "raises",
    [
        lambda: (_ for _ in ()).throw(Unspeakable()),
        lambda: (_ for _ in ()).throw(ValueError("\ud800 half")),
        lambda: (_ for _ in ()).throw(ValueError("x" * 1_000_000)),
        lambda: (_ for _ in ()).throw(ValueError("line\n" * 100_000)),
        lambda: (_ for _ in ()).throw(ValueError("\0")),
        lambda: next(iter(())),
        lambda: exec(compile("raise ValueError", "no such file", "exec")),  # noqa: S102
        recurse,
        chain,
    ],
)
def test_every_error_can_be_told_and_is_bounded(raises: Callable[[], Any]) -> None:
    """The record in Redis stays small and readable, whatever was raised."""

    def handler() -> None:
        raises()

    end = end_of(handler)
    error = error_of(end)

    assert end.kind == "retry"
    assert len(error["message"]) <= 2_000
    assert len(error["traceback"]) <= 8_192
    assert len(end.body) < 40_000


def test_a_long_traceback_keeps_its_end() -> None:
    """That is where the error is."""
    trace = error_of(end_of(recurse))["traceback"]

    assert trace.rstrip().splitlines()[-1].startswith("RecursionError")


@given(st.text(), st.text())
def test_whatever_is_said_the_report_is_json(message: str, reason: str) -> None:
    """Its reason is on one line and needs no escaping: scripts look for it as text."""

    async def handler() -> None:
        raise ValueError(message) from Retry(1, reason)

    async def reject() -> None:
        raise Reject(reason)

    error_of(end_of(handler))
    body = end_of(reject).body
    assert f'"reason":"{error_of(end_of(reject))["reason"]}"'.encode() in body


def test_a_thousand_tasks_at_once_leave_nothing_behind() -> None:
    """Mixed ends, one executor, nothing kept."""
    agent = Agent("a")

    @agent.task
    async def mixed(n: int) -> int:
        await asyncio.sleep(0)
        if n % 3 == 0:
            raise ValueError
        if n % 3 == 1:
            await asyncio.Event().wait()
        return n

    def claims() -> list[Claim]:
        return [claim_of(mixed, n=n, timeout_ms=50 if n % 3 == 1 else 0) for n in range(1000)]

    async def steps(executor: Executor) -> list[str]:
        ends = await asyncio.gather(*map(executor.run, claims()))
        assert executor.running == 0
        return [end.kind for end in ends if end]

    kinds = executed(agent, steps)

    assert (kinds.count("retry"), kinds.count("succeeded")) == (667, 333)
