"""Tables and lists: set in columns on a terminal, tab-separated for whatever reads a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, Final

import click

from coordq.interfaces.words import printable, to_json

GAP: Final = 2
ELASTIC_MIN: Final = 12

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, and how it behaves when space is short."""

    title: str
    right: bool = False
    spare: int = 0
    """Left out when space is short, those with the highest number first; 0: never."""
    elastic: bool = False
    """Cut rather than left out."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Text with a colour, for terminals that have one."""

    text: str
    style: str = ""


Row = Sequence[str | Cell]


def on_terminal() -> bool:
    """Whether somebody is watching."""
    return sys.stdout.isatty()


def say(text: str, *, err: bool = False) -> None:
    """Print text, whatever the terminal's encoding makes of it."""
    stream = sys.stderr if err else sys.stdout
    encoding = stream.encoding or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), err=err)


def show_json(value: Any) -> None:
    """One JSON document."""
    say(to_json(value, indent=2 if on_terminal() else None))


def show_json_line(value: Any) -> None:
    """One document of a stream."""
    say(to_json(value))


def show_table(columns: Sequence[Column], rows: Iterable[Row], *, empty: str = "") -> None:
    """Print a table; `empty` goes to stderr when there is nothing to print on a terminal."""
    listed = list(rows)
    if not on_terminal():
        say("\t".join(column.title.lower() for column in columns))
        for row in listed:
            say("\t".join(_plain(cell) for cell in row))
    elif listed:
        show(grid(columns, listed))
    elif empty:
        say(empty, err=True)


def show_facts(facts: Sequence[tuple[str, str | Cell]]) -> None:
    """Print named values, one a line."""
    if not on_terminal():
        for name, value in facts:
            say(f"{name}\t{_plain(value)}")
        return
    table = _bare()
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, _text(value))
    show(table)


def show_block(title: str, text: str) -> None:
    """Print text of several lines, under a title."""
    say(f"\n{title}:")
    for line in text.splitlines() or [""]:
        say(f"  {line}")


def show(renderable: RenderableType) -> None:
    """Print what rich can draw."""
    from rich.console import Console

    Console(highlight=False).print(renderable)


def grid(columns: Sequence[Column], rows: Iterable[Row]) -> Table:
    """A table for rich, without lines: they would only be in the way of copying."""
    listed = list(rows)
    widths = [_width(column, at, listed) for at, column in enumerate(columns)]
    kept = fitting(columns, widths, get_terminal_size().columns)
    table = _bare()
    table.show_header = True
    for at in kept:
        table.add_column(
            columns[at].title,
            justify="right" if columns[at].right else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=widths[at],
            header_style="bold dim",
        )
    for row in listed:
        table.add_row(*(_text(row[at]) for at in kept))
    return table


def _width(column: Column, at: int, rows: Sequence[Row]) -> int:
    """How much space a column asks for."""
    if column.elastic:
        return ELASTIC_MIN
    return max(len(column.title), *(len(_plain(row[at])) for row in rows))


def fitting(columns: Sequence[Column], widths: Sequence[int], space: int) -> list[int]:
    """Which columns fit into so many characters: the most spare ones make room for the others."""
    kept = list(range(len(columns)))
    while sum(widths[at] + GAP for at in kept) - GAP > space:
        spare = max(kept, key=lambda at: columns[at].spare)
        if not columns[spare].spare:
            break
        kept.remove(spare)
    return kept


def _bare() -> Table:
    from rich.table import Table

    return Table(box=None, show_header=False, pad_edge=False, padding=(0, GAP, 0, 0))


def _text(cell: str | Cell) -> RenderableType:
    from rich.text import Text

    if isinstance(cell, Cell):
        return Text(printable(cell.text), style=cell.style)
    return Text(printable(cell))


def _plain(cell: str | Cell) -> str:
    text = cell.text if isinstance(cell, Cell) else cell
    return printable(text)
