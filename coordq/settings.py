"""The only module that reads the environment: every setting is `COORDQ_<NAME>`."""

from __future__ import annotations

import os

PREFIX = "COORDQ_"


def get(name: str, default: str | None = None) -> str | None:
    """The value of `COORDQ_<name>`, or `default` when it is unset or empty."""
    return os.environ.get(PREFIX + name) or default


def environment(**changes: str) -> dict[str, str]:
    """What a child process inherits: all of our environment, and `changes`."""
    return {**os.environ, **changes}
