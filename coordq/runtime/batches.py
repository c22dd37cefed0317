"""Gathers tasks for handlers that take batches: one call, and an answer for each.

A task waits for its batch in its own run, so it is stopped like any other: before the call it
leaves the batch, and during it its end is reported at once, and what the call says of it goes
unheard. A call that nobody waits for any more is stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from coordq.runtime.layers import Layers
from coordq.runtime.run import Run
from coordq.runtime.verdict import WrongCount
from coordq.work.batch import Batch, columns
from coordq.work.context import Context, Reporter
from coordq.work.progress import Progress

if TYPE_CHECKING:
    from coordq.work.handler import Handler


class Answer:
    """What a call says of one task."""

    __slots__ = ("error", "phase", "value")

    def __init__(
        self, value: Any = None, error: BaseException | None = None, phase: str = "exception"
    ) -> None:
        self.value = value
        self.error = error
        """What it raised, or put into its results in place of this one."""
        self.phase = phase
        """What such an error means, as the reason of a failure."""


class _Seat:
    """One task in a batch."""

    __slots__ = ("answer", "arguments", "run")

    def __init__(self, run: Run, arguments: dict[str, Any]) -> None:
        self.run = run
        self.arguments = arguments
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()


class _Gathering:
    """A batch: being gathered, then on its way."""

    __slots__ = ("bytes", "run", "seats", "timer")

    def __init__(self) -> None:
        self.seats: list[_Seat] = []
        self.bytes = 0
        self.timer: asyncio.TimerHandle | None = None
        self.run: Run | None = None
        """The call, once it is under way."""


class _Everyone:
    """Passes on what a call says to all its tasks. Called from any thread."""

    def __init__(self, reporter: Reporter, claims: Sequence[Any]) -> None:
        self._reporter = reporter
        self._claims = claims

    def progress(self, _: Any, progress: Progress, /) -> None:
        for claim in self._claims:
            self._reporter.progress(claim, progress)

    def log(self, _: Any, line: str, /) -> None:
        for claim in self._claims:
            self._reporter.log(claim, line)


class Batches:
    """The batches of one executor.

    context: makes the context of a run, with another reporter if one is given.
    slots: how many tasks there can be at a time: nobody waits for more.
    """

    def __init__(
        self,
        layers: Layers,
        context: Callable[..., Context],
        *,
        reporter: Reporter,
        slots: int,
        grace_s: float,
    ) -> None:
        self._layers = layers
        self._context = context
        self._reporter = reporter
        self._slots = slots
        self._grace_s = grace_s
        self._open: dict[str, _Gathering] = {}
        self._calls: set[asyncio.Task[None]] = set()

    async def join(self, run: Run, arguments: dict[str, Any]) -> Answer:
        """Take part in the next call of the task's handler; what it says of this task."""
        batch = run.handler.batch
        assert batch is not None
        seat = _Seat(run, arguments)
        gathering = self._seated(seat, batch, len(run.claim.args))
        try:
            return await seat.answer
        except asyncio.CancelledError:
            self._leave(gathering, seat)
            raise

    async def close(self) -> None:
        """Stop the calls that nobody waits for. After all runs."""
        for call in self._calls:
            call.cancel()
        if self._calls:
            await asyncio.wait(self._calls, timeout=self._grace_s)

    def _seated(self, seat: _Seat, batch: Batch, size: int) -> _Gathering:
        handler = seat.run.handler
        gathering = self._open.get(handler.name)
        if gathering is not None and gathering.bytes + size > batch.bytes:
            self._start(handler, gathering)
            gathering = None
        if gathering is None:
            gathering = self._open[handler.name] = _Gathering()
            loop = asyncio.get_running_loop()
            gathering.timer = loop.call_later(batch.delay_s, self._start, handler, gathering)
        gathering.seats.append(seat)
        gathering.bytes += size
        full = len(gathering.seats) >= min(batch.size, self._slots)
        if full or gathering.bytes >= batch.bytes:
            self._start(handler, gathering)
        return gathering

    def _leave(self, gathering: _Gathering, seat: _Seat) -> None:
        """A task is told to stop."""
        if gathering.run is not None:
            if all(one.answer.done() for one in gathering.seats):
                gathering.run.stop(seat.run.reason or "cancelled")
            return
        gathering.seats.remove(seat)
        gathering.bytes -= len(seat.run.claim.args)

    def _start(self, handler: Handler, gathering: _Gathering) -> None:
        if self._open.get(handler.name) is gathering:
            del self._open[handler.name]
        if gathering.timer is not None:
            gathering.timer.cancel()
        if gathering.seats:
            call = asyncio.create_task(self._call(handler, gathering))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _call(self, handler: Handler, gathering: _Gathering) -> None:
        """Call the handler, and tell each task what it said."""
        seats = gathering.seats = [one for one in gathering.seats if not one.answer.done()]
        if not seats:
            return
        run = gathering.run = Run(seats[0].run.claim, handler, grace_s=self._grace_s)
        try:
            answers = await self._answers(run, seats)
        finally:
            run.close()
        for seat, answer in zip(seats, answers, strict=True):
            if not seat.answer.done():
                seat.answer.set_result(answer)

    async def _answers(self, run: Run, seats: Sequence[_Seat]) -> list[Answer]:
        for seat in seats:
            if seat.run.limit_ms:
                seat.run.limit(seat.run.limit_ms)
        tasks = tuple(self._context(seat.run) for seat in seats)
        everyone = _Everyone(self._reporter, [seat.run.claim for seat in seats])
        ctx = self._context(run, reporter=everyone)
        ctx.gather(tasks)
        try:
            value = await self._layers.around(run, ctx, columns([seat.arguments for seat in seats]))
            return _divided(run.claim.name, value, len(seats))
        except asyncio.CancelledError as error:
            run.absorb(error)
            own = RuntimeError("it raised CancelledError, but nobody had cancelled it")
            return [Answer(error=own)] * len(seats)
        except BaseException as error:  # noqa: BLE001 - it belongs to the tasks
            return [Answer(error=error, phase=run.phase)] * len(seats)
        finally:
            if ctx.spent is not None:  # nobody knows by which of them
                for task in tasks:
                    task.spend(ctx.spent / len(tasks))


def _divided(task: str, value: Any, amount: int) -> list[Answer]:
    """A call's result, an entry for each task."""
    if value is None:
        return [Answer()] * amount
    if not isinstance(value, list | tuple) or len(value) != amount:
        what = f"{len(value)} results" if isinstance(value, list | tuple) else type(value).__name__
        raise WrongCount(
            f"task {task!r} returned {what} for a batch of {amount}: return a list with one entry"
            " for each task, or None."
        )
    return [Answer(error=one) if isinstance(one, BaseException) else Answer(one) for one in value]
