"""What a handler may raise to say what should happen next, instead of failing.

A signal is an answer, not an error: it is never logged as one. It may also be raised by a
`before_run` hook or by a dependency, before the handler has started. `Suspended` is raised by the
context alone, when what a handler waits for has not come.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from coordq.amounts import is_number
from coordq.errors import InvalidOption, InvalidTime
from coordq.names import check_name

WAIT_MAX_S: Final = 366 * 86_400.0


def _wait(signal: str, value: object) -> float:
    """`value` (seconds or timedelta) as seconds; InvalidTime when it cannot be waited for."""
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if not is_number(number):
        raise InvalidTime(f"{signal}({value!r}): expected a number of seconds.", value=value)
    if not 0 <= number <= WAIT_MAX_S:
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


class RateLimited(Signal):
    """The other side asks for less: come back in `retry_after` seconds (or a timedelta).

    Costs no attempt. key: a limit, `openai` or `openai:gpt-4` say, that stands still for so long
    in the whole fleet; without one the first that the task itself names, if it names any.
    Raises InvalidTime, InvalidName.
    """

    def __init__(self, retry_after: float | timedelta, key: str = "") -> None:
        self.seconds = _wait("RateLimited", retry_after)
        self.key = _reason("RateLimited", key)
        if key:
            check_name("limit", self.key.partition(":")[0])
        super().__init__(f"rate limited for {self.seconds:g} s{key and ': ' + key}")


class Reject(Signal):
    """Never: the task becomes a dead letter at once, with this `reason`."""

    def __init__(self, reason: str) -> None:
        self.reason = _reason("Reject", reason)
        super().__init__(self.reason)


class Suspended(BaseException):
    """The run ends here; the handler is run again from its start when what it waits for has come.

    Raised by `ctx.wait_for` and its like, through the handler. It is no Exception, so that what
    catches those lets it pass; nobody else should catch it either, nor raise it.
    """

    def __init__(
        self,
        kind: str,
        key: str,
        *,
        ids: Sequence[str] = (),
        name: str = "",
        timeout: float | timedelta | None = None,
    ) -> None:
        self.kind = kind
        """tasks, approval, signal or time."""
        self.key = key
        """The name of this wait within the task: what comes of it is kept under that."""
        self.ids = tuple(ids)
        self.name = name
        """Of a signal."""
        self.timeout_s = None if timeout is None else _wait(f"the wait {key!r}", timeout)
        """None: for ever."""
        super().__init__(f"suspended until its {kind} {key!r}")
