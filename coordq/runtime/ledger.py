"""What a worker child holds, in memory that survives its death.

A ledger is a small file without a name, mapped by the parent and one child. The child writes each
claim into a slot before its handler starts and clears the slot once Redis has acknowledged the
outcome. So the parent can extend the leases of a child whose loop is blocked, and give back the
claims of one that was killed, without asking it.

    head    64-bit words: the child's tick, counters, histograms, and sums for each agent
    shards  one word each: when the parent last heard from Redis, in monotonic nanoseconds
    slots   64 bytes each: checksum, deadline, mark, length, member ("id|fence")

Words are written in one machine instruction. A slot is not, so it carries a checksum over all that
follows it: a half-written slot never passes for a claim, on any machine. It is read again, and if
its writer died in the middle it is nothing: its handler had not started, or its outcome was
acknowledged.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
import tempfile
from array import array
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from zlib import crc32

SLOT_SIZE: Final = 64
MEMBER_MAX: Final = 50
READ_TRIES: Final = 4
BUCKETS: Final = 48
"""Of a histogram; the last is for what takes more than 2**46 microseconds, two years."""
SHARES: Final = 32
"""Agents that are counted one by one; see `shares.py`."""
SHARE_WORDS: Final = 4
"""What is counted of each: succeeded, failed, milliseconds of these, running."""

_MAGIC: Final = 0xC0_04_D9_01
_COUNTERS: Final = 16
_SHARES: Final = _COUNTERS + 2 * BUCKETS
_HEAD_WORDS: Final = _SHARES + SHARES * SHARE_WORDS
_SHAPE: Final = re.compile(rb"[0-9a-v]{22}\|[0-9]{1,20}\Z")
_CHECK: Final = struct.Struct("<I")
_BODY: Final = struct.Struct(f"<qBB{MEMBER_MAX}s")
_EMPTY: Final = bytes(SLOT_SIZE)


class Word(IntEnum):
    """The words of the head. All but the first three are the child's to write."""

    MAGIC = 0
    SLOTS = 1
    SHARDS = 2
    TICK = 3
    """When the child's loop last turned, in monotonic nanoseconds."""
    STARTED = 4
    SUCCEEDED = 5
    FAILED = 6
    RUNNING = 7
    HELD_MS = 8
    """How long slots were held, all together."""
    WORKED_MS = 9
    """How long handlers were at work in them."""


class Histogram(IntEnum):
    """Where in the head a histogram stands."""

    WAITS = _COUNTERS
    RUNS = _COUNTERS + BUCKETS


class Mark(IntEnum):
    """How far a held claim has come: who is to blame if the child dies now."""

    WAITING = 0
    """Held, but its handler has not started, or is done."""
    RUNNING = 1
    SUSPECT = 2
    """Running alone among its kind: one more death, and it is a dead letter."""


@dataclass(frozen=True, slots=True)
class Held:
    """A claim that stands in a slot."""

    slot: int
    member: str
    mark: Mark
    deadline_ns: int
    """When its handler is long past its timeout, on the monotonic clock; 0 for never."""


class Ledger:
    """One child's claims and counters. Made by `create`, opened again by `attach`."""

    __slots__ = ("_map", "_origin", "_words", "fd", "shards", "slots")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, os.fstat(fd).st_size)
        self._words = memoryview(self._map).cast("Q")
        if self._words[Word.MAGIC] != _MAGIC:
            raise ValueError("not a ledger")
        self.slots: int = self._words[Word.SLOTS]
        self.shards: int = self._words[Word.SHARDS]
        self._origin = _origin(self.shards)

    @classmethod
    def create(cls, *, slots: int, shards: int) -> Ledger:
        """A new ledger. Its `fd` is for the child, which calls `attach` with it."""
        fd = _nameless_file()
        os.ftruncate(fd, _origin(shards) + slots * SLOT_SIZE)
        os.pwrite(fd, struct.pack("=QQQ", _MAGIC, slots, shards), 0)
        return cls(fd)

    @classmethod
    def attach(cls, fd: int) -> Ledger:
        """The ledger behind an inherited file descriptor. Raises ValueError when it is none."""
        return cls(fd)

    # -- words ---------------------------------------------------------------------------------

    def get(self, word: Word) -> int:
        """A word of the head."""
        return self._words[word]

    def put(self, word: Word, number: int) -> None:
        """Write a word of the head."""
        self._words[word] = number

    def histogram(self, which: Histogram) -> list[int]:
        """How many there were in each bucket."""
        return self._words[which : which + BUCKETS].tolist()

    def put_histogram(self, which: Histogram, counts: list[int]) -> None:
        """Write all buckets of a histogram."""
        self._words[which : which + BUCKETS] = memoryview(array("Q", counts))

    def share(self, row: int) -> list[int]:
        """What is counted of one agent."""
        at = _SHARES + row * SHARE_WORDS
        return self._words[at : at + SHARE_WORDS].tolist()

    def put_share(self, row: int, counts: list[int]) -> None:
        """Write what is counted of one agent."""
        at = _SHARES + row * SHARE_WORDS
        self._words[at : at + SHARE_WORDS] = memoryview(array("Q", counts))

    def confirmed_ns(self, shard: int) -> int:
        """When the parent last sent a beat that a shard answered; 0 for never."""
        return self._words[_HEAD_WORDS + shard]

    def confirm(self, shard: int, moment_ns: int) -> None:
        """The parent's: a beat sent at `moment_ns` was answered by a shard."""
        self._words[_HEAD_WORDS + shard] = moment_ns

    # -- slots ---------------------------------------------------------------------------------

    def write(
        self, slot: int, member: bytes, *, mark: Mark = Mark.RUNNING, deadline_ns: int = 0
    ) -> None:
        """Put a claim into a slot. `member` is at most MEMBER_MAX bytes."""
        if len(member) > MEMBER_MAX:
            raise ValueError(f"{member!r} does not fit into a slot")
        body = _BODY.pack(deadline_ns, mark, len(member), member)
        at = self._origin + slot * SLOT_SIZE
        self._map[at : at + SLOT_SIZE] = _CHECK.pack(crc32(body)) + body

    def clear(self, slot: int) -> None:
        """Empty a slot: its outcome was acknowledged."""
        at = self._origin + slot * SLOT_SIZE
        self._map[at : at + SLOT_SIZE] = _EMPTY

    def read(self, slot: int) -> Held | None:
        """The claim in a slot; None when it is empty or was never written to the end."""
        at = self._origin + slot * SLOT_SIZE
        for _ in range(READ_TRIES):
            raw = self._map[at : at + SLOT_SIZE]
            if raw == _EMPTY:
                return None
            if _CHECK.unpack_from(raw)[0] == crc32(raw[4:]):
                return _held(slot, raw)
        return None

    def held(self) -> list[Held]:
        """All claims that the child holds."""
        return [held for slot in range(self.slots) if (held := self.read(slot)) is not None]

    def holds(self, held: Held) -> bool:
        """Whether a slot still holds the claim that was read from it."""
        now = self.read(held.slot)
        return now is not None and now.member == held.member

    def close(self) -> None:
        """Give the memory and the file back. The ledger cannot be used any more."""
        self._words.release()
        self._map.close()
        os.close(self.fd)


def _held(slot: int, raw: bytes) -> Held | None:
    deadline_ns, mark, length, text = _BODY.unpack_from(raw, 4)
    member = text[:length]
    if _SHAPE.match(member) is None or mark not in Mark.__members__.values():
        return None
    return Held(slot, member.decode(), Mark(mark), deadline_ns)


def _origin(shards: int) -> int:
    """Where the slots start: after the words, on a multiple of the slot size."""
    return -(-(_HEAD_WORDS + shards) * 8 // SLOT_SIZE) * SLOT_SIZE


def _nameless_file() -> int:
    """A file that exists only as a descriptor."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("coordq-ledger")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
