"""Ask before what cannot be undone."""

from __future__ import annotations

import sys
from typing import Any

import click

from coordq.interfaces.cli.failure import Trouble
from coordq.interfaces.cli.session import Function


def yes_option(function: Function) -> Function:
    """The option that answers before it is asked."""
    option: Any = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
    decorated: Function = option(function)
    return decorated


def confirm(question: str, *, yes: bool) -> None:
    """Return when the answer is yes. Raises UsageError when there is nobody to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"{question} Nobody is there to ask: say --yes. Nothing was changed."
        )
    if not click.confirm(question, err=True):
        click.echo("Nothing was changed.", err=True)
        raise Trouble(1)
