"""Who leads, how well workers are, how fast and how busy they are: the lines above a live view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from coordq.interfaces.table import Cell
from coordq.interfaces.words import count, one_line, span

if TYPE_CHECKING:
    from coordq.fleet.status import FleetStatus

NOBODY: Final = (
    "no supervisor runs, so nobody measures; work goes on. Start one: `coordq supervisor`"
)
_WORST_FIRST: Final = ("partitioned", "dead", "suspect", "flapping", "healthy")


def fleet_lines(status: FleetStatus) -> list[Cell]:
    """The fleet in a few lines, the rates last."""
    lines = [_leader_line(status)]
    if status.mode is not None:
        reason = f": {status.mode.reason}" if status.mode.reason else ""
        text = f"READ-ONLY by {status.mode.who}{reason}; nothing new is taken or started"
        lines.append(Cell(one_line(text), "bold red"))
    if status.workers:
        lines.append(_health_line(status))
    return lines + [Cell(line) for line in rate_lines(status.rates)]


def _leader_line(status: FleetStatus) -> Cell:
    leader = status.leader
    if leader is None:
        return Cell(NOBODY, "yellow")
    led = span(max(0, status.now_ms - leader.since_ms))
    waiting = sum(one.name != leader.name for one in status.supervisors)
    more = f"; {count(waiting)} in waiting" if waiting else ""
    return Cell(f"led by {leader.name} for {led}, epoch {leader.epoch}{more}")


def _health_line(status: FleetStatus) -> Cell:
    """`4 healthy, 1 dead (zone a: 3 healthy; zone b: 1 dead, 1 healthy)`."""
    zones = status.zones
    totals: dict[str, int] = {}
    for counts in zones.values():
        for health, amount in counts.items():
            totals[health] = totals.get(health, 0) + amount
    each = "; ".join(f"zone {zone}: {_counts(zones[zone])}" for zone in zones)
    bad = totals.keys() & {"partitioned", "dead"}
    doubtful = totals.keys() & {"suspect", "flapping"}
    style = "bold red" if bad else "yellow" if doubtful else ""
    return Cell(one_line(f"workers: {_counts(totals)} ({each})"), style)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[health]} {health}" for health in _WORST_FIRST if health in counts)


def rate_lines(rates: Mapping[str, Any]) -> list[str]:
    """What the aggregator measured over the last minute; nothing when there is none."""
    if not rates:
        return []
    busy = f"{count(_number(rates, 'busy'))} of {count(_number(rates, 'slots'))} slots busy"
    flow = {"in": "enqueued", "out": "ended", "failed": "failed", "retried": "retried"}
    moved = ", ".join(f"{_rate(rates, f'{name}_s')} {word}" for word, name in flow.items())
    spent = f"{percent(rates, 'worked_percent')} at work"
    return [
        f"last minute: {moved}, {_rate(rates, 'lapsed_s')} lapsed",
        f"{busy}, {spent}, overhead {percent(rates, 'overhead_percent')}",
        f"wait {_times(rates.get('wait_ms'))}; run {_times(rates.get('run_ms'))}",
    ]


def _number(facts: Mapping[str, Any], name: str) -> float:
    value = facts.get(name)
    return value if isinstance(value, int | float) else 0


def _rate(rates: Mapping[str, Any], name: str) -> str:
    return per_second(_number(rates, name))


def per_second(rate: float) -> str:
    """How often a second: `12/s`, `0.4/s`."""
    return f"{count(rate)}/s" if rate >= 10 or not rate else f"{rate:.2g}/s"  # noqa: PLR2004 - digits


def percent(facts: Mapping[str, Any], name: str) -> str:
    """A share, as far as it is known."""
    return percent_text(facts.get(name))


def percent_text(value: Any) -> str:
    """Percent, or a dash for what is not known."""
    return f"{value:.1f} %" if isinstance(value, int | float) else "-"


def _times(times: Any) -> str:
    """Percentiles: `p50 2ms p95 10ms p99 40ms`."""
    known = times if isinstance(times, dict) else {}
    return " ".join(f"{name} {time_text(known.get(name))}" for name in ("p50", "p95", "p99"))


def time_text(ms: Any) -> str:
    """Milliseconds for people, or a dash for what is not known."""
    if not isinstance(ms, int | float):
        return "-"
    return f"{ms:.1f}ms" if ms < 10 else span(ms)  # noqa: PLR2004 - where a tenth still tells


def worker_notes(status: FleetStatus) -> dict[str, tuple[str, str]]:
    """Worker -> how well it is, and its overhead, as far as they are known."""
    measured = status.rates.get("workers")
    each = measured if isinstance(measured, dict) else {}
    return {
        worker.name: (worker.health.value, _overhead(each.get(worker.name)))
        for worker in status.workers
    }


def _overhead(facts: Any) -> str:
    return percent(facts, "overhead_percent") if isinstance(facts, dict) else "-"
