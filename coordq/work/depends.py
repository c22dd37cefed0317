"""What a handler needs besides its arguments: opened for it, closed after it.

    async def database() -> AsyncIterator[Pool]: ...

    @agent.task
    async def save(url: str, pool: Annotated[Pool, Depends(database, scope="worker")]) -> None: ...

A dependency never travels: it is neither an argument nor part of what a producer may send.
Scope "task" opens it before each run and closes it after, also when the run failed or was cut
off. Scope "worker" opens it once per worker child, when first needed, and closes it at shutdown,
in the reverse order of opening.

A provider may be a function, an async function, a generator or async generator that yields once,
or a context manager class or function. It may itself have dependencies and a `ctx`. Sync
providers run in a thread. What one run asks for twice is opened once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace, TracebackType
from typing import Annotated, Any, Final, Literal

from coordq.errors import InvalidAgent
from coordq.work.context import Context

Scope = Literal["task", "worker"]
InThread = Callable[..., Awaitable[Any]]

_log: Final = logging.getLogger("coordq.depends")
_DEPTH_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class Dependency:
    """A provider and how long what it provides lives. Made by `Depends`."""

    provider: Callable[..., Any]
    scope: Scope = "task"


def Depends(provider: Callable[..., Any], *, scope: Scope = "task") -> Any:  # noqa: N802
    """Ask for what `provider` provides, as a default value or inside Annotated[...].

    Typed as Any so that `pool: Pool = Depends(database)` is what it looks like. Raises
    InvalidAgent when the provider cannot be called or the scope does not exist.
    """
    if not callable(provider):
        raise InvalidAgent(f"Depends({provider!r}): a provider must be something to call.")
    try:
        hash(provider)
    except TypeError as error:
        raise InvalidAgent(f"Depends({provider!r}): a provider must be hashable.") from error
    if scope not in ("task", "worker"):
        raise InvalidAgent(f"Depends(scope={scope!r}): use 'task' or 'worker'.")
    return Dependency(provider, scope)


def title(fn: object) -> str:
    """What to call a function in a message."""
    return str(getattr(fn, "__qualname__", None) or repr(fn))


class HintMissing(Exception):
    """A type hint mentions a name that is not defined (yet)."""


def resolve_hint(hint: Any, owner: Callable[..., Any], names: Mapping[str, Any]) -> Any:
    """The type that `hint` stands for, which may be text. `names` adds to the owner's globals.

    Raises HintMissing for a name that cannot be found, InvalidAgent for what is not a type.
    """
    namespace = getattr(inspect.unwrap(owner), "__globals__", {})
    holder = SimpleNamespace(__annotations__={"it": hint})
    try:
        return typing.get_type_hints(holder, namespace, dict(names), include_extras=True)["it"]
    except NameError as error:
        raise HintMissing(str(error)) from error
    except Exception as error:
        raise InvalidAgent(f"{title(owner)}: {hint!r} is not a type hint: {error}") from error


def dependency_of(hint: Any, default: Any) -> Dependency | None:
    """The dependency that a parameter with this hint and default asks for, if any."""
    if isinstance(default, Dependency):
        return default
    if typing.get_origin(hint) is Annotated:
        return next((part for part in hint.__metadata__ if isinstance(part, Dependency)), None)
    return None


def is_context(name: str, hint: Any) -> bool:
    """Whether a parameter asks for the run's Context."""
    return name == "ctx" or hint is Context or hint in ("Context", "coordq.Context")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to open: by calling `open`, with earlier values as keywords."""

    key: Callable[..., Any]
    open: Callable[..., Any]
    enters: bool
    asynchronous: bool
    scope: Scope
    takes: tuple[tuple[str, int], ...]
    ctx: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to open, in order, and which parameter of the handler gets which value."""

    steps: tuple[Step, ...] = ()
    gives: tuple[tuple[str, int], ...] = ()


def make_plan(
    wanted: Mapping[str, Dependency],
    *,
    always: Sequence[Dependency] = (),
    names: Mapping[str, Any] | None = None,
) -> Plan:
    """How to provide `wanted` (by parameter) and `always` (by nobody's name).

    Raises InvalidAgent for a cycle, a provider's parameter that nothing provides, and a
    worker-scoped provider that needs something of a single task.
    """
    if not wanted and not always:
        return Plan()
    planner = _Planner(names or {})
    for dependency in always:
        planner.add(dependency)
    gives = tuple((name, planner.add(dependency)) for name, dependency in wanted.items())
    return Plan(tuple(planner.steps), gives)


@dataclass(slots=True)
class _Planner:
    names: Mapping[str, Any]
    steps: list[Step] = field(default_factory=list)
    _index: dict[Dependency, int] = field(default_factory=dict)
    _path: list[Callable[..., Any]] = field(default_factory=list)

    def add(self, dependency: Dependency) -> int:
        known = self._index.get(dependency)
        if known is not None:
            return known
        self._enter(dependency.provider)
        step = self._step(dependency)
        self._path.pop()
        self.steps.append(step)
        self._index[dependency] = len(self.steps) - 1
        return len(self.steps) - 1

    def _enter(self, provider: Callable[..., Any]) -> None:
        if provider in self._path or len(self._path) >= _DEPTH_MAX:
            circle = " -> ".join(title(fn) for fn in [*self._path, provider])
            raise InvalidAgent(f"dependencies go round in a circle: {circle}.")
        self._path.append(provider)

    def _step(self, dependency: Dependency) -> Step:
        provider, scope = dependency.provider, dependency.scope
        takes: list[tuple[str, int]] = []
        ctx: str | None = None
        for name, hint, default in _parameters(provider, self.names):
            inner = dependency_of(hint, default)
            if inner is not None:
                self._check_scope(dependency, inner)
                takes.append((name, self.add(inner)))
            elif is_context(name, hint):
                ctx = self._context(dependency, name)
            elif default is inspect.Parameter.empty:
                raise InvalidAgent(
                    f"the provider {title(provider)} has a parameter {name!r} that nothing"
                    " provides: give it a default or a Depends(...)."
                )
        opener, enters, asynchronous = _opener(provider)
        return Step(provider, opener, enters, asynchronous, scope, tuple(takes), ctx)

    @staticmethod
    def _check_scope(outer: Dependency, inner: Dependency) -> None:
        if outer.scope == "worker" and inner.scope == "task":
            raise InvalidAgent(
                f"{title(outer.provider)} lives as long as the worker, but depends on"
                f" {title(inner.provider)}, which lives for one task: give both scope='worker'."
            )

    @staticmethod
    def _context(dependency: Dependency, name: str) -> str:
        if dependency.scope == "worker":
            raise InvalidAgent(
                f"{title(dependency.provider)} lives as long as the worker, so it cannot have"
                f" the context of one task ({name})."
            )
        return name


def _parameters(
    provider: Callable[..., Any], names: Mapping[str, Any]
) -> list[tuple[str, Any, Any]]:
    """Name, hint and default of what a provider takes by keyword; none if it is not to be seen."""
    try:
        signature = inspect.signature(provider)
    except (ValueError, TypeError):  # some that are written in C: called with nothing
        return []
    found: list[tuple[str, Any, Any]] = []
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            if parameter.default is parameter.empty:
                raise InvalidAgent(
                    f"the provider {title(provider)} has the positional-only parameter"
                    f" {parameter.name!r}: remove the '/'."
                )
            continue
        found.append((parameter.name, _hint(parameter, provider, names), parameter.default))
    return found


def _hint(
    parameter: inspect.Parameter, provider: Callable[..., Any], names: Mapping[str, Any]
) -> Any:
    """The parameter's type when it can be found; its text when not, since only Depends counts."""
    hint = parameter.annotation
    if hint is parameter.empty:
        return Any
    owner = provider.__init__ if isinstance(provider, type) else provider  # type: ignore[misc]
    try:
        return resolve_hint(hint, owner, names)
    except HintMissing:
        if "Depends(" in str(hint):
            raise
        return hint


def _opener(provider: Callable[..., Any]) -> tuple[Callable[..., Any], bool, bool]:
    """What to call, whether the result is to be entered, and whether it is asynchronous."""
    inner = provider.func if isinstance(provider, functools.partial) else provider
    if inspect.isasyncgenfunction(inner):
        return contextlib.asynccontextmanager(provider), True, True
    if inspect.isgeneratorfunction(inner):
        return contextlib.contextmanager(provider), True, False
    original, is_class = inspect.unwrap(inner), isinstance(inner, type)
    if inspect.isasyncgenfunction(original) or (is_class and hasattr(inner, "__aenter__")):
        return provider, True, True
    if inspect.isgeneratorfunction(original) or (is_class and hasattr(inner, "__enter__")):
        return provider, True, False
    return provider, False, inspect.iscoroutinefunction(inner)


class Resources:
    """Opens plans, and holds what lives as long as the worker child."""

    def __init__(self, in_thread: InThread) -> None:
        self._in_thread = in_thread
        self._keepers: dict[Callable[..., Any], _Keeper] = {}
        self._closed = False

    async def fill(
        self, plan: Plan, ctx: Context | None, stack: contextlib.AsyncExitStack
    ) -> dict[str, Any]:
        """Open everything in `plan`; `stack` will close what belongs to this task.

        Returns the values by parameter name. An error of a provider comes out unchanged.
        """
        values: list[Any] = []
        for step in plan.steps:
            given = {name: values[index] for name, index in step.takes}
            if step.scope == "worker":
                values.append(await self._shared(step, given))
                continue
            if step.ctx is not None:
                given[step.ctx] = ctx
            values.append(await self._open(step, given, stack))
        return {name: values[index] for name, index in plan.gives}

    async def _open(
        self, step: Step, given: dict[str, Any], stack: contextlib.AsyncExitStack
    ) -> Any:
        if not step.enters:
            return await self._call(step, given)
        if step.asynchronous:
            return await stack.enter_async_context(step.open(**given))
        manager = await self._in_thread(step.open, **given)
        entered = asyncio.ensure_future(self._in_thread(manager.__enter__))
        stack.push_async_exit(functools.partial(self._leave, manager, entered))
        return await asyncio.shield(entered)

    async def _leave(
        self,
        manager: Any,
        entered: asyncio.Future[Any],
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Leave what was entered in a thread, also when nobody waited for it to be entered."""
        await asyncio.wait([entered])
        if entered.cancelled() or entered.exception() is not None:
            return False
        return bool(await self._in_thread(manager.__exit__, kind, error, trace))

    async def _call(self, step: Step, given: dict[str, Any]) -> Any:
        if step.asynchronous:
            return await step.open(**given)
        value = await self._in_thread(step.open, **given)
        return await value if inspect.isawaitable(value) else value

    async def _shared(self, step: Step, given: dict[str, Any]) -> Any:
        """The value of a worker-scoped step: whoever comes first opens it, all others wait."""
        keeper = self._keepers.get(step.key)
        if keeper is None or keeper.failed:
            if self._closed:
                raise RuntimeError(f"the worker is closing: {title(step.key)} is not opened.")
            keeper = _Keeper(functools.partial(self._open, step, given), title(step.key))
            # Placed last again after a failure, so that the order is the order of opening.
            self._keepers.pop(step.key, None)
            self._keepers[step.key] = keeper
        return await keeper.value()

    async def close(self, patience: float = 30.0) -> None:
        """Close what lives as long as the worker, last opened first, each within `patience` s.

        What goes wrong is logged; the others are closed all the same.
        """
        self._closed = True
        while self._keepers:
            _, keeper = self._keepers.popitem()
            await keeper.close(patience)


class _Keeper:
    """One worker-scoped value, opened and closed in a task of its own.

    Its own task, because whoever asked first may be cancelled while it opens, and because some
    libraries insist on being closed by the task that opened them.
    """

    def __init__(
        self, open_into: Callable[[contextlib.AsyncExitStack], Awaitable[Any]], name: str
    ) -> None:
        self._open_into = open_into
        self._name = name
        self._ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._enough = asyncio.Event()
        self._task = asyncio.create_task(self._keep(), name=f"coordq:keep:{name}")

    @property
    def failed(self) -> bool:
        done = self._ready.done()
        return done and (self._ready.cancelled() or self._ready.exception() is not None)

    async def value(self) -> Any:
        return await asyncio.shield(self._ready)

    async def _keep(self) -> None:
        try:
            async with contextlib.AsyncExitStack() as stack:
                try:
                    value = await self._open_into(stack)
                except BaseException as error:  # noqa: BLE001 - it belongs to those who asked
                    self._refuse(error)
                    return
                self._ready.set_result(value)
                await self._enough.wait()
        except Exception:  # noqa: BLE001 - the worker goes on closing the others
            _log.exception("closing %s failed", self._name)

    def _refuse(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            self._ready.cancel()
            return
        # A StopIteration cannot travel through a future, nor may a SystemExit stop the loop.
        carried = error if isinstance(error, Exception) else RuntimeError(repr(error))
        if isinstance(carried, StopIteration):
            carried = RuntimeError(repr(error))
        self._ready.set_exception(carried)
        self._ready.exception()  # marks it as seen: perhaps nobody waits any more

    async def close(self, patience: float) -> None:
        self._enough.set()
        if not self._ready.done():
            self._task.cancel()
        _, late = await asyncio.wait([self._task], timeout=patience)
        if late:
            _log.error("closing %s took longer than %g s: left open", self._name, patience)
            self._task.cancel()
