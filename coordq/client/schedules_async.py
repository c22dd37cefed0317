"""The schedules door of the async client: the operations of `schedules.py`, awaitable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from coordq.client import schedule_plans as plans
from coordq.client.drive import drive_async
from coordq.engine.aio import AsyncEngine
from coordq.work.agenda import ScheduleView
from coordq.work.enqueue import Receipt

if TYPE_CHECKING:
    from coordq.client.work_async import AsyncTaskHandle


class AsyncSchedules:
    """Schedules of a namespace; a supervisor fires them."""

    def __init__(
        self, engine: AsyncEngine, handle: Callable[[Receipt], AsyncTaskHandle[Any]]
    ) -> None:
        self._engine = engine
        self._handle = handle
        self._shards = engine.shards

    async def add(
        self,
        name: str,
        task: str,
        args: Mapping[str, Any] | None = None,
        /,
        *,
        paused: bool = False,
        replace: bool = False,
        **given: Any,
    ) -> ScheduleView:
        """Set a schedule down; the same again changes nothing.

        Either every= (seconds or a timedelta) or cron= (five fields) says when. Also tz= ("UTC"),
        overlap= (skip, queue, cancel-oldest), missed= (skip, one, all), start=, end= and jitter=;
        the rest are coordq.Options of each run.

        paused: it waits for `resume`. replace: it may change a schedule of that name, which keeps
        its history.

        Raises InvalidSchedule and other InvalidInput, Conflict, RedisFull, Unreachable.
        """
        made = plans.make(name, task, args, given)
        return await drive_async(
            self._engine, plans.add(self._shards, made, paused=paused, may_replace=replace)
        )

    async def ls(self) -> list[ScheduleView]:
        """All schedules, by name."""
        return await drive_async(self._engine, plans.ls(self._shards))

    async def get(self, name: str) -> ScheduleView:
        """One schedule and its last runs. Raises ScheduleNotFound, ForeignData."""
        return await drive_async(self._engine, plans.get(self._shards, name))

    async def pause(self, name: str) -> ScheduleView:
        """Fire nothing until it is resumed. Raises ScheduleNotFound."""
        return await drive_async(self._engine, plans.pause(self._shards, name, paused=True))

    async def resume(self, name: str) -> ScheduleView:
        """Go on with the next slot; those in between are not made up for."""
        return await drive_async(self._engine, plans.pause(self._shards, name, paused=False))

    async def trigger(self, name: str) -> AsyncTaskHandle[Any]:
        """Run it now, whether or not it is paused. Raises ScheduleNotFound, QueueFull, ReadOnly."""
        return self._handle(await drive_async(self._engine, plans.trigger(self._shards, name)))

    async def rm(self, name: str) -> None:
        """Take it off; the tasks it has enqueued stay. Raises ScheduleNotFound."""
        await drive_async(self._engine, plans.rm(self._shards, name))

    async def next_runs(self, name: str, n: int = 5) -> list[datetime]:
        """Its next slots, in its own zone; of a paused one, those that a resume would bring."""
        return await drive_async(self._engine, plans.next_runs(self._shards, name, n))
