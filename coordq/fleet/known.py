"""Workers under observation, and what the roster does not say of them yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from coordq.fleet.roster import Entry, Health, Member, Verb
from coordq.fleet.suspicion import Damper, Rhythm
from coordq.fleet.zones import Silent


class Tracked:
    """A worker under observation."""

    __slots__ = ("damper", "heard_ms", "member", "patience_ms", "resume_ms", "rhythm")

    def __init__(self, member: Member) -> None:
        self.member = member
        self.heard_ms = member.heard_ms
        """Its last beat."""
        self.resume_ms = 0
        """Its silence counts from here at the earliest."""
        self.patience_ms = 0
        """It is not judged before."""
        self.rhythm = Rhythm(member.pace_ms, promised=member.beat_ms > 0)
        self.damper = Damper(
            member.penalty, member.since_ms, flapping=member.health is Health.FLAPPING
        )

    def silence_ms(self, now_ms: int) -> int:
        """For how long it has been silent by its own fault."""
        return now_ms - max(self.heard_ms, self.resume_ms)

    @property
    def limits(self) -> tuple[float, float]:
        """It is suspected, and dead, after so long a silence."""
        rhythm = self.rhythm
        if self.damper.flapping:
            return rhythm.suspect_latest_ms, rhythm.dead_latest_ms
        return rhythm.suspect_ms, rhythm.dead_ms

    def think(self, health: Health, now_ms: int) -> None:
        """Something is thought of it from now on."""
        self.member = replace(
            self.member, health=health, since_ms=now_ms, penalty=self.damper.penalty(now_ms)
        )

    @property
    def calm(self) -> Health:
        """What is thought of it while it beats."""
        return Health.FLAPPING if self.damper.flapping else Health.HEALTHY

    def as_silent(self, now_ms: int) -> Silent:
        """Its silence, for `zones.classify`."""
        silence_ms = self.silence_ms(now_ms)
        return Silent(
            name=self.member.name,
            zone=self.member.zone,
            heard_ms=self.heard_ms,
            silence_ms=silence_ms,
            beat_ms=self.rhythm.beat_ms,
            phi=self.rhythm.phi(silence_ms),
            dead=silence_ms >= self.limits[1],
            overdue=silence_ms >= self.rhythm.dead_latest_ms,
        )

    def case(self, now_ms: int) -> dict[str, Any]:
        """What is thought of it, as plain JSON."""
        silence_ms = self.silence_ms(now_ms)
        return {
            "health": self.member.health.value,
            "zone": self.member.zone,
            "silent_ms": silence_ms,
            "phi": round(self.rhythm.phi(silence_ms), 1),
            "since_ms": self.member.since_ms,
        }


class Known:
    """The known fleet. What is changed here is to be written into the roster, and confirmed."""

    def __init__(self) -> None:
        self.members: dict[str, Tracked] = {}
        self._stored: set[str] = set()
        self._changes: dict[str, tuple[Verb, Member]] = {}

    @property
    def stored(self) -> int:
        """How many workers the roster should have."""
        return len(self._stored)

    @property
    def reachable(self) -> list[Tracked]:
        """Those that are not given up."""
        return [one for one in self.members.values() if one.member.health.reachable]

    def recall(self, members: Mapping[str, Member], names: Iterable[str]) -> list[str]:
        """Take over the roster; `names`: all its fields, also those that could not be read.

        Returns who was in the fleet and stands in the roster no more.
        """
        self._stored = set(names)
        gone = []
        for name in list(self.members):
            verb, _ = self._changes.get(name, ("", None))
            if name not in self._stored and verb != "add":
                gone.append(name)
                del self.members[name]
                self._changes.pop(name, None)
        for name, member in members.items():
            self.members.setdefault(name, Tracked(member))
        return gone

    def is_new(self, name: str) -> bool:
        """Whether the roster does not say yet that a worker belongs to the fleet."""
        return name not in self._stored

    def add(self, member: Member) -> None:
        """A worker belongs to the fleet from now on."""
        self.members[member.name] = Tracked(member)
        self._changes[member.name] = ("add", member)

    def put(self, one: Tracked, health: Health, now_ms: int, *, verb: Verb = "set") -> None:
        """Something else is thought of a worker."""
        one.think(health, now_ms)
        self.members[one.member.name] = one
        planned, _ = self._changes.get(one.member.name, ("", None))
        keep: Verb = "add" if planned == "add" and verb == "set" else verb
        self._changes[one.member.name] = (keep, one.member)

    def remove(self, name: str) -> None:
        """A worker does not belong to the fleet any more."""
        self._changes[name] = ("drop", self.members.pop(name).member)

    def changes(self) -> list[Entry]:
        """What the roster does not say yet."""
        return [Entry(verb, member) for verb, member in self._changes.values()]

    def confirm(self, answers: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """The roster has answered `changes`.

        Returns who is alive after all, and who was forgotten by somebody else.
        """
        alive, unknown = [], []
        for name, answer in answers.items():
            verb, _ = self._changes.pop(name)
            if answer == "alive":
                alive.append(name)
            elif answer == "unknown":
                self._stored.discard(name)
                unknown.append(name)
            elif verb == "drop":
                self._stored.discard(name)
            elif verb == "add":
                self._stored.add(name)
        for name in unknown:
            self.members.pop(name, None)
        return alive, unknown
