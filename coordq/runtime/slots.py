"""How many claims a child may hold, and which it holds.

A slot belongs to a claim from the moment it is received until Redis has acknowledged its outcome.
The two askers of a lane never overlap: one reserves free slots for the time of its call, the other
asks for as many as it is about to free.
"""

from __future__ import annotations

import asyncio
from typing import Any

from coordq.runtime.ledger import Ledger, Mark
from coordq.runtime.stopwatch import Stopwatch
from coordq.work.claim import Claim


class Hold:
    """A claim in a slot."""

    __slots__ = ("began", "claim", "ended", "reason", "slot", "task", "took", "waiting")

    def __init__(self, slot: int, claim: Claim, *, waiting: bool) -> None:
        self.slot = slot
        self.claim = claim
        self.waiting = waiting
        """Its handler has not started."""
        self.task: asyncio.Task[Any] | None = None
        self.began = 0.0
        """When its handler began, in monotonic seconds; 0 while none is at work."""
        self.took = 0.0
        """For how many seconds it was at work, once it is done."""
        self.ended = False
        """Its outcome is decided and on its way."""
        self.reason = ""
        """Why it was told to stop, if it was."""


class Slots:
    """The slots of one child."""

    def __init__(self, ledger: Ledger, size: int, *, watch: Stopwatch | None = None) -> None:
        self._ledger = ledger
        self._watch = watch or Stopwatch()
        self._free = list(range(size - 1, -1, -1))
        self._reserved = 0
        self.size = size
        self.held: dict[str, Hold] = {}
        """By member."""
        self._room = asyncio.Event()
        self._empty = asyncio.Event()
        self.settle()

    @property
    def free(self) -> int:
        """How many slots can be reserved."""
        return len(self._free) - self._reserved

    @property
    def busy(self) -> bool:
        """Whether anything is held, or may be granted at this moment."""
        return bool(self.held) or self._reserved > 0

    def reserve(self, most: int) -> int:
        """Set aside up to `most` free slots for a call; returns how many."""
        amount = max(0, min(most, self.free))
        self._reserved += amount
        self.settle()
        return amount

    def unreserve(self, amount: int) -> None:
        """The call is over."""
        self._reserved -= amount
        self.settle()

    def take(self, claim: Claim, *, mark: Mark, deadline_ns: int) -> Hold:
        """Put a claim into a free slot, and into the ledger. Then, after the last, `settle`."""
        slot = self._free.pop()
        self._ledger.write(slot, claim.member.encode(), mark=mark, deadline_ns=deadline_ns)
        hold = self.held[claim.member] = Hold(slot, claim, waiting=mark is Mark.WAITING)
        return hold

    def remark(self, hold: Hold, *, mark: Mark, deadline_ns: int = 0) -> None:
        """Note in the ledger how far a held claim has come."""
        member = hold.claim.member.encode()
        self._ledger.write(hold.slot, member, mark=mark, deadline_ns=deadline_ns)

    def give_back(self, hold: Hold) -> None:
        """The outcome of a claim was acknowledged. Then, after the last of a batch, `settle`."""
        self._ledger.clear(hold.slot)
        del self.held[hold.claim.member]
        self._free.append(hold.slot)

    def settle(self) -> None:
        """Tell those who wait for room or for emptiness how it is now."""
        self._watch.hold(len(self.held))
        _match(self._room, self.free > 0)
        _match(self._empty, not self.busy)

    async def room(self) -> None:
        """Wait until a slot is free."""
        while self.free <= 0:
            await self._room.wait()

    async def emptied(self) -> None:
        """Wait until nothing is held."""
        while self.busy:
            await self._empty.wait()


def _match(event: asyncio.Event, state: bool, /) -> None:  # noqa: FBT001 - the whole of the message
    if state:
        event.set()
    else:
        event.clear()
