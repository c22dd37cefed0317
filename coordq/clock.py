"""The only module that reads time, besides ids. Leases are decided by Redis's clock, never here."""

from __future__ import annotations

import time
from typing import Final

monotonic: Final = time.monotonic
"""Seconds on a clock that never steps: for waiting and for measuring. Called for every task."""


def now_ms() -> int:
    """Milliseconds since 1970, by this machine's clock: for showing, never for deciding."""
    return time.time_ns() // 1_000_000
