"""Who waits for whom, as an audit finds it: every waiting task has somebody before it that goes on.

Pure: from records and lists of edges to those whom nobody will tell anything. What an edge is says
lua/lib/edges.lua; whoever is suspect here is judged there, by `work/repair`, kind `orphan`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

KNOWN_MAX: Final = 200_000
"""Tasks that are remembered: about 40 MB. With more of them nobody is suspect."""
_ID: Final = 22


def edges_in(record: bytes) -> Iterator[str]:
    """The children that a record names: those of its edges, and its alternative."""
    _, spec, *_ = record.split(b"\n", 2)
    for option in spec.split(b" ")[2:]:
        if option.startswith(b"e="):
            yield from _children(option[2:].split(b","))
        elif option.startswith(b"k="):
            yield option[2:].decode(errors="replace")


def _children(edges: Iterable[bytes]) -> Iterator[str]:
    return (edge[:_ID].decode(errors="replace") for edge in edges)


def goes_on(record: bytes) -> bool:
    """Whether the end of a task is still to come, or an alternative may have taken it over."""
    return record[:1] not in b"sfc" or b" k=" in record.split(b"\n", 2)[1]


@dataclass(slots=True)
class Told:
    """What one walk through all records has found."""

    telling: Collection[str] = ()
    """Those that have ended, and are telling their children of it just now."""
    waiting: dict[str, bytes] = field(default_factory=dict)
    """Id -> state and version."""
    told: set[str] = field(default_factory=set)
    """Those that somebody will tell of an end."""

    def read(self, ids: Sequence[str], records: Sequence[bytes | None]) -> None:
        """A page of records."""
        for task_id, record in zip(ids, records, strict=True):
            if record is None or record.count(b"\n") < 2:  # noqa: PLR2004 - no record of ours
                continue
            if record.startswith(b"w"):
                self.waiting[task_id] = seen(record)
            if task_id in self.telling or goes_on(record):
                self.told.update(edges_in(record))

    def hear(self, edges: Iterable[bytes]) -> None:
        """Edges of somebody who will tell of an end."""
        self.told.update(_children(edges))

    def suspects(self) -> list[str]:
        """Who waits, and was seen behind nobody."""
        if len(self.waiting) + len(self.told) > KNOWN_MAX:
            return []
        return [task_id for task_id in self.waiting if task_id not in self.told]


def seen(record: bytes) -> bytes:
    """State and version of a record: the same as before, when nothing has happened to it."""
    return record.split(b"\n", 1)[0].split(b" ", 1)[0]


@dataclass(slots=True)
class Census:
    """Who is before some tasks: all edges into them, wherever they stand."""

    before: dict[str, set[str]]
    """Task -> those before it."""

    def read(self, parent: str, children: Iterable[str]) -> None:
        """Some edges of `parent`."""
        for child in children:
            if child in self.before:
                self.before[child].add(parent)

    def hear(self, parent: str, edges: Iterable[bytes]) -> None:
        """Likewise, as they stand in a LIST."""
        self.read(parent, _children(edges))

    def subject(self, task_id: str, edges: bytes | None) -> str:
        """What `work/repair` judges. edges: how many it counts, as its HASH need says."""
        amount = (edges or b"0").decode(errors="replace")
        return f"{task_id} {amount} {','.join(sorted(self.before[task_id]))}"
