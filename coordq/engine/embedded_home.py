"""The directory of an embedded server: whose it is, where its socket is, what it says.

appendonly.aof or appendonlydir/   the data
version                            which Redis wrote it last; an older one must not touch it
redis.log                          the server's own words, cut when over 1 MiB at a start
redis.sock                         while it runs; a link if the path is too long for a socket
start.lock clients.lock server.lock   while it runs; see guardian.py
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import sys
import tempfile
from pathlib import Path
from typing import Final

from coordq.engine.guardian import SERVER, SOCKET
from coordq.engine.redis_binary import OLDEST, Version
from coordq.errors import EmbeddedFailed

LOG: Final = "redis.log"
VERSION: Final = "version"

_MULTI_PART: Final = "appendonlydir"
_MULTI_PART_SINCE: Final[Version] = (7, 0, 0)
_LONGEST_SOCKET: Final = 103  # What fits everywhere: Linux takes 107 bytes, macOS 103.
_LOG_LIMIT: Final = 1 << 20
_TAIL_LINES: Final = 4
_TAIL_BYTES: Final = 16_384
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LOG_PREFIX: Final = re.compile(r"^\d+:\w \d.*?\.\d{3} [.\-*#] ")


def default_path() -> Path:
    """Where this user's embedded server keeps its data; made, for its owner only, if missing.

    `$XDG_DATA_HOME/coordq`, by default `~/.local/share/coordq`; on macOS
    `~/Library/Application Support/coordq`.
    """
    # The one variable that is not ours to name. Unset or relative, the standard says: ignore it.
    chosen = Path(os.path.expandvars("$XDG_DATA_HOME"))
    try:
        if sys.platform == "darwin":
            parent = Path.home() / "Library" / "Application Support"
        else:
            parent = chosen if chosen.is_absolute() else Path.home() / ".local" / "share"
    except RuntimeError as error:
        raise EmbeddedFailed(
            f"this user has no home directory ({error}). Say where the embedded server may keep "
            "its data: embedded:///a/directory"
        ) from error
    return prepare(parent / "coordq")


def prepare(path: Path) -> Path:
    """The one true path of the directory, which is made if missing, and ours alone.

    Raises EmbeddedFailed when it is someone else's, or open to others and not evidently ours.
    """
    try:
        directory = Path(os.path.realpath(path.expanduser()))
        directory.mkdir(0o700, parents=True, exist_ok=True)
        found = directory.stat()
        if found.st_uid == os.geteuid() and found.st_mode & _OTHERS:
            _tighten(directory)
    except EmbeddedFailed:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise unusable(path, error) from error
    if found.st_uid != os.geteuid():
        raise EmbeddedFailed(
            f"{directory} belongs to user {found.st_uid}, not to you ({os.geteuid()}): an embedded "
            "server is for one user. Give a directory of your own, or the address of a Redis.",
            path=directory,
        )
    return directory


def unusable(path: Path, error: Exception) -> EmbeddedFailed:
    """The error for a directory that the operating system does not let us use."""
    reason = (error.strerror if isinstance(error, OSError) else None) or error
    return EmbeddedFailed(
        f"the embedded server cannot use {path}: {reason}. It needs a directory that you own and "
        "may write to: embedded:///another/directory",
        path=path,
    )


def _tighten(directory: Path) -> None:
    """Close a directory to others, but only our own: never somebody's home, or /tmp."""
    names = {entry.name for entry in directory.iterdir()}
    if names and VERSION not in names:
        raise EmbeddedFailed(
            f"{directory} is open to other users and holds files that are not coordq's. Give a "
            f"new or empty directory, or `chmod 700 {directory}` if nobody else needs it.",
            path=directory,
        )
    directory.chmod(0o700)


# ------------------------------------------------------------------ the socket


def socket_of(directory: Path) -> Path:
    """Where the socket is or will be. To be called under `start.lock`.

    In the directory itself if that path is short enough for a socket; else in a private folder
    among the temporary files, which a link in the directory tells everyone who comes later.
    """
    plain = directory / SOCKET
    if len(os.fsencode(plain)) <= _LONGEST_SOCKET:
        return plain
    with contextlib.suppress(OSError):
        told = plain.readlink()
        if _is_private(told.parent):
            return told
    short = _short_folder(directory) / SOCKET
    plain.unlink(missing_ok=True)
    plain.symlink_to(short)
    return short


def _short_folder(directory: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    name = f"coordq-{os.geteuid()}-{digest}"
    folder = Path(tempfile.gettempdir()) / name
    if len(os.fsencode(folder / SOCKET)) > _LONGEST_SOCKET:
        folder = Path("/tmp") / name  # noqa: S108 - checked below to be ours and private
    folder.mkdir(0o700, exist_ok=True)
    if not _is_private(folder):
        raise EmbeddedFailed(
            f"the socket would be in {folder}, but that is not a private folder of yours. Remove "
            "it, or give the embedded server a path shorter than 90 characters.",
            path=directory,
        )
    return folder


def _is_private(folder: Path) -> bool:
    found = folder.lstat()
    ours = found.st_uid == os.geteuid() and not found.st_mode & _OTHERS
    return ours and stat.S_ISDIR(found.st_mode)


# ------------------------------------------------------------------ what is known of the server


def server_pid(directory: Path) -> int:
    """The pid that the running server wrote into its lock; 0 when it cannot be told."""
    with contextlib.suppress(OSError, ValueError):
        return int((directory / SERVER).read_text())
    return 0


def oldest_usable(directory: Path) -> Version:
    """The oldest Redis that understands the data here.

    Redis 6.2 would not complain about the files of a Redis 7: it would start empty.
    """
    written = OLDEST
    with contextlib.suppress(OSError, ValueError):
        major, minor, *_ = map(int, (directory / VERSION).read_text().split("."))
        written = (major, minor, 0)  # Patch releases never change the format.
    several = (directory / _MULTI_PART).exists()
    return max(written, OLDEST, _MULTI_PART_SINCE if several else OLDEST)


def record_version(directory: Path, version: Version) -> None:
    """Remember who wrote the data, once it has."""
    fresh = directory / f"{VERSION}.{os.getpid()}"
    fresh.touch(0o600)
    fresh.write_text(".".join(map(str, version)) + "\n")
    fresh.replace(directory / VERSION)


def open_log(directory: Path) -> tuple[int, int]:
    """A descriptor that appends to the log, and the offset at which that begins."""
    log = os.open(directory / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    if os.fstat(log).st_size > _LOG_LIMIT:
        os.ftruncate(log, 0)
    return log, os.fstat(log).st_size


def last_words(directory: Path, since: int) -> str:
    """The end of what the log says after offset `since`, as one line."""
    with contextlib.suppress(OSError), (directory / LOG).open("rb") as log:
        log.seek(since)
        lines = log.read()[-_TAIL_BYTES:].decode(errors="replace").splitlines()
        told = [_LOG_PREFIX.sub("", line).strip() for line in lines]
        return "; ".join([line for line in told if line][-_TAIL_LINES:])
    return ""
