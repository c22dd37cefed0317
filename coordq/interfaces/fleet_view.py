"""What a fleet looks like: as named values, and as a row for each worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from coordq.interfaces.table import Cell, Column, Row
from coordq.interfaces.words import count, one_line, span

if TYPE_CHECKING:
    from coordq.fleet.status import FleetStatus, WorkerStatus

HEALTH_STYLES: Final = {
    "healthy": "green",
    "suspect": "yellow",
    "flapping": "yellow",
    "dead": "bold red",
    "partitioned": "bold red",
}
FLEET_COLUMNS: Final = (
    Column("Worker"),
    Column("Zone", spare=1),
    Column("Health"),
    Column("Silent", right=True),
    Column("Phi", right=True, spare=3),
    Column("Beat", right=True, spare=4),
    Column("Incarnation", right=True, spare=2),
)
_WORST_FIRST: Final = ("partitioned", "dead", "suspect", "flapping", "healthy")


def fleet_facts(status: FleetStatus) -> list[tuple[str, str | Cell]]:
    """Everything about a fleet but its workers."""
    standing = status.standing
    known = count(standing.known) + (" (expected)" if standing.expected else "")
    facts: list[tuple[str, str | Cell]] = [
        ("leader", _leader(status)),
        ("supervisors", ", ".join(one.name for one in status.supervisors) or "none"),
        ("known", known),
        ("reachable", _reachable(status)),
        ("quorum", count(standing.quorum)),
        ("mode", _mode(status)),
    ]
    facts += [(f"zone {zone}", _counts(counts)) for zone, counts in status.zones.items()]
    facts += [
        (
            f"partition {partition.zone}",
            Cell(
                f"{len(partition.away)} away since {span(status.now_ms - partition.since_ms)}, "
                f"{len(partition.back)} back",
                "bold red",
            ),
        )
        for partition in status.partitions
    ]
    return facts + [(f"fleet {one.get('name', '?')}", _group(one)) for one in status.groups]


def _leader(status: FleetStatus) -> Cell:
    leader = status.leader
    if leader is None:
        return Cell("no leader: workers recover by themselves; start `coordq supervisor`", "yellow")
    led = span(max(0, status.now_ms - leader.since_ms))
    lease = span(leader.left_ms)
    return Cell(f"{leader.name}, epoch {leader.epoch}, for {led}, lease {lease} left")


def _reachable(status: FleetStatus) -> Cell:
    standing = status.standing
    if standing.minority:
        return Cell(f"{count(standing.reachable)}: a minority", "bold red")
    return Cell(count(standing.reachable))


def _mode(status: FleetStatus) -> Cell:
    mode = status.mode
    if mode is None:
        insists = " (an operator insists on it)" if status.insists else ""
        return Cell(f"writable{insists}", "green")
    by = "an operator" if mode.by_operator else "the leader"
    reason = f": {mode.reason}" if mode.reason else ""
    when = span(max(0, status.now_ms - mode.since_ms))
    return Cell(one_line(f"read-only for {when} by {by}, {mode.who}{reason}"), "bold red")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[health]} {health}" for health in _WORST_FIRST if health in counts)


def _group(fleet: dict[str, Any]) -> str:
    """What a spawner says of its groups: `mail 3 of 3 running, crawl 1 of 2 running (drained)`."""
    groups = fleet.get("groups")
    words = [_group_words(one) for one in groups if isinstance(one, dict)] if groups else []
    return one_line(", ".join(words)) or "-"


def _group_words(group: dict[str, Any]) -> str:
    workers = group.get("workers")
    running = sum(bool(one.get("pid")) for one in workers) if isinstance(workers, list) else 0
    state = group.get("state", "running")
    said = "" if state == "running" else f" ({state})"
    return f"{group.get('name', '?')} {running} of {group.get('wanted', '?')}{said}"


def fleet_rows(status: FleetStatus) -> list[Row]:
    """One row a worker, those that are worst first."""
    ordered = sorted(
        status.workers, key=lambda one: (_WORST_FIRST.index(one.health.value), one.zone, one.name)
    )
    return [_row(worker) for worker in ordered]


def _row(worker: WorkerStatus) -> Row:
    health = worker.health.value
    return (
        worker.name,
        one_line(worker.zone),
        Cell(health, HEALTH_STYLES[health]),
        span(worker.silence_ms),
        f"{worker.phi:.1f}",
        span(worker.beat_ms) if worker.beat_ms else "-",
        str(worker.incarnation) if worker.incarnation else "- (0.1)",
    )
