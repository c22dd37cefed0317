"""What cannot be an agent, a task or an option of one is refused when it is defined."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import Field

from coordq.errors import InvalidAgent
from coordq.work.agent import Agent
from coordq.work.context import Context
from coordq.work.depends import Depends

agent = Agent("b")


@agent.task
def add(a: int, b: int = 2) -> int:
    """Add."""
    return a + b


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
def bad_hint(a: "not a type") -> None: ...  # type: ignore[valid-type]  # noqa: F722
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
        ({"backoff": "e:1:2"}, "Backoff"),
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
