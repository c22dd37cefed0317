"""The worker's side of the measurement: a task that does nothing but say when it ran.

Slot i of a memory-mapped file gets the moment and the process: no traffic is added by counting.
"""

from __future__ import annotations

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


@agent.task
async def noop(i: int, payload: str | None = None) -> int:  # noqa: ARG001 - it is carried, not used
    """Stamp slot `i` and return `i`."""
    SLOT.pack_into(_slots(), i * SLOT.size, clock.monotonic(), os.getpid())
    return i
