"""The part that watches the fleet: who lives, who is suspected, who was cut off, who is back.

What it thinks stands in the roster, so the next leader goes on from there. Whatever goes wrong in a
round is made up for in the next: changes wait until Redis has taken them, and so does what is told.
"""

from __future__ import annotations

import socket
from typing import ClassVar, Final

from coordq import clock
from coordq.engine import keys, schema
from coordq.errors import Unreachable
from coordq.fleet import readonly, story
from coordq.fleet.detector import Detector, Findings
from coordq.fleet.partition import Partition, read_memory
from coordq.fleet.report import publish
from coordq.fleet.roster import (
    Sight,
    disown,
    enroll,
    observe,
    read_roster,
    set_policy,
)
from coordq.fleet.tell import Telling, tell
from coordq.runtime.supervisor.chronicle import books_of, refused_since
from coordq.runtime.supervisor.part import Part
from coordq.runtime.supervisor.settings import SupervisorSettings
from coordq.runtime.supervisor.term import Term

LOOK_S: Final = 0.5
"""Looks are so far apart, or a quarter of the shortest beat if that is less."""
LOOKS_A_BEAT: Final = 4
SHARE: Final = 0.05
"""Of a core at most, however large the fleet is: then looks come less often."""
AT_ONCE: Final = 500
"""So many introductions or changes travel together."""
PUBLISH_S: Final = 1.0
REPORT_TTL_MS: Final = 15_000
SERVER_S: Final = 30.0
"""How often it is asked which Redis this is, besides after each gap."""
GAP_MS: Final = 1000
AGAIN_S: Final = 0.01
RETRY_S: Final = 0.2


class Watcher(Part):
    """Looks at all beats, judges, and writes down and tells what follows."""

    name: ClassVar[str] = "watcher"

    def __init__(self, settings: SupervisorSettings) -> None:
        super().__init__()
        self._on_minority = settings.on_minority
        self._zone = settings.zone or socket.gethostname()
        self._detector: Detector | None = None
        self._remembered = ""
        self._own_ms = 0
        """What time it was for Redis when this supervisor last looked, in any of its terms."""
        self._wanted: set[str] = set()
        self._untold: list[Telling] = []
        self._healed: list[Partition] = []
        self._server_at = self._published_at = self._stopped_at = float("-inf")

    def begin(self, term: Term) -> None:
        """Forget what an earlier term knew: the roster knows more."""
        self._detector = None
        self._wanted.clear()
        self._untold = []
        self._healed.clear()
        self._server_at = self._published_at = self._stopped_at = float("-inf")

    async def round(self, term: Term) -> float:
        """One look, and what follows from it."""
        began = clock.monotonic()
        detector = self._detector or await self._recall(term)
        wanted = sorted(self._wanted)[:AT_ONCE]
        seen_ms = 0 if self._detector is None else self._own_ms
        try:
            sight = await term.run(observe(term.epoch, seen_ms=seen_ms, wanted=wanted))
        except Unreachable:
            self.counts["unanswered"] += 1
            return RETRY_S  # soon: what an outage was shows best right after it
        await self._ask_server(term, detector, sight)
        found = detector.look(sight, ours=0 < sight.seen_ms <= self._own_ms)
        if found.reread:
            await self._reread(term, detector)
            return AGAIN_S
        self._detector, self._own_ms = detector, sight.now_ms
        self._wanted = (self._wanted - set(wanted)) | found.wanted
        await self._follow(term, detector, sight, found)
        busy_s = clock.monotonic() - began
        return max(min(LOOK_S, detector.pace_ms / 1000 / LOOKS_A_BEAT), busy_s / SHARE)

    # -- what is known from before -------------------------------------------------------------

    async def _recall(self, term: Term) -> Detector:
        detector = Detector(name=term.name, zone=self._zone, on_minority=self._on_minority)
        self._remembered = await self._reread(term, detector)
        detector.memory = read_memory(self._remembered.encode())
        return detector

    async def _reread(self, term: Term, detector: Detector) -> str:
        """Take over the roster as it is; returns what leaders have noted in it."""
        key = keys.roster(keys.root(term.engine.namespace, 0))
        roster = read_roster(await term.engine.execute(0, "HGETALL", key))
        detector.recall(roster.members, roster.names)
        return roster.memory.decode(errors="replace")

    async def _ask_server(self, term: Term, detector: Detector, sight: Sight) -> None:
        """Which Redis answers, and whether it has replicas."""
        after_gap = sight.now_ms - sight.seen_ms > GAP_MS
        if not after_gap and clock.monotonic() - self._server_at < SERVER_S:
            return
        replicated = term.engine.address.kind == "sentinel"
        run_id = ""
        for shard in range(term.shards):
            facts = schema.read_info(await term.engine.execute(shard, "INFO"))
            run_id = run_id or facts.get("run_id", "")
            replicated = replicated or facts.get("connected_slaves", "0") != "0"
        detector.meet_server(run_id, replicated=replicated)
        self._server_at = clock.monotonic()

    # -- what follows --------------------------------------------------------------------------

    async def _follow(self, term: Term, detector: Detector, sight: Sight, found: Findings) -> None:
        self._untold += found.tell
        found.tell = self._untold
        self._healed += found.healed
        for partition in found.opened:
            partition.books = await books_of(term)
        await self._write(term, detector, found)
        while self._healed:
            self._untold.append(await self._report(term, sight, self._healed[0]))
            del self._healed[0]
        if sight.policy.writable and found.whole:
            await term.run(set_policy("writable", 0, epoch=term.epoch))
        await self._hold_mode(term, detector, found)
        news = bool(self._untold)
        await self._tell(term)
        if news or clock.monotonic() - self._published_at >= PUBLISH_S:
            facts = detector.facts(sight.now_ms, found.standing)
            await term.run(publish(term.epoch, "fleet", facts, REPORT_TTL_MS))
            self._published_at = clock.monotonic()

    @staticmethod
    async def _report(term: Term, sight: Sight, partition: Partition) -> Telling:
        books = await books_of(term)
        refused = await refused_since(term, partition.since_ms)
        report = partition.report(sight.now_ms, books=books, refused=refused)
        return "healed", partition.zone, report

    async def _write(self, term: Term, detector: Detector, found: Findings) -> None:
        """Bring the roster up to date; who beat in this very moment is spared."""
        memory = detector.memory.dump()
        changes = detector.changes()
        news = memory if memory != self._remembered else ""
        if not changes and not news:
            return
        for first in range(0, max(1, len(changes)), AT_ONCE):
            part = changes[first : first + AT_ONCE]
            answers = await term.run(enroll(term.epoch, part, memory=news))
            detector.confirm(answers, found)
            dead = [entry.member for entry in part if entry.verb == "dead"]
            # it beats on one shard after the other: a little later is no sign of life
            heard = {
                member.name: member.heard_ms + member.pace_ms
                for member in dead
                if answers[member.name] == "ok"
            }
            for shard in range(1, term.shards if heard else 1):
                await term.run(disown(shard, term.epoch, heard))
        self._remembered = memory

    async def _hold_mode(self, term: Term, detector: Detector, found: Findings) -> None:
        """Keep every shard read-only, or let it go, as the detector says."""
        now = clock.monotonic()
        if detector.memory.stopped:
            if now - self._stopped_at < readonly.TTL_MS / 1000 / LOOKS_A_BEAT:
                return
            reason = story.minority(found.standing)
            for shard in range(term.shards):
                call = readonly.stop(shard, who=term.name, reason=reason, epoch=term.epoch)
                await term.run(call)
            self._stopped_at = now
        elif any(kind == "writable" for kind, _, _ in self._untold):
            for shard in range(term.shards):
                await term.run(readonly.resume(shard, epoch=term.epoch))
            self._stopped_at = float("-inf")

    async def _tell(self, term: Term) -> None:
        if not self._untold:
            return
        await term.run(tell(0, term.epoch, self._untold))
        for kind, _, _ in self._untold:
            self.counts[kind.replace("-", "_")] += 1
        self._untold = []
