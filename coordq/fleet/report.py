"""What the leader's parts see, kept in Redis for whoever wants to look."""

from __future__ import annotations

import json
from typing import Any, Final

from coordq.engine.call import Call

REPORTS: Final = ("fleet", "rates", "parts")
"""Who publishes: the watcher, the aggregator, and all parts of their own figures."""


def publish(epoch: int, part: str, facts: dict[str, Any], ttl_ms: int) -> Call[None]:
    """Say what a part sees, until it says something else or `ttl_ms` have passed.

    Raises Deposed.
    """
    text = json.dumps(facts, separators=(",", ":"))
    return Call("fleet/publish", 0, (epoch, part, text, ttl_ms), lambda _: None)


def read_reports(*parts: str) -> Call[dict[str, dict[str, Any]]]:
    """What parts said last, all unless some are named; who said nothing lately is missing."""
    wanted = parts or REPORTS

    def read(reply: Any) -> dict[str, dict[str, Any]]:
        pairs = zip(wanted, reply, strict=True)
        return {part: json.loads(text) for part, text in pairs if text is not None}

    return Call("fleet/reports", 0, wanted, read)
