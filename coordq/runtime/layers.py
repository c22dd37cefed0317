"""The layers around a handler: middleware around dependencies around the function itself."""

from __future__ import annotations

import asyncio
import inspect
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

from coordq.runtime.run import Run
from coordq.runtime.threads import Threads
from coordq.work.context import Context
from coordq.work.depends import Resources
from coordq.work.signals import Signal

if TYPE_CHECKING:
    from coordq.work.handler import Handler
    from coordq.work.middleware import Hooks

_log: Final = logging.getLogger("coordq.worker")


class Layers:
    """Runs handlers with all that is around them, for one executor.

    grace_s: how long hooks and the closing of dependencies may take.
    """

    def __init__(self, threads: Threads, *, grace_s: float) -> None:
        self._threads = threads
        self._resources = Resources(threads.call)
        self._grace_s = grace_s

    async def close(self) -> None:
        """Close what lives as long as the worker."""
        await self._resources.close(self._grace_s)

    async def tell(self, hooks: Hooks, name: str, *args: Any, **more: Any) -> None:
        """Call a hook whose failure, or slowness, changes nothing."""
        try:
            async with asyncio.timeout(self._grace_s):
                await hooks.tell(name, *args, **more)
        except TimeoutError:
            _log.error("%s took longer than %g s: left", name, self._grace_s)

    async def around(self, run: Run, ctx: Context, arguments: dict[str, Any]) -> Any:
        """Call the handler with everything around it. Raises what that raises."""
        hooks = run.handler.hooks
        if not hooks.runs:
            return await self._inside(run, ctx, arguments)
        try:
            await hooks.call("before_run", ctx, arguments)
        except Signal as signal:
            run.settle()
            await self.tell(hooks, "after_skip", ctx, signal)
            raise

        async def inside() -> Any:
            run.settled = False  # a wrap_run may call on a second time
            return await self._inside(run, ctx, arguments)

        try:
            result = await hooks.wrapped(ctx, inside)()
        except BaseException as error:
            run.settle()
            await self.tell(hooks, "after_run", ctx, error=error)
            raise
        run.settle()
        await self.tell(hooks, "after_run", ctx, result=result)
        return result

    async def _inside(self, run: Run, ctx: Context, arguments: dict[str, Any]) -> Any:
        plan = run.handler.signature.plan
        if not plan.steps:
            return await self._handle(run, ctx, arguments)
        stack = AsyncExitStack()
        try:
            run.phase = "dependency"
            given = await self._resources.fill(plan, ctx, stack)
            run.phase = "exception"
            value = await self._handle(run, ctx, {**arguments, **given})
        except BaseException as error:
            await self._leave(run, stack, error)
            raise
        run.phase = "dependency"
        await self._leave(run, stack, None)
        return value

    async def _leave(self, run: Run, stack: AsyncExitStack, error: BaseException | None) -> None:
        """Close the task's dependencies. After a success, a failure to close is a failure.

        What closes may be what commits: a task that says it is done must have done it.
        """
        run.settle()
        trace = error.__traceback__ if error is not None else None
        try:
            async with asyncio.timeout(self._grace_s):
                await stack.__aexit__(type(error) if error else None, error, trace)
        except Exception as second:
            if error is None:
                raise
            if second is not error:
                _log.warning("task %s: closing a dependency failed: %r", run.claim.id, second)

    async def _handle(self, run: Run, ctx: Context, arguments: dict[str, Any]) -> Any:
        try:
            value = await self._call(run.handler, ctx, arguments)
        except Exception as error:
            if ctx.parting is None:
                raise
            raise ctx.parting from error  # which the handler did not let pass
        if ctx.parting is not None:
            raise ctx.parting from RuntimeError("the handler caught it, and returned")
        return value

    async def _call(self, handler: Handler, ctx: Context, arguments: dict[str, Any]) -> Any:
        before = (ctx,) if handler.signature.shape.wants_context else ()
        if handler.is_async:
            return await handler.fn(*before, **arguments)
        value = await self._threads.call(handler.fn, *before, **arguments)
        return await value if inspect.isawaitable(value) else value
