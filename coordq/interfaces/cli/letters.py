"""Dead letters, of tasks or of messages: which ones are meant, and what became of them."""

from __future__ import annotations

from typing import Final

import click

from coordq.errors import NotFound
from coordq.interfaces.cli.session import Session
from coordq.interfaces.table import say, show_json
from coordq.interfaces.words import several

AT_ONCE_MAX: Final = 10_000
ids_argument = click.argument("ids", nargs=-1, metavar="[ID]...")
all_option = click.option("--all", is_flag=True, help="All, or all that fit the filters.")


def check_choice(ids: tuple[str, ...], *, filtered: bool) -> None:
    """Ids, or filters, of which --all is one. Raises UsageError for both or neither."""
    if ids and filtered:
        raise click.UsageError("Give ids, or --all and filters, not both.")
    if not ids and not filtered:
        raise click.UsageError("Which ones? Give ids, filters or --all.")


def tell(session: Session, verb: str, done: int, ids: tuple[str, ...]) -> None:
    """Say how many were revived or deleted. Raises NotFound when some ids were none."""
    if session.json:
        show_json({verb: done})
    else:
        say(f"{verb} {several(done, 'dead letter')}")
    missing = len(set(ids)) - done
    if missing > 0:
        raise NotFound(f"{missing} of the {len(set(ids))} ids given are no dead letters.")
