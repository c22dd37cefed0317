"""The breakers' door of the sync client: calls to what may fail, guarded for the whole fleet."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from coordq.client import breaker_plans as plans
from coordq.client.breaker_plans import Shelf, Wish
from coordq.client.drive import drive
from coordq.clock import monotonic
from coordq.engine.connection import Engine
from coordq.errors import ReadOnly, Unreachable
from coordq.fleet.breaker import calls
from coordq.fleet.breaker.bulkhead import Bulkhead
from coordq.fleet.breaker.calls import Answer, BreakerView, Report
from coordq.fleet.breaker.ledger import Ledger

T = TypeVar("T")


class Guard:
    """One call: `with client.breakers.guard("openai"): ...`. Make a new one for each."""

    def __init__(self, owner: Breakers, wish: Wish) -> None:
        self._owner = owner
        self._wish = wish
        self._token = ""
        self._began_s = 0.0

    def __enter__(self) -> None:
        """Ask for leave. Raises BreakerOpen, BulkheadFull."""
        owner, wish = self._owner, self._wish
        bulkhead = owner.bulkhead(wish.subject)
        if wish.concurrency:
            bulkhead.enter(wish.concurrency, wish.wait)
        try:
            self._token = owner.ask(owner.shelf.ledger(wish.subject))
        except BaseException:
            if wish.concurrency:
                bulkhead.leave()
            raise
        self._began_s = monotonic()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Tell how it ended."""
        owner, wish = self._owner, self._wish
        if wish.concurrency:
            owner.bulkhead(wish.subject).leave()
        ledger = owner.shelf.ledger(wish.subject)
        owner.told(ledger, wish.failed(kind), monotonic() - self._began_s, self._token)


class Breakers:
    """Circuit breakers by subject, shared by the fleet; retry budgets and bulkheads. Thread-safe.

    A subject is whatever is called: `agent:critic`, `openai`, `db:orders`. Nothing has to be set
    up: one is there with its first call. A closed breaker costs a report in half a second, and one
    for each call that fails. What Redis says is believed for a second. While Redis does not answer
    calls are made, and it is asked again every five seconds.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.shelf = Shelf()
        self._bulkheads: dict[str, Bulkhead] = {}

    def guard(
        self,
        subject: str,
        *,
        ignore: tuple[type[BaseException], ...] = (),
        concurrency: int = 0,
        wait: float = 0.0,
    ) -> Guard:
        """Guard one call: `with client.breakers.guard("openai"): ...`.

        Whatever Exception leaves the block counts as a failure of the subject, but for those of
        `ignore`. concurrency: how many calls to it this process makes at once; 0: any number. wait:
        seconds for a place. Entering raises BreakerOpen, with `retry_after`, and BulkheadFull.

        Raises InvalidBreaker, InvalidName.
        """
        return Guard(self, Wish(subject, ignore, concurrency, wait))

    def call(
        self,
        subject: str,
        function: Callable[[], T],
        *,
        retries: int = 2,
        delay: float = 0.1,
        ignore: tuple[type[BaseException], ...] = (),
        concurrency: int = 0,
        wait: float = 0.0,
    ) -> T:
        """Make a guarded call, and repeat it when it fails, within the subject's retry budget.

        Retries of this process are at most a fifth of its calls to the subject in ten seconds, or
        three, so that failures cannot cascade. delay: seconds before the first, then twice as long
        each time, at random. What `ignore` names is raised at once, and so are BreakerOpen and
        BulkheadFull. Raises what the last attempt raised.
        """
        plans.check_retries(retries, delay)
        wish = Wish(subject, ignore, concurrency, wait)
        budget = self.shelf.budget(subject)
        budget.call(monotonic())
        for attempt in range(retries + 1):
            try:
                with Guard(self, wish):
                    return function()
            except Exception as error:
                if attempt == retries or isinstance(error, (*ignore, *plans.NOT_MADE)):
                    raise
                if not budget.may_retry(monotonic()):
                    raise
            time.sleep(plans.pause_s(delay, attempt))
        raise AssertionError

    # -- looking and changing ------------------------------------------------------------------

    def ls(self) -> tuple[BreakerView, ...]:
        """All that are known, those that were written last first, up to 1,000."""
        return drive(self._engine, plans.ls())

    def get(self, subject: str) -> BreakerView:
        """One as it stands. Raises BreakerNotFound."""
        return drive(self._engine, plans.get(subject))

    def states(self, *subjects: str) -> dict[str, str]:
        """closed, open or half-open, of each; what is not known is closed.

        One that has been open for long enough is half-open: a call may be tried.
        """
        return drive(self._engine, plans.states(subjects))

    def set(self, subject: str, **thresholds: Any) -> BreakerView:
        """Give a breaker thresholds of its own; what is not said is as usual.

        failures: 5 in the window, and rate: 0.5 of its calls; min_calls: 5. slow: seconds above
        which a call is slow, 0 for none, and slow_rate: 0.8 of calls. window: 60 seconds. recovery:
        30 seconds until probes: 3 calls are tried. Raises InvalidBreaker, InvalidName.
        """
        return drive(self._engine, plans.put(subject, thresholds))

    def unset(self, subject: str) -> BreakerView:
        """Let the usual thresholds count again."""
        return drive(self._engine, plans.put(subject, None))

    def open(self, subject: str, *, why: str = "", who: str = "operator") -> BreakerView:
        """Open it until it is reset: nobody calls the subject, within a second of its next call."""
        return drive(self._engine, plans.force(subject, "open", who=who, why=why))

    def close(self, subject: str, *, why: str = "", who: str = "operator") -> BreakerView:
        """Close it until it is reset, however many calls fail."""
        return drive(self._engine, plans.force(subject, "closed", who=who, why=why))

    def reset(self, subject: str, *, why: str = "", who: str = "operator") -> BreakerView:
        """Close it, forget what it has counted, and let it follow its calls. BreakerNotFound."""
        return drive(self._engine, plans.force(subject, "reset", who=who, why=why))

    # -- what guards do ------------------------------------------------------------------------

    def bulkhead(self, subject: str) -> Bulkhead:
        """The places of one subject in this process."""
        with self.shelf.lock:
            return self._bulkheads.setdefault(subject, Bulkhead(subject))

    def ask(self, ledger: Ledger) -> str:
        """Whether a call may be made; its token. Raises BreakerOpen."""
        with self.shelf.lock:
            if not ledger.must_ask(monotonic()):
                return ""
            told = ledger.take()
        answer = self._tell(ledger, told, ask=True)
        with self.shelf.lock:
            if answer is None:
                ledger.decide_blind(monotonic())
                return ""
            return ledger.decide(answer, monotonic())

    def told(self, ledger: Ledger, failed: bool | None, took_s: float, token: str) -> None:  # noqa: FBT001 - what Guard found
        """A call has ended; failed: None when that says nothing about the subject."""
        with self.shelf.lock:
            now = False
            if failed is not None:
                now = ledger.count(failed=failed, took_s=took_s, now_s=monotonic())
            if not (now or token):
                return
            outcome = "none" if failed is None else "good"
            if failed or (failed is not None and ledger.is_slow(took_s)):
                outcome = "bad"
            told = ledger.take(token, outcome if token else "none")
        answer = self._tell(ledger, told)
        if answer is not None:
            with self.shelf.lock:
                ledger.learn(answer, monotonic())

    def _tell(self, ledger: Ledger, told: Report, *, ask: bool = False) -> Answer | None:
        """None when Redis does not answer: then nothing that a call needs may fail for it."""
        try:
            return self._engine.run(calls.report(ledger.subject, told, ask=ask))
        except (ReadOnly, Unreachable):
            with self.shelf.lock:
                ledger.go_blind(told, monotonic())
            return None

    def flush(self) -> None:
        """Report what is held back, if Redis hears it; a client does so when it is closed."""
        for ledger in self.shelf.ledgers():
            with self.shelf.lock:
                told = ledger.take()
            if told != Report() and self._tell(ledger, told) is None:
                return
