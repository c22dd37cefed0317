"""What a handler needs besides its arguments: opened once, closed always, in the right order."""

# ruff: noqa: B008 - a call in a default is how a dependency is asked for

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Annotated, Any
from unittest.mock import ANY

import pytest

from coordq.work.context import Context
from coordq.work.depends import Depends, Resources
from coordq.work.signature import Signature


def sign(fn: Callable[..., Any], **names: Any) -> Signature:
    return Signature(fn, task="task", names=names)


async def filled(resources: Resources, fn: Callable[..., Any], ctx: Any = None) -> dict[str, Any]:
    """What one run of `fn` is given; everything of the task is closed again."""
    async with AsyncExitStack() as stack:
        return await resources.fill(sign(fn).plan, ctx, stack)


def provided(fn: Callable[..., Any], ctx: Any = None) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        resources = Resources(asyncio.to_thread)
        given = await filled(resources, fn, ctx)
        await resources.close()
        return given

    return asyncio.run(run())


class Manager:
    """A context manager class."""

    def __enter__(self) -> str:
        return "entered"

    def __exit__(self, *_: object) -> None: ...


class AsyncManager:
    """The same, asynchronous."""

    async def __aenter__(self) -> str:
        return "entered"

    async def __aexit__(self, *_: object) -> None: ...


def function() -> str:
    return "function"


async def coroutine() -> str:
    return "coroutine"


def deferred() -> Awaitable[str]:
    return coroutine()


def generator() -> Iterator[str]:
    yield "generator"


async def async_generator() -> AsyncIterator[str]:
    yield "async generator"


@contextmanager
def managed() -> Iterator[str]:
    yield "managed"


@asynccontextmanager
async def async_managed() -> AsyncIterator[str]:
    yield "async managed"


@pytest.mark.parametrize(
    ("provider", "value"),
    [
        (function, "function"),
        (coroutine, "coroutine"),
        (generator, "generator"),
        (async_generator, "async generator"),
        (managed, "managed"),
        (async_managed, "async managed"),
        (Manager, "entered"),
        (AsyncManager, "entered"),
        (partial(int, "7"), 7),
        (deferred, "coroutine"),
        (threading.Event, ANY),
    ],
    ids=lambda value: getattr(value, "__name__", "value"),
)
@pytest.mark.parametrize("scope", ["task", "worker"])
def test_providers_come_in_every_usual_form(provider: Any, value: Any, scope: Any) -> None:
    """Whatever a resource looks like in the user's code, it can be asked for as it is."""

    def handler(it: Any = Depends(provider, scope=scope)) -> None: ...

    assert provided(handler) == {"it": value}


def test_annotated_asks_as_well_as_a_default_does() -> None:
    """So that the function can still be called by hand without surprises."""

    def handler(it: Annotated[str, Depends(function)]) -> None: ...

    assert provided(handler) == {"it": "function"}


def test_a_dependency_is_not_an_argument() -> None:
    """It is provided where the task runs; nobody can send it."""

    def handler(a: int, it: str = Depends(function)) -> None: ...

    signature = sign(handler)

    assert signature.parameters == {"a": int}
    with pytest.raises(ValueError, match="provided by the worker"):
        signature.bind((1,), {"it": "mine"})
    with pytest.raises(ValueError, match="no such parameter"):
        signature.bind_json(b'{"a":1,"it":"mine"}')


def test_dependencies_may_have_dependencies_and_a_context() -> None:
    """And what one run asks for twice is opened once."""
    opened: list[str] = []

    def settings() -> dict[str, str]:
        opened.append("settings")
        return {"url": "db"}

    def database(config: Any = Depends(settings)) -> str:
        return str(config["url"])

    def session(ctx: Context, db: Any = Depends(database), config: Any = Depends(settings)) -> Any:
        return ctx, db, config

    def handler(it: Any = Depends(session), config: Any = Depends(settings)) -> None: ...

    given = provided(handler, ctx="the context")

    assert given == {"it": ("the context", "db", {"url": "db"}), "config": {"url": "db"}}
    assert opened == ["settings"]


def test_the_task_s_own_are_closed_in_reverse_order() -> None:
    """A session is closed before the connection that it uses."""
    log: list[str] = []

    def connection() -> Iterator[str]:
        log.append("open connection")
        yield "connection"
        log.append("close connection")

    async def session(c: Any = Depends(connection)) -> AsyncIterator[str]:
        log.append(f"open session on {c}")
        yield "session"
        log.append("close session")

    def handler(it: Any = Depends(session)) -> None: ...

    provided(handler)

    assert log == [
        "open connection",
        "open session on connection",
        "close session",
        "close connection",
    ]


def test_a_failure_reaches_what_is_open() -> None:
    """So that a transaction can roll back."""
    seen: list[str] = []

    def transaction() -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            seen.append(f"rolled back: {error}")
            raise

    def handler(it: Any = Depends(transaction)) -> None: ...

    async def run() -> None:
        async with AsyncExitStack() as stack:
            await Resources(asyncio.to_thread).fill(sign(handler).plan, None, stack)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(run())
    assert seen == ["rolled back: no"]


def test_what_failed_to_open_closes_what_was_open() -> None:
    """Nothing leaks, and the provider's own error comes out."""
    log: list[str] = []

    def first() -> Iterator[None]:
        try:
            yield
        finally:
            log.append("first closed")

    def second(_first: Any = Depends(first)) -> None:
        raise LookupError("second")

    def handler(it: Any = Depends(second)) -> None: ...

    with pytest.raises(LookupError, match="second"):
        provided(handler)
    assert log == ["first closed"]


def test_the_worker_s_own_are_opened_once_however_many_ask() -> None:
    """A hundred tasks that start together share one pool."""
    opened: list[int] = []
    closed: list[int] = []

    async def pool() -> AsyncIterator[object]:
        opened.append(1)
        await asyncio.sleep(0.01)
        yield object()
        closed.append(1)

    def handler(it: Any = Depends(pool, scope="worker")) -> None: ...

    async def run() -> set[int]:
        resources = Resources(asyncio.to_thread)
        given = await asyncio.gather(*(filled(resources, handler) for _ in range(100)))
        assert not closed
        await resources.close()
        return {id(one["it"]) for one in given}

    assert len(asyncio.run(run())) == 1
    assert (opened, closed) == ([1], [1])


def test_the_worker_s_own_are_closed_in_reverse_order_of_opening() -> None:
    """Whatever was opened later may use what was opened earlier."""
    log: list[str] = []

    def pool() -> Iterator[str]:
        yield "pool"
        log.append("pool closed")

    def cache(p: Any = Depends(pool, scope="worker")) -> Iterator[str]:
        yield f"cache on {p}"
        log.append("cache closed")

    def handler(it: Any = Depends(cache, scope="worker")) -> None: ...

    assert provided(handler) == {"it": "cache on pool"}
    assert log == ["cache closed", "pool closed"]


def test_whoever_asked_first_may_be_cancelled() -> None:
    """Opening goes on for the others."""

    async def run() -> dict[str, Any]:
        go = asyncio.Event()

        async def pool() -> str:
            await go.wait()
            return "pool"

        def handler(it: Any = Depends(pool, scope="worker")) -> None: ...

        resources = Resources(asyncio.to_thread)
        first = asyncio.create_task(filled(resources, handler))
        second = asyncio.create_task(filled(resources, handler))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        go.set()
        given = await second
        await resources.close()
        return given

    assert asyncio.run(run()) == {"it": "pool"}


def test_a_failure_to_open_is_tried_again_by_the_next_task() -> None:
    """A database that was down for a moment must not take the worker down for good."""
    answers = [ConnectionError("down"), None]

    async def pool() -> str:
        if error := answers.pop(0):
            raise error
        return "pool"

    def handler(it: Any = Depends(pool, scope="worker")) -> None: ...

    async def run() -> dict[str, Any]:
        resources = Resources(asyncio.to_thread)
        with pytest.raises(ConnectionError):
            await filled(resources, handler)
        given = await filled(resources, handler)
        await resources.close()
        return given

    assert asyncio.run(run()) == {"it": "pool"}


def test_a_failure_to_close_does_not_keep_the_others_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged, and the worker goes on ending."""
    log: list[str] = []

    def first() -> Iterator[None]:
        yield
        log.append("first closed")

    def second() -> Iterator[None]:
        yield
        raise OSError("disk")

    def handler(
        a: Any = Depends(first, scope="worker"), b: Any = Depends(second, scope="worker")
    ) -> None: ...

    provided(handler)

    assert log == ["first closed"]
    assert "closing" in caplog.text


def test_cancelled_while_a_thread_opens_still_closes() -> None:
    """What a thread has entered is left again, even if nobody waited for it."""
    entered, may_go, left = threading.Event(), threading.Event(), threading.Event()

    def slow() -> Iterator[None]:
        entered.set()
        may_go.wait(10)
        try:
            yield
        finally:
            left.set()

    def handler(it: Any = Depends(slow)) -> None: ...

    async def run() -> None:
        task = asyncio.create_task(filled(Resources(asyncio.to_thread), handler))
        await asyncio.to_thread(entered.wait, 10)
        task.cancel()
        await asyncio.sleep(0)
        may_go.set()
        await asyncio.wait([task])

    asyncio.run(run())
    assert left.is_set()


def test_sync_providers_run_in_a_thread_with_the_context_variables() -> None:
    """They may block; and tracing goes on in them."""
    variable = contextvars.ContextVar("variable", default="")

    def where() -> tuple[bool, str]:
        return threading.current_thread() is threading.main_thread(), variable.get()

    def handler(it: Any = Depends(where)) -> None: ...

    variable.set("seen")
    assert provided(handler) == {"it": (False, "seen")}
