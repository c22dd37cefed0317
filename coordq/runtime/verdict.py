"""From what happened in a run to what is reported: pure decisions, no clock and no waiting.

    returned            succeeded; a dead letter when the result is not JSON or too large
    raised              retry after the backoff, or a dead letter when that was the last attempt,
                        or when the task says that this exception is not worth another
    raised a signal     what it says
    has to wait         suspended until that has come: no slot, no attempt
    timeout, crash      as raised: both cost an attempt
    deadline            a dead letter: the total time is up
    cancelled           cancelled
    shutdown            released, with its attempt refunded
    lost                nothing: whoever holds the claim now reports

The error that is stored has a type, a message, a traceback and a `reason`. What stands before the
first colon of a reason is stable and meant for programs: exception, timeout, dependency, rejected,
crashed, invalid-arguments, input-gone, result-not-json, result-too-large, result-count, cancelled,
deadline.
"""

from __future__ import annotations

import json
import random
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from coordq.errors import InvalidArguments, InvalidLimit, OtherShard, PayloadTooLarge
from coordq.work.finish import Outcome
from coordq.work.hints import ResultNotJSON
from coordq.work.limit import slot_text
from coordq.work.signals import RateLimited, Reject, Retry, Signal, Snooze, Suspended
from coordq.work.spec import MAX_ATTEMPTS

if TYPE_CHECKING:
    from coordq.work.claim import Claim
    from coordq.work.handler import Handler

MESSAGE_MAX: Final = 2_000
TRACEBACK_MAX: Final = 8_192
REASON_MAX: Final = 200
FRAMES_MAX: Final = 60
_OURS: Final = str(Path(__file__).parents[1])

Chance = Callable[[], float]


class Crashed(Exception):
    """The process that ran the task on its own ended without an answer."""

    def __init__(self, code: int) -> None:
        """`code` is the exit code, or the number of the signal, negative."""
        self.reason = f"crashed: exit code {code}" if code >= 0 else f"crashed: signal {-code}"
        end = f"exited with code {code}" if code >= 0 else f"was killed by signal {-code}"
        super().__init__(f"its process {end} without an answer")


class TimedOut(Exception):
    """The run took longer than the task allows."""


class TotalTimeOver(Exception):
    """The task's total time was up."""


class WrongCount(Exception):
    """The result of a batch does not have an entry for each of its tasks."""


class Cancelled(Exception):
    """The task was cancelled while it ran."""


def attempts_of(claim: Claim, handler: Handler) -> int:
    """How often the task may be tried: as it was enqueued, else as its definition says."""
    return claim.spec.max_attempts or handler.options.max_attempts or MAX_ATTEMPTS


def snoozed(claim: Claim, seconds: float) -> Outcome:
    """The task comes back later, at no cost."""
    return Outcome("snooze", claim.id, claim.fence, b"", _ms(seconds))


def suspended(claim: Claim, wait: Suspended) -> Outcome:
    """The task holds no slot until what it waits for has come, or its time is up."""
    body = {"kind": wait.kind, "key": wait.key, "ids": wait.ids, "name": wait.name}
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    limit_ms = 0 if wait.timeout_s is None else max(1, _ms(wait.timeout_s))
    return Outcome("suspend", claim.id, claim.fence, text, limit_ms)


def released(claim: Claim) -> Outcome:
    """The task goes back to the head of its line, at no cost."""
    return Outcome("release", claim.id, claim.fence)


def cancelled(claim: Claim, why: str) -> Outcome:
    """The task ends here because somebody said so."""
    return Outcome("cancelled", claim.id, claim.fence, error_body(Cancelled(why), "cancelled"))


def failed(claim: Claim, error: BaseException, reason: str) -> Outcome:
    """The task is a dead letter."""
    return Outcome("failed", claim.id, claim.fence, error_body(error, reason))


def judge(
    claim: Claim,
    handler: Handler,
    error: BaseException,
    *,
    reason: str = "exception",
    chance: Chance = random.random,
) -> Outcome:
    """What follows from an exception or a signal that a run ended with."""
    if isinstance(error, Snooze | RateLimited):
        return _come_back(claim, error)
    if isinstance(error, Reject):
        return failed(claim, error, f"rejected: {error.reason}" if error.reason else "rejected")
    final = _final_reason(error)
    if final:
        return failed(claim, error, final)
    if isinstance(error, Retry):
        reason = f"exception: {error.reason}" if error.reason else "exception"
    hopeless = not isinstance(error, Signal) and not handler.may_retry(error)
    if hopeless or claim.attempt >= attempts_of(claim, handler):
        return failed(claim, error, reason)
    after = error.after if isinstance(error, Retry) else None
    if after is None:
        after = (claim.spec.backoff or handler.backoff).delay(claim.attempt, chance)
    return Outcome("retry", claim.id, claim.fence, error_body(error, reason), _ms(after))


def _come_back(claim: Claim, error: Snooze | RateLimited) -> Outcome:
    """The task comes back later, at no cost; a limit may stand still until then."""
    if isinstance(error, Snooze):
        return snoozed(claim, error.seconds)
    try:
        # the one that was named, else the task's own first one
        slot = slot_text(error.key) if error.key else next(iter(claim.spec.limits), "")
    except InvalidLimit as bad:
        return failed(claim, bad, "exception")
    if not slot:
        return snoozed(claim, error.seconds)
    return Outcome("rate-limited", claim.id, claim.fence, slot.encode(), _ms(error.seconds))


def _final_reason(error: BaseException) -> str:
    """The reason of an error that no repetition can mend, or ""."""
    if isinstance(error, ResultNotJSON):
        return "result-not-json"
    if isinstance(error, WrongCount):
        return "result-count"
    if isinstance(error, TotalTimeOver):
        return "deadline"
    if isinstance(error, _TooLarge):
        return "result-too-large"
    if isinstance(error, OtherShard):
        return error.code
    return ""


class _TooLarge(PayloadTooLarge):
    """A result over the size limit."""


def too_large(task: str, size: int, most: int) -> PayloadTooLarge:
    """The error for a result of `size` bytes where `most` are allowed."""
    return _TooLarge(
        f"task {task!r} returned {size:,} bytes of JSON; {most:,} are allowed. Store the data"
        " elsewhere and return where it is.",
        size=size,
    )


def misfit(claim: Claim, error: InvalidArguments) -> Outcome:
    """The arguments do not fit the handler, or are gone: no repetition can mend that."""
    return failed(claim, error, error.code)


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))


# The error as it is stored


def error_body(error: BaseException, reason: str) -> bytes:
    """An exception as bounded JSON: {"type", "message", "traceback", "reason"}."""
    body = {
        "type": type(error).__name__,
        "message": _clean(_message(error))[:MESSAGE_MAX],
        "traceback": _clean(_trace(error)),
        "reason": _plain(reason),
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def read_error(body: bytes) -> dict[str, str]:
    """What `error_body` wrote."""
    read: dict[str, str] = json.loads(body)
    return read


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not cost the report
        return "<its message cannot be shown>"


def _clean(text: str) -> str:
    """Text that is Unicode: halves of surrogate pairs become question marks."""
    return text.encode(errors="replace").decode()


def _plain(reason: str) -> str:
    """A reason on one line, without the characters that JSON would escape."""
    text = _clean(reason)[:REASON_MAX].translate({ord('"'): "'", ord("\\"): "/"})
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _trace(error: BaseException) -> str:
    """The last frames of the user's code, in at most 8 KiB; empty for a signal."""
    if isinstance(error, Signal) or error.__traceback__ is None:
        return ""
    own = _own_frames(error.__traceback__)
    try:
        lines = traceback.format_exception(type(error), error, own, limit=-FRAMES_MAX)
    except Exception:  # noqa: BLE001 - a broken __str__ must not cost the report
        lines = traceback.format_tb(own, limit=-FRAMES_MAX)
    text = "".join(lines)
    return text if len(text) <= TRACEBACK_MAX else _tail(text)


def _own_frames(trace: TracebackType) -> TracebackType | None:
    """The trace without the frames of coordq itself that lead to the handler."""
    found: TracebackType | None = trace
    while found is not None and found.tb_frame.f_code.co_filename.startswith(_OURS):
        found = found.tb_next
    return found


def _tail(text: str) -> str:
    cut = text[-TRACEBACK_MAX + 10 :]
    return "...\n" + cut.partition("\n")[2] if "\n" in cut[:-1] else "...\n" + cut
