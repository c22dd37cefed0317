"""`coordq session ls|show`: who talks, and what was said."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click

from coordq.clock import now_ms
from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import (
    Cell,
    Column,
    say,
    show_facts,
    show_json,
    show_json_line,
    show_table,
)
from coordq.interfaces.words import count, moment, one_line, printable, size, span, to_json

if TYPE_CHECKING:
    from coordq.bus.session_view import Person, SessionView, Turn
    from coordq.client.sessions import Session as Talk

_COLUMNS: Final = (
    Column("Id"),
    Column("About", elastic=True),
    Column("State"),
    Column("Turns", right=True),
    Column("People", right=True),
    Column("Bytes", right=True, spare=2),
    Column("Order", spare=3),
    Column("Opened by", spare=1),
    Column("Moved", right=True),
)
_DECISIONS: Final = ("counter", "accept", "decline")


@click.command("ls", cls=Command)
@click.option("--of", default="", metavar="AGENT", help="Open ones it takes part in.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@common
def session_ls(session: Session, *, of: str, limit: int) -> None:
    """List sessions, those in which somebody spoke last first."""
    with session.connect() as client:
        views = client.sessions.ls(name=of, limit=limit)
    if session.json:
        show_json([view.to_json() for view in views])
    else:
        show_table(_COLUMNS, map(_row, views), empty="Nobody talks.")


def _row(view: SessionView) -> tuple[str | Cell, ...]:
    return (
        view.id,
        _words(view.about),
        Cell(view.state, "green" if view.state == "open" else "dim"),
        count(view.turn),
        count(view.present),
        size(view.bytes),
        view.order,
        view.opened_by or "-",
        f"{span(max(0, now_ms() - view.moved_ms))} ago",
    )


@click.command("show", cls=Command)
@click.argument("session_id", metavar="SESSION")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only turns behind this one.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="So many turns at most.")
@click.option("--follow", "-f", is_flag=True, help="Go on until it is closed, or Ctrl-C.")
@common
def session_show(
    session: Session, *, session_id: str, after: int, limit: int | None, follow: bool
) -> None:
    """Show a session: who takes part, and what was said, turn by turn.

    With -f also what is said next; --json prints a line for each turn then.
    """
    with session.connect() as client:
        talk = client.sessions.get(session_id)
        if follow:
            _follow(session, talk, after, limit)
            return
        view, turns = talk.get(), talk.transcript(after=after, limit=limit)
    if session.json:
        show_json({**view.to_json(), "transcript": [turn.to_json() for turn in turns]})
        return
    show_facts(_facts(view))
    if turns:
        play = _Play(turns[-1].number)
        say("\n" + "\n".join(line for turn in turns for line in play.lines(turn)))


def _follow(session: Session, talk: Talk, after: int, limit: int | None) -> None:
    view = talk.get()
    play = _Play(view.max_turns)
    if not session.json:
        show_facts(_facts(view))
        say("")
    for turn in islice(talk.follow(after=after), limit):
        if session.json:
            show_json_line(turn.to_json())
        else:
            say("\n".join(play.lines(turn)))


def _facts(view: SessionView) -> list[tuple[str, str]]:
    closed = f"closed {moment(view.closed_ms)}: {view.why}"
    facts = [
        ("about", _words(view.about)),
        ("state", "open" if view.state == "open" else closed),
        ("opened", f"{moment(view.opened_ms)}{f' by {view.opened_by}' if view.opened_by else ''}"),
        ("turns", f"{count(view.turn)} of {count(view.max_turns)}"),
        ("bytes", f"{size(view.bytes)} of {size(view.max_bytes)}"),
    ]
    if view.next and view.state == "open":
        facts.append(("next", view.next))
    if view.deadline_ms:
        facts.append(("deadline", moment(view.deadline_ms)))
    return facts + [(_label(one), _person(one)) for one in view.people]


def _label(one: Person) -> str:
    return f"{one.name} ({one.role})" if one.role else one.name


def _person(one: Person) -> str:
    if one.state != "joined":
        return f"{one.state} at turn {one.since}"
    pending = f", {count(one.pending)} not acknowledged" if one.pending else ""
    return f"given all up to turn {one.heard}{pending}"


class _Play:
    """What was said, as a play is printed: number, time, who to whom, and the words.

    last: the highest number there may be.
    """

    def __init__(self, last: int) -> None:
        self._wide = len(str(last))
        self._numbers: dict[str, int] = {}
        """Of the turns that were printed, by message."""
        self._day = ""

    def lines(self, turn: Turn) -> Iterator[str]:
        """The next turn."""
        self._numbers[turn.message.id] = turn.number
        clock = " " * len("12:00:01")
        if sent_ms := turn.message.sent_ms:  # what nobody has spoken says no time
            today, clock = moment(sent_ms)[:19].split(" ")
            if today != self._day:
                yield today
            self._day = today
        first, *rest = self._said(turn).splitlines() or [""]
        start = f"{turn.number:>{self._wide}}  {clock}  "
        yield start + first
        yield from (" " * len(start) + line for line in rest)

    def _said(self, turn: Turn) -> str:
        from coordq.bus.session import SYSTEM

        if turn.kind in SYSTEM:
            return _noted(turn)
        who = printable(turn.speaker)
        if turn.to:
            who += f" to {', '.join(turn.to)}"
        about = self._numbers.get(turn.message.correlation)
        what = "answers" if turn.kind == "reply" else turn.kind
        if about is not None:
            who += f" ({what} {about})"
        elif turn.kind != "say":
            who += f" ({what})"
        if turn.body is None and turn.kind in _DECISIONS:
            return who
        return f"{who}: {_words(turn.body, lines=True)}"


def _noted(turn: Turn) -> str:
    """A turn that nobody has spoken."""
    facts = turn.body if isinstance(turn.body, dict) else {}
    if turn.kind == "closed":
        return f"- closed: {one_line(str(facts.get('why', '')))}"
    role = f" as {facts['role']}" if facts.get("role") else ""
    return printable(f"- {facts.get('name', '')} {turn.kind}{role}")


def _words(value: Any, *, lines: bool = False) -> str:
    """Text as it is, anything else as JSON on one line; nothing for null."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return to_json(value)
    return printable(value, keep="\n") if lines else one_line(value)
