"""What a check-up finds: the answer to one question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Grade = Literal["ok", "warn", "bad", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question."""

    check: str
    grade: Grade
    says: str
    facts: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"check": self.check, "grade": self.grade, "says": self.says, **self.facts}


def finding(check: str, grade: Grade, says: str, **facts: Any) -> Finding:
    """A finding, its facts by name."""
    return Finding(check, grade, says, facts)
