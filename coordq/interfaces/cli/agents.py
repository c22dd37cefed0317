"""`coordq agents`: who there is, what each can do, where it is, and who stands in for whom."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, Any

import click

from coordq.errors import InvalidName
from coordq.interfaces.cli.confirm import confirm, yes_option
from coordq.interfaces.cli.group import Group
from coordq.interfaces.cli.params import SPAN
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import say, show_facts, show_json, show_table
from coordq.names import check_name

if TYPE_CHECKING:
    from coordq.fleet.directory import AgentView

_EXAMPLES = """\b
Examples:
  coordq agents find --role reader --can http --max-load 0.5
  coordq agents recommend summarize --prefer pdf
  coordq agents register ann --role reviewer --can python --ttl 5m
  coordq agents update crawler --weight 2 --stand-ins crawler-b
  coordq agents stand-in crawler crawler-b
"""


@click.group("agents", cls=Group, epilog=_EXAMPLES)
@common
def agents_command(_session: Session) -> None:
    """Find agents, register those outside workers, and say who stands in for whom.

    What agents have done, and how fast, is shown by `coordq fleet agents`.
    """


@agents_command.command("ls")
@common
def agents_ls(session: Session) -> None:
    """List all agents that are known, also those that are away."""
    with session.connect() as client:
        _list(session, client.agents.ls(), empty="No agent is known: start a worker.")


@agents_command.command("show")
@click.argument("name")
@common
def agents_show(session: Session, *, name: str) -> None:
    """Show everything about one agent."""
    with session.connect() as client:
        view = client.agents.get(name)
    if session.json:
        show_json(view.to_json())
        return
    from coordq import clock
    from coordq.interfaces.registry_view import agent_facts

    show_facts(agent_facts(view, clock.now_ms()))


@agents_command.command("find")
@click.argument("words", nargs=-1)
@click.option("--role", default="", help="With this role.")
@click.option("--can", multiple=True, metavar="CAPABILITY", help="With all these.")
@click.option("--task", default="", metavar="NAME", help="That can do such tasks.")
@click.option("--zone", default="", help="In this zone.")
@click.option("--max-load", type=float, metavar="SHARE", help="Busy to at most this, 0 to 1.")
@click.option(
    "--state",
    type=click.Choice(["here", "serving", "outside", "away", "all"]),
    default="here",
    show_default=True,
)
@click.option("--limit", type=int, metavar="N", help="No more than so many.")
@common
def agents_find(session: Session, *, words: tuple[str, ...], **wanted: Any) -> None:
    """List the agents that fit all of this; those with more of the WORDS first, then the idle."""
    with session.connect() as client:
        found = client.agents.find(text=" ".join(words), **_named(wanted))
    _list(session, found, empty="No agent fits.")


@agents_command.command("recommend")
@click.argument("task", default="")
@click.option("--limit", "-n", type=int, default=3, show_default=True, help="How many at most.")
@click.option("--role", default="", help="With this role.")
@click.option("--can", multiple=True, metavar="CAPABILITY", help="With all these.")
@click.option("--prefer", multiple=True, metavar="CAPABILITY", help="Welcome as well.")
@click.option("--zone", default="", help="In this zone.")
@click.option("--text", default="", metavar="WORDS", help="Who has some of these words.")
@common
def agents_recommend(session: Session, *, task: str, limit: int, **wanted: Any) -> None:
    """Say who should do TASK, best first, and why."""
    with session.connect() as client:
        found = client.routing.recommend(task, n=limit, **_named(wanted))
    if session.json:
        show_json([one.to_json() for one in found])
        return
    from coordq.interfaces.registry_view import RECOMMENDED_COLUMNS, recommended_rows

    empty = "Nobody fits who is here and whose breaker is not open."
    show_table(RECOMMENDED_COLUMNS, recommended_rows(found), empty=empty)


@agents_command.command("register")
@click.argument("name")
@click.option("--role")
@click.option("--can", multiple=True, metavar="CAPABILITY")
@click.option("--task", multiple=True, metavar="NAME", help="It can do such tasks.")
@click.option("--persona", metavar="TEXT|JSON", help="Role, domain, voice, limits; or just text.")
@click.option("--interests", metavar="TEXT", help="What it wants to hear of.")
@click.option("--zone")
@click.option("--max-load", type=int, metavar="N", help="Tasks it should have at once.")
@click.option("--weight", type=float, metavar="X", help="Its share beside others; 1 unless said.")
@click.option("--stand-ins", multiple=True, metavar="AGENT", help="Who acts for it.")
@click.option("--ttl", type=SPAN, help="How long it counts as there; 30s unless said.")
@click.option("--if-version", "version", type=int, metavar="N", help="Only then; 0: if it is new.")
@common
def agents_register(session: Session, *, name: str, **given: Any) -> None:
    """Make an agent known that no worker hosts, or describe it anew; again: it is still there."""
    said = {key: value for key, value in _named(given).items() if value not in (None, ())}
    if task := said.pop("task", ()):
        said["tasks"] = task
    if str(said.get("persona", "")).startswith("{"):
        said["persona"] = _object(said["persona"])
    with session.connect() as client:
        view = client.agents.register(name, **said)
    _tell(session, view, "is registered")


@agents_command.command("update")
@click.argument("name")
@click.option("--interests", metavar="TEXT", help="What it should hear of.")
@click.option("--zone")
@click.option("--max-load", type=int, metavar="N", help="Tasks it should have at once.")
@click.option("--weight", type=float, metavar="X", help="Its share beside others.")
@click.option("--stand-ins", multiple=True, metavar="AGENT", help="Who acts for it when away.")
@click.option(
    "--reset",
    multiple=True,
    type=click.Choice(["interests", "zone", "max-load", "weight", "stand-ins"]),
    help="Take back what was said: what the agent says itself counts again.",
)
@click.option("--if-version", "version", type=int, metavar="N", help="Only then.")
@common
def agents_update(
    session: Session, *, name: str, reset: tuple[str, ...], version: int | None, **given: Any
) -> None:
    """Say something else of an agent than it says itself; it outlives restarts."""
    said: dict[str, Any] = {key: value for key, value in given.items() if value not in (None, ())}
    said |= {field.replace("-", "_"): None for field in reset}
    if not said:
        raise click.UsageError("Say what is to be changed, such as --weight 2.")
    with session.connect() as client:
        view = client.agents.update(name, version=version, who=_who(), **said)
    _tell(session, view, "is changed")


@agents_command.command("leave")
@click.argument("name")
@click.option("--forget", is_flag=True, help="Nothing is known of it any more.")
@yes_option
@common
def agents_leave(session: Session, *, name: str, forget: bool, yes: bool) -> None:
    """Say that an agent outside workers is gone, or forget one that is away."""
    if forget:
        confirm(f"Forget all that is known of agent {name!r}?", yes=yes)
    with session.connect() as client:
        changed = client.agents.leave(name, forget=forget)
    if session.json:
        show_json({"agent": name, "forgotten": forget, "changed": changed})
    else:
        say(f"agent {name} is {'forgotten' if forget else 'away'}")


@agents_command.command("stand-in")
@click.argument("name")
@click.argument("by", required=False)
@click.option("--end", is_flag=True, help="Nobody acts for it any more.")
@common
def agents_stand_in(session: Session, *, name: str, by: str | None, end: bool) -> None:
    """Let agent BY act for NAME until that is back."""
    if (by is None) != end:
        raise click.UsageError("Name who acts for it, or say --end.")
    with session.connect() as client:
        client.agents.stand_in(name, by, who=_who())
    if session.json:
        show_json({"agent": name, "stood_in_by": by})
    else:
        say(f"{by} stands in for agent {name}" if by else f"nobody stands in for agent {name}")


def _named(given: dict[str, Any]) -> dict[str, Any]:
    """Options, by the names that calls have for them: variables are named after flags."""
    return {
        {"can": "capabilities", "prefer": "preferred"}.get(key, key): given[key] for key in given
    }


def _list(session: Session, views: list[AgentView], *, empty: str) -> None:
    if session.json:
        show_json([view.to_json() for view in views])
        return
    from coordq.interfaces.registry_view import REGISTRY_COLUMNS, registry_rows

    show_table(REGISTRY_COLUMNS, registry_rows(views), empty=empty)


def _tell(session: Session, view: AgentView, what: str) -> None:
    if session.json:
        show_json(view.to_json())
    else:
        say(f"agent {view.name} {what}: version {view.version}")


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.UsageError(
            f"--persona begins with a brace, but is no JSON: {error}."
        ) from error


def _who() -> str:
    """Who is at the keyboard, for events."""
    try:
        return check_name("operator", getpass.getuser())
    except (KeyError, OSError, ImportError, InvalidName):
        return "operator"
