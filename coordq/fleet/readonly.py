"""Read-only: nothing new is taken or started, and who says so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from coordq.engine.call import Call

TTL_MS: Final = 10_000
"""What a leader begins ends by itself after so long, unless it says so again."""
_APART: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class ReadOnlyMode:
    """A fleet that takes and starts no new work."""

    by_operator: bool
    who: str
    since_ms: int
    reason: str

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "by": "operator" if self.by_operator else "leader",
            "who": self.who,
            "since_ms": self.since_ms,
            "reason": self.reason,
        }


def read_mode(text: bytes | None) -> ReadOnlyMode | None:
    """What STRING `readonly` holds; None when work goes on."""
    if text is None:
        return None
    words = text.decode(errors="replace").split(" ", 3)
    kind, since_ms, who, reason = (*words, "", "", "", "")[:4]
    return ReadOnlyMode(
        kind == "operator", who, int(since_ms) if since_ms.isdecimal() else 0, reason
    )


def stop(shard: int, *, who: str, reason: str, epoch: int | None = None) -> Call[bool]:
    """Take and start nothing new on a shard; true when that is new.

    epoch: a leader's; it has to say so again within TTL_MS. None for an operator: until it is
    ended. Raises Deposed.
    """
    leads = epoch is not None
    args = (
        epoch if epoch is not None else "",
        TTL_MS if leads else 0,
        _APART.sub("-", who) or "-",
        " ".join(reason.split()),
    )
    return Call("fleet/readonly", shard, args, lambda reply: reply == 1)


def resume(shard: int, *, epoch: int | None = None) -> Call[bool]:
    """Go on with new work on a shard; true when it had been stopped.

    A leader ends only what a leader has begun. Raises Deposed.
    """
    args = (epoch if epoch is not None else "", "off", "-", "")
    return Call("fleet/readonly", shard, args, lambda reply: reply == 1)
