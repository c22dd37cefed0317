"""A wall clock that steps, for one process and its children.

The product has no switch for it: the processes find a `sitecustomize` on their path, which adds to
`time.time` what a mapped file says. The monotonic clock, and Redis's, go on as they are.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

VARIABLE: Final = "CHAOS_CLOCK"
_OFFSET: Final = struct.Struct("=d")
_SITE: Final = f"""
import mmap, os, struct, time

path = os.environ.get("{VARIABLE}")
if path:
    with open(path, "rb") as file:
        shared = mmap.mmap(file.fileno(), {_OFFSET.size}, access=mmap.ACCESS_READ)
    read, real, real_ns = struct.Struct("=d").unpack_from, time.time, time.time_ns
    time.time = lambda: real() + read(shared)[0]
    time.time_ns = lambda: real_ns() + int(read(shared)[0] * 1e9)
"""


class Skew:
    """The clock of one process."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = folder / f"{name}.clock"
        self._site = folder / "site"
        self._site.mkdir(exist_ok=True)
        (self._site / "sitecustomize.py").write_text(_SITE)
        self._file.write_bytes(_OFFSET.pack(0.0))

    def environment(self, known: dict[str, str]) -> dict[str, str]:
        """`known`, and what puts the clock into a process."""
        path = [str(self._site), *filter(None, [known.get("PYTHONPATH")])]
        return known | {VARIABLE: str(self._file), "PYTHONPATH": os.pathsep.join(path)}

    def step(self, seconds: float) -> None:
        """The clock is so much fast from now on, or slow."""
        with self._file.open("r+b") as file:
            file.write(_OFFSET.pack(seconds))
