"""What a handler may raise to say what should happen next, instead of failing.

A signal is an answer, not an error: it is never logged as one. It may also be raised by a
`before_run` hook or by a dependency, before the handler has started.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Final

from coordq.errors import InvalidOption, InvalidTime

WAIT_MAX_S: Final = 366 * 86_400.0


def _wait(signal: str, value: object) -> float:
    """`value` (seconds or timedelta) as seconds; InvalidTime when it cannot be waited for."""
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InvalidTime(f"{signal}({value!r}): expected a number of seconds.", value=value)
    if math.isnan(number) or not 0 <= number <= WAIT_MAX_S:
        raise InvalidTime(
            f"{signal}({value!r}): must lie between 0 and {WAIT_MAX_S:.0f} seconds.", value=value
        )
    return float(number)


def _reason(signal: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidOption(f"{signal} reason {value!r} is not text.", option="reason")
    return value


class Signal(Exception):
    """The common kind of all signals. Never raised itself."""


class Retry(Signal):
    """Try again: after `after` seconds (or a timedelta), or as the task's backoff says if None.

    Costs an attempt. When no attempt is left, the task becomes a dead letter.
    """

    def __init__(self, after: float | timedelta | None = None, reason: str = "") -> None:
        self.after = None if after is None else _wait("Retry", after)
        self.reason = _reason("Retry", reason)
        super().__init__(self.reason or "asked to be tried again")


class Snooze(Signal):
    """Not now: come back in `seconds` (or a timedelta). Costs no attempt."""

    def __init__(self, seconds: float | timedelta) -> None:
        self.seconds = _wait("Snooze", seconds)
        super().__init__(f"snoozed for {self.seconds:g} s")


class Reject(Signal):
    """Never: the task becomes a dead letter at once, with this `reason`."""

    def __init__(self, reason: str) -> None:
        self.reason = _reason("Reject", reason)
        super().__init__(self.reason)
