"""What ties a process to the spawner that started it, and nothing else.

The tether is a pipe that the spawner never writes into. However the spawner ends, also by SIGKILL,
the kernel closes its end, and whoever holds the other reads that: it is on its own, finishes what
it has begun, and ends. So the death of a spawner interrupts no work, and leaves nothing behind.

What the process prints goes into a second pipe, which the spawner reads. Without a reader a print
would fail, in the middle of a handler, so the process holds the reading end as well, and once the
spawner is gone it reads there itself and forgets what it reads.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

from coordq.errors import InvalidOption

AT_ONCE: Final = 65_536


class Tether:
    """Our end of it. `parted` is called once, on the running loop, when the spawner is gone."""

    def __init__(self, fds: tuple[int, ...], *, parted: Callable[[], None]) -> None:
        self._fds = fds
        self._parted = parted

    def watch(self) -> None:
        """Begin. Without file descriptors there is nothing to watch. Raises InvalidOption."""
        if not self._fds:
            return
        try:
            for fd in self._fds:
                os.set_inheritable(fd, False)  # noqa: FBT003 - the name says what it is
            os.set_blocking(self._fds[0], False)
            asyncio.get_running_loop().add_reader(self._fds[0], self._on_end)
        except OSError as error:
            raise InvalidOption(
                f"--tether: {self._fds} cannot be watched: {error.strerror}. It is for spawners, "
                "which pass on file descriptors; leave it out.",
                option="tether",
            ) from error

    def _on_end(self) -> None:
        if _more(self._fds[0]):
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._fds[0])
        for fd in self._fds[1:]:
            os.set_blocking(fd, False)
            loop.add_reader(fd, self._forget, fd)
        self._parted()

    def _forget(self, fd: int) -> None:
        """Read what nobody will see, so that nobody who prints is held up."""
        if not _more(fd):
            asyncio.get_running_loop().remove_reader(fd)


def _more(fd: int) -> bool:
    """Read, and say whether there may be more; a wake-up for nothing is no end."""
    try:
        return bool(os.read(fd, AT_ONCE))
    except BlockingIOError:
        return True
