"""A condition means the same where it is written and where it is decided.

Python judges conditions for people (a flow that is looked at, a test of a condition), Redis judges
them when a parent ends. Were the two of different minds, a branch would be taken that nobody wrote.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coordq.engine import scripts
from coordq.work.flow.condition import parse
from coordq.work.flow.judge import evaluate

LONGEST = 8192
"""Bytes of JSON; to Redis only."""

NAMES = st.sampled_from(["a", "b", "é", "0", ""])
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0.5, -0.0, 1e300, 2**53, 2**53 + 1, 2**70]),
)
TEXTS = st.one_of(
    NAMES, st.text(max_size=4), st.sampled_from(["Z", "a", "ä", "\U0001f600", "a\x00b"])
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
RESULTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
PATHS = st.lists(st.one_of(NAMES, st.integers(-3, 3)), max_size=3)
LEAVES = st.one_of(
    SCALARS,
    PATHS.map(lambda path: ["get", *path]),
    PATHS.map(lambda path: ["has", *path]),
    PATHS.map(lambda path: ["len", ["get", *path]]),
    RESULTS.map(lambda value: ["lit", value]),
)


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    signs = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in"])
    return st.one_of(
        st.tuples(signs, inner, inner).map(list),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner, inner).map(list),
        st.tuples(st.sampled_from(["not", "len"]), inner).map(list),
    )


TREES = st.recursive(LEAVES, _larger, max_leaves=6)

Ask = Callable[[str, str], bool]


@pytest.fixture(scope="module")
def ask_redis(redis_url: str) -> Iterator[Ask]:
    """`holds` of lua/lib/condition.lua, run by Redis: (tree as JSON, result as JSON) -> bool."""
    library = scripts.lua_root() / "lib" / "condition.lua"
    source = f"{Path(str(library)).read_text()}\nreturn holds(ARGV[1], ARGV[2]) and 1 or 0"
    with redis.Redis.from_url(redis_url) as client:
        script = client.register_script(source)
        yield lambda tree, result: script(args=[tree, result]) == 1


@settings(max_examples=1500)
@given(tree=TREES, result=RESULTS)
@example(tree=["==", True, 1], result=None)
@example(tree=["==", ["get", "a"], None], result={})
@example(tree=["has", "a"], result={"a": None})
@example(tree=["has"], result=None)
@example(tree=["in", ["lit", []], ["get"]], result=[[], {}])
@example(tree=["<", "Z", "a"], result=None)
@example(tree=["<", "\uffff", "\U0001f600"], result=None)
@example(tree=["==", ["len", ["get"]], 1], result="\U0001f600")
@example(tree=["==", ["get"], 2**70], result=2**70)
def test_both_are_of_one_mind(ask_redis: Ask, tree: Any, result: Any) -> None:
    """Whatever the condition and whatever the result."""
    assert ask_redis(json.dumps(tree), json.dumps(result)) is evaluate(tree, result)


@pytest.mark.parametrize(
    ("text", "result", "expected"),
    [
        ("quality_score > 0.8 and not flagged", {"quality_score": 0.9}, True),
        ("quality_score > 0.8 and not flagged", {"quality_score": 0.9, "flagged": True}, False),
        ("quality_score > 0.8", {"quality_score": "0.9"}, False),
        ("quality_score > 0.8", None, False),
        ("result.score <= 3", {"score": 3}, True),
        ('tags[0] == "x"', {"tags": ["x"]}, True),
        ('tags[0] == "x"', {"tags": []}, False),
        ('"x" in tags', {"tags": ["y", "x"]}, True),
        ("len(files) > 10", {"files": list(range(11))}, True),
        ("error is None", {}, True),
        ("error is not None", {"error": {"type": "Boom"}}, True),
        ("kind not in ['a', 'b']", {"kind": "c"}, True),
        ("1 < n < 3", {"n": 2}, True),
    ],
)
def test_what_people_write_means_what_they_mean(
    ask_redis: Ask, text: str, result: Any, *, expected: bool
) -> None:
    """From the text to the verdict, in both."""
    condition = parse(text)

    assert condition.holds(result) is expected
    assert ask_redis(condition.encode(), json.dumps(result)) is expected


def test_the_largest_condition_that_can_be_written_is_decided(ask_redis: Ask) -> None:
    """The limits of the script are wider than those of the text."""
    deep = parse("not (" * 20 + "'x' not in result" + ")" * 20)
    wide = parse(" or ".join(f"a=={n}" for n in range(60)))

    assert ask_redis(deep.encode(), "[]") is deep.holds([])
    assert ask_redis(wide.negated().encode(), '{"a":60}')


@pytest.mark.parametrize(
    "tree",
    [
        "",
        "[",
        "[]",
        "{}",
        '{"and":[true]}',
        '["nope",1,1]',
        "[null,1,1]",
        '[["and"],true]',
        '["=="]',
        '["==",1]',
        '["==",1,1,1]',
        '["not"]',
        '["len",[1],2]',
        '["or",true,["nope"]]',
        '["not",["nope"]]',
        "[" * 2000 + "]" * 2000,
        '["not",' * 100 + "false" + "]" * 100,
        json.dumps(["or", True, "x" * 40_000]),
    ],
    ids=lambda tree: tree[:20] or "empty",
)
def test_a_tree_that_makes_no_sense_does_not_hold(ask_redis: Ask, tree: str) -> None:
    """A script that failed half-way through the end of a task would leave its children waiting."""
    assert ask_redis(tree, '{"a":1}') is False
    with suppress(ValueError, RecursionError):
        assert len(tree) > LONGEST or evaluate(json.loads(tree), {"a": 1}) is False


@pytest.mark.parametrize("result", ["", "@", "[1", "\xff", "[" * 2000])
def test_a_result_that_is_no_json_counts_as_null(ask_redis: Ask, result: str) -> None:
    """Records may have been written by anybody."""
    assert ask_redis('["==",["get"],null]', result)
    assert not ask_redis('["get","a"]', result)


def test_a_condition_that_would_hold_up_redis_does_not_hold(ask_redis: Ask) -> None:
    """Five hundred searches through a result of a megabyte would take seconds."""
    search = ["not", ["in", "x", ["get"]]]
    result = json.dumps(["y"] * 50_000)

    assert ask_redis(json.dumps(search), result)
    assert not ask_redis(json.dumps(["and", *[search] * 500]), result)
