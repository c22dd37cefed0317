#!/usr/bin/env python3
"""Whether a fleet is left in peace on a machine that is far too busy.

--workers workers, two children each, run tasks that compute, two supervisors watch, and beside
them --hogs processes (two a core by default) do nothing but burn CPU, for --minutes. Nobody dies,
so every event that blames somebody is false: suspect, dead, flapping, a partition, an outage, being
cut off, a lease that lapsed, another leader. The exit code is 1 when there is one.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter

import coordq
from coordq import clock
from coordq.fleet.election import standing
from coordq.interfaces.bench.crew import Crew, end_on_signals, wait_until
from coordq.interfaces.bench.report import Figure, as_verdicts, surroundings
from coordq.interfaces.bench.server import Server
from coordq.work.events import Event

BLAME = (
    *("suspect", "dead", "flapping", "rejoined", "partition", "outage", "cut-off", "healed"),
    *("read-only", "lapsed", "crashed", "refused", "repaired"),
)
AHEAD, CHUNK = 200, 200
LOOK_S = 1.0
HOG = "while True: pass"
AGENT = """
import time
from coordq import Agent

agent = Agent("calm")

def burn(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass

@agent.task
def compute(seconds: float) -> None:
    burn(seconds)

@agent.task
async def block(seconds: float) -> None:
    burn(seconds)
"""


class Watch:
    """Reads the events as they come, and keeps those that blame somebody."""

    def __init__(self, client: coordq.Client) -> None:
        self.kinds: Counter[str] = Counter()
        self.blamed: list[Event] = []
        self._client = client
        self._position = str(clock.now_ms())

    def look(self) -> None:
        """Take what has happened since the last look."""
        for event in self._client.work.events(after=self._position):
            self._position = event.at
            self.kinds[event.kind] += 1
            if event.kind in BLAME:
                self.blamed.append(event)


def feed(client: coordq.Client) -> None:
    """See to it that there is always more to do."""
    queued = {queue.name: queue.ready for queue in client.work.queues()}
    if queued.get("default", 0) < AHEAD:
        items = [("compute" if at % 2 else "block", {"seconds": 0.05}) for at in range(CHUNK)]
        client.work.enqueue_many(items)


def gather(chosen: argparse.Namespace, server: Server, crew: Crew, client: coordq.Client) -> None:
    """Start everybody, and wait until all are there."""
    crew.write("agent.py", AGENT)
    for at in range(2):
        crew.supervisor(f"s{at}", server.url)
    for at in range(chosen.workers):
        words = ("--zone", f"zone-{at % 2}", "--processes", "2", "--concurrency", "4")
        crew.worker(f"w{at}", server.url, "agent.py", *words)
    wait_until(lambda: len(client.engine.run(standing()).supervisors) == 2, "supervisors")
    wait_until(
        lambda: sum(bool(one.info["agents"]) for one in client.work.workers()) == chosen.workers,
        "all workers serve",
        within_s=120,
    )
    for at in range(chosen.hogs):
        crew.start(f"hog{at}", [sys.executable, "-I", "-S", "-c", HOG])


def run(chosen: argparse.Namespace, server: Server) -> tuple[Watch, dict[str, float]]:
    """The whole of it: what happened, and how busy it was."""
    loads = []
    with Crew() as crew, coordq.connect(server.url, patience=60) as client:
        gather(chosen, server, crew, client)
        feed(client)
        watch = Watch(client)
        done = client.work.queue("default").succeeded
        until = clock.monotonic() + chosen.minutes * 60
        while clock.monotonic() < until:
            feed(client)
            watch.look()
            loads.append(os.getloadavg()[0])
            time.sleep(LOOK_S)
        watch.look()
        spent = {
            "load": sum(loads) / len(loads),
            "tasks": client.work.queue("default").succeeded - done,
        }
        client.work.purge("default")
    return watch, spent


def main() -> int:
    """Watch and print; the exit code."""
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--hogs", type=int, default=2 * cores, help="processes that burn CPU")
    chosen = parser.parse_args()
    end_on_signals()
    with Server() as server:
        facts = surroundings(server.version)
        watch, spent = run(chosen, server)
    facts |= {"fleet": f"{chosen.workers} workers of 2 children, 2 supervisors, {chosen.hogs} hogs"}
    facts |= {"minutes": chosen.minutes, "load on average": f"{spent['load']:.1f}"}
    rows = [
        Figure("tasks done", spent["tasks"]),
        *(Figure(f"events: {kind}", watch.kinds[kind], 0) for kind in BLAME),
        Figure("events: elected", watch.kinds["elected"], 0),
    ]
    print(as_verdicts(facts, rows))
    for event in watch.blamed[:50]:
        print(f"  {event.at} {event.kind} {event.subject}: {event.detail}")
    return 1 if any(row.holds is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
