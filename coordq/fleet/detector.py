"""The leader's view of the fleet: beats go in, verdicts come out.

It has no clock and does no I/O. Each look at the fleet is a `Sight`; what follows from it is a list
of things to tell, and a list of changes to the roster, which keeps them for the next leader. Times
are Redis's, so neither a worker's clock nor the leader's decides about anybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from coordq.fleet import story
from coordq.fleet.gap import NO_GAP, Gap, judge_gap
from coordq.fleet.known import Known, Tracked
from coordq.fleet.partition import Memory, Partition
from coordq.fleet.quorum import OnMinority, Standing, must_stop
from coordq.fleet.roster import Entry, Health, Introduction, Member, Sight, newcomer
from coordq.fleet.sentences import lasting
from coordq.fleet.suspicion import DEFAULT_BEAT_MS
from coordq.fleet.tell import Telling
from coordq.fleet.zones import MISSED_BEATS, Verdict, classify

FORGET_AFTER_MS: Final = 60_000
"""A crashed worker belongs to the known fleet for so long, unless it is replaced or forgotten."""
LISTED_MAX: Final = 200
"""So many that are not healthy are named in the report."""


@dataclass(slots=True)
class Findings:
    """What a look brought to light."""

    tell: list[Telling] = field(default_factory=list)
    wanted: set[str] = field(default_factory=set)
    """Whose introductions are needed: new ones, and those that may have lost claims."""
    opened: list[Partition] = field(default_factory=list)
    healed: list[Partition] = field(default_factory=list)
    standing: Standing = field(default_factory=lambda: Standing(0, 0))
    whole: bool = False
    """Most of the fleet is there, and no zone is cut off."""
    reread: bool = False
    """The roster was changed by somebody else: read it, `recall`, and look again."""


class Detector:
    """Judges the fleet for one leader."""

    def __init__(
        self,
        *,
        name: str = "supervisor",
        zone: str = "",
        on_minority: OnMinority = "auto",
        forget_after_ms: int = FORGET_AFTER_MS,
    ) -> None:
        self.known = Known()
        self.memory = Memory()
        self._name = name
        self._zone = zone
        self._on_minority = on_minority
        self._forget_after_ms = forget_after_ms
        self._strangers: dict[str, int] = {}
        self._other_server = False

    # -- what is known from before -------------------------------------------------------------

    def recall(self, members: Mapping[str, Member], names: Iterable[str]) -> None:
        """Take over the roster; `names`: all its fields, also those that could not be read."""
        for name in self.known.recall(members, names):
            self._lose(name)

    def meet_server(self, run_id: str, *, replicated: bool) -> None:
        """Which Redis answers, and whether it has replicas.

        A primary that was parted from its replicas has none just then, so what counts is whether it
        had some when the fleet was whole.
        """
        self._other_server = bool(self.memory.server) and self.memory.server != run_id
        self.memory.server = run_id
        if replicated or not (self.memory.partitions or self.memory.stopped):
            self.memory.replicated = replicated

    # -- looking -------------------------------------------------------------------------------

    def look(self, sight: Sight, *, ours: bool = True) -> Findings:
        """Judge the fleet. ours: the look before this one was this supervisor's own."""
        found = Findings()
        if sight.known != self.known.stored:
            found.reread = True
            return found
        gap = self._judge_gap(sight, ours=ours)
        found.tell += story.gap(gap, leader=self._name, there=len(self.known.reachable))
        self._hear(sight, gap, found)
        self._excuse(sight.now_ms, gap)
        self._miss(sight, found)
        self._judge_silences(sight.now_ms, found)
        self._heal(sight.now_ms, found)
        self._forget_crashed(sight.now_ms, found)
        self._stand(sight, found)
        return found

    def _judge_gap(self, sight: Sight, *, ours: bool) -> Gap:
        there = self.known.reachable
        if not there:
            return NO_GAP
        gap = judge_gap(
            sight.now_ms,
            sight.seen_ms,
            [(sight.beats.get(one.member.name, 0), one.rhythm.beat_ms) for one in there],
            ours=ours,
            grace=sight.grace_ms > 0,
            other_server=self._other_server,
        )
        self._other_server = False
        return gap

    def _excuse(self, now_ms: int, gap: Gap) -> None:
        for one in self.known.members.values():
            if gap.doubtful:
                one.patience_ms = max(one.patience_ms, now_ms + int(one.rhythm.beat_ms))
            if gap.excuses:
                one.resume_ms = now_ms
            if gap.kind == "outage":
                one.patience_ms = now_ms + one.member.lease_ms

    # -- who is heard --------------------------------------------------------------------------

    def _hear(self, sight: Sight, gap: Gap, found: Findings) -> None:
        arrived: list[tuple[Member, str]] = []
        for name, beat_ms in sight.beats.items():
            one = self.known.members.get(name)
            if one is None or not one.member.health.reachable:
                self._meet(name, beat_ms, sight, arrived, found)
            elif beat_ms > one.heard_ms:
                self._heard(one, beat_ms, sight.now_ms, gap, found)
        for name, said in sight.introductions.items():
            self._learn(name, said)
        found.tell += story.joined(arrived, known=len(self.known.members))

    def _meet(
        self,
        name: str,
        beat_ms: int,
        sight: Sight,
        arrived: list[tuple[Member, str]],
        found: Findings,
    ) -> None:
        """One that is not in the fleet, or was given up, is on the list of beats."""
        before = self.known.members.get(name)
        if before is not None and beat_ms <= before.heard_ms:
            return  # that it was given up could not be written down yet
        said = sight.introductions.get(name)
        if said is None:
            # who died before anybody watched is on that list for a day, and asked for once
            if self._strangers.get(name) != beat_ms:
                self._strangers[name] = beat_ms
                found.wanted.add(name)
            return
        self._strangers.pop(name, None)
        member = newcomer(name, said, now_ms=sight.now_ms, heard_ms=beat_ms)
        if before is not None:
            self._rejoin(before, member, said, sight.now_ms, found)
            return
        replaced = self._replaced_by(member)
        self.known.add(member)
        arrived.append((member, replaced))

    def _replaced_by(self, member: Member) -> str:
        """The crashed worker whose restart this is; it does not belong to the fleet any more."""
        for name, one in self.known.members.items():
            if one.member.health is Health.DEAD and one.member.lineage == member.lineage:
                self._remove(name)
                return name
        return ""

    def _rejoin(
        self, one: Tracked, member: Member, said: Introduction, now_ms: int, found: Findings
    ) -> None:
        found.tell.append(story.rejoined(one.member, said, now_ms))
        if one.member.health is Health.DEAD and one.damper.recover(now_ms):
            found.tell.append(story.flapping(one, now_ms))
        for partition in self.memory.partitions.values():
            partition.welcome(member.name, now_ms)
        fresh = Tracked(replace(member, joined_ms=one.member.joined_ms))
        fresh.damper = one.damper
        self.known.put(fresh, fresh.calm, now_ms)

    def _heard(self, one: Tracked, beat_ms: int, now_ms: int, gap: Gap, found: Findings) -> None:
        silence_ms, one.heard_ms = beat_ms - one.heard_ms, beat_ms
        if gap.kind == "none":
            one.rhythm.hear(silence_ms)
        if one.member.health is Health.SUSPECT:
            began = one.damper.recover(now_ms)
            self.known.put(one, one.calm, now_ms)
            if began:
                found.tell.append(story.flapping(one, now_ms))
            elif not one.damper.flapping:
                detail = f"heard again after {lasting(silence_ms)}"
                found.tell.append(("healthy", one.member.name, detail))
        elif one.damper.calm(now_ms):
            self.known.put(one, Health.HEALTHY, now_ms)
            found.tell.append(("healthy", one.member.name, "steady again"))

    def _learn(self, name: str, said: Introduction) -> None:
        """What a known worker says anew: how much it has lost."""
        one = self.known.members.get(name)
        if one is not None and one.member.lost != said.lost:
            one.member = replace(one.member, lost=said.lost)
        for partition in self.memory.partitions.values():
            partition.hear(name, said.lost)

    # -- who is not heard ----------------------------------------------------------------------

    def _miss(self, sight: Sight, found: Findings) -> None:
        """Who is on the list of beats no more has left in good order."""
        beating = sight.beats.keys()
        gone = [one.member for one in self.known.reachable if one.member.name not in beating]
        for member in gone:
            self._remove(member.name)
        remain = len(self.known.members)
        found.tell += story.left(gone, remain=remain, now_ms=sight.now_ms)

    def _judge_silences(self, now_ms: int, found: Findings) -> None:
        dead = False
        for one in self.known.members.values():
            member = one.member
            silence_ms = one.silence_ms(now_ms)
            if silence_ms < one.rhythm.suspect_ms or not member.health.reachable:
                continue
            # who is new has to be written down first
            if now_ms < one.patience_ms or self.known.is_new(member.name):
                continue
            suspect_ms, dead_ms = one.limits
            dead = dead or silence_ms >= dead_ms
            if silence_ms >= suspect_ms and member.health is not Health.SUSPECT:
                self._suspect(one, now_ms, found)
        if dead:
            self._condemn(now_ms, found)

    def _suspect(self, one: Tracked, now_ms: int, found: Findings) -> None:
        found.wanted.add(one.member.name)
        if not one.damper.flapping:
            found.tell.append(story.suspect(one, now_ms))
        self.known.put(one, Health.SUSPECT, now_ms)

    def _condemn(self, now_ms: int, found: Findings) -> None:
        reachable = self.known.reachable
        population = Counter(one.member.zone for one in reachable)
        silent = [
            one.as_silent(now_ms)
            for one in reachable
            if now_ms >= one.patience_ms
            and not self.known.is_new(one.member.name)
            and one.silence_ms(now_ms) >= MISSED_BEATS * one.rhythm.beat_ms
        ]
        parted = self.memory.partitions
        for verdict in classify(silent, population, parted=parted, own_zone=self._zone):
            self._apply(verdict, now_ms, found)

    def _apply(self, verdict: Verdict, now_ms: int, found: Findings) -> None:
        members = [self.known.members[name] for name in verdict.members]
        health = Health.DEAD if verdict.kind == "crash" else Health.PARTITIONED
        for one in members:
            one.member = replace(one.member, heard_ms=one.heard_ms)
            self.known.put(one, health, now_ms, verb="dead")
        if verdict.kind == "crash":
            found.tell.append(story.crashed(verdict))
            return
        partition = self.memory.partitions.get(verdict.zone)
        if partition is None:
            since_ms = min(one.heard_ms for one in members)
            partition = Partition(verdict.zone, since_ms, away=set(), lost_before={})
            self.memory.partitions[verdict.zone] = partition
            found.opened.append(partition)
            found.tell.append(("partition", verdict.zone, verdict.evidence))
        else:
            found.tell.append(("dead", verdict.members[0], verdict.evidence))
        for one in members:
            partition.join(one.member)

    # -- what passes ---------------------------------------------------------------------------

    def _heal(self, now_ms: int, found: Findings) -> None:
        for partition in list(self.memory.partitions.values()):
            beat_ms = self._beat_of(partition)
            found.wanted |= set(partition.back)
            for name in sorted(partition.stragglers(now_ms, beat_ms=beat_ms)):
                partition.lose(name)
                self.known.put(self.known.members[name], Health.DEAD, now_ms)
                found.tell.append(story.straggler(name, partition.zone))
            if partition.settled(now_ms, beat_ms=beat_ms):
                del self.memory.partitions[partition.zone]
                found.healed.append(partition)

    def _beat_of(self, partition: Partition) -> int:
        members = self.known.members
        names = [name for name in (*partition.away, *partition.back) if name in members]
        return max((members[name].member.pace_ms for name in names), default=DEFAULT_BEAT_MS)

    def _forget_crashed(self, now_ms: int, found: Findings) -> None:
        for name, one in list(self.known.members.items()):
            expired = now_ms - one.member.since_ms >= self._forget_after_ms
            if one.member.health is Health.DEAD and expired:
                self._remove(name)
                found.tell.append(story.forgotten(one.member, now_ms))

    # -- whether the fleet may work ------------------------------------------------------------

    def _stand(self, sight: Sight, found: Findings) -> None:
        standing = standing_of(
            [one.member for one in self.known.members.values()], sight.policy.expect
        )
        found.standing = standing
        found.whole = not standing.minority and not self.memory.partitions
        stop = must_stop(standing, self._on_minority, replicated=self.memory.replicated)
        stop = stop and not sight.policy.writable
        if stop is self.memory.stopped:
            return
        self.memory.stopped = stop
        if stop:
            found.tell.append(("read-only", "fleet", story.minority(standing)))
        else:
            why = "the operator says so" if sight.policy.writable else story.reachable(standing)
            found.tell.append(("writable", "fleet", f"work goes on: {why}"))

    # -- changes -------------------------------------------------------------------------------

    def changes(self) -> list[Entry]:
        """What the roster does not say yet."""
        return self.known.changes()

    def confirm(self, answers: Mapping[str, str], found: Findings) -> None:
        """The roster has been changed. What turned out otherwise is taken back from `found`."""
        alive, unknown = self.known.confirm(answers)
        for name in alive:
            self._spare(name, found)
        for name in unknown:
            self._lose(name)

    def _spare(self, name: str, found: Findings) -> None:
        """It beat in the very moment in which it was declared dead."""
        one = self.known.members[name]
        self.known.put(one, one.calm, one.member.since_ms)
        found.tell[:] = [telling for telling in found.tell if telling[1] != name]
        for partition in list(self.memory.partitions.values()):
            partition.spare(name)
            if not partition.lost_before:
                del self.memory.partitions[partition.zone]
                found.opened[:] = [other for other in found.opened if other is not partition]
                found.tell[:] = [telling for telling in found.tell if telling[1] != partition.zone]

    def _remove(self, name: str) -> None:
        self.known.remove(name)
        self._lose(name)

    def _lose(self, name: str) -> None:
        for partition in self.memory.partitions.values():
            partition.lose(name)

    # -- for people ----------------------------------------------------------------------------

    @property
    def pace_ms(self) -> float:
        """The shortest promise of a beat."""
        beats = (one.rhythm.beat_ms for one in self.known.reachable)
        return min(beats, default=DEFAULT_BEAT_MS)

    def facts(self, now_ms: int, standing: Standing) -> dict[str, Any]:
        """What is thought of the fleet, as plain JSON: the report "fleet"."""
        members = self.known.members.values()
        zones: dict[str, Counter[str]] = {}
        for one in members:
            zones.setdefault(one.member.zone, Counter())[one.member.health.value] += 1
        unwell = [one for one in members if one.member.health is not Health.HEALTHY]
        return {
            "at_ms": now_ms,
            **standing.to_json(),
            "counts": dict(sum(zones.values(), Counter())),
            "zones": {zone: dict(counts) for zone, counts in sorted(zones.items())},
            "workers": {one.member.name: one.case(now_ms) for one in unwell[:LISTED_MAX]},
            "partitions": [one.to_json() for one in self.memory.partitions.values()],
            "mode": "read-only" if self.memory.stopped else "writable",
            "reason": story.minority(standing) if self.memory.stopped else "",
        }


def standing_of(members: Iterable[Member], expect: int) -> Standing:
    """How much of a fleet can be reached. expect: its size as the operator says, 0: count it."""
    listed = list(members)
    reachable = sum(member.health.reachable for member in listed)
    zones = len({member.zone for member in listed})
    return Standing(expect or len(listed), reachable, zones, expected=expect > 0)
