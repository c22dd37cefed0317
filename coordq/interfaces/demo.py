"""`coordq demo`: audit a source tree with a fleet, kill a worker on the way, count what happened.

One task per file of a real tree (by default the standard library of the running Python), done by
a worker with several children on an embedded Redis in a temporary folder. Halfway the child that
holds most claims is killed with SIGKILL. What the last line says is what the events say: `Ledger`
reads every transition of every task, and knows which were taken back from the dead child, which
ended, and whether any ended twice.

The exit code is 0 only when every task ended, none twice. A dead letter is an end with a reason.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import coordq
from coordq import clock
from coordq.client.plans import chunks
from coordq.errors import CoordqError, InvalidOption
from coordq.ids import created_ms
from coordq.interfaces.table import Column, on_terminal, say, show_json, show_table
from coordq.interfaces.words import printable
from coordq.runtime.loader import builtin_workers

if TYPE_CHECKING:
    from rich.progress import Progress

    from coordq.client.client import Client
    from coordq.work.events import Event

START_S: Final = 30.0  # for the fleet to come up, and for the embedded server to end
STALL_S: Final = 30.0  # when no task has ended for so long, those that have not are lost
POLL_S: Final = 0.1  # between two looks at the events
TALLY_MAX: Final = 500  # results that one task of the reduce step adds up
GROUP_MAX: Final = 50  # tallies that one task joins
CONCURRENCY: Final = 4  # per child: parsing keeps a processor busy, it does not wait
SHOWN_MAX: Final = 20  # reasons of dead letters
SKIPPED: Final = frozenset({"site-packages", "dist-packages", "node_modules", "__pycache__"})


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
        elif event.kind in {"succeeded", "failed", "cancelled"}:
            self.ends.setdefault(event.subject, {})[event.version] = (event.kind, event.ms)
        elif event.kind in {"crashed", "released", "lapsed"}:
            self.taken_back[event.subject] = event.ms

    def ended(self, kind: str = "") -> list[str]:
        """Tasks that ended, or whose last end was of this kind."""
        return [one for one, ends in self.ends.items() if kind in {"", ends[max(ends)][0]}]

    def delivery(self, killed_ms: int = 0) -> dict[str, Any]:
        """The account of the whole job. Times in seconds, latency from enqueue to end.

        `back_in_line_s`: from the kill until the last claim of the dead child was ready again;
        `recovered_s`: until the last of those tasks had ended. `started_again`: started more than
        once, which is what recovery means; `executed_twice`: two outcomes were committed.
        """
        finished = {one: ends[max(ends)][1] for one, ends in self.ends.items()}
        waits = sorted(max(0, at - created_ms(one)) for one, at in finished.items())
        span_ms = max(finished.values(), default=0) - created_ms(min(self.ids))
        recovered = [one for one in self.taken_back if one in finished]
        return {
            "tasks": len(self.ids),
            "succeeded": len(self.ended("succeeded")),
            "dead_letters": len(self.ended("failed")),
            "killed": killed_ms > 0,
            "taken_back": len(self.taken_back),
            "recovered": len(recovered),
            "back_in_line_s": _after(killed_ms, list(self.taken_back.values())),
            "recovered_s": _after(killed_ms, [finished[one] for one in recovered]),
            "lost": len(self.ids) - len(finished),
            "started_again": sum(len(starts) > 1 for starts in self.starts.values()),
            "executed_twice": sum(len(ends) > 1 for ends in self.ends.values()),
            "throughput_per_s": round(len(finished) / max(0.001, span_ms / 1000), 1),
            "latency_p50_s": _percentile(waits, 0.50),
            "latency_p99_s": _percentile(waits, 0.99),
        }


def _after(moment_ms: int, others_ms: Sequence[int]) -> float | None:
    return round(max(0, max(others_ms) - moment_ms) / 1000, 3) if moment_ms and others_ms else None


def _percentile(ordered_ms: Sequence[int], share: float) -> float | None:
    return ordered_ms[int((len(ordered_ms) - 1) * share)] / 1000 if ordered_ms else None


def sources(path: Path | None, limit: int | None = None) -> list[Path]:
    """The Python files to audit: under `path`, or the standard library of this Python.

    Installed packages, caches and hidden folders are left out. Raises InvalidOption when there is
    no such place or nothing in it.
    """
    root = path if path is not None else Path(sysconfig.get_path("stdlib"))
    if not root.exists():
        raise InvalidOption(f"there is no folder {str(root)!r} to audit.", option="path")
    found = [root.resolve()] if root.is_file() else sorted(_walk(root.resolve()))
    if not found:
        raise InvalidOption(f"there is no Python file in {str(root)!r}.", option="path")
    return found[: limit or None]


def _walk(root: Path) -> Iterator[Path]:
    for folder, inner, names in os.walk(root):
        inner[:] = [name for name in inner if name not in SKIPPED and not name.startswith(".")]
        yield from (Path(folder, name) for name in names if name.endswith(".py"))


class Fleet:
    """One `coordq worker` with `processes` children, on the audit agents that come with coordq."""

    def __init__(self, url: str, namespace: str, folder: Path, processes: int) -> None:
        self.processes = processes
        self._output = folder / "worker.log"
        home = Path(coordq.__path__[0]).resolve().parent
        command = [sys.executable, "-m", "coordq", "worker", str(builtin_workers() / "audit.py")]
        command += ["--url", url, "--namespace", namespace, "--queues", "default"]
        command += ["--processes", str(processes), "--concurrency", str(CONCURRENCY)]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                # Not the user's folder: nothing in it shall stand in for a library.
                cwd=folder if home.name in {"site-packages", "dist-packages"} else home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the demo, which then ends the fleet
            )

    def children(self, client: Client) -> list[dict[str, Any]]:
        """What this fleet's parent says about its children that serve: pid, running, ..."""
        for view in client.work.workers():
            if view.info.get("pid") == self._process.pid:
                return [one for one in view.info["children"] if one["state"] == "serving"]
        return []

    def wait_ready(self, client: Client) -> None:
        """Return when all children serve. Raises CoordqError when they do not come."""
        deadline = clock.monotonic() + START_S
        while len(self.children(client)) < self.processes:
            if self._process.poll() is not None or clock.monotonic() > deadline:
                said = self._output.read_text(errors="replace")[-2000:].strip()
                raise CoordqError(f"the worker did not start. It said:\n{said or '(nothing)'}")
            time.sleep(POLL_S)

    def kill_one(self, client: Client) -> int | None:
        """SIGKILL the child that holds most claims. Its pid, or None when there is none."""
        pids = {int(one["pid"]): int(one["running"]) for one in self.children(client)}
        pid = max(pids, key=lambda one: pids[one], default=None)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pid

    def end(self) -> None:
        """End the whole fleet: drained if it can be, cancelled or killed if it must be."""
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            with suppress(subprocess.TimeoutExpired):
                self._process.send_signal(number)
                self._process.wait(5.0)
                break
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # whoever is left of its session


def run_demo(
    path: Path | None = None,
    *,
    processes: int = 4,
    kill: bool = True,
    limit: int | None = None,
    json: bool = False,
    url: str | None = None,
) -> int:
    """Run the demo and show what happened. Returns the exit code: 0 when nothing was lost.

    `path` is a file or folder of Python sources (default: the standard library), `limit` the most
    files to take, `kill` whether a child is killed halfway. `url` is a Redis of your own (default:
    an embedded one in a temporary folder, gone afterwards). `json` prints one JSON object and
    nothing else. Interrupted, it ends every process it started and returns 130.
    """
    files = sources(path, limit)
    screen = Screen(len(files), quiet=json)
    try:
        with ExitStack() as stack:
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.signal(number, signal.default_int_handler)
                stack.callback(signal.signal, number, before or signal.SIG_DFL)
            job = _Job(stack, screen, files, url, processes)
            for number in (signal.SIGINT, signal.SIGTERM):  # cleaning up is not interrupted
                stack.callback(signal.signal, number, signal.SIG_IGN)
            report = job.run(kill=kill)
            screen.close()
            (show_json if json else _show)(report)
    except KeyboardInterrupt:
        screen.close()
        screen.say("interrupted; every process of the demo has been ended")
        return 130
    return 0 if report["ok"] else 1


class _Job:
    """Everything that one run of the demo holds on to; `stack` lets go of it in order."""

    def __init__(
        self, stack: ExitStack, screen: Screen, files: list[Path], url: str | None, processes: int
    ) -> None:
        self.screen, self.files = screen, files
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coordq-demo-")))
        stack.callback(_wait_gone, folder / "redis" / "start.lock")
        url, namespace = url or f"embedded://{folder / 'redis'}", f"demo-{os.getpid()}"
        screen.say(f"starting {url.partition('://')[0]} Redis and {processes} worker children")
        self.client = stack.enter_context(coordq.connect(url, namespace=namespace))
        self.fleet = Fleet(url, namespace, folder, processes)
        stack.callback(self.fleet.end)
        self.ledger, self.cursor, self.killed_ms = Ledger(frozenset()), "0", 0

    def run(self, *, kill: bool) -> dict[str, Any]:
        """Enqueue, watch, kill, reduce. Returns the report as JSON has it."""
        self.fleet.wait_ready(self.client)
        began = clock.monotonic()
        orders = [("audit_file", {"path": str(file)}, {"result_ttl": 3600}) for file in self.files]
        ids = [handle.id for handle in self.client.work.enqueue_many(orders)]
        self.ledger = Ledger(frozenset(ids))
        self._watch(len(ids) // 2 if kill else None)
        totals = self._reduce(ids) if len(self.ledger.ends) == len(ids) else None
        self._read_events("0")  # all of it once more: shards differ in how far they were read
        delivery = self.ledger.delivery(self.killed_ms)
        return {
            "ok": delivery["lost"] == 0 and delivery["executed_twice"] == 0,
            "delivery": delivery,
            "totals": totals,
            "dead_letters": self._dead_letters(),
            "seconds": round(clock.monotonic() - began, 2),
            "tree": os.path.commonpath([file.parent for file in self.files]),
            "conditions": f"Python {sys.version.split()[0]}, {self.fleet.processes} children on"
            f" {os.cpu_count()} processors, {CONCURRENCY} files each",
        }

    def _watch(self, kill_at: int | None) -> None:
        """Follow the events until every task has ended, or none has for long."""
        ended, since = 0, clock.monotonic()
        while ended < len(self.files) and clock.monotonic() - since < STALL_S:
            time.sleep(POLL_S)
            self._read_events()
            if len(self.ledger.ends) != ended:
                ended, since = len(self.ledger.ends), clock.monotonic()
                self.screen.at(ended)
            if kill_at is not None and not self.killed_ms and ended >= kill_at:
                self.killed_ms = clock.now_ms()
                pid = self.fleet.kill_one(self.client)
                self.screen.say(f"killed worker child {pid} with SIGKILL")

    def _read_events(self, after: str | None = None) -> None:
        """What has happened since the last look, or since `after`."""
        for event in self.client.work.events(after=after or self.cursor):
            self.ledger.note(event)
            self.cursor = event.at

    def _reduce(self, ids: list[str]) -> dict[str, Any]:
        """Tallies of up to 500 results each, in parallel, and then tallies of tallies."""
        work = self.client.work
        orders = [("audit_tally", {"ids": part}) for part in chunks(ids, TALLY_MAX)]
        tallies = [handle.result(timeout=60) for handle in work.enqueue_many(orders)]
        while True:
            groups = chunks(tallies, GROUP_MAX)
            tallies = [work.run("audit_report", {"tallies": one}, wait_for=60) for one in groups]
            if len(tallies) == 1:
                return dict(tallies[0])

    def _dead_letters(self) -> list[str]:
        """Why each dead letter is one; the reasons begin with the file."""
        errors = [self.client.work.get(one).error or {} for one in self.ledger.ended("failed")]
        return sorted(str(error.get("message", "no reason was recorded")) for error in errors)


def _wait_gone(lock: Path) -> None:
    """Wait for the embedded server to end, which it does a second after its last client left."""
    until = clock.monotonic() + START_S
    while lock.exists() and clock.monotonic() < until:
        time.sleep(POLL_S)


class Screen:
    """Says how far the job is: a bar on a terminal, a line a second in a pipe, or nothing."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        self.total, self.quiet = total, quiet
        self._began = self._told = 0.0
        self._bar: Progress | None = None

    def say(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        elif not self.quiet:
            say(text)

    def at(self, done: int) -> None:
        """So many files are done."""
        now = clock.monotonic()
        self._began = self._began or now - POLL_S
        rate = done / (now - self._began)
        if not self.quiet and on_terminal():
            self._bar = self._bar or _bar(self.total)
            self._bar.update(self._bar.task_ids[0], completed=done, rate=f"{rate:,.0f}/s")
        elif now - self._told >= 1.0 or done == self.total:
            self._told = now
            left = (self.total - done) / rate
            self.say(f"{done:>7,} of {self.total:,} files  {rate:,.0f}/s  {left:.0f} s left")

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


def _show(report: dict[str, Any]) -> None:
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
    say(f"\nDead letters: {len(letters)}" + f", the first {SHOWN_MAX}:" * bool(letters[SHOWN_MAX:]))
    for reason in letters[:SHOWN_MAX]:
        say(f"  {printable(reason.replace(root + os.sep, ''))}")
    say(f"\n{_totals_line(totals)}\n\n{_delivery_line(report['delivery'])}")
    say(f"conditions: {report['conditions']}, {report['seconds']} s")


def _totals_line(it: dict[str, Any]) -> str:
    return (
        f"totals: {it['files']:,} files, {it['lines']:,} lines, {it['code_lines']:,} of them code,"
        f" {it['functions']:,} functions, {it['classes']:,} classes, mean complexity"
        f" {it['complexity_sum'] / max(1, it['functions']):.2f}, docstring coverage"
        f" {it['documented'] / max(1, it['documentable']):.0%}, most imported"
        f" {', '.join(list(it['imports'])[:5])}"
    )


def _delivery_line(it: dict[str, Any]) -> str:
    recovery = f"{it['recovered']} recovered after the kill" if it["killed"] else "no kill"
    if it["recovered_s"] is not None:
        recovery += f" (back in line in {it['back_in_line_s']} s, done in {it['recovered_s']} s)"
    return (
        f"delivery: {it['tasks']:,} tasks, {it['succeeded']:,} succeeded, {it['dead_letters']} dead"
        f" letters, {recovery}, {it['lost']} lost, {it['started_again']} started again,"
        f" {it['executed_twice']} executed twice, {it['throughput_per_s']:,.0f} tasks/s, latency"
        f" p50 {it['latency_p50_s']} s p99 {it['latency_p99_s']} s (waiting in line included)"
    )
