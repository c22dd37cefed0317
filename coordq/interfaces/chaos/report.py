"""What a run showed: the table, as people and as programs read it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from coordq.interfaces.chaos.bus_told import Hearing
from coordq.interfaces.chaos.checker import Verdict
from coordq.interfaces.chaos.faults import Deed
from coordq.interfaces.chaos.history import MEMBER, History, Run
from coordq.interfaces.chaos.messages import proven
from coordq.interfaces.chaos.settings import ChaosSettings
from coordq.interfaces.chaos.violation import Violation

SHOWN_MAX: Final = 20
TALES_MAX: Final = 5
"""Of so many subjects of violations the whole story is told."""
WITHIN_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Report:
    """One run."""

    seed: int
    engine: str
    faults: Mapping[str, int]
    """How often each kind was carried out."""
    figures: Mapping[str, float | int]
    violations: Sequence[Violation]
    excused: Sequence[Violation]
    falls: Mapping[str, int]
    """Processes that ended by themselves and were started anew."""
    folder: Path
    deeds: Sequence[Deed]
    tales: Mapping[str, Sequence[str]]
    """What the journals say of the first subjects of violations, in order of time."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "ok": not self.violations,
            "seed": self.seed,
            "engine": self.engine,
            "faults": dict(self.faults),
            "figures": dict(self.figures),
            "falls": dict(self.falls),
            "violations": [one.to_json() for one in self.violations],
            "excused": [one.to_json() for one in self.excused],
            "tales": {subject: list(lines) for subject, lines in self.tales.items()},
            "folder": str(self.folder),
            "deeds": [deed.to_json() for deed in self.deeds],
        }

    def lines(self) -> list[str]:
        """For people."""
        told = [f"{'fault':<18}{'times':>6}"]
        told += [f"{kind:<18}{times:>6,}" for kind, times in sorted(self.faults.items())]
        total = sum(self.faults.values())
        told += [f"{'all':<18}{total:>6,}   of {len(self.faults)} kinds", ""]
        told += [f"{name:<36}{value:>12,}" for name, value in self.figures.items()]
        told += ["", f"seed {self.seed}, engine {self.engine}: {self._verdict()}"]
        by_rule = Counter(one.rule for one in self.violations)
        told += [f"  {rule}: {times:,}" for rule, times in by_rule.most_common()]
        told += [
            f"  {one.rule} {one.subject}: {one.evidence}" for one in self.violations[:SHOWN_MAX]
        ]
        for subject, lines in self.tales.items():
            told += ["", f"{subject}:", *(f"  {line}" for line in lines)]
        if self.falls:
            fell = ", ".join(f"{name} ({times})" for name, times in self.falls.items())
            told.append(f"ended by themselves and were started anew: {fell}")
        if self.violations:
            told.append(f"the journals, and report.json with all of it, are in {self.folder}")
        return told

    def _verdict(self) -> str:
        if self.violations:
            return f"{len(self.violations):,} VIOLATIONS"
        if self.excused:
            return f"no violation; {len(self.excused):,} acknowledged writes lost by failovers"
        return "no violation"


def make_report(
    chosen: ChaosSettings,
    history: History,
    verdict: Verdict,
    deeds: Sequence[Deed],
    *,
    falls: Mapping[str, int],
    replies_lost: int,
    seconds: float,
    folder: Path,
) -> Report:
    """Add everything up."""
    return Report(
        chosen.seed,
        chosen.engine,
        Counter(deed.fault.kind for deed in deeds),
        _figures(history, verdict)
        | _recovery(history, deeds)
        | {"replies lost on purpose": replies_lost, "seconds": round(seconds, 1)},
        verdict.violations,
        verdict.excused,
        falls,
        folder,
        deeds,
        _tales(history, verdict),
    )


def _tales(history: History, verdict: Verdict) -> dict[str, list[str]]:
    subjects = list(dict.fromkeys(one.subject for one in verdict.violations))[:TALES_MAX]
    told: dict[str, list[tuple[int, str]]] = {subject: [] for subject in subjects}
    for shard, events in history.events.items():
        for event in events:
            if event.subject in told:
                words = f"{event.kind} version {event.version} fence {event.fence} {event.detail}"
                told[event.subject].append((event.ms, f"{event.at} shard {shard}: {words}"))
    ran: list[Run | Hearing] = [*history.runs.values(), *history.bus.heard]
    for run in ran:
        if run.id in told:
            told[run.id].append(_ran(run, history.offset_ms))
    for subject in subjects:
        if ack := history.acked.get(subject):
            at = ack.ms + history.offset_ms
            told[subject].append((at, f"{at}: {ack.name} was acknowledged"))
    return {subject: [line for _, line in sorted(lines)] for subject, lines in told.items()}


def _ran(run: Run | Hearing, offset_ms: int) -> tuple[int, str]:
    at = run.began_ms + offset_ms
    what = f"a handler ran under fence {run.fence}" if isinstance(run, Run) else run.told
    ended = f"{run.how} after {run.ended_ms - run.began_ms} ms" if run.how else "not ended"
    return at, f"{at}: {what}, {ended}"


def _figures(history: History, verdict: Verdict) -> dict[str, float | int]:
    lives = verdict.lives.values()
    ended = Counter(life.ended or "not ended" for life in lives)
    complete = Counter(run.id for run in history.runs.values() if run.how == "done")
    kinds = Counter(event.kind for events in history.events.values() for event in events)
    by_rule = Counter(one.rule for one in verdict.violations)
    done, sure = proven(history.bus)
    return {
        "tasks acknowledged": len(history.acked),
        "of them in flows": sum(ack.name == MEMBER for ack in history.acked.values()),
        "tasks known to Redis": len(verdict.lives),
        "succeeded": ended["succeeded"],
        "dead letters": ended["failed"],
        "cancelled": ended["cancelled"],
        "skipped": ended["skipped"],
        "flows ended": kinds["flow-ended"],
        "held up by limits": kinds["parked"],
        "messages acknowledged": len(history.bus.sent),
        "turns acknowledged": len(history.bus.said),
        "of them found no room at first": history.bus.refused,
        "messages and turns heard": len(history.bus.heard),
        "handled to the end": done,
        "of that proven to be acknowledged": sure,
        "given out again": sum(run.attempt > 1 for run in history.bus.heard),
        "dead messages": len(history.rest.bus.dead),
        "claims": sum(life.runs for life in lives),
        "executions": len(history.runs),
        "executed to the end more than once": sum(times > 1 for times in complete.values()),
        "claims given back after crashes": kinds["crashed"],
        "claims lapsed": kinds["lapsed"],
        "stale finishes refused": kinds["refused"],
        "leaders elected": kinds["elected"],
        "events": sum(kinds.values()),
        "lost": by_rule["lost"],
        "committed twice": by_rule["twice"],
        "committed stale": by_rule["stale"],
        "stuck": by_rule["stuck"],
        "violations": len(verdict.violations),
        "lost by failovers": len(verdict.excused),
    }


def _recovery(history: History, deeds: Sequence[Deed]) -> dict[str, float]:
    """How long after a kill the last claim of the killed was ready again."""
    back: dict[tuple[str, str], list[int]] = {}
    for events in history.events.values():
        for event in events:
            if event.kind in {"crashed", "lapsed"}:
                # `<fence> <name>.<pid>-<chance>/<child>`
                worker = event.detail.partition(" ")[2].partition("/")[0].rpartition("-")[0]
                back.setdefault((event.kind, worker), []).append(event.ms)
    figures: dict[str, float] = {}
    for kind, sign in (("kill-child", "crashed"), ("kill-worker", "lapsed")):
        took = [
            (max(moments) - deed.at_ms) / 1000
            for deed in deeds
            if deed.fault.kind == kind
            and (moments := _after(back.get((sign, deed.whom.split(" ")[0]), ()), deed, deeds))
        ]
        if took:
            figures[f"{kind}: tasks back p50, s"] = round(statistics.median(took), 3)
            figures[f"{kind}: tasks back max, s"] = round(max(took), 3)
    return figures


def _after(moments: Sequence[int], deed: Deed, deeds: Sequence[Deed]) -> list[int]:
    """Those that follow a deed, and no later one to the same target."""
    others = (one.at_ms for one in deeds if one.fault.target == deed.fault.target)
    until = min((at for at in others if at > deed.at_ms), default=deed.at_ms + WITHIN_MS)
    if deed.fault.kind == "kill-worker":  # its pid never comes back
        until = deed.at_ms + WITHIN_MS
    return [at for at in moments if deed.at_ms <= at <= until]
