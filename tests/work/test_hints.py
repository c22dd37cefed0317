"""Results as JSON, and type hints that may come late or never."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from coordq.errors import ForeignData, InvalidAgent
from coordq.work.hints import ResultNotJSON
from coordq.work.signature import Signature
from tests.work.odd import cyclic, deep


@dataclass
class Point:
    """A dataclass."""

    x: float


class Page(BaseModel):
    """A model."""

    url: str


def sign(fn: Callable[..., Any]) -> Signature:
    return Signature(fn, task=fn.__name__)


def anything(value, other=None): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        {"a": float("inf")},
        object(),
        cyclic(),
        deep(101),
        "\ud800",
        {object(): 1},
        Point(float("inf")),
        Page.model_construct(url=print),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_result_that_is_not_json_is_named(value: Any) -> None:
    """The work was done but cannot be told: that has its own code."""

    def untyped() -> Any: ...
    def typed() -> Page | Point: ...  # type: ignore[empty-body]

    for handler in (untyped, typed):
        with pytest.raises(ResultNotJSON, match=handler.__name__):
            sign(handler).dump_result(value)


def test_a_result_is_not_judged_by_its_hint() -> None:
    """The work is done; a wrong annotation does not undo it."""

    def handler() -> Page: ...  # type: ignore[empty-body]

    assert json.loads(sign(handler).dump_result({"url": 3})) == {"url": 3}


def test_a_result_that_does_not_fit_is_noticed_by_the_producer() -> None:
    """A typed handle never lies about the type."""

    def handler() -> Page: ...  # type: ignore[empty-body]

    with pytest.raises(ForeignData, match="return annotation"):
        sign(handler).load_result({"url": 3})


def test_text_about_nan_is_not_nan() -> None:
    """Only the constant is refused, not the word."""
    assert sign(anything).dump_result(["NaN", "Infinity"]) == b'["NaN","Infinity"]'


def test_a_hint_nobody_can_read_is_refused_by_name() -> None:
    """When a worker starts, not when the first task arrives."""

    class Strange: ...

    def handler(fine: int, strange: Strange) -> None: ...

    signature = Signature(handler, task="handler", names=locals())
    with pytest.raises(InvalidAgent, match="'strange'"):
        signature.prepare()


def test_hints_may_name_what_is_defined_below() -> None:
    """They are looked up on first use."""

    def handler(later: Later) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    signature = sign(handler)
    globals()["Later"] = int
    try:
        assert signature.bind(("3",), {}) == {"later": 3}
    finally:
        del globals()["Later"]


def test_a_name_that_is_never_defined_is_refused() -> None:
    """With the name."""

    def handler(never: Never) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(InvalidAgent, match="Never"):
        sign(handler).prepare()


def test_plain_signatures_do_without_pydantic() -> None:
    """It would cost every worker megabytes, and every import a tenth of a second."""
    program = """if True:
        import sys
        from coordq.work.agent import Agent
        agent = Agent("a")
        @agent.task
        def plain(url: str, n: int = 1, rest: dict[str, list[float]] | None = None) -> bool: ...
        plain.handler.prepare()
        plain.handler.bind_json(b'{"url": "u"}')
        assert "pydantic" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
