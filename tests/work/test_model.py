"""The queue against a model of a few lines: whatever is done in whatever order, they agree.

Hypothesis makes up sequences of operations, on a real server, and when the two disagree it finds
the shortest sequence that shows it. After every step each record is compared with the model, and
the auditor recounts counters, lines, leases, due moments, dead letters and unique keys.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from coordq.errors import Conflict
from coordq.work.answer import answer
from coordq.work.enqueue import Receipt
from coordq.work.finish import LETTERS, Outcome
from coordq.work.task import TERMINAL, State
from tests.servers import Server
from tests.work.desk import ask, error, order
from tests.work.model import QUEUES, Model, Modelled

STRIKES_MAX = 3
AFTER = {"release": State.READY, "suspend": State.SUSPENDED}
REFUNDED = {"snooze", "rate-limited", "release", "suspend"}
BODIES = {"suspend": b'{"kind":"approval","key":"k"}', "rate-limited": b"remote"}
"""Of runs that end by waiting, for an answer and for a limit; others end with an error."""
any_of = st.integers(0, 10_000)
"""Which one, of however many there are."""


class Queues(Modelled):
    """Everything that may be done to tasks, and what should become of them."""

    # -- producers -----------------------------------------------------------------------------

    @initialize(many=st.lists(st.sampled_from((0, 0, 600)), max_size=8), big=st.booleans())
    def begin(self, many: list[int], *, big: bool) -> None:
        """With some work to do."""
        for n, delay in enumerate(many):
            self.enqueue(
                "wait",
                3000 if big else 1,
                limits=n % 2 == 1,
                queue=QUEUES[n % 2],
                priority="normal",
                delay=delay,
                unique=None,
            )

    @rule(
        queue=st.sampled_from(QUEUES),
        priority=st.sampled_from(("critical", "normal", "low")),
        delay=st.sampled_from((0, 0, 600)),
        unique=st.sampled_from((None, None, "u", "v")),
        size=st.sampled_from((1, 1, 3000)),
        limits=st.booleans(),
        mode=st.sampled_from(("wait", "refuse", "force")),
    )
    def enqueue_one(self, mode: str, size: int, *, limits: bool, **options: Any) -> None:
        """One task."""
        self.enqueue(mode, size, limits=limits, **options)

    def enqueue(self, mode: str, size: int, *, limits: bool, **options: Any) -> None:
        """One task, and what should come of it."""
        times: dict[str, Any] = {"expires": 9000, "total_timeout": 90_000} if limits else {}
        made = order("job", {"text": "x" * size}, **options, **times)
        queue, unique = options["queue"], made.template.spec.unique
        high = self.high[queue]
        full = mode != "force" and high and self.backlog(queue) >= high
        if full and mode == "refuse":
            mode = "wait"
        receipt = self.desk.place(made, on_full=mode)
        if full:
            assert receipt.no_room
        elif unique and unique in self.holders:
            assert receipt == Receipt(self.holders[unique], created=False)
        else:
            assert receipt == Receipt(made.id)
            state = State.SCHEDULED if options["delay"] else State.READY
            self.tasks[made.id] = Model(made, state)
            if unique:
                self.holders[unique] = made.id

    @precondition(lambda self: self.tasks)
    @rule(number=any_of, together=st.booleans())
    def enqueue_again(self, number: int, *, together: bool) -> None:
        """A reply was lost, some time ago, of one or of several."""
        known = list(self.tasks.values())
        if together:
            orders = [each.order for each in known[: number % 7 + 1]]
            assert self.desk.place_all(orders) == [Receipt(each.id) for each in orders]
        else:
            again = known[number % len(known)].order
            assert self.desk.place(again) == Receipt(again.id)

    # -- workers -------------------------------------------------------------------------------

    @rule(want=st.integers(1, 5), queues=st.sampled_from(("a", "b", "a b", "b a")))
    def claim(self, want: int, queues: str) -> None:
        """The best of them, as many as there are."""
        open_to = {name for name in queues.split() if name not in self.paused}
        ready = [
            each
            for each in self.tasks.values()
            if each.state is State.READY and each.queue in open_to
        ]
        claims = self.desk.claim(want, queues=queues).claims
        assert len(claims) == min(want, len(ready))
        assert {each.queue for each in claims} <= open_to
        self.started(claims)

    @rule(number=any_of, stale=st.booleans())
    def claim_one(self, number: int, *, stale: bool) -> None:
        """A browsed one."""
        model = self.some(number, *State)
        if model is None:
            return
        version = model.version - 1 if stale else model.version
        if not stale and model.state is State.READY:
            self.started((self.desk.take_one(model.order.id, version),))
            return
        with pytest.raises(Conflict) as caught:
            self.desk.take_one(model.order.id, version)
        assert (caught.value.state, caught.value.version) == (model.state.value, model.version)

    @precondition(lambda self: self.held)
    @rule(number=any_of, kind=st.sampled_from(tuple(LETTERS)), want=st.integers(0, 2))
    def finish(self, number: int, kind: str, want: int) -> None:
        """An outcome by any claim there ever was: held, committed before, or lost."""
        claim = self.held[number % len(self.held)]
        model = self.tasks.get(claim.id)
        outcome = Outcome(kind, claim.id, claim.fence, BODIES.get(kind, error()), 600_000)
        then = ask(want, queues="a b") if want else None
        done = self.desk.finish(outcome, then=then)
        (verdict,) = done.verdicts
        if model is None:
            assert verdict == "stale"
        elif model.state is State.RUNNING and model.fence == claim.fence:
            assert verdict == "ok"
            assert claim.member not in self.committed
            self.committed.add(claim.member)
            self.ended(model, kind)
        elif model.fence == claim.fence:
            assert verdict == "duplicate"
            assert claim.member in self.committed
        else:
            assert verdict == "stale"
        self.started(done.claimed.claims)

    def ended(self, model: Model, kind: str) -> None:
        """What an outcome does."""
        if kind in REFUNDED:
            model.attempt -= 1
        if kind == "succeeded":
            self.end(model, State.SUCCEEDED)
        elif kind == "failed":
            self.end(model, State.FAILED)
        elif kind == "cancelled":
            self.end(model, State.FAILED if "k" in model.asked else State.CANCELLED)
        else:
            self.back(model, AFTER.get(kind, State.SCHEDULED))

    @rule(number=any_of, answered=st.booleans())
    def wake(self, number: int, *, answered: bool) -> None:
        """What a suspended task waits for comes, or its time is up."""
        model = self.some(number, State.SUSPENDED)
        if model is None:
            return
        if answered:
            self.desk.run(answer(model.order.id, approved=True, by="ann"))
        else:
            self.desk.make_due(f"z{model.order.id}")
            self.desk.promote()
        model.go(State.READY)

    @precondition(lambda self: self.held)
    @rule()
    def beat(self) -> None:
        """A beat names what is lost and what shall be cancelled."""
        recent = self.held[-20:]
        beaten = self.desk.beat(*recent)
        running = {
            f"{each.order.id}|{each.fence}": each
            for each in self.tasks.values()
            if each.state is State.RUNNING
        }
        members = [each.member for each in recent]
        assert list(beaten.lost) == [each for each in members if each not in running]
        called_off = [each for each in members if each in running and running[each].asked]
        assert list(beaten.cancelled) == called_off

    @rule(number=any_of, crash=st.sampled_from(("lapse", "crash", "shutdown")))
    def lose(self, number: int, crash: str) -> None:
        """A claim ends without an outcome."""
        model = self.some(number, State.RUNNING)
        if model is None:
            return
        claim = self.claim_of(model)
        if crash == "lapse":
            self.desk.redis("ZREM", self.desk.key("workers"), "w1")
            self.desk.redis("DEL", self.desk.key("grace"))
            self.desk.lapse(claim)
            assert self.desk.reap().amount == 1
        else:
            assert self.desk.release(claim, reason=crash) == 1
        model.attempt -= 1
        model.fence = 0
        if crash != "shutdown":
            model.strikes += 1
        if model.strikes >= STRIKES_MAX and not model.asked:
            self.end(model, State.FAILED)
        else:
            self.back(model, State.READY)

    # -- everybody else ------------------------------------------------------------------------

    @rule(number=any_of)
    def cancel(self, number: int) -> None:
        """Whatever state it is in."""
        model = self.some(number, *State)
        if model is None:
            return
        done = self.desk.cancel(model.order.id)
        if model.state in {State.READY, State.SCHEDULED, State.SUSPENDED}:
            self.end(model, State.CANCELLED)
        elif model.state is State.RUNNING and "x" not in model.asked:
            model.asked += "x"
        assert done.state is model.state

    @rule(number=any_of)
    def requeue(self, number: int) -> None:
        """It starts over."""
        model = self.some(number, *State)
        if model is None:
            return
        (answer,) = self.desk.requeue(model.order.id)
        if model.state not in {State.FAILED, State.CANCELLED, State.SCHEDULED}:
            assert answer == model.state.value
            return
        assert answer == "ok"
        model.go(State.READY)
        model.attempt, model.strikes, model.fence, model.asked = 0, 0, 0, ""
        if model.unique:
            self.holders.setdefault(model.unique, model.order.id)

    @rule(number=any_of)
    def forget(self, number: int) -> None:
        """An ended task is deleted, a living one is not."""
        model = self.some(number, *State)
        if model is None:
            return
        gone = self.desk.forget(model.order.id)
        assert gone == (model.state in TERMINAL)
        if gone:
            del self.tasks[model.order.id]

    @rule(number=any_of)
    def promote(self, number: int) -> None:
        """Time passes for one scheduled task."""
        model = self.some(number, State.SCHEDULED)
        if model is None:
            return
        self.desk.make_due(model.order.id)
        self.desk.promote()
        model.go(State.READY)

    @rule(number=any_of, what=st.sampled_from(("x", "y", "xy", "yx")))
    def time_out(self, number: int, what: str) -> None:
        """Time passes for the limits of a task that has some, as far as they still count."""
        going = (State.READY, State.SCHEDULED, State.SUSPENDED, State.RUNNING)
        model = self.some(number, *going)
        if model is None or not model.order.template.spec.total_ms:
            return
        members = [f"{letter}{model.order.id}" for letter in what]
        still = [each for each in members if self.desk.redis("ZSCORE", self.desk.key("due"), each)]
        for age, member in enumerate(reversed(still), start=1):
            self.desk.make_due(member, ago_ms=age * 10)
        self.desk.promote()
        if not still:
            return
        if model.state is not State.RUNNING:
            self.end(model, State.FAILED)
        elif any(each.startswith("y") for each in still):
            model.asked += "k"

    @rule(queue=st.sampled_from(QUEUES))
    def purge(self, queue: str) -> None:
        """Whatever waits there."""
        doomed = [
            each
            for each in self.tasks.values()
            if each.queue == queue and each.state in {State.READY, State.SCHEDULED}
        ]
        assert self.desk.purge(queue) == (len(doomed), False)
        for each in doomed:
            self.end(each, State.CANCELLED)

    @rule(queue=st.sampled_from(QUEUES), paused=st.booleans())
    def pause(self, queue: str, *, paused: bool) -> None:
        """And resume."""
        self.desk.configure(queue, paused=paused)
        (self.paused.add if paused else self.paused.discard)(queue)

    @rule(queue=st.sampled_from(QUEUES), high=st.sampled_from((0, 3, 6)), strict=st.booleans())
    def limit(self, queue: str, high: int, *, strict: bool) -> None:
        """And rank otherwise."""
        self.desk.configure(queue, high=high, strict=strict)
        self.high[queue] = high


@pytest.fixture(scope="module")
def judged(each_binary: Path) -> Iterator[str]:
    """Redis 6.2, which embedded:// runs, and what is on PATH."""
    with Server(each_binary) as server:
        yield server.url


def test_the_queue_does_what_its_model_does(judged: str) -> None:
    """No task lost, none started twice, one outcome per fence, and books that balance."""
    machine = type("Judged", (Queues,), {"url": judged})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def walk(queues: Queues, dice: random.Random, steps: int) -> None:
    """So many operations, each drawn by the dice; after each one the books are checked."""
    enqueue: dict[str, Sequence[Any]] = {
        "mode": ("wait", "refuse", "force"),
        "size": (1, 1, 3000),
        "limits": (True, False),
        "queue": QUEUES,
        "priority": ("critical", "normal", "low"),
        "delay": (0, 0, 600),
        "unique": (None, None, "u", "v"),
    }
    numbers = range(10_000)
    menu: list[tuple[str, dict[str, Sequence[Any]]]] = [
        ("enqueue", enqueue),
        ("enqueue", enqueue),
        ("enqueue_again", {"number": numbers, "together": (True, False)}),
        ("claim", {"want": range(1, 6), "queues": ("a", "b", "a b", "b a")}),
        ("claim_one", {"number": numbers, "stale": (False, False, True)}),
        ("finish", {"number": numbers, "kind": tuple(LETTERS), "want": range(3)}),
        ("beat", {}),
        ("lose", {"number": numbers, "crash": ("lapse", "crash", "shutdown")}),
        ("cancel", {"number": numbers}),
        ("requeue", {"number": numbers}),
        ("promote", {"number": numbers}),
        ("time_out", {"number": numbers, "what": ("x", "y", "xy", "yx")}),
    ]
    rare: list[tuple[str, dict[str, Sequence[Any]]]] = [
        ("forget", {"number": numbers}),
        ("purge", {"queue": QUEUES}),
        ("pause", {"queue": QUEUES, "paused": (True, False, False)}),
        ("limit", {"queue": QUEUES, "high": (0, 3, 6), "strict": (True, False)}),
    ]
    for _ in range(steps):
        name, choices = dice.choice(rare if dice.random() < 0.1 else menu)
        if name in {"finish", "beat"} and not queues.held:
            continue
        if name == "enqueue_again" and not queues.tasks:
            continue
        getattr(queues, name)(**{key: dice.choice(some) for key, some in choices.items()})
        queues.records_are_as_the_model_says()
        queues.unique_keys_are_held_by_whom_the_model_says()
        queues.the_books_balance()


@pytest.mark.parametrize("seed", range(20))
def test_random_walks_agree_with_the_model(redis_url: str, seed: int) -> None:
    """Hypothesis likes short stories; the dice tell long ones, and found more."""
    queues = type("Walked", (Queues,), {"url": redis_url})()
    try:
        walk(queues, random.Random(seed), steps=120)
    finally:
        queues.teardown()
