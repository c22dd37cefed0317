"""A partition from beginning to end: who was cut off, who came back, what each side did."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from coordq.fleet.roster import Member
from coordq.fleet.sentences import counted, lasting, listed

SETTLE_BEATS: Final = 2
"""So many beats after the last return, those that came back have said what they lost."""
SETTLE_LEAST_MS: Final = 1000
STRAGGLE_MS: Final = 10_000
"""So long after the last return, who is still missing has crashed, if at least half are back."""


@dataclass(frozen=True, slots=True)
class Books:
    """What was done up to a moment, from the counters of all queues."""

    enqueued: int = 0
    succeeded: int = 0
    taken_back: int = 0

    def since(self, before: Books) -> Books:
        """What was done from `before` to now; counters that a failover rolled back count 0."""
        return Books(
            max(0, self.enqueued - before.enqueued),
            max(0, self.succeeded - before.succeeded),
            max(0, self.taken_back - before.taken_back),
        )


@dataclass(slots=True)
class Partition:
    """A zone that cannot be reached, and who was in it."""

    zone: str
    since_ms: int
    """The last moment at which one of them was heard before the cut."""
    away: set[str]
    lost_before: dict[str, int]
    """Member -> how many claims it had lost before."""
    back: dict[str, int] = field(default_factory=dict)
    """Who has returned -> how many claims it has lost since."""
    back_ms: int = 0
    """When the last of them returned."""
    gone: list[str] = field(default_factory=list)
    """Who has crashed meanwhile, or was forgotten."""
    books: Books | None = None
    """As they were when it was noticed."""

    def join(self, member: Member) -> None:
        """One more has gone."""
        self.away.add(member.name)
        self.back.pop(member.name, None)
        self.lost_before[member.name] = member.lost

    def welcome(self, name: str, now_ms: int) -> None:
        """One is back; of no concern unless it was away."""
        if name not in self.away:
            return
        self.away.discard(name)
        self.back.setdefault(name, 0)
        self.back_ms = now_ms

    def hear(self, name: str, lost: int) -> None:
        """What one that is back says it has lost, in all."""
        if name in self.back:
            self.back[name] = max(self.back[name], lost - self.lost_before.get(name, 0))

    def lose(self, name: str) -> None:
        """One will not come back: it has crashed, or an operator knows."""
        if name in self.away:
            self.away.discard(name)
            self.gone.append(name)

    def spare(self, name: str) -> None:
        """One had not gone at all."""
        self.away.discard(name)
        self.lost_before.pop(name, None)

    def settled(self, now_ms: int, *, beat_ms: int) -> bool:
        """All are back, or were forgotten, and have had time to say what they lost."""
        return not self.away and now_ms - self.back_ms >= _settle_ms(beat_ms)

    def stragglers(self, now_ms: int, *, beat_ms: int) -> set[str]:
        """Who has crashed while it was away: most are back, and nothing was heard of these."""
        wait_ms = max(STRAGGLE_MS, 5 * beat_ms)
        most_are_back = self.back and len(self.back) >= len(self.away)
        if not most_are_back or now_ms - self.back_ms < wait_ms:
            return set()
        return set(self.away)

    def report(self, now_ms: int, *, books: Books, refused: int) -> str:
        """What each side did meanwhile, in words.

        books: as they are now. refused: how many stale finishes were.
        """
        back = f"{counted(len(self.back), 'worker')} rejoined"
        back += f" ({listed(list(self.back))})" if self.back else ""
        back += f", {listed(self.gone)} did not" if self.gone else ""
        done = books.since(self.books or books)
        lost = sum(self.back.values())
        return (
            f"cut off for {lasting((self.back_ms or now_ms) - self.since_ms)}: {back}; meanwhile "
            f"here {counted(done.enqueued, 'task')} enqueued, {done.succeeded} succeeded, "
            f"{done.taken_back} taken back; over there {counted(lost, 'claim')} lost, "
            f"{counted(refused, 'late finish').replace('finishs', 'finishes')} refused"
        )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        books = self.books
        return {
            "zone": self.zone,
            "since_ms": self.since_ms,
            "away": sorted(self.away),
            "back": self.back,
            "back_ms": self.back_ms,
            "lost_before": self.lost_before,
            "gone": self.gone,
            "books": [books.enqueued, books.succeeded, books.taken_back] if books else None,
        }

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Partition:
        """What `to_json` made."""
        books = facts["books"]
        return cls(
            zone=str(facts["zone"]),
            since_ms=int(facts["since_ms"]),
            away=set(facts["away"]),
            lost_before={str(name): int(lost) for name, lost in facts["lost_before"].items()},
            back={str(name): int(lost) for name, lost in facts["back"].items()},
            back_ms=int(facts["back_ms"]),
            gone=[str(name) for name in facts["gone"]],
            books=Books(*books) if books else None,
        )


def _settle_ms(beat_ms: int) -> int:
    return max(SETTLE_LEAST_MS, SETTLE_BEATS * beat_ms)


@dataclass(slots=True)
class Memory:
    """What the leader remembers besides its members, and hands on to the next."""

    partitions: dict[str, Partition] = field(default_factory=dict)
    """By zone."""
    stopped: bool = False
    """The fleet was made read-only by a leader."""
    replicated: bool = False
    """Redis had replicas when the fleet was last whole."""
    server: str = ""
    """The run id of the Redis that answered last."""

    def dump(self) -> str:
        """As JSON text."""
        facts = {
            "partitions": [partition.to_json() for partition in self.partitions.values()],
            "stopped": self.stopped,
            "replicated": self.replicated,
            "server": self.server,
        }
        return json.dumps(facts, separators=(",", ":"), sort_keys=True)


def read_memory(text: bytes) -> Memory:
    """What `Memory.dump` made; an empty memory when it is nothing of ours."""
    try:
        facts = json.loads(text or b"{}")
        partitions = [Partition.from_json(one) for one in facts.get("partitions", [])]
        return Memory(
            {partition.zone: partition for partition in partitions},
            stopped=bool(facts.get("stopped")),
            replicated=bool(facts.get("replicated")),
            server=str(facts.get("server", "")),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return Memory()
