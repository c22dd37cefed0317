"""Limits against a model of a few lines: whatever is set, claimed, ended, crashed or passed.

Redis's time cannot be moved, but what it is compared with can: `pass_time` moves every moment that
limits keep into the past. So the model may leave out how much a rate has regained, and says what
must hold at every moment: never more slots than were free, never more starts than were paid for,
and nobody parked whom nothing would bring back. In the end everything that was enqueued has ended.
"""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from coordq.engine.connection import open_engine
from coordq.work import allowance
from coordq.work.claim import Claim
from coordq.work.finish import Outcome
from coordq.work.task import State
from tests.work.damages import audited
from tests.work.desk import Desk
from tests.work.gate import allow, pass_time, seen

NAMES = ("a", "b:k", "b")
HOUR_MS = 3_600_000
FATES = ("succeeded", "failed", "retry", "snooze", "release", "rate-limited", "crash", "lapse")
any_of = st.integers(0, 10_000)


class Limited(RuleBasedStateMachine):
    """A shard under limits, and what must hold after every step."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.engine = open_engine(self.url, namespace=f"l-{secrets.token_hex(6)}")
        self.desk = Desk(self.engine)
        self.most: dict[str, int] = {}
        self.ids: list[str] = []
        self.held: list[Claim] = []

    def teardown(self) -> None:
        self.drain()
        names = list(self.desk.names())
        if names:
            self.desk.redis("UNLINK", *names)
        self.engine.close()

    # -- what may be done ----------------------------------------------------------------------

    @rule(
        name=st.sampled_from(NAMES),
        most=st.integers(0, 3),
        rate=st.sampled_from((None, "2/hour", "5/min")),
        window=st.sampled_from(("bucket", "sliding")),
        budget=st.sampled_from((None, "3/day")),
    )
    def set_limit(
        self, name: str, most: int, rate: str | None, window: str, budget: str | None
    ) -> None:
        """Set a limit, or change it."""
        if not (most or rate or budget):
            return
        window = window if rate else "bucket"
        allow(self.desk, name, concurrency=most, rate=rate, window=window, budget=budget)
        self.most[name] = most

    @rule(name=st.sampled_from(NAMES))
    def take_limit_away(self, name: str) -> None:
        """Whoever waited for it goes on."""
        self.desk.run(allowance.take_off(0, name))
        self.desk.run(allowance.wake(0, name))
        self.most.pop(name, None)

    @rule(name=st.sampled_from(NAMES), on=st.booleans())
    def pause(self, name: str, *, on: bool) -> None:
        """Somebody pauses a limit, or ends that."""
        self.desk.run(allowance.pause(0, name, HOUR_MS if on else 0))
        self.desk.run(allowance.wake(0, name))

    @rule(
        limits=st.sets(st.sampled_from(("a", "b:k", "b:other")), max_size=3),
        priority=st.sampled_from(("critical", "normal", "low")),
        cost=st.integers(0, 4),
        amount=st.integers(1, 3),
    )
    def enqueue(self, limits: set[str], amount: int, **options: Any) -> None:
        """Some tasks that count against some limits."""
        for _ in range(amount):
            self.ids.append(self.desk.put(limits=tuple(sorted(limits)), **options))

    @rule(want=st.integers(1, 5))
    def claim(self, want: int) -> None:
        """Nobody gets a slot that was not free."""
        before = self.running()
        claims = self.desk.claim(want).claims
        self.held += claims
        now = self.running()
        for slot, amount in now.items():
            most = self.most_of(slot)
            assert not most or amount <= max(most, before.get(slot, 0)), slot

    @rule(number=any_of, fate=st.sampled_from(FATES), units=st.sampled_from((None, 0.0, 2.5)))
    def end(self, number: int, fate: str, units: float | None) -> None:
        """A run ends, one way or the other."""
        if not self.held:
            return
        claim = self.held.pop(number % len(self.held))
        if fate == "crash":
            self.desk.release(claim, reason="crash")
        elif fate == "lapse":
            self.desk.lapse(claim)
            self.desk.reap()
        else:
            body = b"a" if fate == "rate-limited" else b"{}"
            self.desk.finish(Outcome(fate, claim.id, claim.fence, body, 1_000, units=units))

    @rule(number=any_of)
    def cancel(self, number: int) -> None:
        """Wherever it stands."""
        if self.ids:
            self.desk.cancel(self.ids[number % len(self.ids)])

    @rule(ms=st.sampled_from((10, 1_001, 60_000, HOUR_MS, 24 * HOUR_MS)))
    def time_passes(self, ms: int) -> None:
        """And what is due happens."""
        pass_time(self.desk, ms)
        self.desk.promote()

    @rule()
    def audit(self) -> None:
        """Nothing is wrong, so nothing is found."""
        assert audited(self.desk, look=True).findings == []

    # -- what must hold ------------------------------------------------------------------------

    def most_of(self, slot: str) -> int:
        """How many may run under a slot; 0 for any number."""
        return self.most.get(slot, self.most.get(slot.partition(":")[0], 0))

    def running(self) -> dict[str, int]:
        """How many hold each slot."""
        return {slot: seen(self.desk, slot).running for slot in ("a", "b:k", "b:other")}

    @invariant()
    def the_books_balance(self) -> None:
        """Recounted."""
        self.desk.audit()

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        """Somebody who runs holds what the parked wait for, or time will bring them back."""
        for view in self.desk.run(allowance.look(0)):
            if view.parked and view.wake_ms is not None:
                due = self.desk.redis("ZSCORE", self.desk.key("due"), f"l{view.slot}")
                assert due is not None, view

    def drain(self) -> None:
        """Time passes and work is done, until nothing is left to do."""
        for _ in range(400):
            for claim in self.held:
                self.desk.end(claim)
            self.held = list(self.desk.claim(50).claims)
            if not self.held and not self.desk.overview().due:
                break
            pass_time(self.desk, 24 * HOUR_MS)
        states = {task_id: self.desk.task(task_id).state for task_id in self.ids}
        assert all(state.ended for state in states.values()), states
        assert State.READY not in states.values()


@pytest.mark.slow
def test_limits_hold_whatever_happens(redis_url: str) -> None:
    """Hypothesis makes up what happens, and finds the shortest story that goes wrong."""

    class Here(Limited):
        url = redis_url

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
