"""What wants to happen around every task of an agent: tracing, metrics, audit, policy.

    class Timing(Middleware):
        async def wrap_run(self, ctx, call_next):
            started = clock.monotonic()
            try:
                return await call_next()
            finally:
                observe(ctx.name, clock.monotonic() - started)

    agent = Agent("crawler", middleware=[Timing()])

Override only the hooks you need: a hook nobody overrides costs nothing. The first middleware in
the list is the outermost: `before_...` hooks run first to last, `after_...` hooks last to first.
Hooks may be `def` (run on the event loop: do not block in them) or `async def`, except the two
around enqueue, which are `def` because sync producers call them as well.

What a hook may change, and what not:

    before_enqueue    an exception refuses the enqueue; the order may be edited
    before_run        may raise a signal, such as Snooze; any other exception fails the run
    wrap_run          is part of the run: what it returns is the result, what it raises counts
    all others        an exception is logged and changes nothing
"""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from coordq.errors import InvalidAgent
from coordq.work.context import Context
from coordq.work.signals import Signal

if TYPE_CHECKING:
    from coordq.work.signals import Suspended

CallNext = Callable[[], Awaitable[Any]]
Hook = Callable[..., Any]

_log: Final = logging.getLogger("coordq.middleware")


@dataclass(slots=True)
class Outgoing:
    """A task about to be enqueued, as `before_enqueue` may edit it."""

    name: str
    arguments: dict[str, Any]
    """JSON values by parameter name."""
    options: dict[str, Any] = field(default_factory=dict)
    """What was asked for; the rest has its default."""

    def set_header(self, name: str, value: str) -> None:
        """Send a short text along with the task, for `ctx.headers` on the other side."""
        self.options["headers"] = {**(self.options.get("headers") or {}), name: value}


class Middleware:
    """Base class of all middleware. Every hook is optional."""

    def before_enqueue(self, order: Outgoing) -> None:
        """Before a typed task is sent, in the producer."""

    def after_enqueue(self, order: Outgoing, handle: Any) -> None:
        """After a typed task was sent, with its handle."""

    def before_worker_boot(self) -> Any:
        """Before a worker child claims its first task."""

    def after_worker_boot(self) -> Any:
        """When a worker child is ready to claim."""

    def before_worker_shutdown(self) -> Any:
        """After a worker child ran its last task, before worker-scoped dependencies close."""

    def before_run(self, ctx: Context, args: Mapping[str, Any]) -> Any:
        """Before the handler runs, with its validated arguments."""

    async def wrap_run(self, ctx: Context, call_next: CallNext) -> Any:
        """Around the handler: call `call_next()` and return what it returns."""
        return await call_next()

    def after_run(
        self, ctx: Context, *, result: Any = None, error: BaseException | None = None
    ) -> Any:
        """After the handler ran, with what it returned or raised.

        CancelledError when it was cut off, `coordq.Suspended` when it has to wait.
        """

    def after_skip(self, ctx: Context, signal: Signal) -> Any:
        """When some `before_run` raised a signal, so that the handler did not run."""

    def on_retry(self, ctx: Context, *, error: Mapping[str, str], delay: float) -> Any:
        """When the task will be tried again in `delay` seconds."""

    def on_suspend(self, ctx: Context, *, wait: Suspended) -> Any:
        """When the task waits for something; its handler will run again from its start."""

    def on_dead(self, ctx: Context, *, error: Mapping[str, str]) -> Any:
        """When the task becomes a dead letter."""

    def on_cancel(self, ctx: Context) -> Any:
        """When the task was cancelled while it ran."""


HOOKS: Final = tuple(name for name, value in vars(Middleware).items() if inspect.isfunction(value))
_ENQUEUE_HOOKS: Final = ("before_enqueue", "after_enqueue")


class Hooks:
    """The hooks that some middleware of an agent overrides, by name, outermost first."""

    __slots__ = ("_by_name", "runs")

    def __init__(self, middleware: Iterable[object] = ()) -> None:
        listed = list(middleware)
        for one in listed:
            _check(one)
        self._by_name = {name: hooks for name in HOOKS if (hooks := _overriding(listed, name))}
        self.runs = any(name not in _ENQUEUE_HOOKS for name in self._by_name)
        """Whether anything is to be called around a run."""

    def named(self, name: str) -> tuple[Hook, ...]:
        """Who overrides a hook, in the order of calling."""
        hooks = self._by_name.get(name, ())
        return hooks[::-1] if name.startswith("after_") else hooks

    async def call(self, name: str, *args: Any, **more: Any) -> None:
        """Call a hook everywhere; the first exception stops it and comes out."""
        for hook in self.named(name):
            answer = hook(*args, **more)
            if inspect.isawaitable(answer):
                await answer

    async def tell(self, name: str, *args: Any, **more: Any) -> None:
        """Call a hook everywhere; exceptions are logged and change nothing."""
        for hook in self.named(name):
            try:
                answer = hook(*args, **more)
                if inspect.isawaitable(answer):
                    await answer
            except Exception:  # noqa: BLE001 - as promised in the module's docstring
                _log.exception("%s failed", _title(hook))

    def wrapped(self, ctx: Context, run: CallNext) -> CallNext:
        """`run` inside every `wrap_run`."""
        for hook in reversed(self.named("wrap_run")):
            run = _bound(hook, ctx, run)
        return run

    def before_enqueue(self, order: Outgoing) -> None:
        """Let every middleware edit or refuse the order."""
        for hook in self.named("before_enqueue"):
            hook(order)

    def after_enqueue(self, order: Outgoing, handle: Any) -> None:
        """Tell every middleware what was sent; exceptions are logged and change nothing."""
        for hook in self.named("after_enqueue"):
            try:
                hook(order, handle)
            except Exception:  # noqa: BLE001 - as promised in the module's docstring
                _log.exception("%s failed", _title(hook))


def _bound(hook: Hook, ctx: Context, run: CallNext) -> CallNext:
    async def call() -> Any:
        answer = hook(ctx, run)
        return await answer if inspect.isawaitable(answer) else answer

    return call


def _overriding(middleware: list[Any], name: str) -> tuple[Hook, ...]:
    default = getattr(Middleware, name)
    return tuple(
        getattr(one, name) for one in middleware if getattr(type(one), name) is not default
    )


def _check(one: object) -> None:
    """Raise InvalidAgent for what is not middleware, or has a hook that would never be called."""
    if isinstance(one, type) or not isinstance(one, Middleware):
        raise InvalidAgent(
            f"middleware {one!r} is not an instance of a subclass of coordq.Middleware."
        )
    for name in _ENQUEUE_HOOKS:
        if inspect.iscoroutinefunction(getattr(one, name)):
            raise InvalidAgent(
                f"{type(one).__name__}.{name} is async, but sync producers call it too: use def."
            )
    for name in dir(type(one)):
        meant = difflib.get_close_matches(name, HOOKS, n=1, cutoff=0.85)
        if meant and name not in HOOKS and callable(getattr(one, name)):
            raise InvalidAgent(
                f"{type(one).__name__}.{name} is not a hook: did you mean {meant[0]}?"
            )


def _title(hook: Hook) -> str:
    return str(getattr(hook, "__qualname__", hook))
