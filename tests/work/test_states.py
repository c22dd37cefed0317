"""NEXT, the table of transitions, against what the scripts really do: no more, no less."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

from coordq.errors import Conflict, CoordqError
from coordq.work import answer
from coordq.work.claim import Claim, read_claim
from coordq.work.morgue import requeue
from coordq.work.task import BY_LETTER, NEXT, TERMINAL, State
from tests.work.desk import Desk, order
from tests.work.flows import Flows, after, node

TRANSITIONS = [
    (state, event, after) for state, events in NEXT.items() for event, after in events.items()
]


KINDS = {
    "wait": "approval",
    "approve": "approval",
    "reject": "approval",
    "time-out": "approval",
    "signal": "signal",
}
"""Of the node that an event happens to, where it is none with a handler."""


def bring(desk: Desk, state: State, event: str = "") -> str:
    """A task in `state`, such that `event` can happen to it."""
    if state is State.SCHEDULED and event != "elapse":
        return desk.put(delay=60)
    if state is State.WAITING or event in {*KINDS, "elapse"}:
        return bring_member(desk, state, event)
    task_id = desk.put()
    if state is State.SUSPENDED:
        desk.end(desk.take(), "suspend", b'{"kind":"time","key":"nap"}', 60_000)
    elif state is not State.READY:
        claim = desk.take()
        ends = {
            State.SUCCEEDED: "succeeded",
            State.FAILED: "failed",
            State.CANCELLED: "cancelled",
        }
        if state in ends:
            desk.end(claim, ends[state])
    return task_id


def bring_member(desk: Desk, state: State, event: str) -> str:
    """A task of a flow that comes after another one, which runs unless `state` is no more."""
    first = node("first", name="first")
    policy = "skip" if event == "skip" else "fail"
    child = node(
        "child",
        after(first, policy=policy),
        kind="timer" if event == "elapse" else KINDS.get(event, "task"),
        delay_ms=60_000 if event in {"delay", "elapse"} else 0,
        signal="go" if event == "signal" else "",
    )
    Flows(desk).start(first, child)
    if state is not State.WAITING:
        assert desk.end(desk.take(served=("first",))) == "ok"
    return child.id


class Hand:
    """Makes each event of the table happen to a task."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def do(self, event: str, task_id: str) -> None:
        """Let `event` happen."""
        action: Callable[[str], object] = getattr(self, event.replace("-", "_"))
        action(task_id)

    def _held(self, task_id: str) -> Claim:
        """The claim on a running task, as its worker has it."""
        return read_claim(task_id.encode(), self._desk.redis("GET", self._desk.key(f"t:{task_id}")))

    def promote(self, task_id: str) -> None:
        self._desk.make_due(task_id)
        self._desk.promote()

    def elapse(self, task_id: str) -> None:
        self.promote(task_id)

    def _end_parent(self, how: str) -> None:
        assert self._desk.end(self._desk.take(served=("first",)), how) == "ok"

    def unblock(self, _: str) -> None:
        self._end_parent("succeeded")

    def delay(self, _: str) -> None:
        self._end_parent("succeeded")

    def wait(self, _: str) -> None:
        self._end_parent("succeeded")

    def skip(self, _: str) -> None:
        self._end_parent("failed")

    def parent_failed(self, _: str) -> None:
        self._end_parent("failed")

    def suspend(self, task_id: str) -> None:
        body = b'{"kind":"time","key":"nap"}'
        assert self._desk.end(self._held(task_id), "suspend", body, 60_000) == "ok"

    def resume(self, task_id: str) -> None:
        self._desk.make_due(f"z{task_id}")
        self._desk.promote()

    def time_out(self, task_id: str) -> None:
        self.resume(task_id)

    def approve(self, task_id: str) -> None:
        self._desk.run(answer.answer(task_id, approved=True, by="ada", nonce="n"))

    def reject(self, task_id: str) -> None:
        self._desk.run(answer.answer(task_id, approved=False, by="ada", nonce="n"))

    def signal(self, _: str) -> None:
        self._desk.run(answer.signal(self._desk.shard, "go", 1, nonce="n"))

    def requeue(self, task_id: str) -> None:
        self._desk.run(requeue([task_id], states=frozenset(State)))

    def cancel(self, task_id: str) -> None:
        self._desk.cancel(task_id)

    def expire(self, task_id: str) -> None:
        self._desk.make_due(f"x{task_id}")
        self._desk.promote()

    def overrun(self, task_id: str) -> None:
        self._desk.make_due(f"y{task_id}")
        self._desk.promote()

    def claim(self, task_id: str) -> None:
        self._desk.take_one(task_id)

    def shed(self, _: str) -> None:
        self._desk.configure(high=1)
        self._desk.place(order(priority="critical", on_full="shed"))

    def succeed(self, task_id: str) -> None:
        assert self._desk.end(self._held(task_id)) == "ok"

    def retry(self, task_id: str) -> None:
        assert self._desk.end(self._held(task_id), "retry", delay_ms=60_000) == "ok"

    def snooze(self, task_id: str) -> None:
        assert self._desk.end(self._held(task_id), "snooze", delay_ms=60_000) == "ok"

    def release(self, task_id: str) -> None:
        assert self._desk.end(self._held(task_id), "release") == "ok"

    def fail(self, task_id: str) -> None:
        assert self._desk.end(self._held(task_id), "failed") == "ok"

    def cancelled(self, task_id: str) -> None:
        assert self._desk.end(self._held(task_id), "cancelled") == "ok"

    def crash(self, task_id: str) -> None:
        assert self._desk.release(self._held(task_id), reason="crash") == 1

    def lapse(self, task_id: str) -> None:
        self._desk.lapse(self._held(task_id))
        assert self._desk.reap().amount == 1

    def poison(self, task_id: str) -> None:
        for _ in range(2):
            self.crash(task_id)
            self.claim(task_id)
        self.crash(task_id)


@pytest.mark.parametrize(("before", "event", "after"), TRANSITIONS)
def test_each_transition_of_the_table_happens(
    desk: Desk, before: State, event: str, after: State
) -> None:
    """And raises the version: whoever saw the task before is told that it has moved on."""
    task_id = bring(desk, before, event)
    version = desk.task(task_id).version
    assert desk.task(task_id).state is before

    Hand(desk).do(event, task_id)

    assert desk.task(task_id).state is after
    assert desk.task(task_id).version > version


IMPOSSIBLE = [
    (state, event)
    for state in NEXT
    for event in ("promote", "requeue", "cancel", "expire", "overrun", "claim")
    if event not in NEXT[state] and not (state is State.RUNNING and event in {"cancel", "overrun"})
]


@pytest.mark.parametrize(("state", "event"), IMPOSSIBLE)
def test_what_is_not_in_the_table_does_not_happen(desk: Desk, state: State, event: str) -> None:
    """The state stays, and so does the version."""
    task_id = bring(desk, state)
    version = desk.task(task_id).version

    try:
        Hand(desk).do(event, task_id)
    except Conflict:
        assert event == "claim"

    assert (desk.task(task_id).state, desk.task(task_id).version) == (state, version)
    for member in (task_id, f"x{task_id}", f"y{task_id}"):
        if state is not State.SCHEDULED or member != task_id:
            desk.redis("ZREM", desk.key("due"), member)


@pytest.mark.parametrize("event", ["cancel", "overrun"])
def test_a_running_task_goes_on_until_its_worker_has_heard(desk: Desk, event: str) -> None:
    """A request is no transition."""
    task_id = bring(desk, State.RUNNING)
    version = desk.task(task_id).version

    Hand(desk).do(event, task_id)

    assert (desk.state(task_id), desk.task(task_id).version) == ("running", version)


def test_the_table_knows_every_state_that_exists_today() -> None:
    """None is missing."""
    assert set(NEXT) == set(State)
    assert {after for events in NEXT.values() for after in events.values()} <= set(NEXT)


def test_the_table_knows_every_event_that_can_be_made_to_happen() -> None:
    """The hand above has one action for each."""
    actions = {name for name, _ in inspect.getmembers(Hand, inspect.isfunction)} - {"__init__"}

    assert {event for events in NEXT.values() for event in events} == {
        name.replace("_", "-") for name in actions if not name.startswith("_")
    } - {"do"}


def test_every_state_reaches_an_end() -> None:
    """No task waits for ever in a corner of the table."""
    for state in NEXT:
        reached, frontier = {state}, [state]
        while frontier:
            for state_after in NEXT[frontier.pop()].values():
                if state_after not in reached:
                    reached.add(state_after)
                    frontier.append(state_after)
        assert reached & TERMINAL


def test_letters_are_the_states() -> None:
    """Records spell each with one letter of its own."""
    assert {state.letter for state in State} == set(BY_LETTER)
    assert all(BY_LETTER[state.letter] is state for state in State)


def test_errors_of_the_work_room_are_coordq_errors() -> None:
    """One tree."""
    assert issubclass(Conflict, CoordqError)
