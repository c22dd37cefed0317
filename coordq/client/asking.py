"""Questions and answers over the bus: what both clients need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from coordq.bus.reply import Reply
from coordq.bus.topic import check_channel, mailbox
from coordq.client.posting import Published
from coordq.errors import AskFailed, GroupNotFound, InvalidTime, WaitTimeout
from coordq.work.options import seconds

TOPIC: Final = "topic:"


def channel_of(to: str) -> str:
    """Where a question goes: `topic:<topic>`, a topic with a dot, or an agent's mailbox."""
    if isinstance(to, str) and to.startswith(TOPIC):
        return check_channel(to.removeprefix(TOPIC))
    if isinstance(to, str) and (to[:1] == "@" or "." in to):
        return check_channel(to)
    return mailbox(to)


def limit(timeout: object) -> float:
    """How long to wait, in seconds. Raises InvalidTime."""
    if timeout is None:
        raise InvalidTime("A question needs a timeout, in seconds.", option="timeout")
    return seconds("timeout", timeout)


def envelope(reply_to: str, limit_s: float, options: dict[str, Any]) -> dict[str, Any]:
    """What a question's envelope says besides: nobody is to begin when nobody waits any more."""
    usual = {"kind": "ask", "expires": max(0.001, limit_s), "timeout": limit_s}
    return {**usual, **options, "reply_to": reply_to}


def check_heard(to: str, published: Published) -> None:
    """Raise GroupNotFound when nobody was given the question."""
    if published.receivers == 0:
        channel = channel_of(to)
        hint = "" if "." in channel or channel[0] == "@" else f" An agent is asked as '@{channel}'."
        raise GroupNotFound(f"Nobody reads {channel!r}, so nobody would answer.{hint}")


class Answers:
    """The replies to one question, each part once, in order."""

    def __init__(self, ask: str, to: str, limit_s: float) -> None:
        self._ask, self._to, self._limit_s = ask, to, limit_s
        self._seen: dict[str, int] = {}
        self._first = ""
        self.ended = False

    def take(self, reply: Reply | None) -> Iterator[Reply]:
        """The reply, if it is to this question and new. Raises AskFailed."""
        if reply is None or reply.ask != self._ask or self.ended:
            return
        self._first = self._first or reply.sender
        if reply.sender != self._first or reply.number <= self._seen.get(reply.sender, 0):
            return  # another group answers too, or this one begins anew after a crash
        self._seen[reply.sender] = reply.number
        if reply.how == "error":
            error = reply.body if isinstance(reply.body, dict) else {}
            raise AskFailed(
                f"{reply.sender} answered {self._to!r} with an error: "
                f"{error.get('message') or reply.body}",
                error=reply.body,
                by=reply.sender,
            )
        self.ended = reply.how == "last"
        yield reply

    def too_late(self) -> WaitTimeout:
        """The error for an answer that did not come."""
        return WaitTimeout(
            f"{self._to!r} did not answer {self._ask} within {self._limit_s:g} s.", id=self._ask
        )
