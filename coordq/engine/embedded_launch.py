"""Starts an embedded server, with the guardian that will end it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coordq.engine import embedded_home as home
from coordq.engine import guardian
from coordq.engine.redis_binary import Binary, dotted, find_binary
from coordq.errors import EmbeddedFailed

_READY: Final = "eady to accept connections"


@dataclass(frozen=True, slots=True)
class Launch:
    """A server that was started just now."""

    directory: Path
    binary: Binary
    log_from: int
    """The offset in the log at which its own words begin."""

    def was_ready(self) -> bool:
        """Whether it had come up before it ended: then it was killed, and another may do better."""
        return _READY in home.last_words(self.directory, self.log_from)

    def died(self) -> EmbeddedFailed:
        """The error for when it ended instead of serving."""
        log = self.directory / home.LOG
        said = home.last_words(self.directory, self.log_from) or "nothing"
        return EmbeddedFailed(
            f"the embedded server in {self.directory} ended right after its start "
            f"({self.binary.path}, {dotted(self.binary.version)}). It said: {said}. "
            f"Its log: {log}. Put right what it complains about; to begin with an empty server, "
            "move the directory away.",
            path=self.directory,
            log=log,
        )


def start(directory: Path, place: Path) -> Launch | None:
    """Start guardian and server, under `start.lock`; None if somebody else's was quicker.

    On return the server holds `server.lock`, but does not answer yet.
    """
    binary = find_binary(at_least=home.oldest_usable(directory))
    log, log_from = home.open_log(directory)
    try:
        ended = subprocess.run(
            [*_guardian_command(), directory, place, *_server_command(binary, directory, place)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            check=False,
        ).returncode
    finally:
        os.close(log)
    launch = Launch(directory, binary, log_from)
    if ended not in {0, guardian.BUSY}:
        raise launch.died()
    return launch if ended == 0 else None


def _guardian_command() -> list[str]:
    """By path and without site-packages, so that it starts quickly and stays small."""
    return [_python(), "-I", "-S", guardian.__file__]


def _python() -> str:
    """The interpreter. Inside a host such as uWSGI, `sys.executable` is the host."""
    if "py" in Path(sys.executable or "").name.lower():
        return sys.executable
    beside = Path(sys.prefix, "bin", "python3")
    found = str(beside) if beside.exists() else shutil.which("python3")
    if found is None:
        raise EmbeddedFailed("no Python interpreter found to watch over the embedded server")
    return found


def _server_command(binary: Binary, directory: Path, place: Path) -> list[str | Path]:
    settings: dict[str, str | Path] = {
        "port": "0",
        "unixsocket": place,
        "unixsocketperm": "700",
        "dir": directory,
        "logfile": directory / home.LOG,
        "loglevel": "notice",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    pairs = ((f"--{name}", value) for name, value in settings.items())
    return [binary.path, *(part for pair in pairs for part in pair)]
