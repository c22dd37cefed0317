"""The call that runs a fleet: `run_fleet(file, origin) -> exit code`."""

from __future__ import annotations

import asyncio
import os
import re
import socket

from coordq.errors import InvalidFleetFile
from coordq.fleet.file import FleetFile
from coordq.fleet.written import NAME_MAX
from coordq.runtime import logs
from coordq.runtime.spawner.recipe import Origin, recipes
from coordq.runtime.spawner.spawner import Spawner


def host_name() -> str:
    """What a fleet is called that has no name: this machine."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname()).lstrip(".-")[:NAME_MAX] or "fleet"


def run_fleet(fleet: FleetFile, origin: Origin) -> int:
    """Run a fleet until it is told to end; returns the process's exit code.

    0: it ended in good order. 1: a group gave up, or the end had to be forced. Raises Conflict when
    a fleet of this name runs, InvalidFleetFile for targets that are not there, and what opening the
    engine raises (Unreachable, ...). Must be called from the main thread, for the signals.
    """
    check_targets(fleet, origin)
    os.chdir(origin.folder)  # where its workers run: embedded://data must be one place for all
    logs.configure(
        origin.fleet, form=origin.log_format, level=origin.log_level, everything=False, role="fleet"
    )
    return asyncio.run(Spawner(origin, recipes(fleet, origin)).run())


def check_targets(fleet: FleetFile, origin: Origin) -> None:
    """Raise InvalidFleetFile when a target is a path, and nothing is there."""
    for name, group in fleet.groups.items():
        for target in group.targets:
            path = target.partition(":")[0]
            if ("/" in path or path.endswith(".py")) and not (origin.folder / path).exists():
                raise InvalidFleetFile(
                    f"[groups.{name}] targets = {target!r}: there is no such file or folder in "
                    f"{origin.folder}. Paths are relative to the fleet file.",
                    group=name,
                    target=target,
                )
