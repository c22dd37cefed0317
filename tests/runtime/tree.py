"""Real processes for tests: a tree each, watched through its own words, ended with the test.

A tree that does not get ready is ended as well, and none outlives the run (on Linux).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Self

from tests.servers import leashed
from tests.waiting import wait_until

_numbers = count(1)


class Tree:
    """A process and its children. A subclass says what is run; use it as a context manager."""

    says_when_ready = "started:"
    ready_times = 1
    """How often it says so."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / f"{type(self).__name__.lower()}-{next(_numbers)}.log"
        self._process: subprocess.Popen[bytes]

    def command(self) -> list[str]:
        """What to run."""
        raise NotImplementedError

    def start(self, *, ready: bool = True) -> Self:
        """Start it and wait until it is ready."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                leashed(*self.command()),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if ready:
            self.wait_for(self.says_when_ready, times=self.ready_times)
        return self

    @property
    def pid(self) -> int:
        """The parent's process id."""
        return self._process.pid

    def log(self) -> str:
        """What the tree wrote so far."""
        return self._log.read_text(errors="replace")

    def wait_for(self, text: str, *, times: int = 1, within: float = 60) -> None:
        """Wait until the tree has written `text` so often."""

        def seen() -> bool:
            assert self.running or self.log().count(text) >= times, self.log()
            return self.log().count(text) >= times

        try:
            wait_until(seen, within=within, what=f"{text!r} in the log")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    @property
    def running(self) -> bool:
        """Whether the parent is there."""
        return self._process.poll() is None

    def signal(self, number: int, *, pid: int | None = None) -> None:
        """Send a signal to the parent, or to a child."""
        os.kill(pid or self.pid, number)

    def signal_all(self, number: int) -> None:
        """Send a signal to the whole tree."""
        os.killpg(self.pid, number)

    def wait(self, timeout: float = 60) -> int:
        """Wait for the parent's end; returns its exit code."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end:\n{self.log()}") from None

    def stop(self) -> int:
        """End it in good order; returns its exit code."""
        if self.running:
            self.signal(signal.SIGTERM)
        return self.wait()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:  # Ctrl-C too: nobody else would end it
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        sys.stdout.write(self.log())  # pytest shows it when the test fails
