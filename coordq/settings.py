"""The only module that reads the environment: every setting is `COORDQ_<NAME>`."""

from __future__ import annotations

import os
from pathlib import Path

PREFIX = "COORDQ_"


def get(name: str, default: str | None = None) -> str | None:
    """The value of `COORDQ_<name>`, or `default` when it is unset or empty."""
    return os.environ.get(PREFIX + name) or default


def environment(**changes: str) -> dict[str, str]:
    """What a child process inherits: our environment, `changes`, and where coordq is.

    The last matters in a checkout that is not installed: a child finds coordq where we found it.
    """
    values = {**os.environ, **changes}
    home = Path(__file__).resolve().parents[1]
    if home.name not in {"site-packages", "dist-packages"}:
        known = values.get("PYTHONPATH")
        values["PYTHONPATH"] = f"{known}{os.pathsep}{home}" if known else str(home)
    return values
