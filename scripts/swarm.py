#!/usr/bin/env python3
"""What a large fleet's heartbeats cost Redis, and what a supervisor that watches it costs.

One process plays --workers workers, each on a connection of its own: it claims --tasks tasks and
then beats as a busy worker does, every --beat seconds, in a worker's own cadence, with all its
claims, and when it looks or beats fully with an info that has changed since the last time (the info
is a real worker's, taken at the start). Redis is a private one without persistence. Measured with
PINGs on the same schedule, which is what any message costs, then for --seconds with beats, then for
as long with two supervisors beside it: one leads, one waits. Each is the median of ten windows. CPU
is of one core, by INFO and /proc; commands are those inside scripts as well. The exit code is 1
when a goal is missed or a worker was wronged.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import coordq
from coordq import clock
from coordq.engine import keys
from coordq.engine.aio import AsyncEngine, Line, open_async_engine
from coordq.engine.schema import read_info
from coordq.errors import CoordqError
from coordq.fleet.election import standing
from coordq.interfaces.bench.crew import Crew, Member, end_on_signals, wait_until
from coordq.interfaces.bench.report import Figure, as_verdicts, surroundings
from coordq.interfaces.bench.server import Server, cpu_seconds
from coordq.runtime.cadence import Cadence, Kind
from coordq.work.beat import Pulse, beat, brief, read_brief
from coordq.work.claim import Ask, claim, serve

BLAME = ("suspect", "dead", "partition", "flapping", "lapsed", "outage", "cut-off")
ZONES = 10
SETTLE_BEATS = 4.0
WINDOWS = 10
BEATS_GOAL, SUPERVISOR_GOAL = 3.0, 10.0
AGENT = """
from coordq import Agent

agent = Agent("swarm")

@agent.task
async def hold(i: int) -> int:
    return i
"""


class Swarm:
    """Workers without processes: claims and heartbeats through the calls of real ones."""

    def __init__(
        self, engine: AsyncEngine, chosen: argparse.Namespace, info: dict[str, Any]
    ) -> None:
        self.beats = self.full = self.lost = self.errors = self.claims = 0
        self._engine = engine
        self._root = keys.root(engine.namespace, 0)
        self._chosen = chosen
        self._info = info
        self._random = random.Random(chosen.seed)
        self._lease_ms = int(chosen.beat * 5000)
        self._lines: list[Line] = []
        self._living: list[asyncio.Task[None]] = []

    async def connect(self) -> None:
        """Open everybody's connection, and let each say PING as often as it will beat."""
        for _ in range(self._chosen.workers):
            line = await self._engine.dedicated(0)
            self._lines.append(line)
            self._living.append(asyncio.create_task(self._live(partial(line.execute, "PING"))))

    async def begin(self) -> None:
        """Give every worker its tasks, and let it beat from then on."""
        await self._silence()
        for number, line in enumerate(self._lines):
            info = {**self._info, "worker": f"swarm.{number}", "zone": f"zone-{number % ZONES}"}
            cadence = Cadence(beat_s=self._chosen.beat, lease_s=self._lease_ms / 1000)
            await self._beat(line, info, (), cadence)
            members = await self._claim(line, number) if self._chosen.tasks else ()
            self.claims += len(members)
            beats = partial(self._beat, line, info, members, cadence)
            self._living.append(asyncio.create_task(self._live(beats)))

    async def _claim(self, line: Line, number: int) -> tuple[str, ...]:
        who, nonce = f"swarm.{number}/0.0:a", f"swarm{number}"
        ask = Ask(who, nonce, self._chosen.tasks, "default", serve(["hold"]), self._lease_ms)
        return tuple(one.member for one in (await line.run(claim(0, ask))).claims)

    async def _live(self, say: Callable[[], Awaitable[object]]) -> None:
        """One worker says something, again and again, on a schedule of its own."""
        pause_s = self._random.uniform(0, self._chosen.beat)
        while True:
            await asyncio.sleep(pause_s)
            began = clock.monotonic()
            try:
                await say()
            except CoordqError:
                self.errors += 1
            due_s = self._chosen.beat * self._random.uniform(0.98, 1.02)
            pause_s = max(0.0, due_s + began - clock.monotonic())

    async def _beat(
        self, line: Line, info: dict[str, Any], members: tuple[str, ...], cadence: Cadence
    ) -> None:
        self.beats += 1
        began = clock.monotonic()
        kind = cadence.next(began)
        info["running"] = len(members)
        info["succeeded"] += self._random.randrange(1, 100)  # it works: never the same info twice
        text = b"" if kind is Kind.KEEP else json.dumps(info, separators=(",", ":")).encode()
        pulse = Pulse(info["worker"], members, text, self._lease_ms)
        if kind is not Kind.FULL:
            now_ms, look = cadence.redis_ms(began), kind is Kind.LOOK
            replies = await line.attempt(*brief(self._root, pulse, now_ms, look=look))
            heard_s, answer = clock.monotonic(), read_brief(pulse, replies)
            if answer.well and answer.looked:
                cadence.lapse_s = lapse(answer.lapse_in_ms)
                cadence.looked(sent_s=began, heard_s=heard_s, now_ms=answer.now_ms)
            elif answer.well:
                cadence.kept(sent_s=began)
            if answer.well and not answer.short:
                return
            pulse = replace(pulse, info=json.dumps(info, separators=(",", ":")).encode())
        sent = clock.monotonic()
        beaten = await line.run(beat(0, pulse))
        cadence.full(sent_s=sent, heard_s=clock.monotonic(), now_ms=beaten.now_ms)
        cadence.lapse_s = lapse(beaten.lapse_in_ms)
        self.full += 1
        self.lost += len(beaten.lost)

    async def end(self) -> None:
        """Fall silent, and hang up."""
        await self._silence()
        for line in self._lines:
            await line.close()

    async def _silence(self) -> None:
        for one in self._living:
            one.cancel()
        await asyncio.gather(*self._living, return_exceptions=True)
        self._living.clear()


def lapse(in_ms: int | None) -> float:
    """When a claim lapses that does so first."""
    return math.inf if in_ms is None else clock.monotonic() + in_ms / 1000


class Meter:
    """What Redis, the supervisors and the swarm use."""

    def __init__(self, server: Server, swarm: Swarm, supervisors: list[Member]) -> None:
        self._server, self._swarm, self._supervisors = server, swarm, supervisors
        self._first = self._read()

    def rates(self) -> dict[str, float]:
        """What was used a second, since the last time."""
        last, first = self._read(), self._first
        self._first = last
        spent_s = last["at"] - first["at"]
        return {name: (last[name] - first[name]) / spent_s for name in last}

    def _read(self) -> dict[str, float]:
        fields = read_info(self._server.raw.command("INFO", "everything"))
        spent = [cpu_seconds(one.pid) for one in self._supervisors]
        return {
            "at": clock.monotonic(),
            "redis": float(fields["used_cpu_sys"]) + float(fields["used_cpu_user"]),
            "calls": float(self._server.snapshot().calls),
            "in": float(fields["total_net_input_bytes"]),
            "out": float(fields["total_net_output_bytes"]),
            "beats": float(self._swarm.beats),
            "full": float(self._swarm.full),
            "leader": spent[0] if spent else 0.0,
            "stand-by": sum(spent[1:]),
        }


def take_info(server: Server, crew: Crew) -> dict[str, Any]:
    """What a real worker that has done some work says of itself."""
    crew.write("agent.py", AGENT)
    with coordq.connect(server.url) as client:
        one = crew.worker("model", server.url, "agent.py", "--concurrency", "100")
        for handle in client.work.enqueue_many([("hold", {"i": i}) for i in range(500)]):
            handle.result(timeout=60)
        seen = wait_until(
            lambda: next((w.info for w in client.work.workers() if w.info["succeeded"] > 0), None),
            "the model's work is told",
        )
        one.end()
    server.flush()
    return seen


def start_supervisors(server: Server, crew: Crew) -> list[Member]:
    """Two: the first leads before the second begins."""
    started = []
    with coordq.connect(server.url) as client:
        for name in ("leads", "waits"):
            started.append(crew.supervisor(name, server.url))
            known = len(started)
            wait_until(
                lambda known=known: len(client.engine.run(standing()).supervisors) == known,  # type: ignore[misc]
                f"{name} campaigns",
            )
    return started


async def measure(chosen: argparse.Namespace, server: Server, crew: Crew) -> dict[str, Any]:
    """All runs; what was used a second in each, and what happened on the way."""
    info = await asyncio.to_thread(take_info, server, crew)
    async with coordq.connect_async(server.url) as client:
        items = [("hold", {"i": i}) for i in range(chosen.workers * chosen.tasks)]
        await client.work.enqueue_many(items)
    engine = await open_async_engine(server.url)
    swarm = Swarm(engine, chosen, info)
    settle_s = chosen.beat * SETTLE_BEATS
    await swarm.connect()
    await asyncio.sleep(settle_s)
    pings = await _watch(chosen.seconds / 3, Meter(server, swarm, []))
    await swarm.begin()
    await asyncio.sleep(settle_s)
    alone = await _watch(chosen.seconds, Meter(server, swarm, []))
    supervisors = await asyncio.to_thread(start_supervisors, server, crew)
    await asyncio.sleep(settle_s)
    watched = await _watch(chosen.seconds, Meter(server, swarm, supervisors))
    with coordq.connect(server.url) as sync:
        blamed = [event for event in sync.work.events() if event.kind in BLAME]
    await swarm.end()
    await engine.close()
    text = json.dumps(info, separators=(",", ":"))
    rates = {"pings": pings, "alone": alone, "watched": watched}
    return {**rates, "swarm": swarm, "blamed": blamed, "info": len(text)}


async def _watch(seconds: float, meter: Meter) -> dict[str, float]:
    """The median of each rate over some windows."""
    seen = []
    for _ in range(WINDOWS):
        await asyncio.sleep(seconds / WINDOWS)
        seen.append(meter.rates())
    return {name: median(rates[name] for rates in seen) for name in seen[0]}


def figures(seen: dict[str, Any]) -> list[Figure]:
    """The rows of the table."""
    alone, watched, beats = seen["alone"], seen["watched"], seen["alone"]["beats"]
    extra = watched["redis"] - alone["redis"]
    return [
        Figure("heartbeats /s", beats),
        Figure("of which by script, %", alone["full"] / beats * 100),
        Figure("heartbeats, % of one core of Redis", alone["redis"] * 100, BEATS_GOAL),
        Figure("as many PINGs, % of one core of Redis", seen["pings"]["redis"] * 100),
        Figure("Redis CPU per heartbeat, us", alone["redis"] / beats * 1e6),
        Figure("commands per heartbeat", alone["calls"] / beats),
        Figure("bytes in per heartbeat", alone["in"] / beats),
        Figure("bytes out per heartbeat", alone["out"] / beats),
        Figure("leading supervisor, % of a core", watched["leader"] * 100, SUPERVISOR_GOAL),
        Figure("waiting supervisor, % of a core", watched["stand-by"] * 100),
        Figure("the two, % of a core of Redis more", extra * 100),
        Figure("commands /s of the two", watched["calls"] - alone["calls"]),
        Figure("claims that were lost", float(seen["swarm"].lost), 0),
        Figure("heartbeats that failed", float(seen["swarm"].errors), 0),
        Figure("events that blame somebody", float(len(seen["blamed"])), 0),
    ]


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=10, help="that each worker runs")
    parser.add_argument("--beat", type=float, default=2.0, help="seconds; leases are five times it")
    parser.add_argument("--seconds", type=float, default=60.0, help="that each run is measured")
    parser.add_argument("--seed", type=int, default=1, help="of the schedules")
    chosen = parser.parse_args()
    end_on_signals()
    with Server() as server, Crew() as crew:
        facts = surroundings(server.version)
        seen = asyncio.run(measure(chosen, server, crew))
    facts |= {"fleet": f"{chosen.workers} workers, {seen['swarm'].claims} claims"}
    facts |= {"beat": f"{chosen.beat:g} s, info of {seen['info']} bytes, seed {chosen.seed}"}
    rows = figures(seen)
    print(as_verdicts(facts, rows))
    for event in seen["blamed"][:20]:
        print(f"  {event.at} {event.kind} {event.subject}: {event.detail}")
    return 1 if any(row.holds is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
