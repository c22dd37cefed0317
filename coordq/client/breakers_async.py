"""The breakers' door of the async client: the operations of `breakers.py`, awaitable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, TypeVar

from coordq.client import breaker_plans as plans
from coordq.client.breaker_plans import Shelf, Wish
from coordq.client.drive import drive_async
from coordq.clock import monotonic
from coordq.engine.aio import AsyncEngine
from coordq.errors import ReadOnly, Unreachable
from coordq.fleet.breaker import calls
from coordq.fleet.breaker.bulkhead import AsyncBulkhead
from coordq.fleet.breaker.calls import Answer, BreakerView, Report
from coordq.fleet.breaker.ledger import Ledger

T = TypeVar("T")
PATIENCE_S: Final = 1.0
"""A call does not wait longer for Redis to say whether it may be made."""


class AsyncGuard:
    """One call: `async with client.breakers.guard("openai"): ...`. Make a new one for each."""

    def __init__(self, owner: AsyncBreakers, wish: Wish) -> None:
        self._owner = owner
        self._wish = wish
        self._token = ""
        self._began_s = 0.0

    async def __aenter__(self) -> None:
        """Ask for leave. Raises BreakerOpen, BulkheadFull."""
        owner, wish = self._owner, self._wish
        bulkhead = owner.bulkhead(wish.subject)
        if wish.concurrency:
            await bulkhead.enter(wish.concurrency, wish.wait)
        try:
            self._token = await owner.ask(owner.shelf.ledger(wish.subject))
        except BaseException:
            if wish.concurrency:
                bulkhead.leave()
            raise
        self._began_s = monotonic()

    async def __aexit__(
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
        await owner.told(ledger, wish.failed(kind), monotonic() - self._began_s, self._token)


class AsyncBreakers:
    """Circuit breakers by subject, shared by the fleet; retry budgets and bulkheads.

    A subject is whatever is called: `agent:critic`, `openai`, `db:orders`. Nothing has to be set
    up: one is there with its first call. A closed breaker costs a report in half a second, and one
    for each call that fails. What Redis says is believed for a second. While Redis does not answer
    calls are made, and it is asked again every five seconds.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.shelf = Shelf()
        self._bulkheads: dict[str, AsyncBulkhead] = {}

    def guard(
        self,
        subject: str,
        *,
        ignore: tuple[type[BaseException], ...] = (),
        concurrency: int = 0,
        wait: float = 0.0,
    ) -> AsyncGuard:
        """Guard one call: `async with client.breakers.guard("openai"): ...`.

        Whatever Exception leaves the block counts as a failure of the subject, but for those of
        `ignore`. concurrency: how many calls to it this process makes at once; 0: any number. wait:
        seconds for a place. Entering raises BreakerOpen, with `retry_after`, and BulkheadFull.

        Raises InvalidBreaker, InvalidName.
        """
        return AsyncGuard(self, Wish(subject, ignore, concurrency, wait))

    async def call(
        self,
        subject: str,
        function: Callable[[], Awaitable[T]],
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
                async with AsyncGuard(self, wish):
                    return await function()
            except Exception as error:
                if attempt == retries or isinstance(error, (*ignore, *plans.NOT_MADE)):
                    raise
                if not budget.may_retry(monotonic()):
                    raise
            await asyncio.sleep(plans.pause_s(delay, attempt))
        raise AssertionError

    # -- looking and changing ------------------------------------------------------------------

    async def ls(self) -> tuple[BreakerView, ...]:
        """All that are known, those that were written last first, up to 1,000."""
        return await drive_async(self._engine, plans.ls())

    async def get(self, subject: str) -> BreakerView:
        """One as it stands. Raises BreakerNotFound."""
        return await drive_async(self._engine, plans.get(subject))

    async def states(self, *subjects: str) -> dict[str, str]:
        """closed, open or half-open, of each; what is not known is closed.

        One that has been open for long enough is half-open: a call may be tried.
        """
        return await drive_async(self._engine, plans.states(subjects))

    async def set(self, subject: str, **thresholds: Any) -> BreakerView:
        """Give a breaker thresholds of its own; what is not said is as usual.

        failures: 5 in the window, and rate: 0.5 of its calls; min_calls: 5. slow: seconds above
        which a call is slow, 0 for none, and slow_rate: 0.8 of calls. window: 60 seconds. recovery:
        30 seconds until probes: 3 calls are tried. Raises InvalidBreaker, InvalidName.
        """
        return await drive_async(self._engine, plans.put(subject, thresholds))

    async def unset(self, subject: str) -> BreakerView:
        """Let the usual thresholds count again."""
        return await drive_async(self._engine, plans.put(subject, None))

    async def open(self, subject: str, *, why: str = "", who: str = "operator") -> BreakerView:
        """Open it until it is reset: nobody calls the subject, within a second of its next call."""
        return await drive_async(self._engine, plans.force(subject, "open", who=who, why=why))

    async def close(self, subject: str, *, why: str = "", who: str = "operator") -> BreakerView:
        """Close it until it is reset, however many calls fail."""
        return await drive_async(self._engine, plans.force(subject, "closed", who=who, why=why))

    async def reset(self, subject: str, *, why: str = "", who: str = "operator") -> BreakerView:
        """Close it, forget what it has counted, and let it follow its calls. BreakerNotFound."""
        return await drive_async(self._engine, plans.force(subject, "reset", who=who, why=why))

    # -- what guards do ------------------------------------------------------------------------

    def bulkhead(self, subject: str) -> AsyncBulkhead:
        """The places of one subject in this process."""
        with self.shelf.lock:
            return self._bulkheads.setdefault(subject, AsyncBulkhead(subject))

    async def ask(self, ledger: Ledger) -> str:
        """Whether a call may be made; its token. Raises BreakerOpen."""
        with self.shelf.lock:
            if not ledger.must_ask(monotonic()):
                return ""
            told = ledger.take()
        answer = await self._tell(ledger, told, ask=True)
        with self.shelf.lock:
            if answer is None:
                ledger.decide_blind(monotonic())
                return ""
            return ledger.decide(answer, monotonic())

    def stale(self, subject: str) -> bool:
        """Whether `news` shall be asked for about the next call. For workers."""
        ledger = self.shelf.ledger(subject)
        with self.shelf.lock:
            return ledger.is_stale(monotonic())

    async def news(self, subject: str) -> str:
        """For a call that is made in any case: its token, if it is one that is tried."""
        ledger = self.shelf.ledger(subject)
        with self.shelf.lock:
            told = ledger.take()
        answer = await self._tell(ledger, told, ask=True)
        with self.shelf.lock:
            if answer is None:
                ledger.answer = None
                return ""
            ledger.learn(answer, monotonic())
        return answer.token

    async def told(self, ledger: Ledger, failed: bool | None, took_s: float, token: str) -> None:  # noqa: FBT001 - what Guard found
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
        answer = await self._tell(ledger, told)
        if answer is not None:
            with self.shelf.lock:
                ledger.learn(answer, monotonic())

    async def _tell(self, ledger: Ledger, told: Report, *, ask: bool = False) -> Answer | None:
        """None when Redis does not answer: then nothing that a call needs may fail for it."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._engine.run(calls.report(ledger.subject, told, ask=ask))
        except (ReadOnly, Unreachable, TimeoutError):
            with self.shelf.lock:
                ledger.go_blind(told, monotonic())
            return None

    async def flush(self) -> None:
        """Report what is held back, if Redis hears it; a client does so when it is closed."""
        for ledger in self.shelf.ledgers():
            with self.shelf.lock:
                told = ledger.take()
            if told != Report() and await self._tell(ledger, told) is None:
                return
