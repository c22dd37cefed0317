"""Which of a worker's beats must be full, and which may be brief.

A full beat is the script `work/beat`: it tells and learns everything. A script is dear for Redis,
however little is in it. So what must be said every time, "I live, and these claims are kept", is
said by plain commands: a brief beat. Every third beat looks as well: it tells what the worker has
counted, and learns whether there is anything that only a full beat can deal with.

These commands need a moment by Redis's clock, before they can ask for it. So the answer to a full
beat names its moment, as that to a look does, and the worker counts on from there. That is never
ahead of Redis, and behind it by no more than the answer took.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Final

from coordq.runtime.worker import LEASE_BEATS

LOOK_EVERY: Final = 3
"""In so many beats one looks. With a fourth between, a lease that was seen freshly extended may be
about to end, and nobody would know whether to take claims back."""
SLACK_BEATS: Final = 0.25
"""The moment must be known so exactly, and beats come so punctually, or the next one is full."""


class Kind(Enum):
    """What a beat says."""

    FULL = "full"
    LOOK = "look"
    KEEP = "keep"


class Cadence:
    """The beats of one worker on one shard. Times are its own, in monotonic seconds."""

    __slots__ = (
        *("_beat_s", "_brief", "_due", "_heard_s", "_last_s", "_long", "_now_ms", "_sent_s"),
        "lapse_s",
    )

    def __init__(self, *, beat_s: float, lease_s: float) -> None:
        self._beat_s = beat_s
        self._long = lease_s >= beat_s * LEASE_BEATS
        self._due = True
        self._brief = 0
        self._sent_s = self._heard_s = self._last_s = 0.0
        self._now_ms = 0
        self.lapse_s = math.inf
        """When to look for a claim of the shard that has lapsed, whoever held it."""

    @property
    def lag_s(self) -> float:
        """So much what is taken for Redis's time may be behind it: as long as the answer took."""
        return self._heard_s - self._sent_s

    def next(self, now_s: float) -> Kind:
        """What the beat that is sent now must be, at least."""
        if not self._may_be_brief(now_s):
            return Kind.FULL
        soon = self.lapse_s - now_s <= self._beat_s
        return Kind.LOOK if soon or (self._brief + 1) % LOOK_EVERY == 0 else Kind.KEEP

    def _may_be_brief(self, now_s: float) -> bool:
        """Whether a full beat would learn nothing that cannot wait for the next one."""
        slack_s = self._beat_s * SLACK_BEATS
        return (
            self._long
            and not self._due
            and self.lag_s <= slack_s
            and now_s - self._last_s - self._beat_s <= slack_s
            and self.lapse_s > now_s
        )

    def redis_ms(self, now_s: float) -> int:
        """What time it is for Redis, as far as the last full beat tells; never ahead of it."""
        return self._now_ms + math.floor((now_s - self._heard_s) * 1000)

    def full(self, *, sent_s: float, heard_s: float, now_ms: int) -> None:
        """A full beat was answered. now_ms: what time it was for Redis."""
        self._brief, self._due, self._last_s = 0, False, sent_s
        self._learn(sent_s, heard_s, now_ms)

    def looked(self, *, sent_s: float, heard_s: float, now_ms: int) -> None:
        """A brief beat that looked was believed."""
        self.kept(sent_s=sent_s)
        self._learn(sent_s, heard_s, now_ms)

    def kept(self, *, sent_s: float) -> None:
        """A brief beat was believed."""
        self._last_s = sent_s
        self._brief += 1

    def _learn(self, sent_s: float, heard_s: float, now_ms: int) -> None:
        self._sent_s, self._heard_s, self._now_ms = sent_s, heard_s, now_ms

    def interrupt(self) -> None:
        """The next beat is full: the last was not answered or not enough, or there is news."""
        self._due = True
