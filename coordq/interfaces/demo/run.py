"""The demo from start to end: a fleet, a flow, a kill, and the account of it."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import coordq
from coordq import clock
from coordq.client.flows import FlowHandle
from coordq.errors import FlowFailed
from coordq.interfaces.demo.fleet import CONCURRENCY, POLL_S, START_S, Fleet
from coordq.interfaces.demo.flow import audit_flow
from coordq.interfaces.demo.ledger import Ledger
from coordq.interfaces.demo.screen import Screen, show_report
from coordq.interfaces.demo.sources import sources
from coordq.interfaces.table import show_json

STALL_S: Final = 30.0  # when no task has ended for so long, those that have not are lost


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
    screen = Screen(quiet=json)
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
            (show_json if json else show_report)(report)
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
        """Submit, watch, kill, add up. Returns the report as JSON has it."""
        self.fleet.wait_ready(self.client)
        began = clock.monotonic()
        plan = audit_flow(self.files).plan()
        self.ledger = Ledger(frozenset(node.id for node in plan.nodes))
        audits = [node.id for node in plan.nodes if node.template.spec.name == "audit_file"]
        flow = self.client.flows.run(plan)
        self._watch(frozenset(audits) if kill else frozenset())
        whole = len(self.ledger.ends) == len(self.ledger.ids)
        totals = self._totals(flow) if whole else None
        self._read_events("0")  # all of it once more: shards differ in how far they were read
        delivery = self.ledger.delivery(self.killed_ms)
        return {
            "ok": delivery["lost"] == 0 and delivery["executed_twice"] == 0,
            "flow": {"id": flow.id, "state": flow.progress().state},
            "delivery": delivery,
            "totals": totals,
            "dead_letters": self._dead_letters(),
            "graph": self.client.flows.graph(flow.id),
            "seconds": round(clock.monotonic() - began, 2),
            "tree": os.path.commonpath([file.parent for file in self.files]),
            "conditions": f"Python {sys.version.split()[0]}, {self.fleet.processes} children on"
            f" {os.cpu_count()} processors, {CONCURRENCY} files each",
        }

    def _watch(self, halfway: frozenset[str]) -> None:
        """Follow the events until every task has ended, or none has for long.

        halfway: when half of these have ended, a child is killed.
        """
        ended, since = 0, clock.monotonic()
        total = len(self.ledger.ids)
        while ended < total and clock.monotonic() - since < STALL_S:
            time.sleep(POLL_S)
            self._read_events()
            if len(self.ledger.ends) != ended:
                ended, since = len(self.ledger.ends), clock.monotonic()
                self.screen.at(ended, total)
            done = sum(one in halfway for one in self.ledger.ends)
            if halfway and not self.killed_ms and done >= len(halfway) // 2:
                self.killed_ms = clock.now_ms()
                pid = self.fleet.kill_one(self.client)
                self.screen.say(f"killed worker child {pid} with SIGKILL")

    def _totals(self, flow: FlowHandle) -> dict[str, Any] | None:
        """What the last task of the flow returned; None when that failed."""
        try:
            return dict(flow.result(timeout=START_S)["report"])
        except FlowFailed as error:
            self.screen.say(str(error))
            return None

    def _read_events(self, after: str | None = None) -> None:
        """What has happened since the last look, or since `after`."""
        for event in self.client.work.events(after=after or self.cursor):
            self.ledger.note(event)
            self.cursor = event.at

    def _dead_letters(self) -> list[str]:
        """Why each dead letter is one; the reasons begin with the file."""
        errors = [self.client.work.get(one).error or {} for one in self.ledger.ended("failed")]
        return sorted(str(error.get("message", "no reason was recorded")) for error in errors)


def _wait_gone(lock: Path) -> None:
    """Wait for the embedded server to end, which it does a second after its last client left."""
    until = clock.monotonic() + START_S
    while lock.exists() and clock.monotonic() < until:
        time.sleep(POLL_S)
