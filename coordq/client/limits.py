"""The limits door of the sync client: how often, how many at once, how much may be spent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from coordq.client import limit_plans as plans
from coordq.client.drive import drive
from coordq.engine.connection import Engine
from coordq.work.allowance import LimitView
from coordq.work.limit import make


class Limits:
    """Limits of a namespace, by name; each shard keeps them. Thread-safe.

    Tasks count against those they name, `limits=["openai:gpt-4"]`, and by themselves against
    `queue:<queue>`, `task:<name>` and `tenant:<tenant>`. A limit without a key, `openai`, `queue`,
    holds for each of its keys separately.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._shards = engine.shards

    def set(self, name: str, /, **given: Any) -> LimitView:
        """Set a limit, or change it; parked tasks that it lets go now come back.

        rate: how many tasks may start, as "100/min" or (100, 60). burst: how many of them at once
        after a rest. window: "bucket", evenly spread, or "sliding", never more in any such period.
        concurrency: how many may run at once; those that run already do not count. on_conflict:
        when they do, "queue" (wait), "cancel-oldest", "cancel-newest" or "skip" (the one that
        comes is cancelled). budget: units in a period, as "50000/day"; see cost= and ctx.spend.

        Raises InvalidLimit, InvalidName, Unreachable.
        """
        return drive(self._engine, plans.put(self._shards, make(name, **given)))

    def get(self, name: str, /) -> LimitView:
        """A limit, or one key of it, as it stands. Raises LimitNotFound."""
        return drive(self._engine, plans.get(self._shards, name))

    def ls(self) -> list[LimitView]:
        """All that are set or paused, or have tasks parked, by name; up to 1,000."""
        return drive(self._engine, plans.look(self._shards))

    def rm(self, name: str, /) -> None:
        """Take a limit away; parked tasks come back. Raises LimitNotFound."""
        drive(self._engine, plans.rm(self._shards, name))

    def pause(self, name: str, /, seconds: float | timedelta | None = None) -> None:
        """Let nothing start that counts against it, for so long or until `resume`.

        There need not be such a limit. What runs goes on; a longer pause is not made shorter.
        Raises InvalidLimit.
        """
        drive(self._engine, plans.pause(self._shards, name, seconds))

    def resume(self, name: str, /) -> None:
        """End a pause."""
        drive(self._engine, plans.resume(self._shards, name))
