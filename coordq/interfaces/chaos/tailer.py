"""A tailer: copies one shard's events to a journal before the stream forgets them.

A program of its own, with a link to Redis that nobody cuts. It asks again from the entry it read
last, and that entry must be there. If it is not, either the stream has been trimmed past it, which
is a gap and makes the history useless; or what was read has been taken back by a failover, which
lost the newest writes: then the whole stream is read again, and the journal says from where, so
that the history forgets what it had from there on.

Told to end (TERM), it reads to the end first.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

from coordq.engine import keys
from coordq.engine.connection import Engine, open_engine
from coordq.errors import CoordqError
from coordq.interfaces.chaos.history import position
from coordq.interfaces.chaos.journal import Journal
from coordq.work.events import read_entry

PAGE: Final = 2000
PAUSE_S: Final = 0.1
PATIENCE_S: Final = 1.0


class Tailer:
    """Reads one shard's stream."""

    def __init__(self, engine: Engine, shard: int, journal: Journal) -> None:
        self._engine, self._shard, self._journal = engine, shard, journal
        self._key = keys.events(keys.root(engine.namespace, shard))
        self._last = b""
        self._ending = False

    def run(self) -> None:
        """Read until told to end, and then to the end."""
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "_ending", True))
        while True:
            ending = self._ending
            try:
                got = self._page()
            except CoordqError:
                got, ending = 0, False
            if got < PAGE:
                if ending:
                    return
                time.sleep(PAUSE_S)

    def _page(self) -> int:
        """Copy one page; how many entries there were."""
        after = self._last or b"-"
        entries = self._engine.execute(self._shard, "XRANGE", self._key, after, "+", "COUNT", PAGE)
        if self._last:
            if not entries or entries[0][0] != self._last:
                self._missing()
                return PAGE
            entries = entries[1:]
        lines: list[tuple[object, ...]] = []
        for entry in entries:
            lines += [_line(event) for event in read_entry(self._shard, entry)]
        if entries:
            self._journal.write_all(lines)
            self._last = entries[-1][0]
        return len(entries)

    def _missing(self) -> None:
        """The entry that was read last is not there any more: read again all that there is."""
        entries = self._engine.execute(self._shard, "XRANGE", self._key, "-", "+", "COUNT", 1)
        oldest, last = (entries[0][0] if entries else b"0-0").decode(), self._last.decode()
        if position(oldest) <= position(last):
            self._journal.write("rew", oldest)
        else:
            self._journal.write("gap", last, oldest)
        self._last = b""


def _line(event: Any) -> tuple[object, ...]:
    return (
        "evt",
        event.at,
        event.kind,
        event.subject,
        event.version,
        event.fence,
        event.queue,
        event.name,
        event.detail.replace("\t", " "),
    )


def main(url: str, namespace: str, shard: int, path: Path) -> None:
    """Connect, however long that takes, and read."""
    while True:
        try:
            engine = open_engine(url, namespace=namespace, patience_s=PATIENCE_S, name="tailer")
            break
        except CoordqError:
            time.sleep(PAUSE_S)
    Tailer(engine, shard, Journal(path)).run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
