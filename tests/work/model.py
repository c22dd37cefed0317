"""What tasks should be: the model that tests/work/test_model.py holds the queue against."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from hypothesis.stateful import RuleBasedStateMachine, invariant

from coordq.engine.connection import open_engine
from coordq.work.claim import Claim
from coordq.work.enqueue import Order
from coordq.work.task import State
from tests.work.desk import Desk

QUEUES = ("a", "b")


@dataclass(slots=True)
class Model:
    """What a task should be."""

    order: Order
    state: State
    attempt: int = 0
    strikes: int = 0
    fence: int = 0
    asked: str = ""
    """x: to be cancelled, k: over its total time."""
    version: int = 1

    @property
    def queue(self) -> str:
        return self.order.template.spec.queue

    @property
    def unique(self) -> str:
        return self.order.template.spec.unique

    def go(self, state: State) -> None:
        """A transition."""
        self.state = state
        self.version += 1


class Modelled(RuleBasedStateMachine):
    """A shard, what should be in it, and that the two agree after every step."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.engine = open_engine(self.url, namespace=f"m-{secrets.token_hex(6)}")
        self.desk = Desk(self.engine)
        self.tasks: dict[str, Model] = {}
        self.holders: dict[str, str] = {}
        self.held: list[Claim] = []
        self.committed: set[str] = set()
        self.last_fence = 0
        self.paused: set[str] = set()
        self.high = dict.fromkeys(QUEUES, 0)

    def teardown(self) -> None:
        names = list(self.desk.names())
        if names:
            self.desk.redis("UNLINK", *names)
        self.engine.close()

    # -- helpers -------------------------------------------------------------------------------

    def some(self, number: int, *states: State) -> Model | None:
        """One of the tasks in these states."""
        found = [each for each in self.tasks.values() if each.state in states]
        return found[number % len(found)] if found else None

    def claim_of(self, model: Model) -> Claim:
        """The claim on a running task."""
        return next(
            each for each in self.held if (each.id, each.fence) == (model.order.id, model.fence)
        )

    def end(self, model: Model, state: State) -> None:
        """A task ends, and its unique key is free."""
        model.go(state)
        if self.holders.get(model.unique) == model.order.id:
            del self.holders[model.unique]

    def back(self, model: Model, state: State) -> None:
        """A task is to run again, unless somebody has called it off."""
        if "x" in model.asked:
            self.end(model, State.CANCELLED)
        elif "k" in model.asked:
            self.end(model, State.FAILED)
        else:
            model.go(state)

    def started(self, claims: tuple[Claim, ...]) -> None:
        """Tasks were handed out."""
        for each in claims:
            model = self.tasks[each.id]
            assert model.state is State.READY
            assert each.fence > self.last_fence
            self.last_fence = each.fence
            model.go(State.RUNNING)
            model.attempt += 1
            model.fence = each.fence
            assert (each.attempt, each.strikes) == (model.attempt, model.strikes)
            assert (each.version, each.args) == (model.version, model.order.args)
            self.held.append(each)

    def backlog(self, queue: str) -> int:
        """How many of a queue wait."""
        waiting = {State.READY, State.SCHEDULED}
        return sum(each.queue == queue and each.state in waiting for each in self.tasks.values())

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def records_are_as_the_model_says(self) -> None:
        """State, version, attempts, strikes and fence."""
        for task_id, model in self.tasks.items():
            task = self.desk.task(task_id)
            assert (task.state, task.version) == (model.state, model.version)
            assert (task.attempt, task.strikes) == (model.attempt, model.strikes)
            assert task.fence == model.fence

    @invariant()
    def unique_keys_are_held_by_whom_the_model_says(self) -> None:
        """Freed exactly when due."""
        for digest in {each.unique for each in self.tasks.values() if each.unique}:
            holder = self.desk.redis("GET", self.desk.key(f"unique:{digest}"))
            assert (holder.decode() if holder else None) == self.holders.get(digest)

    @invariant()
    def the_books_balance(self) -> None:
        """Recounted."""
        self.desk.audit()
