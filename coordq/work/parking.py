"""Which limit holds a ready task up, how many come before it, and when it may start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coordq.work.allowance import LimitView, read_view


@dataclass(frozen=True, slots=True)
class Parked:
    """Where a ready task waits because a limit does not let it start."""

    position: int
    """How many of those that wait there come before it."""
    view: LimitView
    """The limit, or key of it, as it stands."""

    @property
    def starts_in_ms(self) -> int | None:
        """About when it may start at the present rate; None: when others have ended, or a pause."""
        view, limit = self.view, self.view.limit
        if view.wake_ms is None or limit is None:
            return view.wake_ms
        step_s = limit.rate[1] / limit.rate[0] if limit.rate else 0.0
        return view.wake_ms + round(1000 * step_s * self.position)


def read_parked(reply: Any) -> Parked | None:
    """What work/look says of it."""
    return Parked(int(reply[0]), read_view(reply[1:])) if reply else None
