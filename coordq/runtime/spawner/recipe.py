"""How the members of a group are started: what a fleet file says, as command lines."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coordq import settings
from coordq.fleet.file import SUPERVISOR, FleetFile, Group, Restart, Supervisor
from coordq.runtime.logs import Format
from coordq.runtime.spawner.budget import Budget
from coordq.runtime.spawner.scale import Rule

SUPERVISOR_END_S: Final = 5.0
"""A supervisor has no work to finish, only to hand over."""
SUPERVISOR_START_S: Final = 60.0
_OURS: Final = ("COORDQ_WORKER_", "COORDQ_SUPERVISOR_", "COORDQ_FLEET_")
"""Flags of commands as variables: those of the spawner are not for what it starts."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What all groups of a fleet share."""

    fleet: str
    """The fleet's name."""
    folder: Path
    """Where the fleet file is; targets are relative to it."""
    url: str | None = None
    namespace: str | None = None
    log_format: Format = "text"
    log_level: str = "info"


@dataclass(frozen=True, slots=True)
class Recipe:
    """All about one group, except what happens to it. Times are seconds."""

    group: str
    name: str
    """What its workers' names begin with; the number of a place follows."""
    command: tuple[str, ...]
    """Without the name and the tether."""
    after: tuple[str, ...]
    """What follows them."""
    environment: dict[str, str]
    folder: Path
    size: int
    """How many are started at first."""
    budget: Budget
    drain_s: float
    """How long a member may take to end in good order."""
    start_s: float
    """How long it may take until it serves."""
    is_supervisor: bool = False
    alone: bool = False
    """Two cannot run beside each other: they would want the same port."""
    rule: Rule | None = None
    """When it scales by itself."""
    queues: tuple[str, ...] = ()
    processes: int = 1
    nice: int = 0


def recipes(fleet: FleetFile, origin: Origin) -> list[Recipe]:
    """One for each group, the supervisor's last."""
    found = [_of_group(name, group, fleet, origin) for name, group in fleet.groups.items()]
    if fleet.supervisor is not None and fleet.supervisor.enabled:
        found.append(_of_supervisor(fleet.supervisor, fleet, origin))
    return found


def _of_group(name: str, group: Group, fleet: FleetFile, origin: Origin) -> Recipe:
    words = [
        *_flag("processes", group.processes),
        *_flag("concurrency", group.concurrency),
        *_flag("threads", group.threads),
        *_flag("queues", ",".join(f"{queue}:{weight}" for queue, weight in group.queues)),
        *_flag("zone", group.zone or fleet.zone),
        *_flag("beat", group.beat),
        *_flag("lease", group.lease),
        *_flag("max-tasks", group.limits.max_tasks),
        *_flag("max-rss", group.limits.max_rss),
        *_flag("drain-timeout", group.limits.drain_timeout),
        *_flag("stall-after", group.stall.after),
        *_flag("stall-policy", group.stall.policy),
        *(word for key, value in group.labels.items() for word in _flag("label", f"{key}={value}")),
    ]
    return Recipe(
        group=name,
        name=f"{origin.fleet}.{name}",
        command=_command("worker", words, origin),
        after=("--", *group.targets),
        environment=_environment(origin, fleet.environment, group.environment),
        folder=origin.folder,
        size=group.least,
        budget=_budget(group.restart),
        drain_s=group.limits.drain_timeout,
        start_s=group.start_timeout,
        rule=_rule(group),
        queues=tuple(queue for queue, _ in group.queues),
        processes=group.processes,
        nice=group.limits.nice,
    )


def _of_supervisor(chosen: Supervisor, fleet: FleetFile, origin: Origin) -> Recipe:
    words = [
        *_flag("zone", chosen.zone or fleet.zone),
        *_flag("leader-lease", chosen.lease),
        *_flag("on-minority", chosen.on_minority),
        *_flag("audit-every", chosen.audit_every),
        *_flag("dead-retention", chosen.dead_retention),
        *_flag("event-retention", chosen.event_retention),
        *_flag("stuck-after", chosen.stuck_after),
        *_flag("health-port", chosen.health_port),
        *_flag("health-host", chosen.health_host),
    ]
    return Recipe(
        group=SUPERVISOR,
        name=f"{origin.fleet}.{SUPERVISOR}",
        command=_command("supervisor", words, origin),
        after=(),
        environment=_environment(origin, fleet.environment, chosen.environment),
        folder=origin.folder,
        size=1,
        budget=_budget(chosen.restart),
        drain_s=SUPERVISOR_END_S,
        start_s=SUPERVISOR_START_S,
        is_supervisor=True,
        alone=bool(chosen.health_port),
    )


def _flag(name: str, value: float | str | None) -> tuple[str, ...]:
    """An option as two words, or none when it was not said."""
    if value is None or value == "":
        return ()
    return f"--{name}", value if isinstance(value, str) else f"{value:.15g}"


def _command(verb: str, words: list[str], origin: Origin) -> tuple[str, ...]:
    logs = ("--log-format", origin.log_format, "--log-level", origin.log_level)
    return (sys.executable, "-P", "-m", "coordq", verb, *words, *logs)


def _environment(origin: Origin, *said: dict[str, str]) -> dict[str, str]:
    """Ours, and what the file says. The URL goes here: command lines are seen by everybody."""
    inherited = settings.environment()
    values = {key: value for key, value in inherited.items() if not key.startswith(_OURS)}
    values.setdefault("PYTHONUNBUFFERED", "1")  # or prints would come when a buffer is full
    for pairs in said:
        values |= pairs
    if origin.url:
        values["COORDQ_URL"] = origin.url
    if origin.namespace:
        values["COORDQ_NAMESPACE"] = origin.namespace
    return values


def _budget(restart: Restart) -> Budget:
    return Budget(restart.restarts, restart.per, restart.first, restart.longest)


def _rule(group: Group) -> Rule | None:
    if group.max is None:
        return None
    chosen = group.autoscale
    return Rule(group.least, group.max, chosen.scale_up_age, chosen.utilisation, chosen.cooldown)
