"""Whether a fleet is well: who leads it, whether all agree, and what keeps it from working."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from coordq.interfaces.finding import Finding, Grade, finding
from coordq.interfaces.words import one_line, span

if TYPE_CHECKING:
    from coordq.client.client import Client
    from coordq.fleet.election import Leader, Listed

SKEW_MS: Final = 1000.0
NAMED_MAX: Final = 5


def workers(client: Client) -> Iterator[Finding]:
    """Who is alive, who went without a word, and who is of an old version."""
    from coordq.engine import keys
    from coordq.fleet.roster import PROTOCOL

    key = keys.workers(keys.root(client.namespace, 0))
    known = {name.decode() for name in client.engine.execute(0, "ZRANGE", key, 0, -1)}
    alive = {worker.name for worker in client.work.workers()}
    gone = sorted(known - alive)
    says = f"{len(alive)} alive"
    if gone:
        says += f"; {len(gone)} ended without a word: {', '.join(gone[:NAMED_MAX])}"
    grade: Grade = "ok" if alive else "info"
    yield finding("workers", grade, says, alive=len(alive), gone=gone)
    old = [worker.name for worker in client.fleet.status().workers if worker.protocol < PROTOCOL]
    if old:
        says = (
            f"{len(old)} of version 0.1: {', '.join(old[:NAMED_MAX])}. They are watched and "
            "served, but have no incarnation and do not know read-only. Restart them"
        )
        yield finding("protocol", "warn", one_line(says), workers=old)


def supervisors(client: Client) -> Iterator[Finding]:
    """Who leads, who would, under which settings, and by which clock."""
    from coordq.fleet.election import standing

    office = client.engine.run(standing())
    leader = office.leader
    if leader is None:
        says = (
            "none leads: tasks are safe, workers take back claims and make due tasks ready; but "
            "nobody fires schedules, repairs, or tells a crash from a partition. "
            "Run: coordq supervisor"
        )
        yield finding("supervisors", "info", says, leader=None, waiting=[])
        return
    others = [one for one in office.supervisors if one.name != leader.name]
    waiting = [one.name for one in others]
    says = f"{leader.name} leads with epoch {leader.epoch}; {len(waiting)} in waiting"
    if not waiting:
        says += ": when it ends nobody takes over. Run a second one on another machine"
    yield finding("supervisors", "ok", says, leader=leader.name, waiting=waiting)
    yield from _disagreements(leader, others)
    yield from _clocks(office.supervisors)


def _disagreements(leader: Leader, others: list[Listed]) -> Iterator[Finding]:
    """Stand-bys that would lead otherwise."""
    for one in others:
        theirs = one.info.get("settings")
        if not isinstance(theirs, dict):
            continue
        differ = sorted(
            name
            for name, value in leader.settings.items()
            if name in theirs and theirs[name] != value
        )
        if differ:
            words = ", ".join(
                f"{name} {theirs[name]}, not {leader.settings[name]}" for name in differ
            )
            says = f"{one.name} would lead with other settings than {leader.name}: {words}"
            yield finding("settings", "warn", one_line(says), supervisor=one.name, differ=differ)


def _clocks(listed: tuple[Listed, ...]) -> Iterator[Finding]:
    """Supervisors whose clock is not that of Redis: their logs are hard to compare."""
    skews = {
        one.name: clock_ms - one.heard_ms
        for one in listed
        if isinstance(clock_ms := one.info.get("clock_ms"), int)
    }
    wrong = {name: skew for name, skew in skews.items() if abs(skew) > SKEW_MS}
    if wrong:
        each = ", ".join(
            f"{name} {span(abs(skew))} {'ahead' if skew > 0 else 'behind'}"
            for name, skew in wrong.items()
        )
        says = (
            f"not that of Redis: {each}. Nothing is decided by them, but logs are hard to compare. "
            "Use NTP"
        )
        yield finding("supervisor clocks", "warn", one_line(says), skew_ms=wrong)


def read_only(client: Client) -> Iterator[Finding]:
    """Whether new work is taken and started."""
    mode = client.fleet.status().mode
    if mode is None:
        yield finding("read-only", "ok", "no: new work is taken and started", read_only=False)
        return
    by = "an operator" if mode.by_operator else "the leader"
    end = "Run: coordq fleet read-only off" if mode.by_operator else "See: coordq fleet status"
    reason = f" ({mode.reason})" if mode.reason else ""
    says = f"yes, by {by}, {mode.who}{reason}: nothing new is taken or started. {end}"
    yield finding("read-only", "warn", one_line(says), read_only=True, **mode.to_json())
