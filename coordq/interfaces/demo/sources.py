"""What is audited: the Python files of a tree."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from coordq.errors import InvalidOption

SKIPPED: Final = frozenset({"site-packages", "dist-packages", "node_modules", "__pycache__"})


def sources(path: Path | None, limit: int | None = None) -> list[Path]:
    """The Python files to audit: under `path`, or the standard library of this Python.

    Installed packages, caches and hidden folders are left out. Raises InvalidOption when there is
    no such place or nothing in it.
    """
    root = path if path is not None else Path(sysconfig.get_path("stdlib"))
    if not root.exists():
        raise InvalidOption(f"there is no folder {str(root)!r} to audit.", option="path")
    found = [root.resolve()] if root.is_file() else sorted(_walk(root.resolve()))
    if not found:
        raise InvalidOption(f"there is no Python file in {str(root)!r}.", option="path")
    return found[: limit or None]


def _walk(root: Path) -> Iterator[Path]:
    for folder, inner, names in os.walk(root):
        inner[:] = [name for name in inner if name not in SKIPPED and not name.startswith(".")]
        yield from (Path(folder, name) for name in names if name.endswith(".py"))
