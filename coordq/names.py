"""What may be called what: one pattern for the names that end up in keys and on command lines."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from coordq.errors import InvalidInput, InvalidName

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}\Z")
NAMESPACE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")
TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z")
"""As W3C Trace Context has it: in which trace something happens."""
KEY_MAX: Final = 200

_RULE: Final = (
    "use 1 to 100 of letters, digits, '_', '.', ':' and '-', not starting with '.', ':' or '-'"
)
_NAMESPACE_RULE: Final = "use 1 to 32 of a-z, 0-9 and '-', not starting with '-'"


@lru_cache(maxsize=4096)
def _checked(kind: str, text: str) -> str:
    pattern, rule = (NAMESPACE, _NAMESPACE_RULE) if kind == "namespace" else (NAME, _RULE)
    if pattern.match(text) is None:
        raise InvalidName(
            f"{kind} name {text[:60]!r} is not allowed: {rule}.", kind=kind, name=text
        )
    return text


def check_name(kind: str, text: object) -> str:
    """`text` itself when it may name a `kind` ("task", "queue", "role", ...).

    Raises InvalidName when it may not.
    """
    if not isinstance(text, str):
        raise InvalidName(
            f"{kind} name {text!r} is not text but {type(text).__name__}: {_RULE}.",
            kind=kind,
            name=text,
        )
    return _checked(kind, text)


def check_key(key: object) -> None:
    """Raise InvalidInput when a handler may not tell by it which of its own doings something is."""
    if not isinstance(key, str) or len(key) > KEY_MAX:
        raise InvalidInput(f"key={key!r:.80}: use text of at most {KEY_MAX} characters.")
