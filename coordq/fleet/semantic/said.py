"""The phrases of an agent, out of what it says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from coordq.fleet.semantic.routes import PHRASE_MAX, PHRASES_MAX

_END: Final = re.compile(r"[\n;]+|(?<=[.!?])\s+")
_JOINT: Final = re.compile(r"[-_.:]+")


def phrases(
    interests: str, capabilities: Iterable[str] = (), domain: Any = None
) -> tuple[str, ...]:
    """Each sentence, line or part before a `;` of its interests, then its domain, then what it can.

    A capability counts by its words, `code-review` as "code review". An agent that says nothing has
    no phrases: no text is meant for it.
    """
    said = [part.strip(" .\t") for part in _END.split(interests)]
    if isinstance(domain, str):
        said.append(domain.strip())
    said += [_JOINT.sub(" ", name).strip() for name in sorted(capabilities)]
    short = dict.fromkeys(text[:PHRASE_MAX] for text in said if text)
    return tuple(short)[:PHRASES_MAX]
