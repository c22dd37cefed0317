"""Lengths of time as people write them: on command lines and in files."""

from __future__ import annotations

import re
from typing import Final

_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?", re.ASCII)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def parse_span(text: str) -> float | None:
    """Seconds in "90", "90s", "5m", "1h30m", "250ms", "2d"; None when it is no length of time."""
    total, at = 0.0, 0
    text = text.strip()
    while at < len(text):
        match = _PART.match(text, at)
        if match is None or (match.group(2) is None and match.span() != (0, len(text))):
            return None
        total += float(match.group(1)) * _SECONDS[match.group(2) or "s"]
        at = match.end()
    return total if text else None
