"""Inputs from parents: what is spelled in `$from` is what the handler gets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.errors import InvalidArguments
from coordq.ids import child_id, is_id, new_id, shard_of
from coordq.work.flow.refs import MARKS, Outcome, Ref, fill, ids_in, listed_ids, read

A, B, C, D, NOBODY = (letter * 22 for letter in "abcde")
DONE = {
    A: Outcome("succeeded", {"files": ["x", {"a/b|c~d": 1}]}),
    B: Outcome("failed", error={"reason": "error", "message": "no"}),
    C: Outcome("succeeded", [A, B]),
    D: Outcome("succeeded"),
}


@pytest.mark.parametrize(
    ("spelled", "value"),
    [
        (A, {"files": ["x", {"a/b|c~d": 1}]}),
        (f"{A}/files/0", "x"),
        (f"{A}/files/1/a~1b~2c~0d", 1),
        (f"{A}?/files/7", None),
        (f"{A}!", None),
        (f"{B}?", None),
        (f"{B}!", {"reason": "error", "message": "no"}),
        (f"{B}!/message", "no"),
        (f"{C}*", [{"files": ["x", {"a/b|c~d": 1}]}, None]),
        (f"{C}*/files/0", ["x", None]),
        (f"{B}*", []),
        (f"{A}=", {"ok": {"files": ["x", {"a/b|c~d": 1}]}}),
        (f"{A}=/ok/files/0", "x"),
        (f"{A}=/error", None),
        (f"{B}=", {"error": {"reason": "error", "message": "no"}}),
        (f"{B}=/ok/files", None),
        (f"{D}=", {"ok": None}),
        (f"{NOBODY}=", {"error": {"reason": "unknown"}}),
        (f"{C}*=/error/reason", [None, "error"]),
        (f"{C}*=", [{"ok": DONE[A].result}, {"error": DONE[B].error}]),
        (f"{B}*=", [{"error": {"reason": "error", "message": "no"}}]),
        (f"{B}|{A}/files/0|{C}", "x"),
        (f"{B}|{B}?", None),
        ([f"{A}/files/0", f"{B}?", f"{B}|{C}/1"], ["x", None, B]),
        ([], []),
    ],
)
def test_an_input_is_filled_in(spelled: Any, value: Any) -> None:
    """Beside the arguments that were there already."""
    assert fill({"y": 1, "$from": {"x": spelled}}, DONE) == {"y": 1, "x": value}


@pytest.mark.parametrize(
    ("spelled", "words"),
    [
        (B, f"task {B} is failed and has no result"),
        (f"{A}/file", "has nothing at 'file'"),
        (f"{A}/files/2", "has nothing at 'files/2'"),
        (f"{A}/files/x", "has nothing at 'files/x'"),
        (f"{A}/files/-1", "has nothing at 'files/-1'"),
        (f"{A}*", "is no list of tasks"),
        (f"{A}*=", "is no list of tasks"),
        (f"{A}=*", "is no input"),
        (f"{C}*/files/9", "has nothing at 'files/9'"),
        (NOBODY, "is unknown and has no result"),
        (f"{A}%", "is no input"),
        ("x", "is no input"),
        (f"{A}|", "is no input"),
        (3, "is no input"),
        ({"a": 1}, "is no input"),
        ([A, [A]], "is no input"),
    ],
)
def test_what_is_not_there_is_refused(spelled: Any, words: str) -> None:
    """A handler must not take a missing result for an empty one."""
    with pytest.raises(InvalidArguments) as caught:
        fill({"$from": {"x": spelled}}, DONE)

    assert words in str(caught.value)


def test_inputs_that_are_no_mapping_are_refused() -> None:
    """Somebody enqueued them by hand."""
    with pytest.raises(InvalidArguments, match=r"\$from is list"):
        ids_in({"$from": [A]})


def test_each_task_is_looked_up_once() -> None:
    """Whatever is wanted of it; those that a result lists come after that one is known."""
    args = {"$from": {"x": [A, f"{A}/files"], "y": f"{B}|{A}", "z": f"{C}*"}}

    assert ids_in(args) == [A, B, C]
    assert listed_ids(args, DONE) == [A, B]
    assert listed_ids(args, {}) == []


STEPS = st.lists(st.text(max_size=5), max_size=4).map(tuple)


@given(st.sampled_from(MARKS), STEPS)
def test_whatever_is_spelled_is_read_back(mark: str, path: tuple[str, ...]) -> None:
    """Fields of results may be called anything."""
    ref = Ref(A, mark, path)

    assert read(str(ref)) == (ref,)
    assert read(f"{ref}|{ref}") == (ref, ref)


@given(st.text(max_size=30), st.text(max_size=30), st.integers(0, 1023))
def test_a_child_has_one_id_and_lives_with_its_parent(one: str, other: str, shard: int) -> None:
    """Made twice under one key it is one task; under two keys it is two."""
    parent = new_id(shard)
    first = child_id(parent, one)

    assert is_id(first)
    assert shard_of(first) == shard
    assert first[:9] == parent[:9]
    assert (first == child_id(parent, other)) == (one == other)
