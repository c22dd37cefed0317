"""A message that a listener is called for, in the form in which the executor runs things."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from coordq.bus.body import PACKED
from coordq.bus.envelope import Message
from coordq.bus.session import reply_to
from coordq.bus.take import EVENTS, Given
from coordq.client.session_plans import Voice
from coordq.engine.call import Call
from coordq.work.spec import Spec

if TYPE_CHECKING:
    from coordq.work.listener import Listener

_SPECS: Final = 1024
_BADNESS: Final = "adrn"
"""Acknowledged, dead, given back as if it had not been taken, given back for another try."""


@lru_cache(maxsize=_SPECS)
def _spec(channel: str, name: str, deliveries: int) -> Spec:
    return Spec(channel, name, max_attempts=deliveries)


@dataclass(slots=True, eq=False)
class Entry:
    """What was taken: one message, or several things that happened. It is settled as a whole."""

    given: Given
    left: int
    """Messages of it that have not ended."""
    verdict: str = "a"
    delay_ms: int = 0
    reason: str = ""

    def ended(self, verdict: str, *, delay_ms: int = 0, reason: str = "") -> bool:
        """A message of it has ended, so; whether all have. The worst verdict is that of all."""
        self.left -= 1
        if verdict != self.verdict and _BADNESS.index(verdict) > _BADNESS.index(self.verdict):
            self.verdict, self.delay_ms, self.reason = verdict, delay_ms, reason
        return self.left == 0


@dataclass(slots=True, eq=False)
class Heard:
    """One message, for one listener. It looks like a claim; its fence is the attempt."""

    message: Message
    listener: Listener
    entry: Entry
    """What it is settled with."""
    args: bytes
    """The body: JSON."""
    member: str
    """Unlike that of anything else that this process runs."""
    replies: int = 0
    """How many parts of an answer were given."""
    answered: bool = False
    """The last of them was."""
    speaks: Voice | None = None
    strikes: int = 0
    version: int = 0
    saved: bool = False
    memory: None = None

    @property
    def voice(self) -> Voice | None:
        """As whom its handler speaks in the session that it was said in; None for no session."""
        if self.speaks is None and self.message.turn:
            name, session_id = self.entry.given.group[1:], self.message.channel[1:]
            self.speaks = Voice(session_id, name, key=self.id, acting=self.listener.agent.name)
        return self.speaks

    def answer(self, body: Any, how: str) -> Call[Any]:
        """A reply to who asked: part, last, or error. Raises InvalidMessage, PayloadTooLarge."""
        call = reply_to(
            self.message,
            body,
            self.entry.given.group,
            number=self.replies + 1,
            how=how,
            sender=self.listener.agent.name,
            nonce=f"{self.id}:{self.attempt}:{self.replies + 1}",
        )
        self.replies += 1
        self.answered = how != "part"
        return call

    @property
    def awaited(self) -> bool:
        """Somebody waits for an answer and has not had the last of it."""
        return bool(self.message.reply_to) and not self.answered

    @property
    def id(self) -> str:
        """The message's."""
        return self.message.id

    @property
    def who(self) -> str:
        """Who handles it: a message may be handled by several groups, each of which speaks."""
        return f"{self.entry.given.group} {self.listener.name}"

    @property
    def fence(self) -> int:
        """Larger in every later run."""
        return self.message.attempt

    @property
    def attempt(self) -> int:
        """From 1."""
        return self.message.attempt

    @property
    def name(self) -> str:
        """The listener's: `@<agent>.<function>`."""
        return self.listener.name

    @property
    def queue(self) -> str:
        """The channel that it came through."""
        return self.message.channel

    @property
    def spec(self) -> Spec:
        """As of a task with so many attempts as there are deliveries."""
        return _spec(self.message.channel, self.listener.name, self.listener.max_deliveries)


def heard(message: Message, listener: Listener, entry: Entry, *, nth: int) -> Heard:
    """A message as it is handled. nth: which one of its entry."""
    given = entry.given
    plain = given.place[0] != EVENTS and not given.body.startswith(PACKED)
    body = given.body if plain else json.dumps(message.body).encode()
    # who was stopped past the visibility may be given again what it still handles
    member = f"{given.group}|{given.place}|{given.entry}|{given.attempt}|{nth}"
    return Heard(message, listener, entry, body, member)
