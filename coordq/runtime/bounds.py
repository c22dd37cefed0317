"""What a setting may be: numbers between two others."""

from __future__ import annotations

from coordq.errors import InvalidOption


def within(option: str, value: float, low: float, high: float) -> None:
    """Raise InvalidOption unless `value` is from `low` to `high`, both included."""
    if not low <= value <= high:
        raise InvalidOption(
            f"{option} = {value:g}: use a value from {low:g} to {high:g}.",
            option=option,
            value=value,
        )
