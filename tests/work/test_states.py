"""NEXT, the table of transitions, against what the scripts really do: no more, no less."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

from coordq.errors import Conflict, CoordqError
from coordq.work.claim import Claim, read_claim
from coordq.work.morgue import requeue
from coordq.work.task import BY_LETTER, NEXT, TERMINAL, State
from tests.work.desk import Desk, order

TRANSITIONS = [
    (state, event, after) for state, events in NEXT.items() for event, after in events.items()
]


def bring(desk: Desk, state: State) -> str:
    """A task in `state`."""
    if state is State.SCHEDULED:
        return desk.put(delay=60)
    task_id = desk.put()
    if state is not State.READY:
        claim = desk.take()
        ends = {
            State.SUCCEEDED: "succeeded",
            State.FAILED: "failed",
            State.CANCELLED: "cancelled",
        }
        if state in ends:
            desk.end(claim, ends[state])
    return task_id


class Hand:
    """Makes each event of the table happen to a task."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def do(self, event: str, task_id: str) -> None:
        """Let `event` happen."""
        action: Callable[[str], object] = getattr(self, event)
        action(task_id)

    def _held(self, task_id: str) -> Claim:
        """The claim on a running task, as its worker has it."""
        return read_claim(task_id.encode(), self._desk.redis("GET", self._desk.key(f"t:{task_id}")))

    def promote(self, task_id: str) -> None:
        self._desk.make_due(task_id)
        self._desk.promote()

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
    task_id = bring(desk, before)
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
    """The others, waiting and suspended, come with flows."""
    assert set(NEXT) == set(State) - {State.WAITING, State.SUSPENDED}
    assert {after for events in NEXT.values() for after in events.values()} <= set(NEXT)


def test_the_table_knows_every_event_that_can_be_made_to_happen() -> None:
    """The hand above has one action for each."""
    actions = {name for name, _ in inspect.getmembers(Hand, inspect.isfunction)} - {"__init__"}

    assert {event for events in NEXT.values() for event in events} == {
        name for name in actions if not name.startswith("_")
    } - {"do"}


def test_every_state_reaches_an_end() -> None:
    """No task waits for ever in a corner of the table."""
    for state in NEXT:
        reached, frontier = {state}, [state]
        while frontier:
            for after in NEXT[frontier.pop()].values():
                if after not in reached:
                    reached.add(after)
                    frontier.append(after)
        assert reached & TERMINAL


def test_letters_are_the_states() -> None:
    """Records spell each with one letter of its own."""
    assert {state.letter for state in State} == set(BY_LETTER)
    assert all(BY_LETTER[state.letter] is state for state in State)


def test_errors_of_the_work_room_are_coordq_errors() -> None:
    """One tree."""
    assert issubclass(Conflict, CoordqError)
