#!/usr/bin/env python3
"""Cut a fleet in two, watch what both sides do, heal it, and judge whether promises were kept.

Two network namespaces with a link between them. Side A: the Redis that is primary, one of three
Sentinels, one supervisor, two of five workers, producers. Side B: two replicas, two Sentinels, two
supervisors, three workers, producers. Half of the producers ask for durability="replica". Then:

  whole   everybody works
  split   the link is cut. A sees that most of the fleet is gone and becomes read-only: enqueue is
          refused, looks and the results of what runs are answered. B promotes a replica, elects a
          leader with a higher epoch, and goes on
  heal    the link is back. A's Redis follows B's, A's workers rejoin as new incarnations, what they
          finish late is refused, one event tells what each side did
  verdict nothing that B acknowledged is lost, nothing that was acknowledged with a replica is
          lost, nothing is committed twice. What A acknowledged alone and lost is counted: that is
          the limit of asynchronous replication. With --min-replicas A's Redis refuses to write
          alone (min-replicas-to-write 1, min-replicas-max-lag 2), which makes that less

Needs Linux, iproute2, and root or unprivileged user namespaces; else the exit code is 77. All of it
happens in namespaces that vanish with the program. 0: promises kept, 1: not.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from shutil import copytree
from typing import TypeVar

import coordq
from coordq import clock
from coordq.errors import CoordqError
from coordq.interfaces.bench import apart
from coordq.interfaces.bench.crew import Crew, Member, end_on_signals, wait_until
from coordq.interfaces.bench.sentinel import Guarded, Node, Place
from coordq.interfaces.bench.sides import Sides, enter
from coordq.work.events import Event
from coordq.work.queue import Queue
from coordq.work.task import State

T = TypeVar("T")
WITHIN_S = 60.0
WORKERS_A, WORKERS_B = 2, 3
ALL = WORKERS_A + WORKERS_B
LOUD = (
    *("elected", "resigned", "joined", "left", "suspect", "dead", "rejoined", "partition"),
    *("outage", "cut-off", "healed", "read-only", "writable", "flapping", "forgotten"),
)


class Told:
    """Prints what happens, with the seconds since the split."""

    def __init__(self) -> None:
        self.zero_ms = clock.now_ms()

    def title(self, text: str) -> None:
        """A new step of the story."""
        print(f"\n== {text}", flush=True)

    def say(self, who: str, text: str, ms: int | None = None) -> None:
        """A line of it."""
        at = ((clock.now_ms() if ms is None else ms) - self.zero_ms) / 1000
        print(f"{at:7.1f} s  {who}  {text}", flush=True)


class Ear:
    """Listens to the events in one Redis, and keeps them all."""

    def __init__(self, told: Told, who: str, node: Node) -> None:
        self.client = coordq.connect(f"redis://{node.place.seen_at}:{node.port}/0")
        self.events: list[Event] = []
        self._told, self._who = told, who

    def listen(self, *, quiet_before_ms: int = 0) -> None:
        """Take in what is new; tell what matters, unless it is older."""
        after = self.events[-1].at if self.events else "0"
        for event in list(self.client.work.events(after=after)):
            self.events.append(event)
            if event.kind in LOUD and event.ms >= quiet_before_ms:
                words = f"{event.kind} {event.subject}: {event.detail}"
                self._told.say(self._who, words, event.ms)

    def first(self, kind: str, since_ms: int) -> Event | None:
        """The first event of that kind from then on."""
        return next((e for e in self.events if e.kind == kind and e.ms >= since_ms), None)


class Stage:
    """Both sides, and everybody on them."""

    def __init__(self, chosen: argparse.Namespace, crew: Crew, told: Told) -> None:
        self.sides = Sides()
        self.crew, self.told, self.chosen = crew, told, chosen
        a, b = self.sides.a, self.sides.b
        lag = ("min-replicas-to-write 1", "min-replicas-max-lag 2") if chosen.min_replicas else ()
        self.guarded = Guarded(crew, master=a, replicas=(b, b), watchers=(a, b, b), conf=lag)
        self.folder = crew.folder / "journals"
        self.folder.mkdir()
        crew.env["COORDQ_APART_FOLDER"] = str(self.folder)
        self.producers: list[Member] = []
        self.ears = [Ear(told, "A", self.guarded.master)]
        for place, zone, supervisors, workers in ((a, "a", 1, WORKERS_A), (b, "b", 2, WORKERS_B)):
            self._people(place, zone, supervisors, workers)

    def _people(self, place: Place, zone: str, supervisors: int, workers: int) -> None:
        url, words = self.guarded.url(place), ("--zone", zone)
        for number in range(supervisors):
            self.crew.supervisor(f"s-{zone}{number}", url, *words, prefix=place.prefix)
        pace = (*words, "--beat", f"{self.chosen.beat}s", "--lease", f"{self.chosen.beat * 5}s")
        for number in range(workers):
            name = f"w-{zone}{number}"
            self.crew.worker(name, url, apart.__file__, *pace, prefix=place.prefix)

    def produce(self) -> None:
        """Begin to enqueue on both sides, in both ways."""
        chance = random.Random(self.chosen.seed)
        for place, side in ((self.sides.a, "a"), (self.sides.b, "b")):
            for durability in ("primary", "replica"):
                words = [self.guarded.url(place), side, durability, str(self.chosen.rate)]
                program = [sys.executable, "-m", apart.__name__, *words]
                name = f"p-{side}-{durability}"
                seed = str(chance.randrange(2**31))
                started = self.crew.start(name, [*program, seed], prefix=place.prefix)
                self.producers.append(started)

    def stop_producing(self) -> None:
        """End the producers."""
        for producer in self.producers:
            producer.kill()

    def until(self, condition: Callable[[], T | None], what: str) -> T:
        """Listen until it is so. Raises TimeoutError."""

        def heard() -> T | None:
            for ear in self.ears:
                with suppress(CoordqError):
                    ear.listen(quiet_before_ms=self.told.zero_ms)
            with suppress(CoordqError):
                return condition()
            return None

        return wait_until(heard, what, within_s=WITHIN_S)

    def settle(self, seconds: float) -> None:
        """Let time pass, and listen."""
        over = clock.monotonic() + seconds
        self.until(lambda: clock.monotonic() > over, "time passes")


# ---------------------------------------------------------------- the story


def whole(stage: Stage) -> None:
    """Everybody is there, and works."""
    stage.told.title("whole: one fleet, the primary at A, its replicas at B")
    client = stage.ears[0].client
    stage.until(
        lambda: sum(bool(w.info["agents"]) for w in client.work.workers()) == ALL, "workers"
    )
    stage.until(lambda: client.fleet.status().leader is not None, "a leader")
    stage.produce()
    stage.settle(stage.chosen.whole)
    stage.told.say("A", f"{_queue(client).succeeded} tasks done, the replicas follow")


def split(stage: Stage, moments: apart.Moments) -> None:
    """The link is cut; both sides find out, and do what they must."""
    stage.told.zero_ms = moments.split = clock.now_ms()
    stage.told.title("split: the link is cut")
    stage.sides.cut()
    stage.until(lambda: _promoted(stage) and _stopped(stage, moments), "B promotes, and A stops")
    stage.until(lambda: stage.ears[1].first("elected", moments.split), "B has a leader")


def _promoted(stage: Stage) -> bool:
    there = stage.guarded.promoted()
    if len(stage.ears) == 1 and there is not None:
        stage.told.say("B", "its Sentinels have promoted a replica")
        stage.ears.append(Ear(stage.told, "B", there))
    return len(stage.ears) > 1


def _stopped(stage: Stage, moments: apart.Moments) -> bool:
    """Whether A takes no more: its leader says so, or its Redis refuses to write alone."""
    event = stage.ears[0].first("read-only", moments.split)
    if event is not None:
        moments.read_only = event.ms
    elif stage.chosen.min_replicas:
        told = apart.read(stage.folder, "producer-a-primary.jsonl")
        refused = [line["ms"] for line in told if line.get("refused") == "read-only"]
        moments.read_only = next((ms for ms in refused if ms > moments.split), 0)
    return moments.read_only > 0


def look_apart(stage: Stage, moments: apart.Moments) -> None:
    """What people see on each side while they are apart."""
    stage.told.title("apart: A takes nothing new and ends what runs, B works")
    a, b = (ear.client for ear in stage.ears)
    try:
        a.work.enqueue("nap", {"seconds": 0.1})
    except CoordqError as error:
        stage.told.say("A", f"enqueue answers {error.code}: {error}")
    stage.told.say("A", f"looks are answered: {_counts(_queue(a))}")
    if not stage.chosen.min_replicas:  # else not even an outcome can be written
        stage.until(lambda: _queue(a).running == 0, "what runs at A ends")
        ended = sum(
            e.kind == "succeeded" and e.ms > moments.read_only for e in stage.ears[0].events
        )
        stage.told.say("A", f"{ended} tasks that ran have ended, their results were taken")
    done = stage.until(lambda: stage.ears[1].first("succeeded", moments.split), "B works")
    stage.told.say("B", "the first task since the split is done", done.ms)
    acked = stage.until(lambda: _first_ack(stage, moments.split), "B takes tasks")
    stage.told.say("B", "the first enqueue since the split is acknowledged", acked)
    stage.settle(stage.chosen.apart)
    for who, client in (("A", a), ("B", b)):
        stage.told.say(who, f"{_counts(_queue(client))}; {_standing(client)}")


def _first_ack(stage: Stage, since_ms: int) -> int:
    told = apart.read(stage.folder, "producer-b-*.jsonl")
    acked = [line["ms"] for line in told if "refused" not in line]
    return min((ms for ms in acked if ms > since_ms + apart.MARGIN_MS), default=0)


def heal(stage: Stage, moments: apart.Moments) -> list[Event]:
    """The link is back; returns what had happened at A, which its Redis now forgets."""
    stage.told.title("heal: the link is back")
    here, b = stage.guarded.master, stage.ears[1]
    stage.ears[0].listen()
    lost_side = stage.ears.pop(0).events
    moments.healed = clock.now_ms()
    stage.sides.heal()
    stage.until(lambda: "role:slave" in here.info(), "A's Redis follows B's")
    stage.told.say("A", "its Redis follows that of B, and forgets what it did alone")
    stage.until(lambda: _returned(b.client) == WORKERS_A, "A's workers are back")
    stage.told.say("B", f"A's workers are back, as new incarnations; {_standing(b.client)}")
    stage.until(lambda: b.first("healed", moments.healed), "the leader tells that it is healed")
    return lost_side


def _returned(client: coordq.Client) -> int:
    """How many of A's workers are in the fleet as a new incarnation."""
    return sum(
        worker.zone == "a" and worker.incarnation > 1 and worker.health.value == "healthy"
        for worker in client.fleet.status().workers
    )


def rest(stage: Stage) -> list[Event]:
    """Producers end, everything is done; returns all that happened in the Redis that survived."""
    stage.settle(stage.chosen.after)
    stage.stop_producing()
    client = stage.ears[0].client
    try:
        stage.until(lambda: _left(_queue(client)) == 0, "everything is done")
    except TimeoutError:
        stage.told.say("B", f"NOT everything is done: {_counts(_queue(client))}")
        _tell_rest(stage, client)
    stage.told.say("B", f"everything is done: {_counts(_queue(client))}")
    return list(client.work.events())


def _tell_rest(stage: Stage, client: coordq.Client) -> None:
    """Why tasks are left: for whoever has to find out."""
    events = list(client.work.events())
    for state in (State.READY, State.RUNNING, State.SCHEDULED):
        for task in client.work.ls(state=state, limit=5):
            stage.told.say("B", client.work.why(task.id))
            for event in events:
                if event.subject == task.id:
                    words = f"    {event.kind} fence {event.fence} {event.detail}"
                    stage.told.say("B", words, event.ms)


def tell(verdict: apart.Verdict, stage: Stage, healed: int) -> bool:
    """Print the verdict; whether promises were kept."""
    if healed != 1:
        verdict.violations.append(f"{healed} events told that it healed, instead of one")
    stage.told.title("verdict")
    for name, amount in verdict.facts.items():
        print(f"{amount:8,}  {name}")
    for violation in verdict.violations[:20]:
        print(f"     NOT  {violation}")
    kept = not verdict.violations
    print("promises were kept" if kept else f"{len(verdict.violations)} promises were broken")
    return kept


def _queue(client: coordq.Client) -> Queue:
    return client.work.queue("default")


def _counts(queue: Queue) -> str:
    return f"{queue.ready} ready, {queue.running} running, {queue.succeeded} done"


def _left(queue: Queue) -> int:
    return queue.ready + queue.running + queue.scheduled


def _standing(client: coordq.Client) -> str:
    status = client.fleet.status()
    leader = f"{status.leader.name} leads, epoch {status.leader.epoch}" if status.leader else ""
    return f"{leader or 'nobody leads'}; zones {status.zones}"


def drill(chosen: argparse.Namespace) -> bool:
    """All of it; whether promises were kept."""
    told, moments = Told(), apart.Moments()
    with Crew() as crew, ExitStack() as at_last:
        if chosen.logs:
            at_last.callback(copytree, crew.folder, chosen.logs, dirs_exist_ok=True)
        stage = Stage(chosen, crew, told)
        whole(stage)
        split(stage, moments)
        look_apart(stage, moments)
        lost_side = heal(stage, moments)
        survived = rest(stage)
        verdict = apart.judge(stage.folder, moments, survived, lost_side)
        healed = sum(event.kind == "healed" for event in survived)
        return tell(verdict, stage, healed)


def main() -> int:
    """Enter the namespaces and drill; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--beat", type=float, default=1.0, help="seconds; leases are five times it")
    parser.add_argument("--rate", type=float, default=10.0, help="tasks a second of each producer")
    parser.add_argument("--whole", type=float, default=6.0, help="seconds before the split")
    parser.add_argument("--apart", type=float, default=8.0, help="seconds more that it is split")
    parser.add_argument("--after", type=float, default=5.0, help="seconds after the heal")
    parser.add_argument("--min-replicas", action="store_true", help="min-replicas-to-write 1")
    parser.add_argument("--seed", type=int, default=1, help="of the producers")
    parser.add_argument("--logs", metavar="FOLDER", help="keep logs and journals there")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    code = enter(sys.argv)
    if code is not None:
        return code
    end_on_signals()
    return 0 if drill(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
