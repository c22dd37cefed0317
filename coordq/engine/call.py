"""One operation as a value: which script, on which shard, with what, and how to read the answer.

The rooms above return Calls and never talk to Redis. The sync engine runs them on one kind of
connection, the async engine on another, a pipeline runs many: so the clients cannot drift apart,
and an operation can be tested without a server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

Argument = str | bytes | int | float
BLOCK_MIN_S: Final = 0.002
"""Redis 6.2 takes a millisecond, as it takes 0, for "for ever"."""


def blocking(seconds: float) -> str:
    """How long a command is to block, as Redis is told; at least 2 ms."""
    return f"{max(seconds, BLOCK_MIN_S):.3f}"


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A script call that is safe to repeat: every script is idempotent."""

    script: str
    """Its name, such as "work/claim"."""
    shard: int
    args: tuple[Argument, ...]
    """ARGV; KEYS[1] is always the shard's root."""
    read: Callable[[Any], T]
    """From Redis's reply, bytes and lists of bytes, to what the caller gets."""
    replicas: int = 0
    """How many replicas shall have the effect as well: then `read` is given the reply and how many
    have it. See `engine.replica`."""
