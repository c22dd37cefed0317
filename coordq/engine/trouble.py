"""What Redis's errors mean to coordq: try again, look elsewhere, or say no."""

from __future__ import annotations

from typing import Final

import redis
from redis import exceptions

from coordq.errors import (
    AccessDenied,
    CoordqError,
    Deposed,
    ForeignData,
    ReadOnly,
    RedisFull,
    ScriptMisuse,
    Unreachable,
)

MOVED: Final = ("MOVED", "CLUSTERDOWN", "MASTERDOWN", "UNBLOCKED")
"""The server is not the right one any more: find the right one, then try again."""
WAIT: Final = ("LOADING", "BUSY ", "TRYAGAIN")
"""The server is the right one, but not now: try again."""
LEFT: Final = "the sentinels name another master by now"
"""Why a reply is not believed that did come."""
NO_WRITES: Final = ("READONLY", "NOREPLICAS", "MISCONF")
"""The server is not the right one any more, or not now. Redis 6.2 says so in the middle of a text
when it was a command within a script."""


class LostError(Exception):
    """Internal: the call may or may not have had its effect; it can be repeated."""

    def __init__(
        self, reason: str, *, moved: bool = True, refusal: CoordqError | None = None
    ) -> None:
        super().__init__(reason)
        self.moved = moved
        """Whether the shard may live elsewhere now."""
        self.refusal = refusal
        """What to raise when patience runs out, if there is something better than Unreachable."""


class NoScriptError(Exception):
    """Internal: the server has forgotten the script."""


def _code(error: Exception) -> str:
    """The message with its error code in front, which redis-py takes off for some classes."""
    text = str(error)
    by_class = {
        exceptions.NoScriptError: "NOSCRIPT ",
        exceptions.ReadOnlyError: "READONLY ",
        exceptions.BusyLoadingError: "LOADING ",
        exceptions.OutOfMemoryError: "OOM ",
        exceptions.MovedError: "MOVED ",
        exceptions.AskError: "ASK ",
        exceptions.TryAgainError: "TRYAGAIN ",
        exceptions.ClusterDownError: "CLUSTERDOWN ",
        exceptions.MasterDownError: "MASTERDOWN ",
    }
    for kind, code in by_class.items():
        if isinstance(error, kind) and not text.startswith(code.strip()):
            return code + text
    return text


def translate(error: Exception, script: str) -> Exception:
    """What to raise instead of redis-py's `error`, for a call of `script`."""
    if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError):
        return AccessDenied(f"Redis does not let us in: {error}. Check user and password.")
    if isinstance(error, exceptions.NoPermissionError):
        return AccessDenied(
            f"Redis does not allow {script}: {error}. Grant +@all ~cq:* to this user."
        )
    lost = redis.ConnectionError | redis.TimeoutError | OSError | exceptions.InvalidResponse
    if isinstance(error, lost):
        if isinstance(error, exceptions.BusyLoadingError):
            return LostError(str(error), moved=False)
        return LostError(str(error) or type(error).__name__)
    return _translate_reply(_code(error), script)


def _translate_reply(text: str, script: str) -> Exception:
    """By the reply's words: most servers agree on them, redis-py's classes cover only some."""
    if text.startswith("NOSCRIPT"):
        return NoScriptError()
    if text.startswith(MOVED):
        return LostError(text)
    if text.startswith("ASK"):
        return LostError(f"the slot is being moved to another node ({text})", moved=False)
    if text.startswith(WAIT):
        return LostError(text, moved=False)
    return _stopped(text) or _refusal(text) or _misuse(text, script)


def _stopped(text: str) -> ReadOnly | None:
    """When the fleet takes no new work: `STOPPED <operator or leader> <since_ms> <who> <why>`."""
    if not text.startswith("STOPPED "):
        return None
    kind, since_ms, who, reason = (*text.split(" ", 4)[1:], "", "", "", "")[:4]
    said = f"an operator ({who}) said so" if kind == "operator" else f"its leader, {who}, said so"
    why = f": {reason}" if reason else ""
    return ReadOnly(
        f"The fleet is read-only, {said}{why}. Try again later, enqueue with force (--force), or "
        "end it with `coordq fleet read-only off`.",
        by=kind,
        who=who,
        since_ms=int(since_ms) if since_ms.isdecimal() else 0,
        reason=reason,
    )


def _refusal(text: str) -> Exception | None:
    """When the server says no to writes."""
    if "OOM command not allowed" in text or text.startswith("OOM"):
        return RedisFull(
            "Redis is at maxmemory and takes no new work; running work goes on. "
            "Raise maxmemory, or let workers drain."
        )
    if any(code in text[:200] for code in NO_WRITES):
        refusal = ReadOnly(f"Redis takes no writes: {text}")
        return LostError(text, moved=True, refusal=refusal)
    return None


def _misuse(text: str, script: str) -> Exception:
    """When the call itself cannot work."""
    if text.startswith("DEPOSED"):
        return Deposed(
            f"{script} was refused: a newer leader is in office, with epoch {text[8:]}.",
            epoch=int(text[8:]),
        )
    if "WRONGTYPE" in text:
        return ForeignData(
            f"A key that {script} needs holds something coordq did not write: {text.rstrip('.')}. "
            "Use another namespace, or move that key away."
        )
    if text.startswith("NOPERM"):
        return AccessDenied(f"Redis does not allow {script}: {text}. Grant +@all ~cq:*.")
    return ScriptMisuse(f"{script} failed inside Redis: {text}", script=script)


def closed(where: str) -> Unreachable:
    """The error for a call on a client that has hung up."""
    return Unreachable(f"This client of {where} was closed: connect again.", url=where)
