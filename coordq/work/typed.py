"""A task as its producers see it: its signature, checked by the type checker and at run time.

    handle = fetch.enqueue(client, "https://example.org", depth=2)
    page = handle.result(timeout=10)

The context is not part of the signature. The same task may be enqueued with a sync client, which
gives a handle, or with an async one, which gives a handle to await. Either way the result comes
back as what the handler's return annotation says, not as bare JSON.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from coordq.errors import InvalidArguments
from coordq.work.middleware import Outgoing

if TYPE_CHECKING:
    from coordq.work.handler import Handler

P = ParamSpec("P")
R = TypeVar("R")


# What is wanted of a client and of its handles. A room does not know the hall above it.


class _Raw(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def created(self) -> bool: ...


class RawHandle(_Raw, Protocol):
    """A task that a sync client enqueued."""

    def result(self, timeout: float | None = None) -> Any: ...
    def get(self) -> Any: ...
    def cancel(self, reason: str = ...) -> Any: ...


class RawAsyncHandle(_Raw, Protocol):
    """A task that an async client enqueued."""

    async def result(self, timeout: float | None = None) -> Any: ...
    async def get(self) -> Any: ...
    async def cancel(self, reason: str = ...) -> Any: ...


class _SyncDoor(Protocol):
    def enqueue(
        self, name: str, args: Mapping[str, Any] | None = None, /, **options: Any
    ) -> RawHandle: ...


class _AsyncDoor(Protocol):
    def enqueue(
        self, name: str, args: Mapping[str, Any] | None = None, /, **options: Any
    ) -> Awaitable[RawAsyncHandle]: ...


class SyncClient(Protocol):
    """A client whose calls block: coordq.Client."""

    @property
    def work(self) -> _SyncDoor: ...


class AsyncClient(Protocol):
    """A client whose calls are awaited: coordq.AsyncClient."""

    @property
    def work(self) -> _AsyncDoor: ...


H = TypeVar("H", bound=_Raw)


class _Typed(Generic[H]):
    """What either handle says without asking Redis."""

    __slots__ = ("_handler", "_raw")

    def __init__(self, handler: Handler, raw: H) -> None:
        self._handler = handler
        self._raw = raw

    @property
    def id(self) -> str:
        """The task's id."""
        return self._raw.id

    @property
    def created(self) -> bool:
        """False when another task held the unique key: then this is that task's handle."""
        return self._raw.created

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._handler.name} {self.id}>"


class TypedHandle(_Typed[RawHandle], Generic[R]):
    """A task that was enqueued, and whose result has a known type."""

    __slots__ = ()

    def result(self, timeout: float | None = None) -> R:
        """Wait for the result, `timeout` seconds (None: for ever).

        Raises TaskFailed, TaskCancelled, WaitTimeout, TaskNotFound, and ForeignData when the
        result does not fit the return annotation.
        """
        value: R = self._handler.load_result(self._raw.result(timeout))
        return value

    def get(self) -> Any:
        """The task as it is now. Raises TaskNotFound."""
        return self._raw.get()

    def cancel(self, reason: str = "cancelled by request") -> Any:
        """Cancel it, or ask its worker to."""
        return self._raw.cancel(reason)


class AsyncTypedHandle(_Typed[RawAsyncHandle], Generic[R]):
    """A task that was enqueued, and whose result has a known type; to be awaited."""

    __slots__ = ()

    async def result(self, timeout: float | None = None) -> R:
        """Wait for the result, `timeout` seconds (None: for ever). Raises as TypedHandle.result."""
        value: R = self._handler.load_result(await self._raw.result(timeout))
        return value

    async def get(self) -> Any:
        """The task as it is now. Raises TaskNotFound."""
        return await self._raw.get()

    async def cancel(self, reason: str = "cancelled by request") -> Any:
        """Cancel it, or ask its worker to."""
        return await self._raw.cancel(reason)


class TaskFunction(Generic[P, R]):
    """A function that is a task: enqueue it, or call it as the function it was."""

    __name__: str
    __wrapped__: Callable[..., Any]

    def __init__(self, handler: Handler, asked: Mapping[str, Any] | None = None) -> None:
        self.handler = handler
        self._asked = dict(asked or {})
        functools.update_wrapper(self, handler.fn)

    @property
    def name(self) -> str:
        """The task's name."""
        return self.handler.name

    def options(self, **changes: Any) -> TaskFunction[P, R]:
        """The same task with other options, as in coordq.Options.

        Raises InvalidOption, InvalidTime, InvalidName.
        """
        asked = {**self._asked, **changes}
        self.handler.options.merge(**asked)
        return TaskFunction(self.handler, asked)

    def item(self, *args: P.args, **kwargs: P.kwargs) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """A call as `client.work.enqueue_many` takes it: name, arguments, options.

        Raises InvalidArguments, and what a `before_enqueue` hook raises.
        """
        order = self._order(args, kwargs)
        return order.name, order.arguments, order.options

    def node(
        self, given: Mapping[str, Any], *, later: Collection[str] = ()
    ) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """A call as a flow takes it: name, arguments, options.

        later: parameters that are filled in when the task is run.

        Raises InvalidArguments, and what a `before_enqueue` hook raises.
        """
        order = self._order((), given, later=later)
        return order.name, order.arguments, order.options

    @overload
    def enqueue(
        self, client: SyncClient, /, *args: P.args, **kwargs: P.kwargs
    ) -> TypedHandle[R]: ...
    @overload
    def enqueue(
        self, client: AsyncClient, /, *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[AsyncTypedHandle[R]]: ...
    def enqueue(self, client: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Enqueue a call with these arguments.

        Raises InvalidArguments (before anything is sent), and what `client.work.enqueue` raises.
        """
        door = self._door(client)
        order = self._order(args, kwargs)
        raw = door.enqueue(order.name, order.arguments, **order.options)
        if inspect.isawaitable(raw):
            return self._enqueued_async(order, raw)
        handle = TypedHandle[R](self.handler, raw)
        self.handler.hooks.after_enqueue(order, handle)
        return handle

    async def _enqueued_async(self, order: Outgoing, raw: Awaitable[Any]) -> AsyncTypedHandle[R]:
        handle = AsyncTypedHandle[R](self.handler, await raw)
        self.handler.hooks.after_enqueue(order, handle)
        return handle

    @overload
    def run(self, client: SyncClient, /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def run(self, client: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]: ...
    def run(self, client: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Enqueue a call and wait for its result, for ever if need be.

        Raises what `enqueue` and `TypedHandle.result` raise.
        """
        door = self._door(client)
        order = self._order(args, kwargs)
        result = door.run(order.name, order.arguments, **order.options)
        return self._loaded(result) if inspect.isawaitable(result) else self._load(result)

    async def _loaded(self, result: Awaitable[Any]) -> Any:
        return self._load(await result)

    def _load(self, result: Any) -> Any:
        return self.handler.load_result(result)

    def _door(self, client: Any) -> Any:
        door = getattr(client, "work", None)
        if not hasattr(door, "enqueue"):
            raise InvalidArguments(
                f"task {self.name!r}: the first argument must be a client from coordq.connect()"
                f" or coordq.connect_async(), not {type(client).__name__}.",
                task=self.name,
                parameter="",
                problem="no client",
            )
        return door

    def _order(self, args: Any, kwargs: Any, *, later: Collection[str] = ()) -> Outgoing:
        arguments = self.handler.signature.bind(args, kwargs, later=later)
        order = Outgoing(self.name, arguments, dict(self._asked))
        self.handler.hooks.before_enqueue(order)
        return order

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the plain function here and now: no queue, no validation, no dependencies."""
        return self.handler.fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<task {self.name} of agent {self.handler.agent.name}>"
