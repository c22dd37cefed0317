"""An outside system that knows fences, as a bank or a bucket could.

A file of slots, one for each task that writes to it. A slot remembers the highest fence that it was
shown and whether the write was made. An old fence is refused; a write that was made is not made
again. So its effects are exactly once, even where executions are not: that is what fences are for.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_SLOT: Final = struct.Struct("<QQ")


class Resource:
    """The file, opened by one process. One slot is used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def announce(self, slot: int, fence: int) -> str:
        """Show a fence: "ok", or "refused" because a newer one was shown."""
        with self._locked(slot) as (seen, applied):
            if fence < seen:
                return "refused"
            self._write(slot, fence, applied)
            return "ok"

    def apply(self, slot: int, fence: int) -> str:
        """Make the write: "applied", "known" (it was made before) or "refused"."""
        with self._locked(slot) as (seen, applied):
            if fence < seen:
                return "refused"
            if applied:
                return "known"
            self._write(slot, fence, fence)
            return "applied"

    @contextmanager
    def _locked(self, slot: int) -> Iterator[tuple[int, int]]:
        """The highest fence seen, and the one that wrote (0: none); nobody else changes them."""
        at = slot * _SLOT.size
        fcntl.lockf(self._file, fcntl.LOCK_EX, _SLOT.size, at)
        try:
            raw = os.pread(self._file, _SLOT.size, at).ljust(_SLOT.size, b"\0")
            seen, applied = _SLOT.unpack(raw)
            yield seen, applied
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, _SLOT.size, at)

    def _write(self, slot: int, seen: int, applied: int) -> None:
        os.pwrite(self._file, _SLOT.pack(seen, applied), slot * _SLOT.size)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
