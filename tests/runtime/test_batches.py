"""Batches: one call of a handler for many tasks, each of which stays a task of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, assert_type

import pytest

from coordq.client.client import Client
from coordq.errors import CoordqError, InvalidArguments
from coordq.runtime.executor import Executor
from coordq.work.agent import Agent
from coordq.work.batch import Batch
from coordq.work.claim import Claim
from coordq.work.context import Context
from coordq.work.finish import Outcome
from coordq.work.middleware import Middleware
from coordq.work.signals import Reject, Retry, Snooze
from coordq.work.typed import TaskFunction
from tests.claims import Heard, claim_of, error_of, executed
from tests.runtime.conftest import NewFleet
from tests.waiting import wait_until


@dataclass
class Page:
    """What a task may be about."""

    url: str
    depth: int = 1


LONG = Batch(size=3, delay=60)


def ends(
    agent: Agent,
    claims: list[Claim],
    *,
    meanwhile: Callable[[Executor], object] = lambda _: None,
    **settings: Any,
) -> list[Outcome | None]:
    """How the runs of claims end that were begun together; `meanwhile` may stop some."""

    async def steps(executor: Executor) -> list[Outcome | None]:
        runs = [asyncio.create_task(executor.run(claim)) for claim in claims]
        await asyncio.sleep(0)
        meanwhile(executor)
        return list(await asyncio.gather(*runs))

    result: list[Outcome | None] = executed(agent, steps, **settings)
    return result


def bodies(outcomes: list[Outcome | None]) -> list[Any]:
    """What they gave."""
    return [json.loads(one.body) if one and one.kind == "succeeded" else one for one in outcomes]


def batched(fn: Callable[..., Any], batch: Batch = LONG, **options: Any) -> tuple[Agent, Any]:
    """An agent with one task that takes batches."""
    agent = Agent("a", **{key: options.pop(key) for key in ("middleware",) if key in options})
    return agent, agent.task(batch=batch, **options)(fn)


def test_a_full_batch_is_one_call_and_each_task_gets_its_own_result() -> None:
    """The first does not wait for its time when all places are taken."""
    calls: list[list[int]] = []

    async def double(n: list[int]) -> list[int]:
        calls.append(n)
        return [2 * one for one in n]

    agent, task = batched(double)
    claims = [claim_of(task, n=n) for n in range(6)]

    assert bodies(ends(agent, claims)) == [0, 2, 4, 6, 8, 10]
    assert calls == [[0, 1, 2], [3, 4, 5]]


def test_a_batch_that_does_not_fill_is_called_after_its_delay() -> None:
    """A lone task is not kept for ever. A delay of nothing still takes all that came together."""
    calls: list[int] = []

    def count(n: list[int]) -> list[int]:
        calls.append(len(n))
        return n

    agent, task = batched(count, Batch(size=100, delay=0))

    assert bodies(ends(agent, [claim_of(task, n=n) for n in range(5)])) == [0, 1, 2, 3, 4]
    assert calls == [5]


def test_a_batch_holds_no_more_bytes_than_it_may() -> None:
    """Whoever does not fit begins the next one."""
    calls: list[list[int]] = []

    async def sizes(text: list[str]) -> list[int]:
        calls.append([len(one) for one in text])
        return calls[-1]

    agent, task = batched(sizes, Batch(size=100, delay=0, bytes=100))
    claims = [claim_of(task, text="x" * size) for size in (40, 10, 40, 300)]

    assert bodies(ends(agent, claims)) == [40, 10, 40, 300]
    assert calls == [[40, 10], [40], [300]]


def test_no_batch_waits_for_more_tasks_than_there_are_slots() -> None:
    """A hundred never come to a worker that holds four at a time."""

    async def count(n: list[int]) -> list[int]:
        return [len(n)] * len(n)

    agent, task = batched(count, Batch(size=100, delay=60))

    assert bodies(ends(agent, [claim_of(task, n=n) for n in range(4)], slots=4)) == [4] * 4


def test_parameters_are_columns_and_each_task_is_validated_alone() -> None:
    """One that does not fit is a dead letter; the others never hear of it."""

    async def visit(page: list[Page], tag: list[str]) -> list[str]:
        return [f"{one.url}:{one.depth}:{name}" for one, name in zip(page, tag, strict=True)]

    agent, task = batched(visit, Batch(size=2, delay=60))
    claims = [
        claim_of(task, page={"url": "a"}, tag="x"),
        claim_of(task, page={"depth": 1}, tag="y"),
        claim_of(task, page={"url": "b", "depth": 2}, tag="z"),
    ]
    first, wrong, last = ends(agent, claims)

    assert bodies([first, last]) == ["a:1:x", "b:2:z"]
    assert error_of(wrong)["reason"] == "invalid-arguments"


def test_none_is_the_result_of_all() -> None:
    """For handlers that only do something."""

    async def index(n: list[int]) -> None: ...

    agent, task = batched(index)

    assert bodies(ends(agent, [claim_of(task, n=n) for n in range(3)])) == [None] * 3


def test_one_failure_fails_all_by_their_own_attempts() -> None:
    """Nobody can say which of them it was, so each is judged as if it had run alone."""

    async def fail(n: list[int]) -> None:
        raise ValueError(f"no {n[0]}")

    agent, task = batched(fail)
    claims = [claim_of(task, n=1, attempt=attempt) for attempt in (1, 2, 3)]
    outcomes = ends(agent, claims)

    assert [one and one.kind for one in outcomes] == ["retry", "retry", "failed"]
    assert {error_of(one)["message"] for one in outcomes} == {"no 1"}
    assert all('raise ValueError(f"no' in error_of(one)["traceback"] for one in outcomes)


def test_a_result_may_be_an_answer_for_one_task() -> None:
    """Signals and errors in the list stand for that task; the others have succeeded."""

    async def mixed(n: list[int]) -> list[Any]:
        return [n[0], Retry(9), Reject("bad"), Snooze(3), KeyError("gone")]

    agent, task = batched(mixed, Batch(size=5, delay=60))
    outcomes = ends(agent, [claim_of(task, n=n) for n in range(5)])

    assert [one and (one.kind, one.delay_ms) for one in outcomes[:4]] == [
        ("succeeded", 0),
        ("retry", 9000),
        ("failed", 0),
        ("snooze", 3000),
    ]
    assert error_of(outcomes[4])["type"] == "KeyError"


@pytest.mark.parametrize("wrong", [[1], [1, 2, 3, 4], "abc", {"a": 1}, 7])
def test_results_that_do_not_add_up_fail_all_for_good(wrong: Any) -> None:
    """Who belongs to whom cannot be guessed, and would be no different the next time."""

    async def some(n: list[int]) -> Any:
        return wrong if n else None

    agent, task = batched(some)
    outcomes = ends(agent, [claim_of(task, n=n) for n in range(3)])

    assert {error_of(one)["reason"] for one in outcomes} == {"result-count"}
    assert {one and one.kind for one in outcomes} == {"failed"}


def test_a_task_that_is_stopped_before_the_call_has_no_part_in_it() -> None:
    """It leaves the batch; the others go on."""
    calls: list[list[int]] = []

    async def note(n: list[int]) -> None:
        calls.append(n)

    agent, task = batched(note, Batch(size=100, delay=0.05))
    claims = [claim_of(task, n=n) for n in range(3)]
    outcomes = ends(agent, claims, meanwhile=lambda it: it.cancel(claims[1].member))

    assert [one and one.kind for one in outcomes] == ["succeeded", "cancelled", "succeeded"]
    assert calls == [[0, 2]]


def test_a_task_that_is_stopped_during_the_call_does_not_stop_the_others() -> None:
    """Its end is reported at once; its context says so to the handler."""
    inside, go = asyncio.Event(), asyncio.Event()
    seen: list[list[bool]] = []

    async def wait(ctx: Context, n: list[int]) -> list[int]:
        inside.set()
        await go.wait()
        seen.append([one.cancelled for one in ctx.tasks] + [ctx.cancelled])
        return n

    agent, task = batched(wait)
    claims = [claim_of(task, n=n) for n in range(3)]

    async def steps(executor: Executor) -> list[Outcome | None]:
        runs = [asyncio.create_task(executor.run(claim)) for claim in claims]
        await inside.wait()
        executor.cancel(claims[0].member, "shutdown")
        early = await runs[0]
        go.set()
        return [early, *await asyncio.gather(*runs[1:])]

    outcomes = executed(agent, steps)

    assert [one and one.kind for one in outcomes] == ["release", "succeeded", "succeeded"]
    assert seen == [[True, False, False, False]]


def test_a_call_that_nobody_waits_for_is_stopped() -> None:
    """All its tasks ran out of time: each is told so, and the handler is interrupted."""
    stopped: list[bool] = []

    async def forever(ctx: Context, n: list[int]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(ctx.cancelled and len(n) == 3)

    agent, task = batched(forever, timeout=0.05)
    outcomes = ends(agent, [claim_of(task, n=n) for n in range(3)])

    assert {error_of(one)["reason"] for one in outcomes} == {"timeout"}
    assert stopped == [True]


def test_a_handler_of_a_batch_knows_its_tasks_and_speaks_for_all_or_for_one() -> None:
    """Ids, fences and attempts are those of each; what costs something is shared evenly."""
    heard = Heard()

    async def look(ctx: Context, n: list[int]) -> list[str]:
        ctx.progress(1, 2)
        ctx.tasks[1].log("mine")
        ctx.spend(3)
        ctx.tasks[0].spend(1)
        with pytest.raises(CoordqError, match="checkpoint"):
            await ctx.checkpoint(1)
        return [one.task_id for one, _ in zip(ctx.tasks, n, strict=True)]

    agent, task = batched(look)
    claims = [claim_of(task, n=n) for n in range(3)]
    outcomes = ends(agent, claims, reporter=heard)

    assert bodies(outcomes) == [claim.id for claim in claims]
    assert [who for who, what in heard.said if what != "mine"] == [claim.id for claim in claims]
    assert [who for who, what in heard.said if what == "mine"] == [claims[1].id]
    assert [one and one.units for one in outcomes] == [2, 1, 1]


def test_a_run_alone_is_its_own_only_task() -> None:
    """So code that serves both asks the same way."""
    agent = Agent("a")

    @agent.task
    async def alone(ctx: Context) -> list[str]:
        return [one.task_id for one in ctx.tasks]

    claim = claim_of(alone)

    assert bodies(ends(agent, [claim])) == [[claim.id]]


def test_middleware_is_around_the_call_and_hears_of_each_end() -> None:
    """One run to measure, and as many dead letters as there are."""
    said: list[Any] = []

    class Notes(Middleware):
        def before_run(self, ctx: Context, args: Any) -> None:
            said.append(args)

        def on_dead(self, ctx: Context, *, error: Any) -> None:
            said.append(ctx.task_id)

    async def fail(n: list[int]) -> None:
        raise ValueError(f"no {n[0]}")

    agent, task = batched(fail, middleware=[Notes()], max_attempts=1)
    claims = [claim_of(task, n=n) for n in range(3)]
    ends(agent, claims)

    assert said == [{"n": [0, 1, 2]}, *(claim.id for claim in claims)]


def test_a_sync_handler_takes_batches_in_a_thread() -> None:
    """Like any other."""

    def where(n: list[int]) -> list[bool]:
        return [threading.current_thread() is threading.main_thread()] * len(n)

    agent, task = batched(where)

    assert bodies(ends(agent, [claim_of(task, n=n) for n in range(3)])) == [False] * 3


def test_a_producer_gives_and_gets_one_entry() -> None:
    """The signature is that of one task."""

    async def length(text: list[str]) -> list[int | Retry] | None: ...

    _, task = batched(length)

    assert task.item("abc")[1] == {"text": "abc"}
    assert task.handler.load_result(3) == 3
    with pytest.raises(InvalidArguments, match="text"):
        task.item(["abc"])


def test_the_type_checker_sees_one_entry() -> None:
    """A list too many is found before it is sent."""
    agent = Agent("a")

    @agent.task(batch=Batch())
    async def embed(text: list[str]) -> list[int]:
        return [len(one) for one in text]

    @agent.task(batch=Batch())
    def index(ctx: Context, text: list[str]) -> None:
        ctx.log(str(text))

    assert_type(embed, TaskFunction[[str], int])
    assert_type(index, TaskFunction[[str], None])


@pytest.mark.live
def test_a_real_worker_takes_batches(new_fleet: NewFleet, client: Client, tmp_path: Any) -> None:
    """Claims of one child come together, and each outcome is its own."""
    (tmp_path / "batches.py").write_text(
        "from coordq import Agent, Batch, Context, Reject\n"
        "agent = Agent('batches')\n"
        "@agent.task(batch=Batch(size=10, delay=0.2))\n"
        "async def label(ctx: Context, n: list[int]) -> list:\n"
        "    return [Reject('odd') if one == 3 else [one, len(n)] for one in n]\n"
    )
    new_fleet(targets=(str(tmp_path / "batches.py"),), concurrency=40)

    handles = client.work.enqueue_many([("label", {"n": n}) for n in range(20)])

    results = [handle.result(timeout=60) for n, handle in enumerate(handles) if n != 3]
    assert [n for n, _ in results] == [n for n in range(20) if n != 3]
    assert max(size for _, size in results) > 1
    wait_until(lambda: handles[3].get().state.ended, what="the end of the odd one")
    assert handles[3].get().reason == "rejected: odd"
