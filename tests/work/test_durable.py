"""What outlives a run: how it is kept, how waits are told apart, and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.errors import (
    ApprovalRejected,
    CoordqError,
    InvalidInput,
    InvalidName,
    InvalidTime,
    NotDurable,
    OtherShard,
    PayloadTooLarge,
    TaskCancelled,
    TaskFailed,
    WaitExpired,
)
from coordq.ids import new_id
from coordq.work.context import Context
from coordq.work.flow.refs import Outcome
from coordq.work.signals import Suspended
from coordq.work.waits import Memory, Waits, dump_state, failure, read_memory
from tests.claims import claim_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)


class Nobody:
    """Errands that nobody does: for what is decided before one is sent."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was sent")


def context(**given: Any) -> Context:
    """A context of an async handler."""
    return Context(claim_of("n"), errands=Nobody(), **given)


@given(JSON)
def test_a_checkpoint_comes_back_as_it_was(state: Any) -> None:
    """Whatever JSON can say."""
    assert read_memory({"state": dump_state("n", state)}).state == state


@pytest.mark.parametrize(
    "state", [float("nan"), {1: 2}, b"bytes", object(), "\ud800", iter([1]), {"deep": {3.5: 1}}]
)
def test_a_checkpoint_that_is_not_json_is_refused(state: Any) -> None:
    """Before anything is sent: what comes back must be what was kept."""
    with pytest.raises(InvalidInput, match="'n'"):
        dump_state("n", state)


def test_a_checkpoint_has_a_size_limit() -> None:
    """As arguments and results have."""
    with pytest.raises(PayloadTooLarge, match="Store the data elsewhere"):
        dump_state("n", "x" * 2**20)


def test_what_was_kept_is_told_from_what_came_of_waits() -> None:
    """The other fields of the hash are the scripts' own."""
    came = {"value": 7}
    fields = {"w:go": json.dumps(came).encode(), "wait": b"{}", "until": b"5"}

    memory = read_memory(fields)

    assert memory == Memory(None, {"go": came})
    assert Memory(**json.loads(json.dumps(memory.to_json()))) == memory


def test_waits_without_a_key_are_told_apart_by_kind_and_order() -> None:
    """The same in every run, and not moved by those that have one."""
    waits = Waits()

    keys = [waits.key("time"), waits.key("tasks"), waits.key("time", "own"), waits.key("time")]

    assert keys == ["time.1", "tasks.1", "own", "time.2"]


@pytest.mark.parametrize(
    ("came", "error", "words"),
    [
        ({"error": "timeout"}, WaitExpired, "'k'"),
        ({"error": "rejected", "by": "ann", "note": "too dear"}, ApprovalRejected, "ann.*too dear"),
        ({"error": "rejected"}, ApprovalRejected, "Somebody"),
        ({"error": "of tomorrow"}, CoordqError, "of tomorrow"),
    ],
)
def test_a_wait_that_did_not_end_well_is_an_error(
    came: dict[str, str], error: type[CoordqError], words: str
) -> None:
    """With the facts that a handler may want to look at."""
    waits = Waits(Memory(None, {"k": came}))

    with pytest.raises(error, match=words) as raised:
        waits.value(Suspended("approval", "k"))

    assert raised.value.facts["key"] == "k"


def test_the_first_wait_is_the_one_that_counts() -> None:
    """A handler that catches it and waits for something else is told of the first again."""
    waits = Waits()
    first, second = Suspended("time", "a", timeout=1), Suspended("time", "b", timeout=1)

    assert waits.part(first) is first
    assert waits.part(second) is first
    with pytest.raises(Suspended) as raised:
        waits.check()
    assert raised.value is first


@pytest.mark.parametrize("timeout", [-1, float("nan"), "soon", True, 400 * 86_400])
def test_a_time_that_cannot_be_waited_for_is_refused(timeout: Any) -> None:
    """As those of Snooze and Retry."""
    with pytest.raises(InvalidTime):
        context().sleep(timeout)


def test_a_timedelta_is_a_time() -> None:
    """In all of them."""
    assert Suspended("time", "k", timeout=timedelta(minutes=2)).timeout_s == 120


@pytest.mark.parametrize(
    "ask",
    [
        lambda ctx: ctx.wait_for("no id"),
        lambda ctx: ctx.wait_for([3]),
        lambda ctx: ctx.wait_for([None]),
        lambda ctx: ctx.wait_for(new_id(), key=3),
        lambda ctx: ctx.wait_approval("k" * 201),
        lambda ctx: ctx.wait_approval(7),
        lambda ctx: ctx.spawn("n", key=3),
        lambda ctx: ctx.spawn("n", after=["no id"]),
        lambda ctx: ctx.checkpoint(object()),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(ask: Any) -> None:
    """In the handler, before anything is sent."""
    with pytest.raises(InvalidInput):
        ask(context())


def test_a_task_of_another_shard_cannot_be_waited_for() -> None:
    """No script sees both. The error has a code, both ids, and says what to do."""
    other = new_id(1)

    with pytest.raises(OtherShard, match=r"is on shard 0 .* on shard 1: make it with") as caught:
        context().wait_for([other])

    assert (caught.value.code, caught.value.facts["ids"][1]) == ("other-shard", other)


@pytest.mark.parametrize("name", ["", "two words", None, "-x"])
def test_a_signal_has_a_name(name: Any) -> None:
    """It becomes part of a key, and stands on command lines."""
    with pytest.raises(InvalidName):
        context().wait_signal(name)


@pytest.mark.parametrize("ask", ["checkpoint", "wait_for", "wait_signal", "spawn", "sleep"])
def test_a_context_without_a_worker_says_so(ask: str) -> None:
    """A handler that is called by hand, or for a batch."""
    given = {"wait_for": new_id(), "sleep": 1}.get(ask, "name")

    with pytest.raises(NotDurable, match="not available here"):
        getattr(Context(claim_of("n")), ask)(given)


def test_tasks_that_did_not_succeed_are_the_errors_of_a_client() -> None:
    """So a handler catches the same as who waits outside."""
    task_id = new_id()
    failed = failure(task_id, Outcome("failed", error={"reason": "timeout", "message": "late"}))
    cancelled = failure(task_id, Outcome("cancelled"))

    assert isinstance(failed, TaskFailed)
    assert (failed.facts["id"], failed.facts["reason"]) == (task_id, "timeout")
    assert isinstance(cancelled, TaskCancelled)
