"""The limits door of the async client: the operations of `limits.py`, awaitable."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from coordq.client import limit_plans as plans
from coordq.client.drive import drive_async
from coordq.engine.aio import AsyncEngine
from coordq.work.allowance import LimitView
from coordq.work.limit import make


class AsyncLimits:
    """Limits of a namespace, by name; each shard keeps them.

    Tasks count against those they name, `limits=["openai:gpt-4"]`, and by themselves against
    `queue:<queue>`, `task:<name>` and `tenant:<tenant>`. A limit without a key, `openai`, `queue`,
    holds for each of its keys separately.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._shards = engine.shards

    async def set(self, name: str, /, **given: Any) -> LimitView:
        """Set a limit, or change it; parked tasks that it lets go now come back.

        rate: how many tasks may start, as "100/min" or (100, 60). burst: how many of them at once
        after a rest. window: "bucket", evenly spread, or "sliding", never more in any such period.
        concurrency: how many may run at once; those that run already do not count. on_conflict:
        when they do, "queue" (wait), "cancel-oldest", "cancel-newest" or "skip" (the one that
        comes is cancelled). budget: units in a period, as "50000/day"; see cost= and ctx.spend.

        Raises InvalidLimit, InvalidName, Unreachable.
        """
        return await drive_async(self._engine, plans.put(self._shards, make(name, **given)))

    async def get(self, name: str, /) -> LimitView:
        """A limit, or one key of it, as it stands. Raises LimitNotFound."""
        return await drive_async(self._engine, plans.get(self._shards, name))

    async def ls(self) -> list[LimitView]:
        """All that are set or paused, or have tasks parked, by name; up to 1,000."""
        return await drive_async(self._engine, plans.look(self._shards))

    async def rm(self, name: str, /) -> None:
        """Take a limit away; parked tasks come back. Raises LimitNotFound."""
        await drive_async(self._engine, plans.rm(self._shards, name))

    async def pause(self, name: str, /, seconds: float | timedelta | None = None) -> None:
        """Let nothing start that counts against it, for so long or until `resume`.

        There need not be such a limit. What runs goes on; a longer pause is not made shorter.
        Raises InvalidLimit.
        """
        await drive_async(self._engine, plans.pause(self._shards, name, seconds))

    async def resume(self, name: str, /) -> None:
        """End a pause."""
        await drive_async(self._engine, plans.resume(self._shards, name))
