"""Whatever callers, operators and time do, the breaker in Redis is in the model's state."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from coordq.fleet.breaker import calls
from coordq.fleet.breaker.thresholds import Thresholds
from tests.fleet.breaker_model import Model
from tests.fleet.fuses import ask, end, pass_time, seen, still_window, tell
from tests.work.desk import Desk

FEW = st.integers(0, 4)


class Fuse(RuleBasedStateMachine):
    """Callers, operators and time."""

    desk: ClassVar[Desk]

    @initialize(
        failures=st.integers(1, 6),
        rate=st.sampled_from([0, 0.25, 0.5, 1]),
        min_calls=st.integers(1, 8),
        slow=st.booleans(),
        probes=st.integers(1, 3),
        recovery_tenths=st.integers(1, 12),
    )
    def begin(self, *, slow: bool, recovery_tenths: int, **given: Any) -> None:
        window = still_window(self.desk)
        thresholds = Thresholds(
            **given,
            slow=float(slow),
            slow_rate=0.5,
            window=window,
            recovery=recovery_tenths * window / 10,
        )
        names = list(self.desk.names())
        self.desk.redis("UNLINK", "-", *names)
        self.desk.run(calls.put("api", thresholds))
        self.model = Model(thresholds)
        self.tokens: list[str] = []

    @rule(good=FEW, bad=FEW, slow=FEW)
    def report(self, good: int, bad: int, slow: int) -> None:
        slow = min(slow, good + bad)
        tell(self.desk, good, bad, slow=slow)
        if good + bad:
            self.model.report(good, bad, slow)

    @rule()
    def ask(self) -> None:
        allowed = self.model.ask()
        answer = ask(self.desk)
        assert answer.allowed == allowed
        assert bool(answer.token) == (allowed and self.model.state == "half-open"
                                      and not self.model.forced)  # fmt: skip
        if answer.token:
            self.model.granted(answer.token)
            self.tokens.append(answer.token)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), outcome=st.sampled_from([*["good"] * 4, "bad", "none"]))
    def end(self, data: st.DataObject, outcome: str) -> None:
        token = data.draw(st.sampled_from(self.tokens))
        self.tokens.remove(token)
        end(self.desk, token, outcome)
        self.model.end(token, outcome)

    @rule(tenths=st.integers(1, 12))
    def pass_time(self, tenths: int) -> None:
        pass_time(self.desk, round(tenths * self.model.thresholds.window * 100))
        self.model.now += tenths
        # a call that is tried may take a minute, and a tenth is longer
        self.model.tokens.clear()

    @precondition(lambda self: self.model.state == "closed" and not self.model.forced)
    @rule()
    def trip(self) -> None:
        """So many failures that it opens, whatever went well before."""
        amount = self.model.thresholds.min_calls + self.model.thresholds.failures
        self.report(0, amount + self.model.window()[0], 0)

    @precondition(lambda self: self.model.state == "open" and not self.model.forced)
    @rule()
    def recover(self) -> None:
        """Its time is over."""
        self.pass_time(self.model.recovery())

    @rule(what=st.sampled_from(["open", "closed", *["reset"] * 4]))
    def force(self, what: str) -> None:
        self.desk.run(calls.force("api", what, who="ada"))
        self.model.force(what)

    @invariant()
    def they_agree(self) -> None:
        if not hasattr(self, "model"):
            return
        view, model = seen(self.desk), self.model
        assert (view.state, view.forced) == (model.state, model.forced)
        assert (view.opened, view.good) == (model.opened, model.good)
        assert (view.calls, view.failures, view.slow) == model.window()
        assert view.tried == len(model.tokens)


@pytest.mark.live
def test_a_breaker_does_what_the_model_says(desk: Desk) -> None:
    """Sixty stories of up to forty steps, on a real server."""
    fuse = type("FuseHere", (Fuse,), {"desk": desk})

    run_state_machine_as_test(
        fuse, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )
