#!/usr/bin/env python3
"""How soon the fleet gets over a death: of its leader, of a machine with a worker, of a Redis.

  leader    three supervisors; the leading one is killed (-9): until another leads with a new epoch
  resign    the same with TERM: until the office is handed over
  machine   a worker's whole process tree is killed (-9) while it runs ten tasks: until the leader
            calls it dead, and until a second worker runs all ten again; by the events in Redis
  quick     the same, with --beat 0.5s
  sentinel  a master with a replica and three Sentinels (down-after 2 s) is killed (-9): until a
            producer's enqueue succeeds, and until that task was done by a worker that was there
            before; every round with new servers

Each is repeated --rounds times (sentinel a quarter as often), at moments drawn by --seed. Redis is
a private one without persistence. The exit code is 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import coordq
from coordq import TaskHandle, clock
from coordq.errors import CoordqError
from coordq.fleet.election import Standing, standing
from coordq.interfaces.bench.crew import Crew, Member, end_on_signals, wait_until
from coordq.interfaces.bench.report import Figure, as_verdicts, surroundings
from coordq.interfaces.bench.sentinel import Guarded
from coordq.interfaces.bench.server import Server
from coordq.work.events import Event

TASKS = 10
BEATS_KNOWN = 3
GOALS = {
    "leader killed, next leads: p50, s": 3.0,
    "leader killed, next leads: max, s": 5.0,
    "machine killed, called dead: max, s": 10.0,
    "machine killed, beat 0.5 s, called dead: max, s": 3.0,
    "machine killed, its tasks run again: max, s": 12.0,
}
AGENT = """
import asyncio
from coordq import Agent

agent = Agent("failover")

@agent.task
async def hold() -> None:
    await asyncio.sleep(3600)

@agent.task
async def short() -> None:
    pass
"""
Runs = dict[str, list[float]]


# ---------------------------------------------------------------- leaders


def lead(client: coordq.Client, *, after: int = 0, known: int = 1) -> Standing:
    """Wait until somebody leads with a newer epoch, and so many supervisors are known."""

    def settled() -> Standing | None:
        now = client.engine.run(standing())
        newer = now.leader is not None and now.leader.epoch > after
        return now if newer and len(now.supervisors) >= known else None

    return wait_until(settled, "a supervisor leads")


def leaders(rounds: int, seed: int, *, politely: bool) -> Runs:
    """Take the leader away, again and again; a new one is started in its place."""
    chance, spent = random.Random(seed), []
    what = "leader resigns" if politely else "leader killed"
    with Server() as server, Crew() as crew, coordq.connect(server.url) as client:
        members = {f"s{at}": crew.supervisor(f"s{at}", server.url) for at in range(3)}
        for number in range(rounds):
            now = lead(client, known=3)
            time.sleep(chance.uniform(0, 1))
            now = lead(client, known=3)
            assert now.leader is not None
            name = now.leader.name.partition(".")[0]
            took = members.pop(name)
            began = clock.monotonic()
            took.term() if politely else took.kill()
            lead(client, after=now.leader.epoch)
            spent.append(clock.monotonic() - began)
            took.end()
            heir = f"s{number + 3}"
            members[heir] = crew.supervisor(heir, server.url)
    return {f"{what}, next leads": spent}


# ---------------------------------------------------------------- machines


def events_since(client: coordq.Client, ms: int, *kinds: str) -> list[Event]:
    """What happened of these kinds from then on."""
    return [event for event in client.work.events(after=str(ms)) if event.kind in kinds]


def serving(client: coordq.Client, name: str) -> bool:
    """Whether a worker of that name can do something."""
    workers = client.work.workers()
    return any(view.name.startswith(f"{name}.") and view.info["agents"] for view in workers)


def machines(rounds: int, seed: int, *, beat_s: float, label: str) -> Runs:
    """Kill the worker that holds the tasks; the one that takes them over is the next to go."""
    chance, dead, again = random.Random(seed), [], []
    words = ("--beat", f"{beat_s}s", "--concurrency", "100")
    with Server() as server, Crew() as crew, coordq.connect(server.url) as client:
        crew.write("agent.py", AGENT)
        crew.supervisor("watch", server.url)
        lead(client)
        doomed = crew.worker("w0", server.url, "agent.py", *words)
        for number in range(rounds):
            handles = client.work.enqueue_many([("hold", {})] * TASKS)
            wait_until(
                lambda: client.work.queue("default").running == TASKS, "the first has all the tasks"
            )
            heir = crew.worker(f"w{number + 1}", server.url, "agent.py", *words)
            wait_until(lambda heir=heir: serving(client, heir.name), "the second serves")  # type: ignore[misc]
            time.sleep(beat_s * chance.uniform(BEATS_KNOWN, BEATS_KNOWN + 1))
            killed_ms = clock.now_ms()  # Redis reads the same clock
            doomed.kill()
            dead.append((_dead(client, killed_ms, doomed) - killed_ms) / 1000)
            again.append((_running(client, killed_ms) - killed_ms) / 1000)
            for handle in handles:
                handle.cancel()
            wait_until(
                lambda: client.work.queue("default").running == 0, "the tasks are called off"
            )
            doomed = heir
    return {f"{label}, called dead": dead, f"{label}, its tasks run again": again}


def _dead(client: coordq.Client, killed_ms: int, doomed: Member) -> int:
    def told() -> int:
        found = events_since(client, killed_ms, "dead")
        return next((one.ms for one in found if one.subject.startswith(f"{doomed.name}.")), 0)

    return wait_until(told, f"{doomed.name} is called dead")


def _running(client: coordq.Client, killed_ms: int) -> int:
    def told() -> int:
        moments = [event.ms for event in events_since(client, killed_ms, "running")]
        return max(moments) if len(moments) >= TASKS else 0

    return wait_until(told, "the tasks run again")


# ---------------------------------------------------------------- Sentinel


def sentinels(rounds: int, seed: int) -> Runs:
    """Kill the master under a producer and a worker."""
    chance, enqueued, done = random.Random(seed), [], []
    for number in range(rounds):
        with Crew() as crew, coordq.connect((guarded := Guarded(crew)).url()) as client:
            crew.write("agent.py", AGENT)
            crew.supervisor("watch", guarded.url())
            crew.worker("w", guarded.url(), "agent.py")
            client.work.run("short", {}, wait_for=30)
            time.sleep(chance.uniform(0, 1))
            began = clock.monotonic()
            guarded.master.member.kill()
            handle = wait_until(lambda client=client: _try(client), "an enqueue succeeds")  # type: ignore[misc]
            enqueued.append(clock.monotonic() - began)
            handle.result(timeout=60)
            done.append(clock.monotonic() - began)
        print(f"sentinel {number + 1}/{rounds}", file=sys.stderr, flush=True)
    return {"Redis master killed, enqueue succeeds": enqueued, "... and its task is done": done}


def _try(client: coordq.Client) -> TaskHandle[Any] | None:
    try:
        return client.work.enqueue("short")
    except CoordqError:
        return None


# ---------------------------------------------------------------- the table

DRILLS: dict[str, Callable[[int, int], Runs]] = {
    "leader": lambda rounds, seed: leaders(rounds, seed, politely=False),
    "resign": lambda rounds, seed: leaders(rounds, seed, politely=True),
    "machine": lambda rounds, seed: machines(rounds, seed, beat_s=2.0, label="machine killed"),
    "quick": lambda rounds, seed: machines(
        rounds, seed, beat_s=0.5, label="machine killed, beat 0.5 s"
    ),
    "sentinel": lambda rounds, seed: sentinels(max(1, rounds // 4), seed),
}


def figures(runs: Runs) -> list[Figure]:
    """The middle and the worst of each."""
    rows = []
    for name, spent in runs.items():
        for word, value in (("p50", median(spent)), ("max", max(spent))):
            label = f"{name}: {word}, s"
            rows.append(Figure(label, value, GOALS.get(label)))
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Drill and print; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default=",".join(DRILLS), help="some of them, with commas")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    chosen = parser.parse_args(argv)
    names = chosen.only.split(",")
    if unknown := set(names) - set(DRILLS):
        parser.error(f"there is no drill {min(unknown)!r}; there are: {', '.join(DRILLS)}")
    end_on_signals()
    with Server() as server:
        facts = surroundings(server.version) | {"rounds": chosen.rounds, "seed": chosen.seed}
    rows: list[Figure] = []
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows += figures(DRILLS[name](chosen.rounds, chosen.seed))
    print(as_verdicts(facts, rows))
    return 1 if any(row.holds is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
