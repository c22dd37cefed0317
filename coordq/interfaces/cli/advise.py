"""`coordq advise`: which strategy of agreement fits a fleet, with what sizes, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import Cell, say, show_facts, show_json
from coordq.interfaces.words import count, several

if TYPE_CHECKING:
    from coordq.fleet.advice import Advice

_EXAMPLES: Final = """\b
Examples:
  coordq advise --agents 5
  coordq advise --agents 40 --faults crash --consistency strong
  coordq advise --agents 10 --faults byzantine --tolerate 2
  coordq advise --agents 500 --independent --json
"""


@click.command("advise", cls=Command, epilog=_EXAMPLES)
@click.option("--agents", type=int, required=True, metavar="N", help="How many there will be.")
@click.option(
    "--faults",
    type=click.Choice(["crash", "byzantine"]),
    default="crash",
    help="crash: agents stop. byzantine: they may lie as well.",
)
@click.option(
    "--consistency",
    type=click.Choice(["strong", "eventual", "mixed"]),
    default="strong",
    help="strong: one order of decisions. mixed: strong decisions, eventual news.",
)
@click.option("--tolerate", type=int, metavar="F", help="How many of the voters may fail at once.")
@click.option(
    "--when-parted",
    type=click.Choice(["consistent", "available"]),
    help="What matters more while the network is in parts.",
)
@click.option("--independent", is_flag=True, help="Groups may decide their own matters alone.")
@common
def advise_command(session: Session, **wish: Any) -> None:
    """Say which strategy of agreement fits a fleet, with what sizes, and what it does not give.

    Needs no Redis. A wish that nothing can fulfil is refused, with what would be possible.
    """
    from coordq.fleet.advice import TODAY, advise

    advice = advise(wish.pop("agents"), **wish)
    if session.json:
        show_json(advice.to_json())
        return
    show_facts(_facts(advice))
    for title, sentences in (("why", advice.why), ("does not give", advice.lacks)):
        say(f"\n{title}:")
        for sentence in sentences:
            say(f"  - {sentence}")
    say(f"\n{TODAY}")


def _facts(advice: Advice) -> list[tuple[str, str | Cell]]:
    kind = "may lie" if advice.faults == "byzantine" else "may stop"
    told = [
        ("strategy", advice.strategy),
        ("rule", advice.rule),
        ("agents", count(advice.agents)),
    ]
    if advice.groups > 1:
        inside = f"{advice.group_voters} voters in each"
        told.append(("groups", f"{count(advice.groups)} of up to {advice.group_size}, {inside}"))
    if advice.voters:
        told += [
            ("voters", count(advice.voters)),
            ("quorum", count(advice.quorum)),
            ("watchers", count(advice.watchers)),
        ]
    what = "each decision" if advice.voters else "news to reach all"
    cost = f"{several(advice.messages, 'message')}, {several(advice.rounds, 'round')} for {what}"
    told += [("tolerates", f"{count(advice.tolerates)} that {kind}"), ("costs", cost)]
    return [(name, Cell(text, "bold") if name == "strategy" else text) for name, text in told]
