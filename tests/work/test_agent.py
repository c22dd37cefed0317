"""Agents and their tasks: defining them, enqueueing them, and what is refused when defining."""

# ruff: noqa: ARG001 - handlers need not use what they take

from __future__ import annotations

import asyncio
import functools
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mypy import api as mypy_api

from coordq.client.client import Client, connect
from coordq.client.client_async import connect_async
from coordq.errors import ForeignData, InvalidArguments, InvalidOption, InvalidTime
from coordq.work.agent import Agent
from coordq.work.backoff import Backoff
from coordq.work.context import Context


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
