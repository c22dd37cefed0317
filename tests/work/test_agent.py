"""Agents and their tasks: defining them, enqueueing them, and what is refused when defining."""

# ruff: noqa: ARG001 - handlers need not use what they take

from __future__ import annotations

import asyncio
import functools
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mypy import api as mypy_api
from pydantic import Field

from coordq.client.client import Client, connect
from coordq.client.client_async import connect_async
from coordq.errors import ForeignData, InvalidAgent, InvalidArguments, InvalidOption, InvalidTime
from coordq.work.agent import Agent
from coordq.work.backoff import Backoff
from coordq.work.context import Context
from coordq.work.depends import Depends


@dataclass
class Page:
    """A result."""

    url: str
    at: datetime


agent = Agent("crawler", role="reader", capabilities={"http"}, persona="You read pages.")


@agent.task(max_attempts=5, timeout=30, queue="pages")
async def fetch(ctx: Context, url: str, depth: int = 1) -> Page:
    """Fetch one page."""
    return Page(url, datetime(2026, 1, depth, tzinfo=UTC))


@agent.task
def add(a: int, b: int = 2) -> int:
    """Add."""
    return a + b


@pytest.fixture
def client(namespace: str) -> Iterator[Client]:
    """A client of a server inside this process."""
    with connect("fake://", namespace=namespace) as made:
        yield made


def test_an_agent_knows_its_tasks_by_name() -> None:
    """That is what a worker asks it for."""
    assert list(agent.handlers) == ["fetch", "add"]
    assert agent.handlers["fetch"].is_async
    assert not agent.handlers["add"].is_async
    assert (agent.role, agent.capabilities) == ("reader", frozenset({"http"}))


def test_a_task_keeps_its_name_and_its_words() -> None:
    """Help and tracebacks speak of the function."""
    assert fetch.__name__ == "fetch"
    assert fetch.__doc__ == "Fetch one page."
    assert repr(fetch) == "<task fetch of agent crawler>"


def test_a_task_can_be_given_another_name() -> None:
    """Two modules may both have a `run`."""
    other = Agent("b")

    @other.task(name="pages:run")
    def run() -> None: ...

    assert list(other.handlers) == ["pages:run"]


def test_a_task_can_still_be_called() -> None:
    """As the plain function that it was: that is how it is tested."""
    assert add(1) == 3
    assert asyncio.run(fetch(None, "u")) == Page("u", datetime(2026, 1, 1, tzinfo=UTC))


def test_enqueue_sends_arguments_by_name_with_the_task_s_options(client: Client) -> None:
    """What the definition says travels with the task."""
    task = fetch.enqueue(client, "u", depth=2).get()

    assert (task.name, task.queue, task.args) == ("fetch", "pages", {"url": "u", "depth": 2})
    assert (task.spec.max_attempts, task.spec.timeout_ms) == (5, 30_000)


def test_options_change_one_call_and_not_the_task(client: Client) -> None:
    """`options` gives a copy."""
    urgent = fetch.options(priority="critical", max_attempts=1)

    assert urgent.enqueue(client, "u").get().spec.priority == "critical"
    assert urgent.options(max_attempts=2).enqueue(client, "u").get().spec.max_attempts == 2
    assert fetch.enqueue(client, "u").get().spec.priority == "normal"


def test_enqueue_with_an_async_client_is_awaited() -> None:
    """The same task, the same names, one `await`."""

    async def run() -> tuple[str, Any]:
        async with connect_async("fake://") as aclient:
            handle = await add.enqueue(aclient, 1)
            return handle.id, await handle.get()

    task_id, task = asyncio.run(run())

    assert task.id == task_id
    assert task.args == {"a": 1}


def test_many_calls_go_in_one_batch(client: Client) -> None:
    """`item` is what enqueue_many takes."""
    handles = client.work.enqueue_many([add.item(n) for n in range(3)])

    assert [handle.get().args for handle in handles] == [{"a": 0}, {"a": 1}, {"a": 2}]


def test_a_result_comes_back_as_its_type() -> None:
    """A typed handle gives what the annotation promises, not bare JSON."""
    stored = {"url": "u", "at": "2026-01-02T00:00:00Z"}

    assert fetch.handler.load_result(stored) == Page("u", datetime(2026, 1, 2, tzinfo=UTC))
    with pytest.raises(ForeignData):
        fetch.handler.load_result({"url": "u"})


@pytest.mark.parametrize("wrong", ["http://x", None, 7, object()])
def test_a_forgotten_client_is_named(wrong: Any) -> None:
    """The commonest slip: fetch.enqueue("https://…")."""
    with pytest.raises(InvalidArguments, match=r"must be a client from coordq.connect"):
        add.enqueue(wrong, 1)


def test_bad_arguments_are_refused_before_anything_is_sent(client: Client, namespace: str) -> None:
    """By both clients, with the same words."""

    async def run() -> None:
        async with connect_async("fake://", namespace=namespace) as aclient:
            await add.enqueue(aclient, "x")  # type: ignore[call-overload]

    with pytest.raises(InvalidArguments, match="'a'"):
        add.enqueue(client, "x")  # type: ignore[call-overload]
    with pytest.raises(InvalidArguments, match="'a'"):
        asyncio.run(run())
    assert client.work.ls() == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"priorty": "high"}, InvalidOption),
        ({"priority": "urgent"}, InvalidOption),
        ({"delay": -1}, InvalidTime),
        ({"delay": float("nan")}, InvalidTime),
        ({"timeout": "soon"}, InvalidTime),
        ({"max_attempts": 0}, InvalidOption),
    ],
)
def test_bad_options_are_refused_where_they_are_given(
    changes: dict[str, Any], error: type[Exception]
) -> None:
    """Not when the call is made, perhaps in another file."""
    with pytest.raises(error):
        add.options(**changes)


def stream() -> Iterator[int]:
    yield 1


async def astream() -> AsyncIterator[int]:
    yield 1


class Service:
    """Something with methods."""

    def method(self, a: int) -> None: ...

    @classmethod
    def of_class(cls, a: int) -> None: ...

    def __call__(self, a: int) -> None: ...


def plain(a: int = 1) -> None: ...
def positional(a: int, /) -> None: ...
def starred(*args: int) -> None: ...
def late_context(a: int, ctx: Context) -> None: ...
def two_contexts(ctx: Context, other: Context) -> None: ...
def with_field(a: int = Field(gt=1)) -> None: ...
def bad_hint(a: "not a type") -> None: ...  # type: ignore[valid-type] # noqa: F722
def naïve() -> None: ...  # noqa: PLC2401


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (lambda: None, "lambda"),
        (stream, "yields"),
        (astream, "yields"),
        (Service, "must be a function"),
        (Service(), "must be a function"),
        (Service().method, "must be a function"),
        (Service.method, "not a method"),
        (Service.of_class, "must be a function"),
        (print, "must be a function"),
        (functools.partial(plain, 1), "must be a function"),
        (staticmethod(plain), "must be a function"),
        ("plain", "must be a function"),
        (7, "must be a function"),
        (add, "is a task already"),
        (positional, "positional-only"),
        (starred, "take a list"),
        (late_context, "must be the first parameter"),
        (two_contexts, "must be the first parameter"),
        (with_field, "write Annotated"),
        (bad_hint, "not a type hint"),
        (naïve, "not allowed"),
    ],
)
def test_what_cannot_be_a_task_is_refused_when_it_is_defined(wrong: Any, problem: str) -> None:
    """With what to do instead; and nothing is left behind."""
    fresh = Agent("a")

    with pytest.raises(InvalidAgent, match=problem):
        fresh.task(wrong)
    assert fresh.handlers == {}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"name": "has space"}, "not allowed"),
        ({"name": ""}, "not allowed"),
        ({"name": "x" * 101}, "not allowed"),
        ({"name": "a\0b"}, "not allowed"),
        ({"name": 7}, "not text"),
        ({"isolation": "container"}, "use 'none' or 'process'"),
        ({"retry_on": "ValueError"}, "exception classes"),
        ({"retry_on": [ValueError, "x"]}, "exception classes"),
        ({"give_up_on": BaseException}, "exception classes"),
        ({"give_up_on": ValueError()}, "exception classes"),
        ({"timout": 3}, "did you mean 'timeout'"),
        ({"timeout": -1}, "negative"),
        ({"timeout": float("inf")}, "ten years"),
        ({"queue": "a b"}, "not allowed"),
        ({"priority": "urgent"}, "critical, high"),
        ({"max_attempts": 1.5}, "whole number"),
        ({"backoff": 3}, "Backoff"),
        ({"id": "x"}, "belongs to one task"),
        ({"at": 5}, "belongs to one task"),
        ({"capabilities": "gpu"}, "collection of names"),
    ],
)
def test_options_that_cannot_work_are_refused_when_defining(
    options: dict[str, Any], problem: str
) -> None:
    """An InvalidAgent, so that a worker that loads the file can say where."""
    fresh = Agent("a")

    with pytest.raises(InvalidAgent, match=problem):
        fresh.task(**options)(plain)
    assert fresh.handlers == {}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"name": ""}, "not allowed"),
        ({"name": None}, "not text"),
        ({"name": "a b"}, "not allowed"),
        ({"role": "ro le"}, "not allowed"),
        ({"role": 3}, "not text"),
        ({"capabilities": "http"}, "not a set of names"),
        ({"capabilities": [1]}, "not text"),
        ({"capabilities": {"a+b"}}, "not allowed"),
        ({"capabilities": None}, "not a set of names"),
        ({"persona": 7}, "persona"),
        ({"persona": {1: "x"}}, "persona"),
        ({"dependencies": [plain]}, "is not a Depends"),
        ({"dependencies": Depends(plain)}, "is not a list"),
    ],
)
def test_an_agent_that_makes_no_sense_is_refused(settings: dict[str, Any], problem: str) -> None:
    """Names end up in keys and on command lines."""
    given = {"name": "a", **settings}

    with pytest.raises(InvalidAgent, match=problem):
        Agent(given.pop("name"), **given)


def test_two_tasks_of_one_name_are_refused() -> None:
    """One of them would silently never run."""
    fresh = Agent("a")
    fresh.task(plain)

    with pytest.raises(InvalidAgent, match="has a task 'plain' already"):
        fresh.task(plain)


def test_a_process_of_its_own_needs_a_function_that_can_be_imported() -> None:
    """A function inside a function cannot be found by a fresh process."""

    def local() -> None: ...

    with pytest.raises(InvalidAgent, match="top level"):
        Agent("a").task(isolation="process")(local)


def test_a_wrapped_function_is_a_task_of_its_real_signature() -> None:
    """Decorators that use functools.wraps are common."""

    def twice(fn: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(fn)
        def call(*args: Any, **kwargs: Any) -> int:
            return 2 * fn(*args, **kwargs)

        return call

    fresh = Agent("a")

    @fresh.task
    @twice
    def number(a: int) -> int:
        return a

    assert number.handler.signature.parameters == {"a": int}
    assert number(2) == 4


def test_give_up_on_and_retry_on_choose_what_is_worth_another_attempt() -> None:
    """A 404 does not get better by asking again."""
    fresh = Agent("a")

    @fresh.task(retry_on=(OSError,), give_up_on=FileNotFoundError)
    def read() -> None: ...

    may = read.handler.may_retry
    assert (may(ConnectionError()), may(FileNotFoundError()), may(ValueError())) == (
        True,
        False,
        False,
    )


def test_a_backoff_travels_with_the_task(client: Client) -> None:
    """The worker that waits may not have the code."""
    fresh = Agent("a")

    @fresh.task(backoff=Backoff.fixed(7))
    def run() -> None: ...

    assert run.enqueue(client).get().spec.backoff == Backoff.fixed(7)


@pytest.mark.slow
def test_the_type_checker_sees_the_real_signature(tmp_path: Path) -> None:
    """The context and `async` are gone, arguments are checked, and results have their type."""
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            from coordq.client.client import Client
            from coordq.client.client_async import AsyncClient
            from coordq.work.agent import Agent
            from coordq.work.context import Context

            agent = Agent("a")

            @agent.task
            async def bare(ctx: Context, url: str, depth: int = 1) -> list[str]: ...

            @agent.task(timeout=3)
            def told(url: str) -> int: ...

            async def use(client: Client, aclient: AsyncClient) -> None:
                reveal_type(bare.enqueue(client, "u", depth=2).result())
                reveal_type(await (await bare.enqueue(aclient, "u")).result())
                reveal_type(told.enqueue(client, url="u").result())
                reveal_type(told.options(delay=3).run(client, "u"))
                reveal_type(await told.run(aclient, "u"))
                bare.enqueue(client)
                bare.enqueue(client, 7)
                told.enqueue(client, "u", depth=3)
            """
        )
    )
    options = ["--strict", f"--cache-dir={tmp_path}", "--follow-imports=silent"]
    said, _, _ = mypy_api.run([*options, str(program)])
    lines = [line.partition("program.py:")[2] for line in said.splitlines()]
    types = [line.split('"')[1] for line in lines if "Revealed type" in line]
    bad = {line.partition(":")[0] for line in lines if line.endswith("[call-overload]")}

    assert [kind.replace("builtins.", "") for kind in types] == [
        "list[str]",
        "list[str]",
        "int",
        "int",
        "int",
    ]
    assert bad == {"21", "22", "23"}, said
