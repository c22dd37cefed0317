"""The fleet as people see it: who leads, who is there and how well, and whether it may work.

A leader's judgement stands in the roster. Without a leader the same functions judge the beats as
they are just now, so that somebody who looks is never left with nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from coordq.engine.call import Call
from coordq.fleet.detector import standing_of
from coordq.fleet.election import Leader, Listed
from coordq.fleet.election import Standing as Office
from coordq.fleet.known import Tracked
from coordq.fleet.partition import Partition, read_memory
from coordq.fleet.quorum import Standing
from coordq.fleet.readonly import ReadOnlyMode, read_mode
from coordq.fleet.roster import (
    Health,
    Introduction,
    Member,
    Policy,
    Roster,
    introduction,
    newcomer,
    read_beats,
    read_roster,
)


@dataclass(frozen=True, slots=True)
class View:
    """What Redis holds about the workers of a fleet."""

    now_ms: int
    beats: dict[str, int]
    introductions: dict[str, Introduction]
    roster: Roster
    policy: Policy
    mode: ReadOnlyMode | None


def look() -> Call[View]:
    """Everything that is known of the fleet's workers."""

    def read(reply: Any) -> View:
        now_ms, beats, infos, roster, expect, writable, readonly = reply
        return View(
            now_ms=now_ms,
            beats=read_beats(beats),
            introductions={
                infos[at].decode(): introduction(infos[at + 1], infos[at + 2])
                for at in range(0, len(infos), 3)
            },
            roster=read_roster(roster),
            policy=Policy(expect, writable == 1),
            mode=read_mode(readonly),
        )

    return Call("fleet/look", 0, (), read)


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker."""

    name: str
    zone: str
    health: Health
    silence_ms: int
    phi: float
    """How much the silence tells against it, from 0 to 99."""
    incarnation: int
    """How often it has come into the fleet; 0: it is of version 0.1, which does not say."""
    beat_ms: int
    """It promised a beat in so long; 0: it does not say."""
    since_ms: int
    """Since when it is thought of like that."""
    protocol: int

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "name": self.name,
            "zone": self.zone,
            "health": self.health.value,
            "silence_ms": self.silence_ms,
            "phi": self.phi,
            "incarnation": self.incarnation,
            "beat_ms": self.beat_ms,
            "since_ms": self.since_ms,
            "protocol": self.protocol,
        }


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """The fleet at a moment."""

    now_ms: int
    leader: Leader | None
    """None: nobody leads, and what is said here was judged by who looks."""
    supervisors: tuple[Listed, ...]
    workers: tuple[WorkerStatus, ...]
    standing: Standing
    mode: ReadOnlyMode | None
    """Who has made the fleet read-only; None when work goes on."""
    insists: bool
    """The operator has said that work goes on, until the fleet has been whole again."""
    partitions: tuple[Partition, ...]
    groups: tuple[dict[str, Any], ...] = ()
    """What `coordq fleet up` runs, as each spawner says it."""
    rates: dict[str, Any] = field(default_factory=dict)
    """What the leader's aggregator measured last; empty when there is none."""

    @property
    def zones(self) -> dict[str, dict[str, int]]:
        """Zone -> how many of its workers are how well."""
        zones: dict[str, Counter[str]] = {}
        for worker in self.workers:
            zones.setdefault(worker.zone, Counter())[worker.health.value] += 1
        return {zone: dict(zones[zone]) for zone in sorted(zones)}

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "now_ms": self.now_ms,
            "leader": _leader(self.leader, self.now_ms),
            "supervisors": [
                {"name": one.name, "heard_ms": one.heard_ms, **one.info} for one in self.supervisors
            ],
            "workers": [worker.to_json() for worker in self.workers],
            "zones": self.zones,
            **self.standing.to_json(),
            "mode": "writable" if self.mode is None else "read-only",
            "read_only": None if self.mode is None else self.mode.to_json(),
            "insists_on_writable": self.insists,
            "partitions": [partition.to_json() for partition in self.partitions],
            "groups": list(self.groups),
            "rates": self.rates,
        }


def _leader(leader: Leader | None, now_ms: int) -> dict[str, Any] | None:
    if leader is None:
        return None
    return {
        "name": leader.name,
        "epoch": leader.epoch,
        "since_ms": leader.since_ms,
        "led_ms": max(0, now_ms - leader.since_ms),
        "lease_left_ms": leader.left_ms,
        "settings": leader.settings,
    }


def status(
    view: View,
    office: Office,
    *,
    groups: tuple[dict[str, Any], ...] = (),
    reports: Mapping[str, dict[str, Any]] | None = None,
) -> FleetStatus:
    """The status, from what Redis holds. reports: by part, see `fleet.report`."""
    members = _members(view)
    judged = [_judged(member, view, led=office.leader is not None) for member in members]
    said = reports or {}
    cases = said.get("fleet", {}).get("workers", {})
    return FleetStatus(
        now_ms=view.now_ms,
        leader=office.leader,
        supervisors=office.supervisors,
        workers=tuple(_worker(one, view.now_ms, cases) for one in judged),
        standing=standing_of([one.member for one in judged], view.policy.expect),
        mode=view.mode,
        insists=view.policy.writable,
        partitions=tuple(read_memory(view.roster.memory).partitions.values()),
        groups=groups,
        rates=said.get("rates", {}),
    )


def _members(view: View) -> list[Member]:
    """Those of the roster, and those that no leader has seen yet."""
    listed = []
    for name in sorted(view.roster.members.keys() | view.introductions.keys()):
        member = view.roster.members.get(name)
        heard_ms = view.beats.get(name)
        said = view.introductions.get(name)
        given_up = member is not None and not member.health.reachable
        back = given_up and said is not None and heard_ms is not None
        if member is not None and not back and (heard_ms is not None or given_up):
            listed.append(member)
        elif said is not None and heard_ms is not None:
            listed.append(newcomer(name, said, now_ms=view.now_ms, heard_ms=heard_ms))
    return listed


def _judged(member: Member, view: View, *, led: bool) -> Tracked:
    """A worker with its last beat; without a leader, what this silence means."""
    one = Tracked(member)
    one.heard_ms = view.beats.get(member.name, member.heard_ms)
    if not led and member.health.reachable:
        suspect_ms, dead_ms = one.limits
        silence_ms = one.silence_ms(view.now_ms)
        health = one.calm
        if silence_ms >= suspect_ms:
            health = Health.DEAD if silence_ms >= dead_ms else Health.SUSPECT
        one.think(health, view.now_ms)
    return one


def _worker(one: Tracked, now_ms: int, cases: Mapping[str, Any]) -> WorkerStatus:
    member, silence_ms = one.member, max(0, one.silence_ms(now_ms))
    case = cases.get(member.name)
    phi = case.get("phi") if isinstance(case, dict) else None
    return WorkerStatus(
        name=member.name,
        zone=member.zone,
        health=member.health,
        silence_ms=silence_ms,
        phi=float(phi) if isinstance(phi, int | float) else round(one.rhythm.phi(silence_ms), 1),
        incarnation=member.incarnation,
        beat_ms=member.beat_ms,
        since_ms=member.since_ms,
        protocol=member.protocol,
    )
