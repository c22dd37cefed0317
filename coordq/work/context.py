"""What a handler knows about the run it is in: an optional first parameter named `ctx`.

A context is made for one run and thrown away with it. It works the same from the event loop and
from a thread: `progress` and `log` only hand a value to a reporter that never blocks, and
`cancelled` is a flag to be asked, because a thread cannot be stopped from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from coordq import clock
from coordq.errors import CoordqError
from coordq.work.durable import ClaimLike, Durable, Errands
from coordq.work.persona import Persona
from coordq.work.progress import Progress, say
from coordq.work.speaking import Speaking
from coordq.work.spec import MAX_ATTEMPTS

LINE_MAX: Final = 8_192
_NO_HEADERS: Final[Mapping[str, str]] = {}


class Reporter(Protocol):
    """Takes progress and log lines off a handler's hands. Called from any thread; never blocks."""

    def progress(self, claim: Any, progress: Progress, /) -> None: ...

    def log(self, claim: Any, line: str, /) -> None: ...


class Silent:
    """A reporter that forgets everything: for handlers called outside a worker."""

    def progress(self, claim: Any, progress: Progress, /) -> None:
        """Forget how far the task is."""

    def log(self, claim: Any, line: str, /) -> None:
        """Forget the line."""


def no_client(_asynchronous: bool, /) -> Any:  # noqa: FBT001 - the whole of the question
    """The provider of a context that was given none: says so."""
    raise CoordqError("ctx.client is not available here: this run was started without a client.")


# Asked with True by an async handler, with False by a sync one.
ClientProvider = Callable[[bool], Any]


class Context(Durable, Speaking):
    """One run of one task, seen from inside.

    `deadline` is the moment this run is stopped, in seconds of `time.monotonic()`, or None when
    it has no time limit.
    """

    __slots__ = (
        "_client",
        "_provider",
        "_reporter",
        "_tasks",
        "agent",
        "deadline",
        "max_attempts",
        "persona",
        "spent",
    )

    def __init__(
        self,
        claim: ClaimLike,
        *,
        agent: str = "",
        persona: Persona | None = None,
        reporter: Reporter | None = None,
        provider: ClientProvider = no_client,
        deadline: float | None = None,
        errands: Errands | None = None,
        hindered: str = "",
        asynchronous: bool = True,
        max_attempts: int = 0,
    ) -> None:
        self.agent = agent
        self.persona = persona
        """What the agent is told to be; None when its definition says nothing of it."""
        self.deadline = deadline
        self.max_attempts: int = max_attempts or claim.spec.max_attempts or MAX_ATTEMPTS
        """After how many failed attempts the task becomes a dead letter."""
        self._claim = claim
        self._reporter = reporter
        self._provider = provider
        self._asynchronous = asynchronous
        self._errands = errands
        self._hindered = hindered
        self._waits = None
        self._client: Any = None
        self._tasks = ()
        self._cancelled = False
        self._over = False
        self.spent: float | None = None
        """Units that the run has reported so far; None when it has said nothing."""

    @property
    def task_id(self) -> str:
        """The task's id. The same in every attempt."""
        return self._claim.id

    @property
    def fence(self) -> int:
        """A number that is larger in every later run of this task.

        Send it along with writes to outside systems: one that refuses a smaller number than it
        has seen cannot be harmed by a worker that woke up too late.
        """
        return self._claim.fence

    @property
    def idempotency_key(self) -> str:
        """A key for outside systems that refuse to do the same thing twice.

        It names the task, not the attempt: a second attempt sends the same key, so what the
        first one achieved is recognised. Add your own suffix when one run does several things.
        """
        return f"coordq:{self._claim.id}"

    @property
    def attempt(self) -> int:
        """Which attempt this is, counted from 1."""
        return self._claim.attempt

    @property
    def name(self) -> str:
        """The task's name."""
        return self._claim.name

    @property
    def queue(self) -> str:
        """The queue the task was taken from."""
        return self._claim.queue

    @property
    def headers(self) -> Mapping[str, str]:
        """What the producer sent along outside the arguments, such as a trace context."""
        return getattr(self._claim.spec, "headers", None) or _NO_HEADERS

    @property
    def slot(self) -> datetime | None:
        """For which slot of its schedule the task runs; None: no schedule, or run by hand."""
        ms = getattr(self._claim.spec, "slot_ms", 0)
        return datetime.fromtimestamp(ms / 1000, UTC) if ms else None

    @property
    def tasks(self) -> tuple[Context, ...]:
        """All tasks of this call, in the order of the arguments: more than one in a batch.

        In a batch `progress` and `log` speak for all of them, those of a task for that one.
        """
        return self._tasks or (self,)

    @property
    def client(self) -> Any:
        """A client of the worker's own namespace: async in an async handler, sync in a sync one.

        Made on first use and shared by all runs of the process; do not close it.
        """
        if self._client is None:
            self._client = self._provider(self._asynchronous)
        return self._client

    @property
    def cancelled(self) -> bool:
        """Whether this run has been told to stop: cancelled, out of time, or claim lost.

        An async handler is interrupted at its next `await`; a sync one has to ask.
        """
        return self._cancelled

    def raise_if_cancelled(self) -> None:
        """Raise asyncio.CancelledError when this run has been told to stop."""
        if self._cancelled:
            from asyncio import CancelledError

            raise CancelledError

    def remaining(self) -> float | None:
        """Seconds until the deadline, 0.0 when it has passed, None when there is none."""
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - clock.monotonic())

    def progress(
        self,
        done: float,
        total: float | None = None,
        message: str = "",
        *,
        unit: str = "",
        blockers: Collection[str] = (),
        remaining: float | timedelta | None = None,
    ) -> None:
        """Show how far the task is: `done` of `total`. Cheap; the last one wins.

        unit: what is counted, "files" say. blockers: what it waits for that only others can give.
        remaining: how long it will still take; without it readers reckon from the pace so far.

        Raises InvalidInput when a number is not finite, or a text no text.
        """
        said = say(done, total, message, unit=unit, blockers=blockers, remaining=remaining)
        if self._reporter is not None and not self._over:
            self._reporter.progress(self._claim, said)

    def spend(self, units: float) -> None:
        """Say what this run has cost, in units of budgets (tokens, cents); calls add up.

        When the run ends, however it does, the sum takes the place of the cost that was declared.
        Raises InvalidLimit for what is no amount.
        """
        from coordq.work.limit import check_units

        total = (self.spent or 0.0) + check_units("spend", units)
        self.spent = check_units("spend", total)

    def log(self, text: object) -> None:
        """Add a line to the task's own log, which is bounded. Cheap; at most 8,192 characters."""
        if self._reporter is not None and not self._over:
            self._reporter.log(self._claim, str(text)[:LINE_MAX])

    def stop(self) -> None:
        """Tell the handler to stop. For the executor."""
        self._cancelled = True

    def gather(self, tasks: tuple[Context, ...]) -> None:
        """Make it the context of a batch. For the executor."""
        self._tasks = tasks

    def close(self) -> None:
        """Turn later reports into nothing: the run is over. For the executor."""
        self._over = True

    def __repr__(self) -> str:
        claim = self._claim
        return f"<Context {claim.name} {claim.id} attempt={claim.attempt} fence={claim.fence}>"
