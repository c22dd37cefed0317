"""`coordq fleet`: who can be reached, what the operator knows better, and groups of workers."""

from __future__ import annotations

from typing import Final

import click

from coordq.interfaces.cli.group import Home, LazyGroup

HOMES: Final[dict[str, Home]] = {}


@click.group("fleet", cls=LazyGroup, homes=HOMES, no_args_is_help=True)
def fleet_command() -> None:
    """See the fleet, correct what is thought of it, and run groups of workers."""
