"""A running task says how far it is, and what it has to say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from coordq.engine.call import Call
from coordq.ids import shard_of

LINES_MAX: Final = 200
LINE_MAX: Final = 4096
"""Characters of one log line; the rest is cut off, and says so."""


def clip(line: str) -> str:
    """`line` as the log keeps it."""
    if len(line) <= LINE_MAX:
        return line
    return f"{line[:LINE_MAX]}... ({len(line) - LINE_MAX} more characters)"


def report(
    member: str, *, progress: dict[str, Any] | None = None, lines: Sequence[str] = ()
) -> Call[bool]:
    """Progress and up to 200 log lines for a claim; false when the claim is no longer held."""
    text = json.dumps(progress, separators=(",", ":")) if progress is not None else ""
    clipped = [clip(line).encode(errors="replace") for line in lines]
    return Call("work/report", shard_of(member), (member, text, *clipped), lambda reply: reply == 1)
