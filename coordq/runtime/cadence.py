"""Which of a worker's beats must be full, and which may be brief.

A full beat is the script `work/beat`: it tells and learns everything. A script is dear for Redis,
however little is in it. So what must be said every time, "I live, and these claims are kept", is
said by plain commands in between: a brief beat. These need a moment by Redis's clock and cannot ask
for it. So the answer to a full beat names its moment, and the worker counts on from there. That is
never ahead of Redis, and behind it by no more than the answer took.
"""

from __future__ import annotations

import math
from typing import Final

from coordq.runtime.worker import LEASE_BEATS

BRIEF_MAX: Final = 2
"""So many brief beats follow a full one. A third would come when a lease that the full one saw
freshly extended may be about to end, so it could not know whether to take claims back."""
SLACK_BEATS: Final = 0.25
"""The moment must be known so exactly, and beats come so punctually, or the next one is full."""


class Cadence:
    """The beats of one worker on one shard. Times are its own, in monotonic seconds."""

    __slots__ = ("_beat_s", "_brief", "_due", "_heard_s", "_long", "_now_ms", "_sent_s", "lapse_s")

    def __init__(self, *, beat_s: float, lease_s: float) -> None:
        self._beat_s = beat_s
        self._long = lease_s >= beat_s * LEASE_BEATS
        self._due = True
        self._brief = 0
        self._sent_s = self._heard_s = 0.0
        self._now_ms = 0
        self.lapse_s = math.inf
        """When to look for a claim of the shard that has lapsed, whoever held it."""

    @property
    def lag_s(self) -> float:
        """So much what is taken for Redis's time may be behind it: as long as the answer took."""
        return self._heard_s - self._sent_s

    def may_be_brief(self, now_s: float) -> bool:
        """Whether a full beat would learn nothing that cannot wait for the next one."""
        late_s = now_s - self._sent_s - self._beat_s * (self._brief + 1)
        slack_s = self._beat_s * SLACK_BEATS
        return (
            self._long
            and not self._due
            and self._brief < BRIEF_MAX
            and self.lag_s <= slack_s
            and late_s <= slack_s
            and self.lapse_s - now_s > self._beat_s
        )

    def redis_ms(self, now_s: float) -> int:
        """What time it is for Redis, as far as the last full beat tells; never ahead of it."""
        return self._now_ms + math.floor((now_s - self._heard_s) * 1000)

    def full(self, *, sent_s: float, heard_s: float, now_ms: int) -> None:
        """A full beat was answered. now_ms: what time it was for Redis."""
        self._sent_s, self._heard_s, self._now_ms = sent_s, heard_s, now_ms
        self._brief, self._due = 0, False

    def brief(self, *, short: bool) -> None:
        """A brief beat was believed. short: it kept fewer claims than it named, so ask which."""
        self._brief += 1
        self._due = short

    def interrupt(self) -> None:
        """The next beat is full: the last was not answered, or there is something to tell."""
        self._due = True
