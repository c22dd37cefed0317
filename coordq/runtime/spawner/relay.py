"""Passes on what a member prints, line by line, each marked with whose it is."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from typing import Final

from coordq.runtime.logs import Format

AT_ONCE: Final = 65_536
LINE_MAX: Final = 65_536
"""A longer line is passed on in pieces."""


class Relay:
    """From a pipe to our stderr. It takes over the file descriptor."""

    def __init__(self, fd: int, *, mark: str, form: Format) -> None:
        self._fd = fd
        self._mark = mark
        self._form = form
        self._rest = b""
        os.set_blocking(fd, False)
        asyncio.get_running_loop().add_reader(fd, self._on_readable)

    def _on_readable(self) -> None:
        try:
            if not self._read():
                asyncio.get_running_loop().remove_reader(self._fd)
        except BlockingIOError:
            return  # called for nothing; the next time there will be something

    def _read(self) -> bool:
        """Pass on what is there; false when all writers have gone. Raises BlockingIOError."""
        found = os.read(self._fd, AT_ONCE)
        *lines, self._rest = (self._rest + found).split(b"\n")
        if len(self._rest) > LINE_MAX:
            lines, self._rest = [*lines, self._rest], b""
        if lines:
            _write(b"".join(self._marked(line) for line in lines))
        return bool(found)

    def _marked(self, line: bytes) -> bytes:
        """The line as it is shown; among JSON objects also what is none becomes one."""
        if self._form == "text":
            return b"%s | %s\n" % (self._mark.encode(), line)
        if line.startswith(b"{"):
            return line + b"\n"
        entry = {"worker": self._mark, "message": line.decode(errors="backslashreplace")}
        return json.dumps(entry, ensure_ascii=False).encode() + b"\n"

    def close(self) -> None:
        """Pass on the last words, and let go of the pipe."""
        asyncio.get_running_loop().remove_reader(self._fd)
        with suppress(BlockingIOError):
            while self._read():
                pass
        if self._rest:
            _write(self._marked(self._rest))
        os.close(self._fd)


def _write(text: bytes) -> None:
    """To stderr; who has closed it does not want to read, and that is no reason to stop."""
    with suppress(OSError, ValueError):
        sys.stderr.buffer.write(text)
        sys.stderr.buffer.flush()
