"""`coordq fleet`: who can be reached, what the operator knows better, and groups of workers."""

from __future__ import annotations

from typing import Final

import click

from coordq.interfaces.cli.group import Home, LazyGroup

_GROUPS: Final = "Groups of workers on one machine"
_STATE: Final = "What is thought of the fleet"
HOMES: Final[dict[str, Home]] = {
    "status": Home("fleet_state", _STATE, "Show who leads, and who can be reached."),
    "agents": Home("fleet_state", _STATE, "Show what each agent has done, and how fast."),
    "ping": Home("fleet_state", _STATE, "Ask every agent whether it is there, and time it."),
    "forget": Home("fleet_state", _STATE, "Strike off a worker that will not come back."),
    "expect": Home("fleet_state", _STATE, "Say how many workers the fleet has."),
    "read-only": Home("fleet_state", _STATE, "Stop all new work, or let it go on."),
    "up": Home("fleet_groups", _GROUPS, "Run the groups of workers that a file describes."),
    "scale": Home("fleet_groups", _GROUPS, "Have so many workers in a group from now on."),
    "restart": Home("fleet_groups", _GROUPS, "Renew the workers of a group, or of all."),
    "drain": Home("fleet_groups", _GROUPS, "Let workers finish what they run and stay away."),
    "down": Home("fleet_groups", _GROUPS, "End a fleet; its workers finish what they run."),
}


@click.group("fleet", cls=LazyGroup, homes=HOMES, no_args_is_help=True)
def fleet_command() -> None:
    """See the fleet, correct what is thought of it, and run groups of workers."""
