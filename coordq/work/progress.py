"""How far a task is: what a handler says, checked, and what a reader can tell from it.

In Redis it is JSON with the fields of `Progress` that were said, and `fraction`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from coordq.amounts import is_number
from coordq.errors import InvalidInput

MESSAGE_MAX: Final = 500
UNIT_MAX: Final = 32
BLOCKERS_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task is, by its own account."""

    done: float
    total: float | None = None
    """None: nobody knows yet how much there is."""
    message: str = ""
    unit: str = ""
    """What is counted: "files", "tokens"."""
    blockers: tuple[str, ...] = ()
    """What it waits for that only others can give."""
    remaining_s: float | None = None
    """How long it will still take, by its own estimate."""

    @property
    def fraction(self) -> float | None:
        """From 0 to 1; None while the total is unknown or 0."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total else None

    def to_json(self) -> dict[str, Any]:
        """As Redis keeps it; what was not said is left out, but for the first four."""
        facts: dict[str, Any] = {
            "done": self.done,
            "total": self.total,
            "message": self.message,
            "fraction": self.fraction,
        }
        more = {
            "unit": self.unit,
            "blockers": list(self.blockers),
            "remaining_s": self.remaining_s,
        }
        return facts | {name: said for name, said in more.items() if said not in ("", [], None)}

    def left_s(self, spent_s: float) -> float | None:
        """Seconds until it is done: its own estimate, else at the pace of `spent_s` so far.

        None while nothing can be said.
        """
        if self.remaining_s is not None:
            return self.remaining_s
        fraction = self.fraction
        return spent_s * (1 - fraction) / fraction if fraction else None


def say(
    done: float,
    total: float | None = None,
    message: object = "",
    *,
    unit: str = "",
    blockers: Collection[str] = (),
    remaining: float | timedelta | None = None,
) -> Progress:
    """What a handler says, checked. remaining: seconds or a timedelta.

    Raises InvalidInput for numbers that are not finite, and for what is no text where text belongs.
    """
    if isinstance(remaining, timedelta):
        remaining = remaining.total_seconds()
    for name, number in (("done", done), ("total", total), ("remaining", remaining)):
        if number is not None or name == "done":
            _check_number(name, number)
    if remaining is not None and remaining < 0:
        raise InvalidInput(f"progress remaining={remaining!r} is negative.", parameter="remaining")
    if not isinstance(unit, str):
        raise InvalidInput(f"progress unit={unit!r} is not text.", parameter="unit")
    if isinstance(blockers, str) or not all(isinstance(one, str) for one in blockers):
        raise InvalidInput(
            f"progress blockers={blockers!r}: give a list of texts.", parameter="blockers"
        )
    return Progress(
        done,
        total,
        str(message)[:MESSAGE_MAX],
        unit[:UNIT_MAX],
        tuple(one[:MESSAGE_MAX] for one in blockers)[:BLOCKERS_MAX],
        remaining,
    )


def read_progress(facts: Mapping[str, Any] | None) -> Progress | None:
    """What Redis keeps, read. Fields that do not make sense are taken for not said."""
    if not facts or not _is_number(facts.get("done")):
        return None
    total, remaining = facts.get("total"), facts.get("remaining_s")
    blockers = facts.get("blockers")
    return Progress(
        facts["done"],
        total if _is_number(total) else None,
        str(facts.get("message") or ""),
        str(facts.get("unit") or ""),
        tuple(map(str, blockers)) if isinstance(blockers, list) else (),
        remaining if _is_number(remaining) else None,
    )


def _is_number(value: object) -> bool:
    return is_number(value) and math.isfinite(value)


def _check_number(name: str, value: object) -> None:
    if not _is_number(value):
        raise InvalidInput(f"progress {name}={value!r} is not a finite number.", parameter=name)
