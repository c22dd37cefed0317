"""What happened to every task, by the events alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from coordq.ids import created_ms

if TYPE_CHECKING:
    from coordq.work.events import Event


ENDS: Final = frozenset({"succeeded", "failed", "cancelled", "skipped"})


@dataclass(slots=True)
class Ledger:
    """What happened to each of `ids`, by the events alone; one that is read twice counts once."""

    ids: frozenset[str]
    starts: dict[str, set[int]] = field(default_factory=dict)  # the versions at which it began
    ends: dict[str, dict[int, tuple[str, int]]] = field(default_factory=dict)
    """By version: the kind of end, and when, in ms since 1970. Two of them would be a fault."""
    taken_back: dict[str, int] = field(default_factory=dict)  # when, from the dead child

    def note(self, event: Event) -> None:
        """Take one event into account; those of other tasks are passed over."""
        if event.subject not in self.ids:
            return
        if event.kind == "running":
            self.starts.setdefault(event.subject, set()).add(event.version)
        elif event.kind in ENDS:
            self.ends.setdefault(event.subject, {})[event.version] = (event.kind, event.ms)
        elif event.kind in {"crashed", "released", "lapsed"}:
            self.taken_back[event.subject] = event.ms

    def ended(self, kind: str = "") -> list[str]:
        """Tasks that ended, or whose last end was of this kind."""
        return [one for one, ends in self.ends.items() if kind in {"", ends[max(ends)][0]}]

    def delivery(self, killed_ms: int = 0) -> dict[str, Any]:
        """The account of the whole job. Times in seconds, latency from enqueue to end.

        Throughput and latency are those of the tasks that ran.

        `back_in_line_s`: from the kill until the last claim of the dead child was ready again;
        `recovered_s`: until the last of those tasks had ended. `started_again`: started more than
        once, which is what recovery means; `executed_twice`: two outcomes were committed.
        """
        finished = {one: ends[max(ends)][1] for one, ends in self.ends.items()}
        ran = {one: at for one, at in finished.items() if one in self.starts}
        waits = sorted(max(0, at - created_ms(one)) for one, at in ran.items())
        span_ms = max(finished.values(), default=0) - created_ms(min(self.ids))
        recovered = [one for one in self.taken_back if one in finished]
        return {
            "tasks": len(self.ids),
            "succeeded": len(self.ended("succeeded")),
            "skipped": len(self.ended("skipped")),
            "dead_letters": len(self.ended("failed")),
            "killed": killed_ms > 0,
            "taken_back": len(self.taken_back),
            "recovered": len(recovered),
            "back_in_line_s": _after(killed_ms, list(self.taken_back.values())),
            "recovered_s": _after(killed_ms, [finished[one] for one in recovered]),
            "lost": len(self.ids) - len(finished),
            "started_again": sum(len(starts) > 1 for starts in self.starts.values()),
            "executed_twice": sum(len(ends) > 1 for ends in self.ends.values()),
            "throughput_per_s": round(len(ran) / max(0.001, span_ms / 1000), 1),
            "latency_p50_s": _percentile(waits, 0.50),
            "latency_p99_s": _percentile(waits, 0.99),
        }


def _after(moment_ms: int, others_ms: Sequence[int]) -> float | None:
    return round(max(0, max(others_ms) - moment_ms) / 1000, 3) if moment_ms and others_ms else None


def _percentile(ordered_ms: Sequence[int], share: float) -> float | None:
    return ordered_ms[int((len(ordered_ms) - 1) * share)] / 1000 if ordered_ms else None
