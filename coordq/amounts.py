"""How many, and how much: the numbers that callers give. True and False are none."""

from __future__ import annotations

from math import inf
from typing import TypeGuard

from coordq.errors import InvalidOption


def is_whole(value: object, least: float = -inf, most: float = inf) -> TypeGuard[int]:
    """Whether it is a whole number from `least` to `most`, both allowed."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(value: object, least: float = -inf, most: float = inf) -> TypeGuard[float]:
    """Whether it is a number from `least` to `most`, both allowed. NaN is in no range."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and least <= value <= most  # type: ignore[operator]  # a number by now


def whole(option: str, value: object, least: int = 0, most: float = inf) -> int:
    """`value` itself when it is a whole number from `least` to `most`. Raises InvalidOption."""
    if not is_whole(value, least, most):
        bounds = f", {least} or more" if most == inf else f" from {least} to {most:,}"
        raise InvalidOption(f"{option}={value!r}: give a whole number{bounds}.", option=option)
    return value
