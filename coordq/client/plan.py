"""What a plan is: an operation of more than one step, written once for both clients.

A plan is a generator: it yields a Call or a Command, is sent the answer, and returns its result.
The sync client drives it with a sync engine, the async one with an async engine: see `drive.py`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from coordq.engine.call import Argument, Call

T = TypeVar("T")
BLOCK_S: Final = 2.0
"""Blocking reads are hints and last no longer; then the truth is looked at again."""
PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Command:
    """A plain Redis command."""

    shard: int
    words: tuple[Argument, ...]
    timeout_s: float = 0.0
    """How long it may block."""


Plan = Generator[Call[Any] | Command, Any, T]


def chunks(items: Sequence[T], size: int = PAGE) -> Iterator[Sequence[T]]:
    """`items`, `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
