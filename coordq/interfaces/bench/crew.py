"""Processes that a figure starts, kills and buries: workers, supervisors, servers.

Each has a session of its own, so that a machine's death is one signal, and a log. On Linux the
kernel kills them when the program that started them dies, however it dies.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, Self, TypeVar

from coordq import clock, settings
from coordq.interfaces.chaos import leash

T = TypeVar("T")
POLL_S = 0.01
END_S = 10.0


def wait_until(condition: Callable[[], T | None], what: str, *, within_s: float = 60.0) -> T:
    """Poll until the answer is something true, and return that. Raises TimeoutError."""
    deadline = clock.monotonic() + within_s
    while not (answer := condition()):
        if clock.monotonic() > deadline:
            raise TimeoutError(f"waited {within_s:g} s in vain: {what}")
        time.sleep(POLL_S)
    return answer


class Member:
    """One process tree of a crew."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """The parent's; the group has the same number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the parent runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL the whole tree at once, as a power cut does."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(END_S)

    def term(self) -> None:
        """Ask it to end in good order; does not wait."""
        self._process.terminate()

    def end(self) -> None:
        """Ask it to end, and kill what does not listen."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGCONT)
            self.term()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
        self.kill()

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-2000:]


class Crew:
    """Starts processes, and ends those that are left when the block ends."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="coordq-crew-"))
        self.env: dict[str, str] = {}
        """Variables that its processes get besides ours."""
        self._members: list[Member] = []

    def start(self, name: str, command: Sequence[str], *, prefix: Sequence[str] = ()) -> Member:
        """Start a program. prefix: words before it, such as `ip netns exec a`."""
        log = self.folder / f"{name}.log"
        words = [*prefix, *command]
        words[0] = shutil.which(words[0]) or words[0]
        process = leash.spawn(words, output=log, env=settings.environment(**self.env))
        member = Member(name, process, log)
        self._members.append(member)
        return member

    def coordq(self, name: str, url: str, *words: str, prefix: Sequence[str] = ()) -> Member:
        """Start `coordq <words>` on the Redis at `url`."""
        return self.start(
            name, [sys.executable, "-m", "coordq", *words, "--url", url], prefix=prefix
        )

    def worker(
        self, name: str, url: str, agent: str, *words: str, prefix: Sequence[str] = ()
    ) -> Member:
        """Start a worker for the agents in a file of the crew's folder."""
        given = ["--name", name, "--log-level", "info", *words]
        return self.coordq(name, url, "worker", str(self.folder / agent), *given, prefix=prefix)

    def supervisor(self, name: str, url: str, *words: str, prefix: Sequence[str] = ()) -> Member:
        """Start a supervisor."""
        return self.coordq(name, url, "supervisor", "--name", name, *words, prefix=prefix)

    def write(self, name: str, text: str) -> Path:
        """A file in the crew's folder, such as agents for its workers."""
        path = self.folder / name
        path.write_text(text)
        return path

    def close(self) -> None:
        """End whatever is left, the youngest first, and remove the folder."""
        for member in reversed(self._members):
            if member.alive:
                member.term()
        for member in reversed(self._members):
            member.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def end_on_signals() -> None:
    """Let Ctrl-C and SIGTERM unwind the program without a traceback: every block cleans up."""

    def end(number: int, _: object) -> NoReturn:
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
