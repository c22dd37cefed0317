"""A simulated fleet: workers that beat by rules, a Redis that keeps beats, a leader that looks.

Nothing is real but the detector. Time is a number, so an hour of a thousand workers takes seconds.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from coordq.fleet.detector import Detector, Findings
from coordq.fleet.roster import Introduction, Member, Policy, Sight
from coordq.fleet.tell import Telling

BEAT_MS = 2000
START_MS = 1_700_000_000_000


@dataclass
class Villager:
    """One simulated worker."""

    name: str
    zone: str = "z"
    beat_ms: int = BEAT_MS
    jitter: float = 0.02
    """Each interval is longer or shorter by up to this part."""
    slow: float = 1.0
    """Its clock's second, in seconds."""
    incarnation: int = 1
    lost: int = 0
    protocol: int = 2
    next_ms: float = 0
    beating: bool = True

    @property
    def lease_ms(self) -> int:
        return 5 * self.beat_ms

    def says(self) -> Introduction:
        if self.protocol < 2:
            return Introduction(self.zone, lease_ms=self.lease_ms)
        return Introduction(
            self.zone, self.beat_ms, self.lease_ms, self.incarnation, self.lost, self.protocol
        )


@dataclass
class Town:
    """A fleet, its Redis and its leader."""

    detector: Detector = field(default_factory=Detector)
    seed: int = 1
    now_ms: int = START_MS
    workers: dict[str, Villager] = field(default_factory=dict)
    beats: dict[str, int] = field(default_factory=dict)
    """What Redis knows."""
    roster: dict[str, Member] = field(default_factory=dict)
    told: list[Telling] = field(default_factory=list)
    policy: Policy = field(default_factory=Policy)
    found: Findings = field(default_factory=Findings)
    look_ms: int = 500
    redis_away: bool = False
    leader_away: bool = False
    grace_until_ms: int = 0
    seen_ms: int = 0
    forgotten: set[str] = field(default_factory=set)
    """Whom Redis was told to forget: with the next beat they come as new."""
    wanted: set[str] = field(default_factory=set)
    next_look_ms: int = START_MS

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    # -- who there is --------------------------------------------------------------------------

    def settle(self, amount: int, zone: str = "z", **how: float) -> list[Villager]:
        """New workers, which have not beaten yet; their beats are spread."""
        new = []
        for _ in range(amount):
            worker = Villager(f"{zone}.{len(self.workers)}", zone, **how)  # type: ignore[arg-type]
            worker.next_ms = self.now_ms + self.chance.uniform(0, worker.beat_ms)
            self.workers[worker.name] = worker
            new.append(worker)
        return new

    def kill(self, *workers: Villager) -> None:
        for worker in workers:
            worker.beating = False

    def revive(self, *workers: Villager) -> None:
        for worker in workers:
            worker.beating, worker.next_ms = True, self.now_ms + self.chance.uniform(0, 50)

    def leave(self, worker: Villager) -> None:
        """It ends in good order."""
        worker.beating = False
        self.beats.pop(worker.name, None)

    # -- time ----------------------------------------------------------------------------------

    def live(self, ms: int) -> None:
        """Let time pass, in steps of 50 ms."""
        until = self.now_ms + ms
        while self.now_ms < until:
            self.now_ms += 50
            if not self.redis_away:
                self._beat_all()
            if self.now_ms >= self.next_look_ms and not (self.redis_away or self.leader_away):
                self.look()

    def _beat_all(self) -> None:
        for worker in self.workers.values():
            if worker.beating and worker.next_ms <= self.now_ms:
                self._beat(worker)

    def _beat(self, worker: Villager) -> None:
        newest = max(self.beats.values(), default=0)
        if newest and self.now_ms - newest > worker.lease_ms / 2:
            self.grace_until_ms = self.now_ms + worker.lease_ms
        if worker.name in self.forgotten:
            self.forgotten.discard(worker.name)
            worker.incarnation += 1
        self.beats[worker.name] = self.now_ms
        pause_ms = worker.beat_ms * worker.slow
        pause_ms *= 1 + self.chance.uniform(-worker.jitter, worker.jitter)
        worker.next_ms = self.now_ms + pause_ms

    def look(self, *, ours: bool = True) -> Findings:
        """One look of the leader, and what it does about it."""
        sight = Sight(
            now_ms=self.now_ms,
            seen_ms=self.seen_ms,
            grace_ms=max(0, self.grace_until_ms - self.now_ms),
            known=len(self.roster),
            beats=dict(self.beats),
            introductions={
                name: self.workers[name].says() for name in self.wanted if name in self.workers
            },
            policy=self.policy,
        )
        self.found = self.detector.look(sight, ours=ours)
        if self.found.reread:
            self.detector.recall(self.roster, self.roster)
            self.next_look_ms = self.now_ms + 50
            return self.found
        self.seen_ms, self.wanted = self.now_ms, set(self.found.wanted)
        self._write()
        self.told += self.found.tell
        self.next_look_ms = self.now_ms + self.look_ms
        return self.found

    def _write(self) -> None:
        answers = {}
        for entry in self.detector.changes():
            member = entry.member
            answers[member.name] = "ok"
            if entry.verb == "drop":
                self.roster.pop(member.name, None)
                continue
            if entry.verb == "dead":
                self.beats.pop(member.name, None)
                self.forgotten.add(member.name)
            self.roster[member.name] = member
        self.detector.confirm(answers, self.found)

    def depose(self, **how: object) -> None:
        """Another leader takes over, with what the roster holds."""
        memory = self.detector.memory.dump()
        self.detector = Detector(**how)  # type: ignore[arg-type]
        self.detector.recall(self.roster, self.roster)
        from coordq.fleet.partition import read_memory

        self.detector.memory = read_memory(memory.encode())

    # -- what was told -------------------------------------------------------------------------

    def kinds(self, *wanted: str) -> list[str]:
        """Which kinds of events were told, in order; only `wanted` ones if any are named."""
        return [kind for kind, _, _ in self.told if not wanted or kind in wanted]

    def of(self, subjects: Iterable[Villager]) -> list[str]:
        """What was told of some workers."""
        names = {worker.name for worker in subjects}
        return [kind for kind, subject, _ in self.told if subject in names and kind != "joined"]

    def detail(self, kind: str) -> str:
        """The words of the only event of a kind."""
        (detail,) = [detail for each, _, detail in self.told if each == kind]
        return detail
