"""Values that no JSON can say."""

from __future__ import annotations

from typing import Any


def cyclic() -> list[Any]:
    """A list that contains itself."""
    value: list[Any] = []
    value += [value, value]
    return value


def deep(levels: int) -> Any:
    """A list in a list, so many levels down."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value
