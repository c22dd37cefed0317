"""What may be called what: one pattern for the names that end up in keys and on command lines."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from coordq.errors import InvalidName

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}\Z")
NAMESPACE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")

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
