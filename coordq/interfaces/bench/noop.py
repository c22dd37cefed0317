"""The worker's side of the measurement: a task that does nothing but say when it ran.

Slot i of a memory-mapped file gets the moment and the process: no traffic is added by counting.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import struct
from functools import cache

from coordq import Agent, clock, settings

SLOT = struct.Struct("<dI4x")
agent = Agent("bench")


@cache
def _slots() -> mmap.mmap:
    path = settings.get("BENCH_SLOTS")
    assert path is not None, "the benchmark names the file"
    descriptor = os.open(path, os.O_RDWR)
    try:
        return mmap.mmap(descriptor, 0)
    finally:
        os.close(descriptor)


def stamp(slot: int, since: float = 0.0) -> None:
    """Fill a slot with the moment, or with the seconds since another, and this process."""
    SLOT.pack_into(_slots(), slot * SLOT.size, clock.monotonic() - since, os.getpid())


@agent.task
async def noop(i: int, payload: str | None = None) -> int:  # noqa: ARG001 - it is carried, not used
    """Stamp slot `i` and return `i`."""
    stamp(i)
    return i


@agent.task
async def nap(i: int, ms: int) -> None:
    """Sleep, and stamp slot `2 * i` before it and the next one after it."""
    stamp(2 * i)
    await asyncio.sleep(ms / 1000)
    stamp(2 * i + 1)
