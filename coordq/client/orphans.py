"""The part of an audit that looks for tasks which wait for nobody: two walks through the edges.

The first goes along with the audit and finds suspects: those of whom nothing is before them that
goes on. There are hardly ever any; only then a second walk collects who was before just these, for
`work/repair` to judge in one step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from coordq.client.plan import Command, Plan, chunks
from coordq.engine import keys
from coordq.work.audit import Suspect, sort_keys
from coordq.work.orphans import Census, Told, edges_in, goes_on, seen

PAGE: Final = 500

Hear = Callable[[str, Sequence[bytes]], None]
"""Takes some edges of a parent."""


class Orphans:
    """The edges of one shard."""

    def __init__(self, root: str, shard: int) -> None:
        self._root = root
        self._shard = shard
        self._told = Told()

    def begin(self) -> Plan[list[Suspect]]:
        """Learn who is telling others of its end just now; and ask whether they will go on."""
        telling: list[bytes] = yield self._command("HKEYS", keys.rippling(self._root))
        self._told = Told({one.decode(errors="replace") for one in telling})
        return [("ripple", one) for one in sorted(self._told.telling)]

    def read(self, ids: Sequence[str], records: Sequence[bytes | None]) -> None:
        """A page of records."""
        self._told.read(ids, records)

    def lists(self, parents: Sequence[str]) -> Plan[list[Suspect]]:
        """A page of LISTs of edges, by whose they are; gives those of nobody."""
        of_nobody: list[Suspect] = []
        for some in chunks(parents):
            records = yield from self._records(some)
            for parent, record in zip(some, records, strict=True):
                tells = yield from self._tells(parent, record)
                if tells:
                    yield from self._edges(parent, lambda _, edges: self._told.hear(edges))
                elif tells is None:
                    of_nobody.append(("kids", parent))
        return of_nobody

    def suspects(self) -> Plan[list[Suspect]]:
        """Who waits for nobody, each with all that were before it."""
        still: list[str] = []
        for some in chunks(self._told.suspects()):
            records = yield from self._records(some)
            still += [
                task_id
                for task_id, record in zip(some, records, strict=True)
                if record is not None and seen(record) == self._told.waiting[task_id]
            ]
        if not still:
            return []
        census = Census({task_id: set() for task_id in still})
        yield from self._walk(census)
        found: list[Suspect] = []
        for task_id in still:
            edges = yield self._command("HGET", keys.need(self._root, task_id), "of")
            found.append(("orphan", census.subject(task_id, edges)))
        return found

    def _walk(self, census: Census) -> Plan[None]:
        """Go through all edges there are."""
        cursor = "0"
        while True:
            words = ("SCAN", cursor, "MATCH", f"{self._root}*", "COUNT", PAGE)
            after, names = yield self._command(*words)
            page = sort_keys(self._root, names)
            for ids in chunks(page.tasks):
                records = yield from self._records(ids)
                for task_id, record in zip(ids, records, strict=True):
                    census.read(task_id, () if record is None else edges_in(record))
            for parent in page.books.get("kids", ()):
                yield from self._edges(parent, census.hear)
            cursor = after.decode()
            if cursor == "0":
                return

    def _tells(self, parent: str, record: bytes | None) -> Plan[bool | None]:
        """Whether a parent, a task or a flow, has yet to tell of its end; None: there is none."""
        if parent in self._told.telling:
            return True
        if record is not None:
            return goes_on(record)
        state = yield self._command("HGET", keys.flow(self._root, parent), "state")
        return None if state is None else state in {b"building", b"staged"}

    def _edges(self, parent: str, hear: Hear) -> Plan[None]:
        """All edges of a LIST."""
        first = 0
        while True:
            words = ("LRANGE", keys.kids(self._root, parent), first, first + PAGE - 1)
            edges: list[bytes] = yield self._command(*words)
            hear(parent, edges)
            first += PAGE
            if len(edges) < PAGE:
                return

    def _records(self, ids: Sequence[str]) -> Plan[list[bytes | None]]:
        if not ids:
            return []
        words = ("MGET", *(keys.task(self._root, one) for one in ids))
        return (yield self._command(*words))  # type: ignore[no-any-return]

    def _command(self, *words: str | int) -> Command:
        return Command(self._shard, words)
