"""Journals: what the processes of a stage have seen, one line each, safe from their deaths.

A file is written by one process only, opened with O_APPEND, one write for a line: what was written
before a SIGKILL is there, whole lines, at most the last one cut. Fields are separated by tabs.

    try <id> <key> <limits> / off <id> <answer>                           a producer
    flw <id> <ids by key, JSON> <ms> / fak <id> <asked ms> <ms>           a flow of a producer
    ack, dup <id> <name> <key> <asked ms> <ms>
    beg <id> <fence> <attempt> <ms> / end <id> <fence> <how> <ms>         a handler
    kid <id> / saw <id> <fence> <results of parents, JSON>                a handler in a flow
    res <id> <fence> <answer>                                             the fenced resource
    mtr <id> / mak <id> <producer> <place> <receivers> <asked ms> <ms>    a message of a producer
    ful <channel> <messages>                                              had no room, at first
    sak <id> <producer> <place> <turn> <asked ms> <ms>                    a turn of a producer
    hea <process> <group> <id> <attempt> <ms>                             a listener
    hed <process> <group> <id> <attempt> <how> <ms>
    evt <at> <kind> <subject> <version> <fence> <queue> <name> <detail>   a tailer
    gap <after> <at> / rew <from>                                         a tailer, see `tailer`
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from coordq import clock

TAB: Final = "\t"


def moment_ms() -> int:
    """Now, by the clock that all processes of a machine share, and that no fault steps."""
    return int(clock.monotonic() * 1000)


class Journal:
    """A journal being written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, *fields: object) -> None:
        """Add a line."""
        os.write(self._file, (TAB.join(map(str, fields)) + "\n").encode())

    def write_all(self, lines: list[tuple[object, ...]]) -> None:
        """Add lines with one write."""
        text = "".join(TAB.join(map(str, fields)) + "\n" for fields in lines)
        os.write(self._file, text.encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def lines(path: Path) -> Iterator[list[str]]:
    """The fields of each whole line of a journal, in order."""
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            if line.endswith("\n"):
                yield line[:-1].split(TAB)


def all_lines(folder: Path, pattern: str) -> Iterator[list[str]]:
    """The lines of all journals whose name fits, file by file."""
    for path in sorted(folder.glob(pattern)):
        yield from lines(path)
