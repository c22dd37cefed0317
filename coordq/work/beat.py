"""I am alive, and this is what I hold: heartbeats, and giving claims back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordq.engine import keys
from coordq.engine.call import Argument, Call
from coordq.engine.schema import read_time
from coordq.work.claim import LEASE_MS

INFO_LEASES: Final = 3
"""What a worker says of itself is kept for so many leases without a beat; so does `work/beat`."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a worker says with each beat."""

    worker: str
    members: tuple[str, ...] = ()
    """The claims it holds, `id|fence`, at most 1,000."""
    info: bytes = b""
    """JSON about the worker; empty when it is as it was."""
    lease_ms: int = LEASE_MS
    joins: bool = True
    """Where Redis knows nothing of the worker, `info` makes it known; else the answer says so."""


@dataclass(frozen=True, slots=True)
class Beaten:
    """What Redis answers to a beat."""

    known: bool
    """False: Redis has forgotten the worker, which was given up: join with the next beat."""
    lapse_in_ms: int | None
    """Until the next claim of the shard lapses, whoever holds it; None when nothing is claimed."""
    lost: tuple[str, ...]
    """Members no longer held: stop their work, its outcome would be refused."""
    cancelled: tuple[str, ...]
    """Members whose tasks shall be cancelled."""
    now_ms: int
    """What time it was, by Redis's clock."""

    @property
    def lapsed(self) -> bool:
        """Some claim of the shard has lapsed: call `reap`."""
        return self.lapse_in_ms is not None and self.lapse_in_ms <= 0


@dataclass(frozen=True, slots=True)
class Reaped:
    """What a reaping took back."""

    amount: int
    grace_ms: int
    """> 0: nobody reaps for so long, because Redis was away."""
    lapse_in_ms: int | None = None
    """Until the next claim lapses, or may be taken back; None when nothing is claimed."""


@dataclass(frozen=True, slots=True)
class Buried:
    """What a page of a burial gave back."""

    cursor: int
    """0 when all claims have been seen."""
    amount: int


def beat(shard: int, pulse: Pulse) -> Call[Beaten]:
    """One heartbeat; extends every lease that is still held."""

    def read(reply: Any) -> Beaten:
        known, lapse_in_ms, lost, cancelled, now_ms = reply
        return Beaten(
            known != 0,
            lapse_in_ms,
            tuple(member.decode() for member in lost),
            tuple(member.decode() for member in cancelled),
            now_ms,
        )

    joins = "1" if pulse.joins else ""
    args: tuple[Argument, ...] = (pulse.worker, pulse.lease_ms, pulse.info, joins, *pulse.members)
    return Call("work/beat", shard, args, read)


@dataclass(frozen=True, slots=True)
class Brief:
    """What Redis answers to a beat without the script. Anything but `well` calls for a `beat`."""

    well: bool
    """The worker is known and lives until then; a look found its info, no cancel and no lapse."""
    short: bool = False
    """Fewer claims were kept than were named."""
    looked: bool = False
    lapse_in_ms: int | None = None
    """As in `Beaten`, if it looked; so is the next."""
    now_ms: int = 0


def brief(
    root: str, pulse: Pulse, now_ms: int, *, look: bool = False
) -> list[tuple[Argument, ...]]:
    """The plain commands of a beat without the script: what must be said every time, and no more.

    XX: who was taken for dead does not come back by it, nor does a claim. GT: nothing is set back
    by a moment that is a little behind. A look tells the info as well, and asks what may lapse,
    whether anything is cancelled at all, and what time it is.

    now_ms: what time it is for Redis, never ahead of it. For the replies: `read_brief`.
    """
    alive: tuple[Argument, ...] = (
        *("ZADD", keys.workers(root), "XX", "GT", "CH"),
        *(now_ms, pulse.worker),
    )
    kept: list[Argument] = ["ZADD", keys.lease(root), "XX", "GT", "CH"]
    for member in pulse.members:
        kept += [now_ms + pulse.lease_ms, member]
    said = [alive, tuple(kept)] if pulse.members else [alive]
    if not look:
        return said
    info, keep_ms = keys.worker(root, pulse.worker), pulse.lease_ms * INFO_LEASES
    told: tuple[Argument, ...] = ("PEXPIRE", info, keep_ms)
    if pulse.info:
        told = ("SET", info, pulse.info, "XX", "PX", keep_ms)
    oldest = ("ZRANGE", keys.lease(root), 0, 0, "WITHSCORES")
    return [*said, told, oldest, ("EXISTS", keys.cancels(root)), ("TIME",)]


def read_brief(pulse: Pulse, replies: Sequence[Any] | None) -> Brief:
    """What the replies to `brief` mean; None for replies that were refused, or never came."""
    if replies is None or replies[0] != 1:
        return Brief(well=False)
    amount = len(pulse.members)
    short = bool(amount) and replies[1] < amount
    looked = replies[2 if amount else 1 :]
    if not looked:
        return Brief(well=True, short=short)
    told, oldest, cancels, time = looked
    now_ms = read_time(time)
    lapse_in_ms = math.ceil(float(oldest[1]) - now_ms) if oldest else None
    well = bool(told) and not cancels and (lapse_in_ms is None or lapse_in_ms > 0)
    return Brief(well, short, looked=True, lapse_in_ms=lapse_in_ms, now_ms=now_ms)


def leave(shard: int, worker: str) -> Call[bool]:
    """The worker has ended in good order; true when it was known."""
    return Call("work/leave", shard, (worker,), lambda reply: reply == 1)


def reap(shard: int, *, limit: int = 100, epoch: int | None = None) -> Call[Reaped]:
    """Take back claims whose lease has run out.

    epoch: the leader's; None for workers. Raises Deposed when it is over.
    """
    args: tuple[Argument, ...] = ("" if epoch is None else epoch, limit)
    return Call("work/reap", shard, args, lambda reply: Reaped(*reply))


def bury(
    shard: int, worker: str, *, cursor: int = 0, reason: str = "crash", epoch: int | None = None
) -> Call[Buried]:
    """Give back every claim of a worker that is known to be dead, a page a call.

    cursor: 0 to begin, then what the last call gave, until that is 0.
    reason: as for `release`. epoch: the leader's; None for others. Raises Deposed when it is over.
    """
    args: tuple[Argument, ...] = ("" if epoch is None else epoch, worker, cursor, reason)
    return Call("work/bury", shard, args, lambda reply: Buried(int(reply[0]), reply[1]))


def release(
    shard: int, members: Sequence[str], *, claimants: Sequence[str] = (), reason: str = "shutdown"
) -> Call[tuple[str, ...]]:
    """Give claims back at once; the reply says which were still held.

    claimants: whatever these were granted last goes back too, received or not.
    reason: "shutdown" costs nothing, "crash" costs a strike.
    """
    args: tuple[Argument, ...] = (reason, " ".join(claimants), *members)
    return Call(
        "work/release",
        shard,
        args,
        lambda reply: tuple(member.decode() for member in reply),
    )
