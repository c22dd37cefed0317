"""Dependencies that cannot work are refused where they are written."""

# ruff: noqa: B008 - a call in a default is how a dependency is asked for

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest

from coordq.errors import InvalidAgent
from coordq.work.context import Context
from coordq.work.depends import Depends, make_plan


def function() -> str:
    return "function"


def opens_nothing() -> None: ...


def needs_argument(url: str) -> None: ...


def positional(url: str, /) -> None: ...


def wants_context(ctx: Context) -> None: ...


def of_task(it: Any = Depends(opens_nothing)) -> None: ...


class Unhashable:
    """Callable, but equal by value."""

    __hash__ = None  # type: ignore[assignment]

    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Depends("database"), "must be something to call"),  # type: ignore[arg-type]
        (lambda: Depends(None), "must be something to call"),  # type: ignore[arg-type]
        (lambda: Depends(function, scope="session"), "use 'task' or 'worker'"),  # type: ignore[arg-type]
        (lambda: Depends(needs_argument), "'url' that nothing provides"),
        (lambda: Depends(positional), "positional-only"),
        (lambda: Depends(wants_context, scope="worker"), "the context of one task"),
        (lambda: Depends(of_task, scope="worker"), "give both scope='worker'"),
        (lambda: Depends(Unhashable()), "must be hashable"),
    ],
)
def test_a_dependency_that_cannot_work_is_refused(make: Callable[[], Any], problem: str) -> None:
    """Where it is written, not when the first task runs."""
    with pytest.raises(InvalidAgent, match=problem):
        make_plan({"it": make()})


def egg(it: Annotated[Any, Depends(lambda: None)]) -> None: ...


def hen(it: Annotated[Any, "placeholder"]) -> None: ...


def test_a_circle_is_refused_with_its_members() -> None:
    """It would open things for ever."""
    hen.__annotations__["it"] = Annotated[Any, Depends(egg)]
    egg.__annotations__["it"] = Annotated[Any, Depends(hen)]

    with pytest.raises(InvalidAgent, match="hen -> egg -> hen"):
        make_plan({"it": Depends(hen)})
