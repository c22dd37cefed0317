"""How much a worker child may use before it makes room for a fresh one."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_STATM: Final = Path("/proc/self/statm")


def rss_mb() -> float:
    """What this process has in RAM, in MiB. Where the system does not say: its peak so far."""
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
    return pages * os.sysconf("SC_PAGE_SIZE") / (1024 * 1024)


@dataclass(frozen=True, slots=True)
class Limits:
    """When a child has done enough; 0 is for never."""

    max_tasks: int = 0
    max_rss_mb: float = 0.0

    def room(self, wanted: int, *, started: int) -> int:
        """How many of `wanted` more tasks may be started after `started` were."""
        return min(wanted, self.max_tasks - started) if self.max_tasks else wanted

    def reached(self, started: int) -> bool:
        """Whether a child that has started so many tasks should start no more."""
        return bool(self.max_tasks) and started >= self.max_tasks

    def overweight(self) -> str | None:
        """Why a child of this weight should be replaced; None when it may stay."""
        if self.max_rss_mb and (used := rss_mb()) > self.max_rss_mb:
            return f"it uses {used:.0f} MiB of memory"
        return None
