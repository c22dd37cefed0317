"""One claimed task, from its arguments to its outcome.

Everything between claim and outcome is decided here: arguments, dependencies, middleware, where
the handler runs, its time limit, cancellation from outside, and what its end means (`verdict`).

What a handler cannot do is turn a stop into a success. Once a run has been told to stop, the
reason decides, also when an async handler swallows the CancelledError and returns: its work may be
half done, and somebody may already count on its end. A sync handler cannot be interrupted: its
outcome is reported at once, `ctx.cancelled` turns true, and what it does afterwards goes unheard.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import CodeType
from typing import TYPE_CHECKING, Any, Final

from coordq.engine.aio import AsyncEngine
from coordq.errors import InvalidArguments
from coordq.runtime import validation, verdict
from coordq.runtime.batches import Batches
from coordq.runtime.errands import Errands
from coordq.runtime.isolate import Isolation, run_apart
from coordq.runtime.layers import Layers
from coordq.runtime.run import Run
from coordq.runtime.threads import Threads
from coordq.runtime.verdict import Chance
from coordq.work.batch import SIZE_MAX
from coordq.work.context import ClientProvider, Context, Reporter, Silent, no_client
from coordq.work.finish import Outcome
from coordq.work.payload import PAYLOAD_MAX

if TYPE_CHECKING:
    from coordq.work.agent import Agent
    from coordq.work.claim import Claim
    from coordq.work.handler import Handler
    from coordq.work.middleware import Hooks

UNKNOWN_SNOOZE_S: Final = 5.0
"""How long a task whose name this worker does not know is left to others."""

_SHARED: Final = "a batch is one run for many tasks; make it a task without batch="

_UNHEARD: Final = Silent()
"""Of a message nobody asks how far it is."""

_log: Final = logging.getLogger("coordq.worker")


class _Way:
    """How a handler is run, found out once."""

    __slots__ = ("handler", "simple", "wants_context")

    def __init__(self, handler: Handler) -> None:
        handler.prepare()
        self.handler = handler
        self.wants_context = handler.signature.shape.wants_context
        plain = handler.isolation == "none" and not handler.signature.plan.steps
        self.simple = plain and handler.is_async and not handler.hooks.runs
        self.simple = self.simple and not handler.validate_by


class Executor:
    """Runs claims of the given agents' tasks, on one event loop.

    agents: the agents, or their handlers by task name.
    reporter: takes progress and log lines.
    provider: asked for `ctx.client`, with True for an async client, False for a sync one.
    threads: how many sync handlers and providers may run at a time.
    result_max: bytes of JSON that a result may take.
    isolation: what a process of its own has to know, for handlers that ask for one.
    engine: asked for what carries checkpoints, waits and tasks of handlers, when that is wanted.
    slots: how many claims it is given at a time: no batch waits for more.
    grace_s: how long a handler that was told to stop may take before it is interrupted again, and
        how long hooks and the closing of dependencies may take after it.
    chance: where jitter comes from.
    """

    def __init__(
        self,
        agents: Iterable[Agent] | Mapping[str, Handler],
        *,
        reporter: Reporter | None = None,
        provider: ClientProvider = no_client,
        threads: int = 16,
        result_max: int = PAYLOAD_MAX,
        isolation: Isolation | None = None,
        engine: Callable[[], AsyncEngine] | None = None,
        slots: int = SIZE_MAX,
        grace_s: float = 10.0,
        chance: Chance = random.random,
    ) -> None:
        self.handlers = _handlers_of(agents)
        self.reporter: Reporter = reporter or Silent()
        self.grace_s = grace_s
        self._provider = provider
        self._isolation = isolation or Isolation()
        self._result_max = result_max
        self._chance = chance
        self._threads = Threads(threads)
        self._layers = Layers(self._threads, grace_s=grace_s)
        self._errands = engine and Errands(engine, stop=self.cancel)
        self._batches = Batches(
            self._layers, self._context, reporter=self.reporter, slots=slots, grace_s=grace_s
        )
        self._ways: dict[str, _Way] = {}
        self._running: dict[str, Run] = {}

    @property
    def running(self) -> int:
        """How many tasks are being run."""
        return len(self._running)

    @property
    def stuck(self) -> int:
        """How many threads are held by handlers that outlived their run."""
        return self._threads.stuck

    # The worker's life

    async def boot(self) -> None:
        """Compile every handler and call the boot hooks, before the first claim.

        Raises InvalidAgent for hints that cannot be used, and what a `before_worker_boot` raises.
        """
        for handler in self.handlers.values():
            handler.prepare()
        for hooks in self._all_hooks():
            await hooks.call("before_worker_boot")
        for hooks in self._all_hooks():
            await self._layers.tell(hooks, "after_worker_boot")

    async def close(self) -> None:
        """Call the shutdown hooks, then close what lives as long as the worker. After all runs."""
        for hooks in self._all_hooks():
            await self._layers.tell(hooks, "before_worker_shutdown")
        await self._batches.close()
        await self._layers.close()
        self._threads.close()

    def _all_hooks(self) -> list[Hooks]:
        return list({id(one.hooks): one.hooks for one in self.handlers.values()}.values())

    # From outside

    def cancel(self, member: str, reason: str = "cancelled") -> bool:
        """Tell a running task to stop. False when it does not run here, or has just ended.

        reason: "cancelled" ends the task; "shutdown" gives it back with its attempt refunded;
            "lost" reports nothing, since the claim is someone else's now; "deadline" makes it a
            dead letter; any other text is a cancel for that reason. The first reason counts,
            except that "lost" overrides.
        """
        run = self._running.get(member)
        return run is not None and run.stop(reason)

    # One run

    async def run(self, claim: Claim) -> Outcome | None:
        """Run a claim's task and say how it ended; None when its claim was lost.

        Raises nothing of the handler's. A cancellation that did not come through `cancel` is
        passed on as CancelledError once the handler has ended.
        """
        way = self._ways.get(claim.name) or self._learn(claim.name)
        if way is None:
            return self._unknown(claim)
        run = self._running[claim.member] = Run(claim, way.handler, grace_s=self.grace_s)
        try:
            outcome = await self._outcome(run, way)
        except asyncio.CancelledError as error:
            outcome = await self._stopped(run, error)
        except BaseException as error:  # SystemExit and its like end the task, not the worker
            if isinstance(error, GeneratorExit) and not run.is_current:
                raise  # nobody awaits this run any more
            outcome = await self._raised(run, error)
        finally:
            del self._running[claim.member]
            run.close()
        if run.ctx is None or run.ctx.spent is None or outcome is None:
            return outcome
        return replace(outcome, units=run.ctx.spent)

    async def refuse(self, claim: Claim, error: InvalidArguments) -> Outcome:
        """End a claim whose arguments cannot be had, without a run."""
        way = self._ways.get(claim.name) or self._learn(claim.name)
        if way is None:
            return self._unknown(claim)
        run = Run(claim, way.handler, grace_s=self.grace_s)
        return await self._announced(run, verdict.misfit(claim, error))

    def _learn(self, name: str) -> _Way | None:
        handler = self.handlers.get(name)
        if handler is None:
            return None
        way = self._ways[name] = _Way(handler)
        return way

    @staticmethod
    def _unknown(claim: Claim) -> Outcome:
        _log.warning("task %s: nobody here knows %r, left to others", claim.id, claim.name)
        return verdict.snoozed(claim, UNKNOWN_SNOOZE_S)

    async def _outcome(self, run: Run, way: _Way) -> Outcome | None:
        """The run itself; the cheap way is kept free of whatever the handler does not need."""
        handler = way.handler
        try:
            arguments = handler.bind_json(run.claim.args)
        except InvalidArguments as error:
            return await self._announced(run, verdict.misfit(run.claim, error))
        if handler.batch is not None:
            return await self._batched(run, arguments)
        limit_ms = run.limit_ms
        if limit_ms:
            run.limit(limit_ms)
        if not way.simple:
            if handler.validate_by:
                return await self._validated(run, arguments)
            return await self._elaborate(run, arguments)
        if way.wants_context:
            value = await handler.fn(self._context(run), **arguments)
        else:
            value = await handler.fn(**arguments)
        if run.reason is None and run.ctx is None:
            return self._succeeded(run, value)
        return await self._returned(run, value)

    async def _elaborate(self, run: Run, arguments: dict[str, Any]) -> Outcome | None:
        """The run of a handler that is more than a plain coroutine function."""
        ctx = self._context(run)
        if run.handler.isolation == "process":
            return await self._apart(run, ctx)
        return await self._returned(run, await self._layers.around(run, ctx, arguments))

    async def _validated(self, run: Run, arguments: dict[str, Any]) -> Outcome | None:
        """The run of a handler whose result counts when a second agent agrees."""
        body = validation.kept(run.claim)
        if body is None:
            outcome = await self._elaborate(run, arguments)
            if outcome is None or outcome.kind != "succeeded":
                return outcome
            body = outcome.body
        run.settled = False  # the verdict may take its time, and be cancelled
        run.phase = "rejected"
        spent = None if run.ctx is None else run.ctx.spent
        ctx = self._context(run, awaited=True)
        ctx.spent = spent
        await validation.judged(ctx, run.claim, body, role=run.handler.validate_by)
        return Outcome("succeeded", run.claim.id, run.claim.fence, body)

    async def _batched(self, run: Run, arguments: dict[str, Any]) -> Outcome | None:
        """The run of a task whose handler is called for many at once."""
        answer = await self._batches.join(run, arguments)
        run.phase = answer.phase
        if answer.error is not None:
            return await self._raised(run, answer.error)
        return await self._returned(run, answer.value)

    async def _returned(self, run: Run, value: Any) -> Outcome | None:
        """What follows from a handler that has come to its end."""
        if run.reason is not None:
            return await self._stopped(run)
        if run.parting is not None:
            return await self._suspended(run, None)
        return self._succeeded(run, value)

    def _succeeded(self, run: Run, value: Any) -> Outcome:
        body = run.handler.dump_result(value)
        if len(body) > self._result_max:
            raise verdict.too_large(run.claim.name, len(body), self._result_max)
        return Outcome("succeeded", run.claim.id, run.claim.fence, body)

    def _context(
        self, run: Run, *, reporter: Reporter | None = None, awaited: bool = False
    ) -> Context:
        claim, handler = run.claim, run.handler
        ctx = run.ctx = Context(
            claim,
            agent=handler.agent.name,
            persona=handler.agent.card.persona,
            reporter=reporter or (_UNHEARD if handler.listens else self.reporter),
            provider=self._provider,
            deadline=run.deadline(),
            errands=None if handler.batch or handler.listens else self._errands,
            hindered=_SHARED if handler.batch else "",
            asynchronous=handler.is_async or awaited,
            max_attempts=verdict.attempts_of(claim, handler),
        )
        return ctx

    async def _apart(self, run: Run, ctx: Context) -> Outcome | None:
        """Run it in a process of its own, which applies dependencies and middleware itself."""
        source = run.handler.source
        targets = [source] if source else self._isolation.targets or [_file_of(run.handler)]
        return await run_apart(
            run.claim,
            replace(self._isolation, targets=targets),
            reporter=self.reporter,
            remaining_s=ctx.remaining(),
            result_max=self._result_max,
        )

    # The end

    async def _raised(self, run: Run, error: BaseException) -> Outcome | None:
        if run.reason is not None:
            return await self._stopped(run)
        if run.parting is not None:
            return await self._suspended(run, error)
        run.settle()
        reason = error.reason if isinstance(error, verdict.Crashed) else run.phase
        return await self._announced(run, self._judge(run, error, reason))

    async def _stopped(
        self, run: Run, error: asyncio.CancelledError | None = None
    ) -> Outcome | None:
        """The outcome of a run that was told to stop, whatever the handler made of it."""
        run.absorb(error)
        match run.reason:
            case "lost":
                return None
            case "shutdown":
                return verdict.released(run.claim)
            case None if run.parting is not None:
                return await self._suspended(run, error)
            case None:
                own = RuntimeError("it raised CancelledError, but nobody had cancelled it")
                outcome = self._judge(run, own, "exception")
            case "timeout":
                late = verdict.TimedOut(f"it ran longer than the {run.limit_ms / 1000:g} s it had")
                outcome = self._judge(run, late, "timeout")
            case "deadline":
                over = verdict.TotalTimeOver("its total timeout passed while it ran")
                outcome = verdict.failed(run.claim, over, "deadline")
            case reason:
                why = "cancelled while it ran" if reason == "cancelled" else reason
                outcome = verdict.cancelled(run.claim, why)
        return await self._announced(run, outcome)

    async def _suspended(self, run: Run, error: BaseException | None) -> Outcome:
        """The outcome of a run that has to wait, whatever the handler made of it.

        error: what it ended with; None when it returned.
        """
        wait = run.parting
        assert wait is not None
        run.settle()
        if error is None or isinstance(error, Exception) or error.__cause__ is not None:
            _log.warning("%s: it caught what suspends it, and went on in vain", run)
        if run.handler.hooks.runs and run.ctx is not None:
            await self._layers.tell(run.handler.hooks, "on_suspend", run.ctx, wait=wait)
        return verdict.suspended(run.claim, wait)

    def _judge(self, run: Run, error: BaseException, reason: str) -> Outcome:
        return verdict.judge(run.claim, run.handler, error, reason=reason, chance=self._chance)

    async def _announced(self, run: Run, outcome: Outcome) -> Outcome:
        """Tell the middleware what is about to be reported."""
        hooks = run.handler.hooks
        if not hooks.runs or outcome.kind not in ("cancelled", "retry", "failed"):
            return outcome
        run.settled = True
        ctx = run.ctx or self._context(run)
        if outcome.kind == "cancelled":
            await self._layers.tell(hooks, "on_cancel", ctx)
            return outcome
        error = verdict.read_error(outcome.body)
        if outcome.kind == "retry":
            delay = outcome.delay_ms / 1000
            await self._layers.tell(hooks, "on_retry", ctx, error=error, delay=delay)
        else:
            await self._layers.tell(hooks, "on_dead", ctx, error=error)
        return outcome


def _handlers_of(agents: Iterable[Agent] | Mapping[str, Handler]) -> dict[str, Handler]:
    if isinstance(agents, Mapping):
        return dict(agents)
    return {handler.name: handler for agent in agents for handler in agent.doings}


def _file_of(handler: Handler) -> str:
    code: CodeType = inspect.unwrap(handler.fn).__code__
    return code.co_filename
