"""Values of a flow file: what is meant, or a sentence on where it is wrong and what to write."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from coordq.amounts import is_number
from coordq.errors import CoordqError
from coordq.spans import parse_span
from coordq.work.flow.written import refuse as refuse_file
from coordq.work.options import NAMES

T = TypeVar("T")

SPANS: Final = ("delay", "timeout", "expires", "total_timeout", "result_ttl")
"""Options that are lengths of time."""


class Told:
    """Reads values of one file. All refusals are InvalidFlow and name the file and the place.

    within: what stands before every place, for a part of a file.
    """

    def __init__(self, path: Path, within: str = "") -> None:
        self.path = path
        self.within = within

    def word(self, place: str, name: str, value: Any, words: Iterable[str]) -> None:
        """Refuse `value` unless it is one of `words`, or None."""
        if value is not None and value not in words:
            self.refuse(f"{place}.{name}", f"write one of {', '.join(words)}")

    def options(self, place: str, task: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
        """The options among what is said of a task, of which `known` may be said."""
        self.known(place, task, known)
        found: dict[str, Any] = {}
        for name in NAMES:
            value = task.get(name)
            if value is None:
                continue
            where = f"{place}.{name}"
            if name in SPANS:
                value = self.span(where, value)
            elif name == "backoff":
                value = self.tried(where, lambda: self.backoff(where, value))  # noqa: B023 - used at once
            found[name] = tuple(value) if isinstance(value, list) else value
        return found

    def backoff(self, place: str, value: Any) -> Any:
        from coordq.work.backoff import Backoff

        return Backoff.steps([self.span(place, one) for one in self.several(value)])

    def span(self, place: str, value: Any) -> float:
        """A length of time, in seconds."""
        found = parse_span(value) if isinstance(value, str) else value
        if not is_number(found):
            self.refuse(place, 'write a length of time, such as 90, "90s" or "5m"')
        return float(found)

    def mapping(self, place: str, value: Any) -> dict[str, Any]:
        """`value`, a mapping."""
        if not isinstance(value, dict):
            self.refuse(place, f"write a mapping, not {value!r:.40}")
        return value

    def listed(self, place: str, value: Any) -> list[Any]:
        """`value`, a list."""
        if not isinstance(value, list):
            self.refuse(place, f"write a list, not {value!r:.40}")
        return value

    @staticmethod
    def several(value: Any) -> Iterable[Any]:
        """A list as it is; what is none, as the only one."""
        return value if isinstance(value, list | tuple) else (value,)

    def known(self, place: str, table: Mapping[str, Any], names: Iterable[str]) -> None:
        """Refuse keys that nothing is done with."""
        for name in table:
            if name not in names:
                hint = nearest(name, names) or f"; known here: {', '.join(names)}"
                self.refuse(place, f"{name} is not known{hint}")

    def tried(self, place: str, make: Callable[[], T]) -> T:
        """What `make` makes; its refusals name the file and the place."""
        try:
            return make()
        except CoordqError as error:
            whole = self._whole(place)
            where = f"{self.path}: {whole}: " if whole else f"{self.path}: "
            if "file" in error.facts:
                raise
            facts = {**error.facts, "file": str(self.path)}
            raise type(error)(f"{where}{error.message}", **facts) from error

    def refuse(self, place: str, why: str) -> NoReturn:
        """Raise InvalidFlow about a place in the file."""
        whole = self._whole(place)
        refuse_file(self.path, f"{whole}: {why}" if whole else why, place=whole)

    def _whole(self, place: str) -> str:
        return ".".join(part for part in (self.within, place) if part)


def nearest(name: Any, names: Iterable[str]) -> str:
    """`; did you mean ...?`, when something is near."""
    close = difflib.get_close_matches(str(name), list(names), n=1)
    return f"; did you mean {close[0]}?" if close else ""
