"""`coordq session`: conversations between agents, read and led from a shell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from coordq.clock import now_ms
from coordq.interfaces.cli.bodies import body_options, read_body
from coordq.interfaces.cli.group import Group
from coordq.interfaces.cli.params import SIZE, SPAN
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import Cell, Column, say, show_facts, show_json, show_table
from coordq.interfaces.words import count, moment, one_line, printable, size, span, to_json

if TYPE_CHECKING:
    from coordq.bus.session_view import Person, SessionView, Turn

_EXAMPLES: Final = """\b
Examples:
  coordq session open "where to sail" --with ada:captain --with bob --as me
  coordq session say SESSION --as me --text "North?"
  coordq session show SESSION
  coordq session close SESSION --why decided
"""
_COLUMNS: Final = (
    Column("Id"),
    Column("About", elastic=True),
    Column("State"),
    Column("Turns", right=True),
    Column("Bytes", right=True, spare=2),
    Column("Order", spare=3),
    Column("Opened by", spare=1),
    Column("Moved", right=True),
)
_DECISIONS: Final = ("counter", "accept", "decline")


@click.group("session", cls=Group, epilog=_EXAMPLES)
@common
def session_command(_session: Session) -> None:
    """Read conversations between agents, open and close them, and speak in them."""


@session_command.command("ls")
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
        size(view.bytes),
        view.order,
        view.opened_by or "-",
        f"{span(max(0, now_ms() - view.moved_ms))} ago",
    )


@session_command.command("show")
@click.argument("session_id", metavar="SESSION")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only turns behind this one.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="So many turns at most.")
@common
def session_show(session: Session, *, session_id: str, after: int, limit: int | None) -> None:
    """Show a session: who takes part, and what was said, turn by turn."""
    with session.connect() as client:
        talk = client.sessions.get(session_id)
        view, turns = talk.get(), talk.transcript(after=after, limit=limit)
    if session.json:
        show_json({**view.to_json(), "transcript": [turn.to_json() for turn in turns]})
        return
    show_facts(_facts(view))
    if turns:
        say("\n" + "\n".join(_lines(turns)))


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


def _lines(turns: Sequence[Turn]) -> list[str]:
    """What was said, as a play is printed: number, time, who to whom, and the words."""
    numbers = {turn.message.id: turn.number for turn in turns}
    wide = len(str(turns[-1].number))
    lines, day = [], ""
    for turn in turns:
        clock = " " * len("12:00:01")
        if sent_ms := turn.message.sent_ms:  # what nobody has spoken says no time
            today, clock = moment(sent_ms)[:19].split(" ")
            lines += [today] if today != day else []
            day = today
        first, *rest = _said(turn, numbers).splitlines() or [""]
        start = f"{turn.number:>{wide}}  {clock}  "
        lines.append(start + first)
        lines += [" " * len(start) + line for line in rest]
    return lines


def _said(turn: Turn, numbers: dict[str, int]) -> str:
    from coordq.bus.session import SYSTEM

    if turn.kind in SYSTEM:
        return _noted(turn)
    who = printable(turn.speaker)
    if turn.to:
        who += f" to {', '.join(turn.to)}"
    about = numbers.get(turn.message.correlation)
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


@session_command.command("open", epilog=_EXAMPLES)
@click.argument("about", default="")
@click.option("--with", multiple=True, metavar="AGENT[:ROLE]", help="Who takes part.")
@click.option("--as", default="", metavar="NAME", help="Who opens it, and takes part.")
@click.option("--order", type=click.Choice(["free", "round"]), default="free", show_default=True)
@click.option("--turns", type=int, metavar="N", help="It may have so many; 1000.")
@click.option("--max-bytes", type=SIZE, help="That all turns may take; 8M.")
@click.option("--max-people", type=int, metavar="N", help="Who may take part; 64.")
@click.option("--idle", type=SPAN, help="Without a turn for so long it is closed; a day.")
@click.option("--deadline", type=SPAN, help="It is closed then, whatever comes.")
@click.option("--keep", type=SPAN, help="It is kept for so long when it is closed; a day.")
@common
def session_open(session: Session, *, about: str, **said: Any) -> None:
    """Begin a conversation ABOUT something, and print its id.

    In a round those who take part speak one after the other, in the order in which they are named.
    """
    people = [one.partition(":")[::2] for one in said.pop("with")]
    rules = {key: value for key, value in said.items() if value is not None}
    rules["me"] = rules.pop("as")
    with session.connect() as client:
        talk = client.sessions.open(about, participants=people, **rules)
    if session.json:
        show_json({"id": talk.id})
    else:
        say(talk.id)


@session_command.command("say")
@click.argument("session_id", metavar="SESSION")
@body_options
@click.option("--as", required=True, metavar="NAME", help="Who speaks; must take part.")
@click.option("--join", is_flag=True, help="Take part from now on, unless one does.")
@click.option("--to", multiple=True, metavar="NAME", help="Who shall hear it; all others.")
@click.option("--kind", default="say", show_default=True, metavar="WORD", help="What it is for.")
@click.option("--expects", type=click.IntRange(min=0), metavar="TURN", help="If that is the last.")
@common
def session_say(
    session: Session,
    *,
    session_id: str,
    pairs: tuple[str, ...],
    body: str | None,
    text: str | None,
    join: bool,
    **how: Any,
) -> None:
    """Say something: the next turn. Prints its number.

    KEY=VALUE as for `coordq enqueue`.
    """
    said, me = read_body(pairs, body, text), how.pop("as")
    with session.connect() as client:
        talk = client.sessions.get(session_id, me=me)
        if join:
            talk.join()
        turn = talk.say(said, **how)
    if session.json:
        show_json({"turn": turn.turn, "id": turn.id})
    else:
        say(str(turn.turn))


@session_command.command("close")
@click.argument("session_id", metavar="SESSION")
@click.option("--why", default="closed", show_default=True, metavar="TEXT", help="What is told.")
@common
def session_close(session: Session, *, session_id: str, why: str) -> None:
    """End a session for all. What was said is heard to its end, and kept for a while."""
    with session.connect() as client:
        client.sessions.get(session_id).close(why)
    if session.json:
        show_json({"id": session_id, "closed": why})
    else:
        say(f"session {session_id} is closed")
