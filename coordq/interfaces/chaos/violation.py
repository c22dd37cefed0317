"""A promise that was not kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that must not happen, and did."""

    rule: str
    """See `checker`."""
    subject: str
    """A task, a queue, an epoch."""
    evidence: str
    back: tuple[int, int, int] | None = None
    """On which shard, and between which moments of the machine's monotonic clock in milliseconds, a
    failover may have taken back what it is about; None where that excuses nothing."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"rule": self.rule, "subject": self.subject, "evidence": self.evidence}
