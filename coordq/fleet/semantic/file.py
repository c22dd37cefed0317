"""Routes that are written down: for topics, tasks, or agents that no worker hosts.

    embedder: lexical           # or wordllama; all but `routes` may be left out
    threshold: 0.25
    fallback: desk
    routes:
      billing:                  # an agent, a topic, a task
        - invoices, payments and refunds
        - a customer was charged twice
      legal: {texts: [review a contract], threshold: 0.4}

YAML, JSON or TOML, by the end of its name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from coordq.errors import CoordqError, InvalidRoutes
from coordq.fleet.semantic.embedder import NAMES
from coordq.fleet.semantic.routes import Route, check_threshold, checked
from coordq.names import check_name

SIZE_MAX: Final = 16 * 1024 * 1024
"""Bytes of a file."""
_TOP: Final = ("routes", "threshold", "fallback", "embedder")


@dataclass(frozen=True, slots=True)
class RoutesFile:
    """What a file says; what it leaves out is None."""

    routes: Mapping[str, Route] = field(default_factory=dict)
    threshold: float | None = None
    fallback: str | None = None
    embedder: str | None = None


def read_routes(path: Path) -> RoutesFile:
    """The routes of a file. Raises InvalidRoutes that names the place, and what to write."""
    found = file_of(read_table(path), path)
    if not found.routes:
        raise refuse(path, "routes", "write at least one route, with texts that describe it")
    return found


def file_of(data: Mapping[str, Any], path: Path, also: Iterable[str] = ()) -> RoutesFile:
    """What was read from `path`, checked; `also` are words that have a place there besides."""
    known = (*_TOP, *also)
    for word in data:
        if word not in known:
            near = get_close_matches(str(word), known, 1)
            hint = f"write {near[0]}" if near else f"known here: {', '.join(known)}"
            raise refuse(path, str(word), f"this is not known; {hint}")
    embedder = data.get("embedder")
    if embedder is not None and embedder not in NAMES:
        raise refuse(path, "embedder", f"write {' or '.join(NAMES)}")
    try:
        return RoutesFile(
            routes=checked(data.get("routes") or {}),
            threshold=None if data.get("threshold") is None else check_threshold(data["threshold"]),
            fallback=None
            if data.get("fallback") is None
            else check_name("route", data["fallback"]),
            embedder=embedder,
        )
    except CoordqError as error:
        raise InvalidRoutes(f"{path}: {error}", file=str(path)) from error


def read_table(path: Path) -> dict[str, Any]:
    """What a file holds, as it stands there. Raises InvalidRoutes."""
    try:
        if path.stat().st_size > SIZE_MAX:
            raise refuse(
                path, "", f"the file is larger than {SIZE_MAX >> 20} MiB: write a smaller one"
            )
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise refuse(
            path, "", f"byte {error.start} is not UTF-8: save the file as UTF-8"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise refuse(path, "", f"it cannot be read: {reason}. Name a file with routes") from error
    data = _parsed(path, text)
    if not isinstance(data, dict):
        raise refuse(path, "", "write words with values, such as routes: {billing: [invoices]}")
    return data


def _parsed(path: Path, text: str) -> Any:
    import yaml

    if path.suffix == ".toml":
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise refuse(path, "", f"this is not TOML: {error}") from error
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        words = " ".join(str(error).split())
        raise refuse(path, "", f"this is neither YAML nor JSON: {words}") from error


def refuse(path: Path, place: str, what: str) -> InvalidRoutes:
    """The error for a place of a file: what is wrong there, and what to write."""
    where = f"{path}: {place}" if place else str(path)
    return InvalidRoutes(f"{where}: {what}.", file=str(path), place=place)
