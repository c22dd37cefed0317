"""What a task keeps from one run to the next: written by a checkpoint, read before the next run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from coordq.engine.call import Call
from coordq.ids import shard_of

SAVED_MAX: Final = 500
"""Tasks in one call."""


def checkpoint(member: str, state: bytes) -> Call[bool]:
    """Keep `state`, JSON of at most 1 MiB, for later runs; false when the claim is lost.

    member: `id|fence` of the claim. The last one wins; nothing is changed for a lost claim.
    """
    return Call("work/checkpoint", shard_of(member), (member, state), lambda reply: reply == 1)


def saved(shard: int, ids: Sequence[str]) -> Call[list[dict[str, bytes]]]:
    """What each of up to 500 tasks has kept, as `waits.read_memory` takes it; {} for nothing.

    Worth asking for those whose claim says that they have kept something (`Claim.saved`).
    """

    def read(reply: Any) -> list[dict[str, bytes]]:
        return [
            {name.decode(): text for name, text in zip(flat[::2], flat[1::2], strict=True)}
            for flat in reply
        ]

    return Call("work/saved", shard, tuple(ids), read)
