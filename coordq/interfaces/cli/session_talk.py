"""`coordq session`: conversations between agents, read and led from a shell."""

from __future__ import annotations

from typing import Any, Final

import click

from coordq.interfaces.cli.bodies import body_options, read_body
from coordq.interfaces.cli.group import Group
from coordq.interfaces.cli.params import SIZE, SPAN
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.cli.session_look import session_ls, session_show
from coordq.interfaces.table import say, show_json

_EXAMPLES: Final = """\b
Examples:
  coordq session open "where to sail" --with ada:captain --with bob --as me
  coordq session say SESSION --as me --text "North?"
  coordq session show SESSION --follow
  coordq session invite SESSION eve --role critic
  coordq session close SESSION --why decided
"""


@click.group("session", cls=Group, epilog=_EXAMPLES)
@common
def session_command(_session: Session) -> None:
    """Read conversations between agents, open and close them, take part and speak in them."""


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


_AS = click.option("--as", required=True, metavar="NAME", help="Who; an agent, or you.")


@session_command.command("join")
@click.argument("session_id", metavar="SESSION")
@_AS
@click.option("--role", default="", metavar="ROLE", help="As what; who was invited has one.")
@click.option("--history", is_flag=True, help="Hear all that was said before, too.")
@common
def session_join(
    session: Session, *, session_id: str, role: str, history: bool, **who: str
) -> None:
    """Take part from now on: hear what is said in one's mailbox, and speak.

    Who takes part already, goes on as they did.
    """
    me = who["as"]
    with session.connect() as client:
        turn = client.sessions.get(session_id, me=me).join(role=role, history=history)
    _tell(session, session_id, me, turn, "takes part in")


@session_command.command("leave")
@click.argument("session_id", metavar="SESSION")
@_AS
@common
def session_leave(session: Session, *, session_id: str, **who: str) -> None:
    """Take no part any more. When the last one has left the session is closed."""
    me = who["as"]
    with session.connect() as client:
        turn = client.sessions.get(session_id, me=me).leave()
    _tell(session, session_id, me, turn, "has left")


@session_command.command("invite")
@click.argument("session_id", metavar="SESSION")
@click.argument("agent")
@click.option("--role", default="", metavar="ROLE", help="As what.")
@click.option("--as", default="", metavar="NAME", help="Who invites.")
@common
def session_invite(session: Session, *, session_id: str, agent: str, role: str, **who: str) -> None:
    """Ask an agent to join: a message of kind `invite` is in its mailbox."""
    with session.connect() as client:
        turn = client.sessions.get(session_id, me=who["as"]).invite(agent, role=role)
    _tell(session, session_id, agent, turn, "is invited to")


def _tell(session: Session, session_id: str, name: str, turn: int, what: str) -> None:
    """Who came, went or was asked, and the last turn then."""
    if session.json:
        show_json({"id": session_id, "name": name, "turn": turn})
    else:
        say(f"{name} {what} session {session_id}")


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


session_command.add_command(session_ls)
session_command.add_command(session_show)
