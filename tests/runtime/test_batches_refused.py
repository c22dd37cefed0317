"""What cannot take batches, and batches that cannot be, are refused where they are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coordq.errors import InvalidAgent, InvalidOption
from coordq.work.agent import Agent
from coordq.work.batch import Batch


def refuse_default(text: list[str] = []) -> None:  # noqa: B006 - what is refused
    """Whose would it be?"""


def refuse_text(text: str) -> None:
    """No list."""


def refuse_nothing() -> None:
    """Nothing to gather."""


def refuse_extra(text: list[str], **more: Any) -> None:
    """Columns without names."""


@pytest.mark.parametrize("fn", [refuse_default, refuse_text, refuse_nothing, refuse_extra])
def test_a_function_that_cannot_take_batches_is_refused(fn: Callable[..., Any]) -> None:
    """Where it is defined, with what to write."""
    with pytest.raises(InvalidAgent, match=fn.__name__):
        Agent("a").task(batch=Batch(size=3))(fn)


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0},
        {"size": 1.5},
        {"delay": -1},
        {"delay": 61},
        {"delay": float("nan")},
        {"bytes": 0},
    ],
)
def test_a_batch_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    """Sizes are whole and not too large."""
    with pytest.raises(InvalidOption, match=next(iter(options))):
        Batch(**options)


def test_what_is_no_batch_is_refused() -> None:
    """As is one for a process of its own."""
    agent = Agent("a")

    def fine(n: list[int]) -> None: ...

    for options in ({"batch": 100}, {"batch": Batch(), "isolation": "process"}):
        with pytest.raises(InvalidAgent, match="batch"):
            agent.task(**options)(refuse_text if "isolation" in options else fine)
