"""The agents of a namespace as one client sees them: the registry, and what beats say, in memory.

A directory is brought up to date by what moved since its revision, one small round trip; what
workers say of themselves is read again when it is older than a beat. So finding one of a thousand
agents is a look at memory. Pure, but for its lock: who holds one fetches the news.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from threading import Lock
from typing import Any, Final, NamedTuple

from coordq.errors import ForeignData
from coordq.fleet import agents as counting
from coordq.fleet.profile import Persona, Profile, read_profile
from coordq.fleet.registry import News, Outside, Record, StandIn
from coordq.fleet.serving import Serving, said_profile, serving

FRESH_S: Final = 2.0
"""What workers say is asked for again when it is older: they do not say more than once a beat."""
SERVING, OUTSIDE, AWAY = "serving", "outside", "away"
STATES: Final = (SERVING, OUTSIDE, AWAY)
ALL: Final = frozenset(STATES)
HERE: Final = frozenset((SERVING, OUTSIDE))

_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent: who it is, where it is, and how it does."""

    name: str
    state: str
    """serving: workers have it. outside: it is there by itself. away: known, and not there."""
    role: str
    capabilities: frozenset[str]
    tasks: frozenset[str]
    persona: Persona
    interests: str
    zones: tuple[str, ...]
    """Its own, or those of its workers."""
    max_load: int
    weight: float
    stand_ins: tuple[str, ...]
    """Who may act for it."""
    stood_in_by: StandIn | None
    """Who does."""
    workers: tuple[str, ...]
    """Those that have it and take work."""
    running: int
    """Tasks that it holds."""
    slots: int
    """How many its workers can hold, for all agents they have."""
    load: float
    """0 idle to 1 full: of its workers' slots, or of its own max_load if that is more."""
    succeeded: int
    failed: int
    worked_ms: int
    """How long these runs took together; all three since its workers were started."""
    version: int
    """Raised by each change of its description; 0: only a worker's beats know it."""
    born_ms: int
    changed_ms: int
    since_ms: int
    """Since when it is away; 0 while it is not."""

    @property
    def mean_ms(self) -> float | None:
        """How long a run takes on average; None before the first."""
        return counting.mean_ms(self.worked_ms, self.succeeded + self.failed)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        stand_in = self.stood_in_by
        return {
            "name": self.name,
            "state": self.state,
            "role": self.role,
            "capabilities": sorted(self.capabilities),
            "tasks": sorted(self.tasks),
            "persona": dict(self.persona),
            "interests": self.interests,
            "zones": list(self.zones),
            "max_load": self.max_load,
            "weight": self.weight,
            "stand_ins": list(self.stand_ins),
            "stood_in_by": None if stand_in is None else stand_in._asdict(),
            "workers": list(self.workers),
            "running": self.running,
            "slots": self.slots,
            "load": round(self.load, 3),
            "succeeded": self.succeeded,
            "failed": self.failed,
            "worked_ms": self.worked_ms,
            "success_percent": counting.success_percent(self.succeeded, self.failed),
            "mean_ms": self.mean_ms,
            "version": self.version,
            "born_ms": self.born_ms,
            "changed_ms": self.changed_ms,
            "since_ms": self.since_ms,
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody is looking for. Everything that is said must hold."""

    role: str = ""
    capabilities: frozenset[str] = frozenset()
    """All of them."""
    task: str = ""
    """The name of a task that it can do."""
    zone: str = ""
    text: str = ""
    """Words; who has more of them in name, role, capabilities, interests and persona is first."""
    max_load: float | None = None
    """Busy to at most this share, 0 to 1."""
    states: frozenset[str] = HERE


@dataclass(frozen=True, slots=True)
class _Known:
    record: Record
    profile: Profile
    words: frozenset[str]


class _Row(NamedTuple):
    """What agents are found by."""

    name: str
    profile: Profile
    words: frozenset[str]
    state: str
    load: float
    zones: Collection[str]


@dataclass(frozen=True, slots=True)
class _Book:
    """All that is known at one moment; replaced as a whole."""

    revision: int = 0
    now_ms: int = 0
    known: Mapping[str, _Known] = field(default_factory=dict)
    outside: Mapping[str, Outside] = field(default_factory=dict)
    away: Mapping[str, int] = field(default_factory=dict)
    stand_ins: Mapping[str, StandIn] = field(default_factory=dict)
    live: Mapping[str, Serving] = field(default_factory=dict)
    made: dict[str, _Row] = field(default_factory=dict)
    """Rows, all or none; making them of a thousand agents takes milliseconds."""
    views: dict[str, AgentView] = field(default_factory=dict)
    """Those that were asked for."""

    def rows(self) -> Iterable[_Row]:
        """All agents."""
        if not self.made:
            self.made.update((name, self.row(name)) for name in {**self.known, **self.live})
        return self.made.values()

    def row(self, name: str) -> _Row:
        """One agent."""
        one, live = self.known.get(name), self.live.get(name)
        if one is None:
            assert live is not None, "who is neither known nor live is not asked for"
            profile = said_profile(live.said)
            words = _all_words(name, profile)
        else:
            profile, words = one.profile, one.words
        zones: Collection[str] = (profile.zone,) if profile.zone else live.zones if live else ()
        if live is not None and live.workers:
            own = live.running / profile.max_load if profile.max_load else 0.0
            load = max(live.busy / live.slots if live.slots else 0.0, own)
            return _Row(name, profile, words, SERVING, min(1.0, load), zones)
        there = self.outside.get(name)
        if there is not None and there.until_ms > self.now_ms:
            return _Row(name, profile, words, OUTSIDE, min(1.0, max(0.0, there.load or 0.0)), zones)
        return _Row(name, profile, words, AWAY, 0.0, zones)

    def view(self, name: str) -> AgentView:
        """One agent, made once."""
        view = self.views.get(name)
        if view is None:
            view = self.views[name] = _view(self, self.made.get(name) or self.row(name))
        return view

    def lasts(self, news: News) -> bool:
        """Whether these news change nothing, not even by the time that has passed."""
        nothing = news.infos is None and news.outside is None and news.away is None
        return (
            nothing
            and news.revision == self.revision
            and not any(self.now_ms < one.until_ms <= news.now_ms for one in self.outside.values())
        )


class Directory:
    """Thread-safe: what is read is one moment's, whoever learns meanwhile."""

    def __init__(self) -> None:
        self._book = _Book()
        self._lock = Lock()
        self._lived_s = float("-inf")

    @property
    def revision(self) -> int:
        """Up to which change of the registry it knows."""
        return self._book.revision

    def is_stale(self, now_s: float) -> bool:
        """Whether what workers say should be asked for; now_s: of a clock that only grows."""
        return now_s - self._lived_s >= FRESH_S

    def learn(self, news: News, now_s: float) -> None:
        """Take in what the registry said; news that come late are left out."""
        live = None if news.infos is None else serving(news.infos)
        with self._lock:
            book = self._book
            if (news.revision < book.revision and not news.all) or book.lasts(news):
                return
            known = _merged(book.known, news)
            self._book = _Book(
                news.revision,
                news.now_ms,
                known,
                book.outside if news.outside is None else news.outside,
                book.away if news.away is None else news.away,
                news.stand_ins,
                book.live if live is None else live,
            )
            if live is not None:
                self._lived_s = now_s

    def get(self, name: str) -> AgentView | None:
        """One agent; None when nobody knows it."""
        book = self._book
        if name not in book.known and name not in book.live:
            return None
        return book.view(name)

    def record(self, name: str) -> Record | None:
        """What the registry holds of an agent; None when it does not know it."""
        one = self._book.known.get(name)
        return None if one is None else one.record

    def stand_ins(self) -> dict[str, StandIn]:
        """Who acts for whom, by the name of whom."""
        return dict(self._book.stand_ins)

    def names(self) -> list[str]:
        """All that are known, in order."""
        return sorted({*self._book.known, *self._book.live})

    def find(self, wanted: Wanted, limit: int | None = None) -> list[AgentView]:
        """Who fits: by words, then who is there, then the least busy, then by name."""
        book, words = self._book, _words(wanted.text)
        ranked = [
            (-len(words & row.words), row.state == AWAY, row.load, row.name)
            for row in _fitting(book, wanted, words)
        ]
        first = sorted(ranked) if limit is None else nsmallest(limit, ranked)
        return [book.view(name) for *_, name in first]

    def fitting(self, wanted: Wanted) -> list[AgentView]:
        """Who fits, all of them, in no order."""
        book = self._book
        return [book.view(row.name) for row in _fitting(book, wanted, _words(wanted.text))]


def _fitting(book: _Book, wanted: Wanted, words: frozenset[str]) -> Iterator[_Row]:
    for row in book.rows():
        if _fits(row, wanted) and (not words or not words.isdisjoint(row.words)):
            yield row


def _fits(row: _Row, wanted: Wanted) -> bool:
    return (
        row.state in wanted.states
        and (not wanted.role or row.profile.role == wanted.role)
        and wanted.capabilities <= row.profile.capabilities
        and (not wanted.task or wanted.task in row.profile.tasks)
        and (not wanted.zone or wanted.zone in row.zones)
        and (wanted.max_load is None or row.load <= wanted.max_load)
    )


def _view(book: _Book, row: _Row) -> AgentView:
    name, profile, live = row.name, row.profile, book.live.get(row.name) or _NOWHERE
    one = book.known.get(name)
    return AgentView(
        name=name,
        state=row.state,
        role=profile.role,
        capabilities=profile.capabilities,
        tasks=profile.tasks,
        persona=profile.persona,
        interests=profile.interests,
        zones=tuple(sorted(row.zones)),
        max_load=profile.max_load,
        weight=profile.weight,
        stand_ins=profile.stand_ins,
        stood_in_by=book.stand_ins.get(name),
        workers=tuple(sorted(live.workers)),
        running=live.running,
        slots=live.slots,
        load=row.load,
        succeeded=live.succeeded,
        failed=live.failed,
        worked_ms=live.worked_ms,
        version=one.record.version if one is not None else 0,
        born_ms=one.record.born_ms if one is not None else 0,
        changed_ms=one.record.changed_ms if one is not None else 0,
        since_ms=book.away.get(name, 0) if row.state == AWAY else 0,
    )


# -- learning --------------------------------------------------------------------------------------


def _merged(before: Mapping[str, _Known], news: News) -> Mapping[str, _Known]:
    if not news.all and not news.records:
        return before
    known = {} if news.all else dict(before)
    for name, record in news.records.items():
        one = None if record is None else _known(name, record, before.get(name))
        if one is None:
            known.pop(name, None)
        else:
            known[name] = one
    return known


def _known(name: str, record: Record, before: _Known | None) -> _Known | None:
    """None for what coordq did not write: one entry must not hide all others."""
    said = None if before is None else (before.record.base, before.record.said)
    if before is not None and said == (record.base, record.said):
        return replace(before, record=record)
    try:
        profile = read_profile(name, record.base, record.said)
    except ForeignData:
        return None
    return _Known(record, profile, _all_words(name, profile))


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))


def _all_words(name: str, profile: Profile) -> frozenset[str]:
    persona = json.dumps(dict(profile.persona), ensure_ascii=False)
    parts = (name, profile.role, *profile.capabilities, *profile.tasks, profile.interests, persona)
    return _words(" ".join(parts).replace("_", " "))


_NOWHERE: Final = Serving({})
