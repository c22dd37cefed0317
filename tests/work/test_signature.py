"""Arguments and results: from Python to JSON and back, and what is refused on the way."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from coordq.errors import InvalidArguments
from coordq.work.signature import Signature
from tests.work.odd import cyclic, deep


class Color(Enum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    """A number with names."""

    LOW = 1
    HIGH = 2


class Page(BaseModel):
    """What strangers send."""

    url: str
    size: int = 0
    links: list[Page] = []


@dataclass
class Point:
    """What we make ourselves."""

    x: float
    y: float = 0.0
    raw: bytes = b""
    tags: set[str] = field(default_factory=set)


class Row(TypedDict):
    """What a table gives."""

    id: int
    name: str


def travel(signature: Signature, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """What the worker gets when the producer makes this call."""
    return signature.bind_json(json.dumps(signature.bind(args, kwargs)).encode())


def sign(fn: Callable[..., Any]) -> Signature:
    return Signature(fn, task=fn.__name__)


def fetch(ctx, url: str, depth: int = 1, *, tags: list[str] | None = None) -> Page: ...  # type: ignore[no-untyped-def,empty-body]


def anything(value, other=None): ...  # type: ignore[no-untyped-def]


def test_a_call_travels_by_parameter_name() -> None:
    """So that parameters may be added or reordered while tasks are under way."""
    assert sign(fetch).bind(("u",), {"depth": 2}) == {"url": "u", "depth": 2}


def test_what_is_left_out_stays_out() -> None:
    """The handler's default counts, as it is when the task runs."""
    assert travel(sign(fetch), "u") == {"url": "u"}


def test_the_context_is_not_an_argument() -> None:
    """It is made by the worker."""
    with pytest.raises(InvalidArguments, match="no such parameter"):
        sign(fetch).bind((), {"url": "u", "ctx": 1})


def test_lax_values_become_what_the_hint_says() -> None:
    """A producer on a command line has only text."""
    assert travel(sign(fetch), url="u", depth="3") == {"url": "u", "depth": 3}


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Page, Page(url="a", links=[Page(url="b")])),
        (Point, Point(1.5, raw=b"\xff\x00", tags={"a"})),
        (Row, {"id": 1, "name": "x"}),
        (datetime, datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)),
        (timedelta, timedelta(days=1, microseconds=1)),
        (Color, Color.BLUE),
        (Level, Level.HIGH),
        (uuid.UUID, uuid.UUID(int=7)),
        (Path, Path("/a/b")),
        (Decimal, Decimal("1.10")),
        (bytes, bytes(range(256))),
        (set[int], {1, 2}),
        (tuple[int, str], (1, "a")),
        (dict[int, Color], {1: Color.RED}),
        (dict[str, list[Point]], {"a": [Point(1)]}),
        (Page | Point, Point(2)),
        (int | None, None),
        (list[bytes], [b"\xfe"]),
        (Literal["a", "b"], "a"),
        (Annotated[int, Field(gt=0)], 5),
        (Any, {"a": [1, None, "ü"]}),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_the_hint_can_say_arrives_as_it_was_sent(hint: Any, value: Any) -> None:
    """Models, dataclasses, dates, enums, sets, bytes, unions: the handler gets real values."""

    def handler(it: Any) -> Any: ...

    handler.__annotations__ = {"it": hint, "return": hint}
    signature = sign(handler)

    assert travel(signature, value) == {"it": value}
    assert signature.load_result(json.loads(signature.dump_result(value))) == value


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(plain_values)
def test_all_of_json_survives_untyped_parameters(value: Any) -> None:
    """Without hints nothing is lost, bent or converted."""
    signature = sign(anything)

    assert travel(signature, value) == {"value": value}
    assert json.loads(signature.dump_result(value)) == value


@given(
    st.builds(
        Point,
        st.floats(allow_nan=False, allow_infinity=False),
        raw=st.binary(),
        tags=st.sets(st.text()),
    )
)
def test_a_dataclass_survives_whatever_is_in_it(point: Point) -> None:
    """Bytes and sets inside a dataclass have no JSON of their own."""

    def handler(point: Point) -> Point: ...  # type: ignore[empty-body]

    assert travel(sign(handler), point) == {"point": point}


def test_extra_keywords_are_taken_by_kwargs() -> None:
    """With the hint they have."""

    def handler(a: int, **rest: int) -> None: ...

    assert travel(sign(handler), 1, b="2") == {"a": 1, "b": 2}
    with pytest.raises(InvalidArguments, match="'b'"):
        sign(handler).bind((1,), {"b": "x"})


def doubled(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value, value]
    return value


def counting() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (float("nan"), "not JSON"),
        (float("inf"), "not JSON"),
        ({"a": [float("-inf")]}, "not JSON"),
        (Point(float("nan")), "not JSON"),
        (Page.model_construct(url="\ud800"), "surrogate"),
        ("\ud800", "surrogate"),
        ({"\udfff": 1}, "surrogate"),
        ({1: "a"}, "key 1 is not text"),
        ({None: "a"}, "key None is not text"),
        ({"a": {("b",): 1}}, "is not text"),
        (b"\xff", "annotate the parameter as bytes"),
        (bytearray(b"a"), "annotate the parameter as bytes"),
        (cyclic(), "contains itself"),
        (deep(101), "more than 100 levels"),
        (deep(100_000), "more than 100 levels"),
        (doubled(60), "values"),
        (10**5000, "digits"),
        (counting(), "only once"),
        (object(), "cannot be written"),
        (print, "cannot be written"),
        (ValueError("x"), "cannot be written"),
        (int, "cannot be written"),
        (sys, "cannot be written"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_say_is_refused(value: Any, problem: str) -> None:
    """In the producer, naming task, parameter and problem; nothing raw gets out."""
    with pytest.raises(InvalidArguments, match=problem) as caught:
        sign(anything).bind(("v",), {"other": value})

    assert caught.value.task == "anything"
    assert caught.value.parameter == "other"
    assert len(str(caught.value)) < 500


def test_a_hundred_levels_are_fine() -> None:
    """The limit is a limit, not a ban on nesting."""
    assert travel(sign(anything), deep(100)) == {"value": deep(100)}


@pytest.mark.parametrize(
    ("args", "kwargs", "parameter", "problem"),
    [
        ((), {}, "url", "required"),
        ((1,), {}, "url", "valid string"),
        ((None,), {}, "url", "valid string"),
        (("u", "two"), {}, "depth", "valid integer"),
        (("u", 1.5), {}, "depth", "valid integer"),
        (("u", float("nan")), {}, "depth", "finite"),
        (("u", 1, ["t"]), {}, "", "2 by position, but 3"),
        (("u",), {"url": "v"}, "url", "given twice"),
        (("u",), {"dept": 2}, "dept", "It takes: url, depth, tags"),
        (("u",), {"tags": "t"}, "tags", "valid list"),
        (("u",), {"tags": [1]}, "tags", "valid string"),
        (("u" * 10_000, "x" * 10_000), {}, "depth", "valid integer"),
    ],
)
def test_a_call_that_does_not_fit_names_the_parameter(
    args: tuple[Any, ...], kwargs: dict[str, Any], parameter: str, problem: str
) -> None:
    """The message can be acted upon, and so can its facts."""
    with pytest.raises(InvalidArguments, match=problem) as caught:
        sign(fetch).bind(args, kwargs)

    assert caught.value.parameter == parameter
    assert caught.value.code == "invalid-arguments"
    assert len(str(caught.value)) < 500


def test_a_constraint_in_the_hint_counts() -> None:
    """Limits belong into the signature, where both sides see them."""

    def handler(n: Annotated[int, Field(gt=0, le=10)]) -> None: ...

    with pytest.raises(InvalidArguments, match="less than or equal to 10"):
        sign(handler).bind((11,), {})


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"3",
        b'"url"',
        b"{",
        b'{"url":}',
        b"\xff\xfe",
        b'{"url":"\\ud800"}',
        b'{"url":1}',
        b'{"url":"u","x":1}',
        b"{}",
        b'{"url":"u","depth":NaN}',
        b'{"url":"u","tags":' + b"[" * 500 + b"]" * 500 + b"}",
    ],
    ids=lambda text: repr(text[:30]),
)
def test_stored_arguments_that_do_not_fit_are_an_error_of_ours(text: bytes) -> None:
    """A worker meets whatever some version of some producer wrote, and goes on."""
    with pytest.raises(InvalidArguments):
        sign(fetch).bind_json(text)


def test_a_validator_that_breaks_is_an_error_of_ours() -> None:
    """Hints may carry the user's code, and that may raise anything."""
    from pydantic import AfterValidator

    def broken(_: int) -> int:
        raise KeyError("oops")

    def handler(n: Annotated[int, AfterValidator(broken)]) -> None: ...

    signature = Signature(handler, task="handler", names={"broken": broken, **locals()})
    with pytest.raises(InvalidArguments, match="oops"):
        signature.bind((1,), {})
