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


def _stamp(slot: int) -> None:
    SLOT.pack_into(_slots(), slot * SLOT.size, clock.monotonic(), os.getpid())


@agent.task
async def noop(i: int, payload: str | None = None) -> int:  # noqa: ARG001 - it is carried, not used
    """Stamp slot `i` and return `i`."""
    _stamp(i)
    return i


@agent.task
async def nap(i: int, ms: int) -> None:
    """Sleep, and stamp slot `2 * i` before it and the next one after it."""
    _stamp(2 * i)
    await asyncio.sleep(ms / 1000)
    _stamp(2 * i + 1)
