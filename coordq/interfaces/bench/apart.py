"""Both sides of a partition keep journals; from them and from what Redis kept comes the verdict.

As a program it is one producer. As a worker's target it is the agent that does the work. Each line
of a journal is JSON, written at once, so that nothing is forgotten by who is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import coordq
from coordq import Agent, clock, settings
from coordq.errors import CoordqError
from coordq.work.context import Context
from coordq.work.events import Event

FOLDER: Final = "APART_FOLDER"
MARGIN_MS: Final = 200
"""Between a moment in Redis and a line about it in a journal."""
PATIENCE_S: Final = 2.0
RETRY_S: Final = 0.2
LONG_SHARE: Final = 0.1
agent = Agent("apart")


def write(name: str, **fields: Any) -> None:
    """Add a line to a journal in the folder that the environment names."""
    folder = settings.get(FOLDER)
    assert folder is not None, "the drill names the folder"
    line = json.dumps({"ms": clock.now_ms(), **fields}) + "\n"
    file = os.open(Path(folder) / f"{name}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def read(folder: Path, pattern: str) -> Iterator[dict[str, Any]]:
    """All whole lines of the journals whose name fits."""
    for path in sorted(folder.glob(pattern)):
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)


# ---------------------------------------------------------------- who works


@agent.task
async def nap(ctx: Context, seconds: float) -> None:
    """Something that waits, and stops when it is told to."""
    write(f"run-{os.getpid()}", id=ctx.task_id, fence=ctx.fence)
    await asyncio.sleep(seconds)


@agent.task
def dig(ctx: Context, seconds: float) -> None:
    """Something that cannot be stopped."""
    write(f"run-{os.getpid()}", id=ctx.task_id, fence=ctx.fence)
    time.sleep(seconds)


# ---------------------------------------------------------------- who enqueues


def produce(url: str, side: str, durability: str, rate: float, seed: int) -> None:
    """Enqueue for ever, and write down what was tried, what acknowledged and what refused."""
    chance, name = random.Random(seed), f"producer-{side}-{durability}"
    with _connect(url) as client:
        while True:
            task_id = coordq.new_id()
            long = chance.random() < LONG_SHARE
            task, seconds = ("dig", chance.uniform(2, 12)) if long else ("nap", chance.random())
            try:
                client.work.enqueue(task, {"seconds": seconds}, id=task_id, durability=durability)
            except CoordqError as error:
                write(name, side=side, id=task_id, refused=error.code, durability=durability)
            else:
                write(name, side=side, id=task_id, durability=durability)
            time.sleep(1 / rate)


def _connect(url: str) -> coordq.Client:
    while True:
        try:
            return coordq.connect(url, patience=PATIENCE_S)
        except CoordqError:
            time.sleep(RETRY_S)


# ---------------------------------------------------------------- who judges


@dataclass(slots=True)
class Moments:
    """When it happened, in milliseconds since 1970."""

    split: int = 0
    read_only: int = 0
    healed: int = 0


@dataclass(slots=True)
class Verdict:
    """What became of everything that was acknowledged."""

    violations: list[str] = field(default_factory=list)
    facts: dict[str, int] = field(default_factory=dict)


def judge(
    folder: Path, moments: Moments, events: Iterable[Event], lost_side: Iterable[Event]
) -> Verdict:
    """Hold the journals against the history that survived, and the one that did not.

    events: of the Redis that survived. lost_side: of the other, as it was before it was healed.
    """
    told = list(read(folder, "producer-*.jsonl"))
    acked = [line for line in told if "refused" not in line]
    surviving = list(events)
    ended = Counter(one.subject for one in surviving if one.kind == "succeeded")
    # of a task that nobody knows any more a late finish is refused as well
    last = {one.subject: one for one in surviving if one.kind != "refused"}
    verdict = Verdict()
    _judge_acks(verdict, acked, moments, last, ended)
    _judge_commits(verdict, surviving, ended)
    _judge_refusals(verdict, told, moments)
    _judge_epochs(verdict, surviving)
    done_there = {one.subject for one in lost_side if one.kind == "succeeded"} - {
        one.subject for one in surviving if one.kind == "succeeded" and one.ms < moments.split
    }
    verdict.facts["done by A meanwhile, and done again by B"] = len(done_there & set(ended))
    runs = Counter(line["id"] for line in read(folder, "run-*.jsonl"))
    verdict.facts["tasks that ran more than once"] = sum(amount > 1 for amount in runs.values())
    return verdict


def _judge_acks(
    verdict: Verdict,
    acked: list[dict[str, Any]],
    moments: Moments,
    last: dict[str, Event],
    ended: Counter[str],
) -> None:
    """Who was promised what, and got it."""
    lost = [line for line in acked if line["id"] not in last]
    verdict.facts["acknowledged"] = len(acked)
    verdict.facts["... with durability=replica"] = sum(_durable(line) for line in acked)
    excused = [
        line
        for line in lost
        if line["side"] == "a" and not _durable(line) and line["ms"] >= moments.split - MARGIN_MS
    ]
    verdict.facts["acknowledged by A during the split, and lost (the limit)"] = len(excused)
    for line in lost:
        if line not in excused:
            what = f"acknowledged by {line['side'].upper()} {_when(line['ms'], moments)}"
            verdict.violations.append(f"lost: {line['id']}, {line['durability']}, {what}")
    for line in acked:
        if line["id"] in last and not ended[line["id"]]:
            event = last[line["id"]]
            what = f"its last event is {event.kind} {event.detail}"
            verdict.violations.append(f"never done: {line['id']}, {what}")


def _judge_commits(verdict: Verdict, surviving: list[Event], ended: Counter[str]) -> None:
    """One commit a task, and by the newest fence."""
    verdict.facts["done"] = len(ended)
    verdict.violations += [f"committed {n} times: {one}" for one, n in ended.items() if n > 1]
    fence: dict[str, int] = {}
    for event in surviving:
        if event.kind == "running":
            if event.fence <= fence.get(event.subject, 0):
                verdict.violations.append(f"an old fence was granted: {event.subject}")
            fence[event.subject] = event.fence
        elif event.kind == "succeeded" and event.fence not in {0, fence.get(event.subject)}:
            verdict.violations.append(f"a stale fence committed: {event.subject}")
    verdict.facts["late finishes refused"] = sum(one.kind == "refused" for one in surviving)


def _judge_refusals(verdict: Verdict, told: list[dict[str, Any]], moments: Moments) -> None:
    """Once it was read-only, the minority took nothing more."""
    apart = [one for one in told if one["side"] == "a" and one["ms"] < moments.healed]
    verdict.facts["refused by A as read-only"] = sum(
        one.get("refused") == "read-only" for one in apart
    )
    verdict.facts["not confirmed by a replica, so not acknowledged"] = sum(
        one.get("refused") == "not-replicated" for one in apart
    )
    late = [
        one for one in apart if "refused" not in one and one["ms"] > moments.read_only + MARGIN_MS
    ]
    verdict.violations += [f"taken by A although read-only: {one['id']}" for one in late]
    if not verdict.facts["refused by A as read-only"]:
        verdict.violations.append("A refused nothing as read-only")


def _judge_epochs(verdict: Verdict, surviving: list[Event]) -> None:
    """Epochs only grow."""
    epochs = [one.fence for one in surviving if one.kind == "elected"]
    verdict.facts["leaders elected"] = len(epochs)
    if epochs != sorted(set(epochs)):
        verdict.violations.append(f"epochs do not grow: {epochs}")


def _durable(line: dict[str, Any]) -> bool:
    return bool(line["durability"] == "replica")


def _when(ms: int, moments: Moments) -> str:
    for name, at in (("split", moments.split), ("heal", moments.healed)):
        if ms < at:
            return f"{(at - ms) / 1000:.1f} s before the {name}"
    return f"{(ms - moments.healed) / 1000:.1f} s after the heal"


if __name__ == "__main__":
    produce(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5]))
