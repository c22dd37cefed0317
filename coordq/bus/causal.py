"""Causal order: the clocks that messages carry, and what a publisher knows.

After Birman, Schiper and Stephenson, "Lightweight Causal and Atomic Group Multicast" (1991), where
processes talk in groups that overlap: a vector of counts for each group, and a message carries all
that its sender knows. Our groups are channels, so a clock counts by channel and publisher, and
whoever reads only some channels can tell what concerns them. Two things are younger: a clock is a
dot and a context (dotted version vectors, Preguica et al. 2010), so that a number that was never
sent leaves no hole; and of a channel it leaves out what another that it names has named, since who
waits for that one has waited for what it knew.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock, RLock
from typing import Any, Final, NamedTuple, Protocol
from uuid import uuid4

from coordq.errors import InvalidMessage, InvalidName

ENTRIES_MAX: Final = 64
"""Predecessors that a clock names; those that came last are kept."""
BYTES_MAX: Final = 4096
"""Of a clock that we write."""
READ_MAX: Final = 1024
"""Predecessors in a clock that we read; a newer version may keep more."""
NAME_MAX: Final = 40
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_:-]{0,39}\Z")
_AROUND: Final = 24
"""Bytes of an entry besides its names, at most: a number, quotes, colons, braces."""

Stream = tuple[str, str]
"""A channel, and who publishes to it."""


class Missing(NamedTuple):
    """A message that another one comes after, and that did not come."""

    channel: str
    publisher: str
    """`<name>.<life>`, see `Causal`."""
    number: int

    def __str__(self) -> str:
        return f"{self.publisher}#{self.number} in {self.channel}"


class Clock(NamedTuple):
    """Which message one is, and which others it comes after."""

    publisher: str
    number: int
    """Grows with each message of the publisher; some may be left out."""
    after: Mapping[Stream, int]
    """What its publisher had said or read by then: of each channel and publisher the latest."""

    def text(self, channel: str) -> bytes:
        """As the envelope of a message in `channel` has it: `[publisher, number, after]`.

        after is `{channel: {publisher: number}}`, where "" is its own channel or publisher.
        """
        after: dict[str, dict[str, int]] = {}
        for (where, who), number in self.after.items():
            here = after.setdefault("" if where == channel else where, {})
            here["" if who == self.publisher else who] = number
        words = [self.publisher, self.number, after] if after else [self.publisher, self.number]
        return json.dumps(words, separators=(",", ":")).encode()


def read_clock(words: Any, channel: str) -> Clock:
    """The clock that `text` wrote. Raises ValueError for what coordq did not write."""
    if type(words) is not list or len(words) not in {2, 3}:
        raise ValueError("a clock is a publisher, a number and what it comes after")
    publisher, number, *rest = words
    if type(publisher) is not str or not publisher or type(number) is not int or number < 1:
        raise ValueError(f"{publisher!r} and {number!r} are no publisher and number")
    after: dict[Stream, int] = {}
    told = rest[0] if rest else {}
    if type(told) is not dict or not all(type(each) is dict for each in told.values()):
        raise ValueError("what a clock comes after is an object of objects")
    for where, counts in told.items():
        for who, count in counts.items():
            if type(count) is not int or count < 1:
                raise ValueError(f"{count!r} is no number of a message")
            after[where or channel, who or publisher] = count
    if len(after) > READ_MAX:
        raise ValueError(f"a clock names {len(after):,} messages")
    return Clock(publisher, number, after)


class Clocked(Protocol):
    """A message, or whatever else has a channel and perhaps a clock."""

    @property
    def channel(self) -> str: ...
    @property
    def clock(self) -> Clock | None: ...


@dataclass(slots=True)
class Draw:
    """Clocks for messages that are about to be sent to one channel, in order."""

    channel: str
    clocks: list[Clock]
    before: dict[Stream, int] = field(default_factory=dict)
    """What was known of that channel."""


class Causal:
    """What one publisher has said and read: what it says next comes after all of it.

    name: for people, up to 40 letters, digits, '_', ':' and '-'. Two objects are two publishers,
    also of the same name, and so is what a process does before and after a fork. Use one from
    threads, or from one event loop; its messages are published one after the other. One that was
    broken off, or whose answer never came, counts as published.

    It remembers the latest message of up to 64 channels and publishers, in up to 4 KiB, and forgets
    those first that came longest ago: what it says next is not promised to come after them.
    Raises InvalidName.
    """

    def __init__(self, name: str = "publisher") -> None:
        if not isinstance(name, str) or _NAME.match(name) is None:
            raise InvalidName(
                f"publisher name {str(name)[:60]!r} is not allowed: use 1 to {NAME_MAX} of "
                "letters, digits, '_', ':' and '-', starting with a letter, digit or '_'.",
                kind="publisher",
                name=name,
            )
        self.name = name
        self.turn = RLock()
        """Held while a message is published, on threads."""
        self.turn_async = asyncio.Lock()
        """The same, on an event loop."""
        self.forgotten = 0
        """How many predecessors it had to forget."""
        self._lock = Lock()
        self._after: dict[Stream, int] = {}  # those that came last stand last
        self._number = 0
        self._begin_life()

    def _begin_life(self) -> None:
        self._pid = os.getpid()
        self.publisher = f"{self.name}.{uuid4().hex[:10]}"
        """How it is called in clocks: its name, and what no other has."""

    @property
    def after(self) -> Mapping[Stream, int]:
        """What its next message will come after, by channel and publisher."""
        with self._lock:
            return dict(self._after)

    def saw(self, *messages: Clocked) -> None:
        """It has read these: what it says from now on comes after them. Raises InvalidMessage.

        Messages that were published without a clock are in no causal order, and change nothing.
        """
        for message in messages:
            if not hasattr(message, "clock"):
                raise InvalidMessage(
                    f"{message!r:.60} is no message: give what `delivery.message` is."
                )
        with self._lock:
            for message in messages:
                if message.clock is not None:
                    self._merge(message.channel, message.clock)
            self._trim()

    def _merge(self, channel: str, clock: Clock) -> None:
        for stream, number in clock.after.items():
            if stream[0] != channel:
                self._learn(stream, number)
            elif stream[1] != self.publisher and self._after.get(stream, 0) <= number:
                # whoever waits for this message has waited for that one; only what we said there
                # is named each time, so that a number of ours stands for all smaller ones
                self._after.pop(stream, None)
        self._learn((channel, clock.publisher), clock.number)

    def _learn(self, stream: Stream, number: int) -> None:
        known = self._after.get(stream, 0)
        if number > known:
            self._after.pop(stream, None)
            self._after[stream] = number

    def _trim(self) -> None:
        size = sum(map(_bytes_of, self._after))
        while len(self._after) > ENTRIES_MAX or size > BYTES_MAX - _AROUND * 4 - NAME_MAX:
            oldest = next(iter(self._after))
            size -= _bytes_of(oldest)
            del self._after[oldest]
            self.forgotten += 1

    def draw(self, channel: str, amount: int = 1) -> Draw:
        """Clocks for so many messages to one channel, each after the one before.

        They count as sent; `undo` takes that back. Hold the turn from here until the answer.
        """
        with self._lock:
            if self._pid != os.getpid():
                self._begin_life()  # or both sides of the fork would count on under one name
            own = channel, self.publisher
            before = {stream: n for stream, n in self._after.items() if stream[0] == channel}
            others = {stream: n for stream, n in self._after.items() if stream[0] != channel}
            first = self._number + 1
            self._number += amount
            clocks = [
                Clock(self.publisher, number, {**others, own: number - 1})
                for number in range(first + 1, self._number + 1)
            ]
            clocks.insert(0, Clock(self.publisher, first, {**others, **before}))
            self._after = {**others, own: self._number}
            self._trim()
            return Draw(channel, clocks, before)

    def undo(self, draw: Draw, sent: int = 0) -> None:
        """Only the first `sent` of them were published: nothing comes after the others."""
        with self._lock:
            own = draw.channel, draw.clocks[0].publisher
            if self._after.get(own) == draw.clocks[-1].number:
                del self._after[own]
            if sent:
                self._learn(own, draw.clocks[sent - 1].number)
                return
            for stream, number in draw.before.items():
                self._learn(stream, number)

    def __repr__(self) -> str:
        return f"Causal({self.publisher!r}, after={len(self._after)})"


def _bytes_of(stream: Stream) -> int:
    return len(stream[0]) + len(stream[1]) + _AROUND
