"""How far the job is, and at the end what came of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from coordq import clock
from coordq.interfaces.table import Column, on_terminal, say, show_table
from coordq.interfaces.words import printable

if TYPE_CHECKING:
    from rich.progress import Progress

SHOWN_MAX: Final = 20  # reasons of dead letters
LOOK_S: Final = 0.1  # what the first look is taken to have lasted


class Screen:
    """Says how far the job is: a bar on a terminal, a line a second in a pipe, or nothing."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._began = self._told = 0.0
        self._bar: Progress | None = None

    def say(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        elif not self.quiet:
            say(text)

    def at(self, done: int, total: int) -> None:
        """So many tasks have ended."""
        now = clock.monotonic()
        self._began = self._began or now - LOOK_S
        rate = done / (now - self._began)
        if not self.quiet and on_terminal():
            self._bar = self._bar or _bar(total)
            self._bar.update(self._bar.task_ids[0], completed=done, rate=f"{rate:,.0f}/s")
        elif now - self._told >= 1.0 or done == total:
            self._told = now
            left = (total - done) / rate
            self.say(f"{done:>7,} of {total:,} tasks  {rate:,.0f}/s  {left:.0f} s left")

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar(total: int) -> Progress:
    from rich import progress

    bar = progress.Progress(
        progress.TextColumn("auditing"),
        progress.BarColumn(None),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]}"),
        progress.TimeRemainingColumn(compact=True),
    )
    bar.add_task("", total=total, rate="")
    bar.start()
    return bar


def show_report(report: dict[str, Any]) -> None:
    """Print what came of it all, for people."""
    totals, root = report["totals"], report["tree"]
    if totals is None:
        say(f"\nNo report: something was lost.\n\n{_delivery_line(report['delivery'])}")
        return
    figures = ("complexity_max", "complexity_mean", "functions", "code_lines")
    titles = (Column(figure.replace("_", " ").upper(), right=True) for figure in figures)
    rows = [
        [os.path.relpath(one["path"], root), one["worst"], *(f"{one[it]:,}" for it in figures)]
        for one in totals["top"][:10]
    ]
    say("\nThe most complex modules")
    show_table([Column("MODULE"), Column("WORST FUNCTION"), *titles], rows)
    letters = report["dead_letters"]
    _show_spots(totals["spots"], root)
    say(
        f"\nDead letters: {len(letters)}, each with a second way"
        + f", the first {SHOWN_MAX}:" * bool(letters[SHOWN_MAX:])
    )
    for reason in letters[:SHOWN_MAX]:
        say(f"  {printable(reason.replace(root + os.sep, ''))}")
    say(f"\nThe flow, {report['flow']['state']} (coordq flow graph)")
    say(printable(report["graph"], keep="\n"))
    say(f"\n{_totals_line(totals)}\n\n{_delivery_line(report['delivery'])}")
    say(f"conditions: {report['conditions']}, {report['seconds']} s")


def _show_spots(spots: list[dict[str, Any]], root: str) -> None:
    """The functions that a closer look found."""
    figures = ("complexity", "lines", "depth", "parameters")
    titles = (Column(figure.upper(), right=True) for figure in figures)
    rows = [
        [os.path.relpath(one["path"], root), one["name"], *(f"{one[it]:,}" for it in figures)]
        for one in spots[:5]
    ]
    say("\nLooked at closely: where a function branches most")
    show_table([Column("MODULE"), Column("FUNCTION"), *titles], rows)


def _totals_line(it: dict[str, Any]) -> str:
    return (
        f"totals: {it['files']:,} files, {it['lines']:,} lines, {it['code_lines']:,} of them code,"
        f" {it['unparsed']} of the files no Python, {it['functions']:,} functions, {it['hot']:,} of"
        f" them looked at closely, {it['classes']:,} classes, mean complexity"
        f" {it['complexity_sum'] / max(1, it['functions']):.2f}, docstring coverage"
        f" {it['documented'] / max(1, it['documentable']):.0%}, most imported"
        f" {', '.join(list(it['imports'])[:5])}"
    )


def _delivery_line(it: dict[str, Any]) -> str:
    recovery = f"{it['recovered']} recovered after the kill" if it["killed"] else "no kill"
    if it["recovered_s"] is not None:
        recovery += f" (back in line in {it['back_in_line_s']} s, done in {it['recovered_s']} s)"
    return (
        f"delivery: {it['tasks']:,} tasks, {it['succeeded']:,} succeeded, {it['skipped']:,}"
        f" skipped, {it['dead_letters']} dead letters, {recovery}, {it['lost']} lost,"
        f" {it['started_again']} started again, {it['executed_twice']} executed twice,"
        f" {it['throughput_per_s']:,.0f} tasks/s, latency p50 {it['latency_p50_s']} s p99"
        f" {it['latency_p99_s']} s (waiting included)"
    )
