"""Results of parents reach the arguments of a task: whose records are asked for, what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coordq.errors import InvalidArguments
from coordq.ids import new_id
from coordq.work.flow.inputs import MARK, InputGone, read_outcome, resolve

A, B, C = new_id(), new_id(), new_id()
FAILED = {"type": "ValueError", "message": "no", "reason": "exception"}


def record(state: str, outcome: Any = None, *, instead: str = "") -> bytes:
    """A record as the scripts write it."""
    option = f" k={instead}" if instead else ""
    life = f"{state}5 17 1 0 1700000000000 - - -"
    tail = "" if outcome is None and state in "wdqrp" else f"\n{json.dumps(outcome)}"
    return f"{life}\ndefault fetch{option} t=9\n{{}}{tail}".encode()


def resolved(
    args: dict[str, Any], kept: dict[str, bytes], steps: list[set[str]] | None = None
) -> Any:
    """The arguments, from records that are kept somewhere; `steps` gets what was asked for."""
    plan = resolve(json.dumps(args).encode())
    try:
        ids = next(plan)
        while True:
            if steps is not None:
                steps.append(set(ids))
            ids = plan.send({one: kept.get(one) for one in ids})
    except StopIteration as end:
        return json.loads(end.value)


def test_results_stand_where_the_parameters_are_and_lists_keep_their_order() -> None:
    """One step for all of them, each asked for once."""
    steps: list[set[str]] = []
    given = {"depth": 2, "$from": {"page": A, "all": [B, A, B], "title": f"{B}/title/0"}}
    kept = {A: record("s", "a"), B: record("s", {"title": ["b"]})}

    args = resolved(given, kept, steps)

    assert args == {
        "depth": 2,
        "page": "a",
        "all": [{"title": ["b"]}, "a", {"title": ["b"]}],
        "title": "b",
    }
    assert steps == [{A, B}]


def test_a_failed_task_is_followed_to_its_alternative() -> None:
    """To the last of them; its own error stays its own."""
    steps: list[set[str]] = []
    kept = {
        A: record("f", FAILED, instead=B),
        B: record("f", {"reason": "timeout"}, instead=C),
        C: record("s", 3),
    }

    args = resolved({"$from": {"n": A, "why": f"{A}!"}}, kept, steps)

    assert args == {"n": 3, "why": FAILED}
    assert steps == [{A}, {B}, {C}]


def test_an_alternative_of_a_task_that_succeeded_is_not_asked_for() -> None:
    """It was skipped, and has nothing to say."""
    assert resolved({"$from": {"n": A}}, {A: record("s", 1, instead=B)}) == {"n": 1}


def test_the_results_of_a_map_are_found_by_the_ids_that_its_result_lists() -> None:
    """Who expands a map answers with the ids of what it made."""
    steps: list[set[str]] = []
    kept = {A: record("s", [B, C]), B: record("s", "b"), C: record("c", {"reason": "skipped"})}

    args = resolved({"$from": {"parts": f"{A}*"}}, kept, steps)

    assert args == {"parts": ["b", None]}
    assert steps == [{A}, {B, C}]


@pytest.mark.parametrize("mark", ["", "?", "!"])
def test_a_record_that_is_gone_is_named(mark: str) -> None:
    """Nobody can say what stood there: neither a result nor that there was none."""
    with pytest.raises(InputGone, match=A) as gone:
        resolved({"$from": {"page": A + mark}}, {})

    assert (gone.value.code, gone.value.facts["id"]) == ("input-gone", A)


def test_an_alternative_that_is_gone_is_named() -> None:
    """It is the one whose result counts."""
    with pytest.raises(InputGone, match=B):
        resolved({"$from": {"page": A}}, {A: record("f", FAILED, instead=B)})


@pytest.mark.parametrize("state", ["f", "c", "r", "w"])
def test_a_plain_input_of_a_task_without_a_result_is_refused(state: str) -> None:
    """Whoever can do without says so with a question mark."""
    kept = {A: record(state, FAILED if state in "fc" else None)}

    with pytest.raises(InvalidArguments, match=A):
        resolved({"$from": {"page": A}}, kept)

    assert resolved({"$from": {"page": f"{A}?"}}, kept) == {"page": None}


@pytest.mark.parametrize(
    "text", [b"", b"x", b"s1", b"\xff\n\n\n", b"s5 1 1 0 1 - - -\nq n\n{}\nnot json"]
)
def test_a_record_of_a_stranger_is_refused(text: bytes) -> None:
    """Never an accident inside the worker."""
    with pytest.raises(InvalidArguments):
        read_outcome(text)


def test_arguments_that_only_speak_of_inputs_stay_as_they_are() -> None:
    """The look at the bytes is a hint: the key may stand deeper, or be text."""
    for args in ({"deep": {"$from": {"a": A}}}, {"text": '"$from"'}, {"list": ["$from"]}):
        body = json.dumps(args).encode()
        plan = resolve(body)
        with pytest.raises(StopIteration) as end:
            next(plan)
        assert end.value.value == body

    assert MARK in b'{"$from":{}}'
