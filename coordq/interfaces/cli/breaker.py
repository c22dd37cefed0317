"""`coordq breaker`: what is not called any more, and what an operator says of it."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any, Final

import click

from coordq.interfaces.cli.group import Group
from coordq.interfaces.cli.params import SPAN
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import Cell, Column, say, show_facts, show_json, show_table
from coordq.interfaces.words import count, moment, one_line, span

if TYPE_CHECKING:
    from coordq.fleet.breaker.calls import BreakerView

_EXAMPLES: Final = """\b
Examples:
  coordq breaker ls
  coordq breaker set openai --failures 10 --rate 0.3 --slow 20s --recovery 1m
  coordq breaker open openai --why "it is being moved"
  coordq breaker reset openai
"""
_COLUMNS: Final = (
    Column("Subject"),
    Column("State"),
    Column("Calls", right=True, spare=1),
    Column("Failed", right=True),
    Column("Slow", right=True, spare=4),
    Column("Refused", right=True, spare=2),
    Column("Opened", right=True, spare=3),
    Column("Why", elastic=True),
)
_STYLES: Final = {"closed": "green", "open": "bold red", "half-open": "yellow"}


@click.group("breaker", cls=Group, epilog=_EXAMPLES)
@common
def breaker_command(_session: Session) -> None:
    """See and change circuit breakers: what fails too often is not called for a while."""


@breaker_command.command("ls")
@common
def breaker_ls(session: Session) -> None:
    """List the breakers of what was called lately, with the calls of their windows."""
    with session.connect() as client:
        views = client.breakers.ls()
    if session.json:
        show_json([view.to_json() for view in views])
        return
    rows = [
        (
            view.subject,
            _state(view),
            count(view.calls),
            count(view.failures),
            count(view.slow),
            count(view.refused),
            count(view.opened),
            one_line(view.why),
        )
        for view in views
    ]
    show_table(_COLUMNS, rows, empty="No breakers.")


@breaker_command.command("show")
@click.argument("subject")
@common
def breaker_show(session: Session, *, subject: str) -> None:
    """Show one breaker: its state, its window, and by what it opens."""
    with session.connect() as client:
        view = client.breakers.get(subject)
    if session.json:
        show_json(view.to_json())
        return
    window = f"{count(view.calls)} calls, {count(view.failures)} failed, {count(view.slow)} slow"
    total = (
        f"{count(view.all_calls)} calls, {count(view.all_failures)} failed, "
        f"{count(view.all_slow)} slow, {count(view.refused)} not made"
    )
    facts: list[tuple[str, str | Cell]] = [("subject", view.subject), ("state", _state(view))]
    if view.state == "open" and not view.forced:
        facts.append(("tried in", span(view.wait_ms)))
    if view.state == "half-open" and not view.forced:
        facts.append(("tried", f"{view.good} went well, {view.tried} under way"))
    if view.since_ms:
        facts += [("since", moment(view.since_ms)), ("why", one_line(view.why))]
    opens = ("opens at" if view.own else "opens at (as usual)", view.thresholds.words())
    show_facts([*facts, ("window", window), ("in all", total),
                ("opened", f"{count(view.opened)} times"), opens])  # fmt: skip


@breaker_command.command("set")
@click.argument("subject")
@click.option("--failures", type=int, metavar="N", help="So many must have failed; 5.")
@click.option("--rate", type=float, metavar="SHARE", help="And this share of the calls; 0.5.")
@click.option("--min-calls", type=int, metavar="N", help="Of so many calls at least; 5.")
@click.option("--slow", type=SPAN, help="A call that takes longer is slow; none is.")
@click.option("--slow-rate", type=float, metavar="SHARE", help="Or this share was slow; 0.8.")
@click.option("--window", type=SPAN, help="How far back calls count; 1m.")
@click.option("--recovery", type=SPAN, help="How long it is open; 30s.")
@click.option("--probes", type=int, metavar="N", help="How many calls are tried then; 3.")
@common
def breaker_set(session: Session, *, subject: str, **given: Any) -> None:
    """Say by what a breaker opens and how it closes; what is not said is as usual."""
    said = {name: value for name, value in given.items() if value is not None}
    with session.connect() as client:
        view = client.breakers.set(subject, **said)
    _tell(session, view, f"breaker {subject} opens at {view.thresholds.words()}")


@breaker_command.command("unset")
@click.argument("subject")
@common
def breaker_unset(session: Session, *, subject: str) -> None:
    """Let the usual thresholds count again."""
    with session.connect() as client:
        view = client.breakers.unset(subject)
    _tell(session, view, f"breaker {subject} opens at {view.thresholds.words()}")


_why = click.option("--why", default="", metavar="TEXT", help="Told to whoever looks.")


@breaker_command.command("open")
@click.argument("subject")
@_why
@common
def breaker_open(session: Session, *, subject: str, why: str) -> None:
    """Let nobody call SUBJECT until its breaker is reset."""
    with session.connect() as client:
        view = client.breakers.open(subject, who=_who(), why=why)
    _tell(session, view, f"breaker {subject} is open until it is reset")


@breaker_command.command("close")
@click.argument("subject")
@_why
@common
def breaker_close(session: Session, *, subject: str, why: str) -> None:
    """Let everybody call SUBJECT until its breaker is reset, however many calls fail."""
    with session.connect() as client:
        view = client.breakers.close(subject, who=_who(), why=why)
    _tell(session, view, f"breaker {subject} is closed until it is reset")


@breaker_command.command("reset")
@click.argument("subject")
@_why
@common
def breaker_reset(session: Session, *, subject: str, why: str) -> None:
    """Close the breaker, forget what it has counted, and let it follow its calls again."""
    with session.connect() as client:
        view = client.breakers.reset(subject, who=_who(), why=why)
    _tell(session, view, f"breaker {subject} is closed, and follows its calls")


def _state(view: BreakerView) -> Cell:
    state = view.forced or view.state
    words = f"{state}, forced" if view.forced else state
    return Cell(words, _STYLES.get(state, ""))


def _tell(session: Session, view: BreakerView, words: str) -> None:
    if session.json:
        show_json(view.to_json())
    else:
        say(words)


def _who() -> str:
    """Who is at the keyboard, for events."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "operator"
