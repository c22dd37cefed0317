"""A file of tasks: every line is checked before the first is sent.

A file is read twice, so it may be larger than memory; what comes by stdin goes into a temporary
file first.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from coordq.clock import monotonic
from coordq.errors import CoordqError, InvalidArguments, InvalidInput
from coordq.interfaces.cli.session import Session
from coordq.interfaces.cli.wishes import from_file
from coordq.interfaces.table import say, show_json
from coordq.interfaces.words import count, printable

if TYPE_CHECKING:
    from coordq.client.client import Client
    from coordq.client.draft import Draft, Item

BATCH: Final = 500
SHOWN_MAX: Final = 20
"""Bad lines that are shown; the others are counted."""
KEPT_IN_MEMORY: Final = 16 * 1024 * 1024
_KEYS: Final = {"name", "args", "options"}


@dataclass(slots=True)
class Checked:
    """What the first reading found."""

    good: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lines:
    """What is common to all lines of a file."""

    name: str | None
    options: dict[str, Any]
    draft: Draft

    def item(self, line: bytes) -> Item:
        """The task in a line. Raises InvalidInput and click.BadParameter."""
        try:
            told = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidArguments(f"it is not JSON: {error}") from error
        if not isinstance(told, dict):
            raise InvalidArguments("it is not a JSON object")
        name, args, options = self._parts(told)
        self.draft.order(name, args, options)
        return name, args, options

    def _parts(self, told: dict[str, Any]) -> tuple[str, Any, dict[str, Any]]:
        if self.name is not None:
            return self.name, told, self.options
        unknown = sorted(told.keys() - _KEYS)
        if unknown or "name" not in told:
            what = f"the key {unknown[0]!r} is unknown" if unknown else "it has no name"
            raise InvalidArguments(
                f'{what}: write {{"name": ..., "args": {{...}}, "options": {{...}}}}'
            )
        own = told.get("options") or {}
        if not isinstance(own, dict):
            raise InvalidArguments("its options are not an object")
        return told["name"], told.get("args"), {**self.options, **from_file(own)}


def enqueue_file(
    session: Session, place: str, *, name: str | None, options: dict[str, Any], skip_bad: bool
) -> None:
    """Enqueue every line of a file, 500 in a call.

    Raises InvalidInput when a line is bad (nothing was enqueued then, unless `skip_bad`), and what
    `work.enqueue_many` raises, after saying how many were enqueued.
    """
    from coordq.client.draft import Draft

    with _opened(place) as file, session.connect() as client:
        lines = Lines(name, options, Draft(client.engine.shards))
        lines.draft.order(name or "any", {}, options)  # what is wrong for all is said once
        checked = _check(file, lines)
        _report_bad(checked, session=session, skip_bad=skip_bad)
        file.seek(0)
        start = monotonic()
        created = _send(client, file, lines, checked, session=session)
    _summary(session, checked, created, monotonic() - start)


@contextmanager
def _opened(place: str) -> Iterator[IO[bytes]]:
    if place == "-":
        with tempfile.SpooledTemporaryFile(KEPT_IN_MEMORY) as kept:
            shutil.copyfileobj(sys.stdin.buffer, kept)
            kept.seek(0)
            yield kept
        return
    try:
        file = Path(place).open("rb")  # noqa: SIM115 - closed below
        if not file.seekable():
            file.close()
            raise InvalidInput(f"{place} cannot be read twice: pipe it in and say --file -.")
    except (OSError, ValueError) as error:
        if isinstance(error, CoordqError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(f"Cannot read {place!r}: {reason}.", file=place) from error
    with file:
        yield file


def _check(file: IO[bytes], lines: Lines) -> Checked:
    checked = Checked()
    for number, line in _numbered(file):
        try:
            lines.item(line)
        except (CoordqError, click.BadParameter) as error:
            words = error.message if isinstance(error, click.BadParameter) else str(error)
            checked.bad.append((number, words))
        else:
            checked.good += 1
    return checked


def _numbered(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers."""
    return ((number, line) for number, line in enumerate(file, 1) if line.strip())


def _report_bad(checked: Checked, *, session: Session, skip_bad: bool) -> None:
    if not checked.bad:
        return
    if not session.json:
        for number, words in checked.bad[:SHOWN_MAX]:
            say(f"line {number}: {printable(words)}", err=True)
        if len(checked.bad) > SHOWN_MAX:
            say(f"... and {count(len(checked.bad) - SHOWN_MAX)} more bad lines", err=True)
    if not skip_bad:
        total = checked.good + len(checked.bad)
        raise InvalidInput(
            f"{count(len(checked.bad))} of {count(total)} lines are bad; nothing was enqueued. "
            "Mend them, or leave them out with --skip-bad.",
            bad=_listed(checked),
        )


def _listed(checked: Checked) -> list[dict[str, Any]]:
    return [{"line": number, "message": words} for number, words in checked.bad]


def _send(
    client: Client, file: IO[bytes], lines: Lines, checked: Checked, *, session: Session
) -> int:
    """Send the good lines; how many of them were new."""
    bad = {number for number, _ in checked.bad}
    batch: list[Item] = []
    sent, created, last = 0, 0, 0

    def flush() -> int:
        handles = client.work.enqueue_many(batch)
        batch.clear()
        return sum(handle.created for handle in handles)

    with _bar(checked.good, session=session) as advance:
        try:
            for number, line in _numbered(file):
                if number in bad:
                    continue
                batch.append(lines.item(line))
                if len(batch) == BATCH:
                    created += flush()
                    sent, last = sent + BATCH, number
                    advance(BATCH)
            created += flush() if batch else 0
        except CoordqError:
            say(f"coordq: {count(sent)} tasks, up to line {last}, were enqueued before:", err=True)
            raise
    return created


@contextmanager
def _bar(total: int, *, session: Session) -> Iterator[Any]:
    """A progress bar on stderr, if somebody is watching."""
    if session.json or not sys.stderr.isatty() or total <= BATCH:
        yield lambda _amount: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("enqueueing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=total)
        yield lambda amount: progress.advance(task, amount)


def _summary(session: Session, checked: Checked, created: int, took_s: float) -> None:
    there = checked.good - created
    if session.json:
        show_json({"enqueued": created, "already_there": there, "bad": _listed(checked)})
        return
    extra = f", {count(there)} were already there" if there else ""
    extra += f", {count(len(checked.bad))} bad lines were left out" if checked.bad else ""
    rate = f"{count(checked.good / took_s)}/s" if took_s else "-"
    say(f"enqueued {count(created)} tasks in {took_s:.1f} s ({rate}){extra}")
