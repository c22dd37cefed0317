"""Real processes at once on one server: every task is claimed once, every fence commits once."""

from __future__ import annotations

import multiprocessing
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from coordq.engine.connection import open_engine
from coordq.errors import Conflict
from coordq.work.claim import Claim
from coordq.work.enqueue import enqueue
from coordq.work.finish import Outcome
from coordq.work.look import page
from coordq.work.task import State
from tests.waiting import wait_until
from tests.work.desk import Desk, ask, bulk, order

TASKS = 10_000
PROCESSES = 4
_SPAWN = multiprocessing.get_context("spawn")

Report = dict[str, Any]


def at_once(
    desk: Desk, redis_url: str, part: Callable[[Desk, int], Report], amount: int = PROCESSES
) -> list[Report]:
    """Run `part` in several processes, each with an engine of its own."""
    desk.redis("DEL", desk.key("gate"))
    work = [(part, redis_url, desk.engine.namespace, number, amount) for number in range(amount)]
    with _SPAWN.Pool(amount) as pool:
        return pool.map(_play, work, chunksize=1)


def _play(work: tuple[Callable[[Desk, int], Report], str, str, int, int]) -> Report:
    part, url, namespace, number, amount = work
    with open_engine(url, namespace=namespace) as engine:
        desk = Desk(engine)
        all_here(desk, "gate", amount)
        return part(desk, number)


def all_here(desk: Desk, gate: str, amount: int = PROCESSES) -> None:
    """Wait until so many processes have come to a gate: each has its own machine time to start."""
    key = desk.key(gate)
    desk.redis("INCR", key)
    wait_until(lambda: int(desk.redis("GET", key)) >= amount, within=120, what=f"all at {gate}")


def put_many(desk: Desk, amount: int, **options: Any) -> list[str]:
    """Enqueue in full batches."""
    ids = []
    for start in range(0, amount, 500):
        orders = bulk(min(500, amount - start), **options)
        desk.place_all(orders)
        ids += [each.id for each in orders]
    return ids


# -- claims ------------------------------------------------------------------------------------


def claim_all(desk: Desk, number: int) -> Report:
    """Claim until nothing is left, by all three ways."""
    claimant = f"w{number}/1:a"
    taken: list[Claim] = []
    while claims := desk.claim(random.randint(1, 40), claimant=claimant).claims:
        if not taken:
            all_here(desk, "begun")  # none is through before another has run at all
        taken += claims
        outcomes = [Outcome("succeeded", each.id, each.fence, b"1") for each in claims]
        done = desk.finish(*outcomes, then=ask(20, claimant=f"w{number}/1:b"))
        assert set(done.verdicts) == {"ok"}
        taken += done.claimed.claims
    return {"claims": [(each.id, each.fence) for each in taken]}


def test_ten_thousand_tasks_are_each_claimed_once(desk: Desk, redis_url: str) -> None:
    """By whoever comes first; no fence is given out twice."""
    ids = put_many(desk, TASKS)

    reports = at_once(desk, redis_url, claim_all)

    claims = [tuple(claim) for report in reports for claim in report["claims"]]
    assert Counter(task_id for task_id, _ in claims) == Counter(ids)
    assert len({fence for _, fence in claims}) == TASKS
    assert all(report["claims"] for report in reports)


# -- everything at once ------------------------------------------------------------------------


def work_badly(desk: Desk, number: int) -> Report:
    """Claim, and then: finish, beat, let lapse, crash, cancel, retry, finish again, finish late."""
    dice = random.Random(number)
    claimant = f"w{number}/1:a"
    committed: list[tuple[str, int, str]] = []
    old: list[Claim] = []
    idle = 0
    while idle < 50:
        claims = desk.claim(5, claimant=claimant).claims
        idle = 0 if claims else idle + 1
        for held in claims:
            _mistreat(desk, held, dice, committed, old)
        if dice.random() < 0.3:
            desk.reap()
            desk.beat(worker=f"w{number}")
        if old and dice.random() < 0.5:
            late = dice.choice(old)
            verdict = desk.end(late, dice.choice(("succeeded", "retry", "failed")))
            if verdict == "ok":
                committed.append((late.id, late.fence, "late"))
    return {"committed": committed}


def _mistreat(
    desk: Desk,
    held: Claim,
    dice: random.Random,
    committed: list[tuple[str, int, str]],
    old: list[Claim],
) -> None:
    fate = dice.choice(("finish", "finish", "twice", "lapse", "crash", "cancel", "retry", "beat"))
    if fate == "lapse":
        desk.lapse(held)
        old.append(held)
        return
    if fate == "crash":
        desk.release(held, reason="shutdown")
        old.append(held)
        return
    if fate == "cancel":
        desk.cancel(held.id)
    if fate == "beat":
        desk.beat(held, worker=held.member[-3:])
    kind = "retry" if fate == "retry" and held.attempt < 3 else "succeeded"
    verdict = desk.end(held, kind)
    if verdict == "ok":
        committed.append((held.id, held.fence, kind))
    if fate == "twice":
        assert desk.end(held, "failed") != "ok"
    old.append(held)


def test_finish_lapse_cancel_and_beat_at_once_commit_each_fence_once(
    desk: Desk, redis_url: str
) -> None:
    """Every task ends, and no claim had two outcomes."""
    ids = put_many(desk, 400)

    reports = at_once(desk, redis_url, work_badly)

    fences = Counter(
        (task_id, fence) for report in reports for task_id, fence, _ in report["committed"]
    )
    assert max(fences.values()) == 1
    desk.reap()
    while rest := desk.claim(100).claims:
        for held in rest:
            desk.end(held)
    ended = Counter(desk.state(task_id) for task_id in ids)
    assert set(ended) <= {"succeeded", "cancelled", "failed"}
    assert ended["succeeded"] > 200


# -- producers ---------------------------------------------------------------------------------


def enqueue_unique(desk: Desk, number: int) -> Report:
    """All want the same two hundred keys."""
    receipts = [desk.engine.run(enqueue(order(unique=f"u{n}"))) for n in range(200)]
    return {"created": [n for n, receipt in enumerate(receipts) if receipt.created], "by": number}


def test_of_many_producers_with_one_key_one_wins(desk: Desk, redis_url: str) -> None:
    """Each key makes exactly one task."""
    reports = at_once(desk, redis_url, enqueue_unique)

    assert sorted(n for report in reports for n in report["created"]) == list(range(200))
    assert desk.queue().ready == 200


def enqueue_against_the_mark(desk: Desk, number: int) -> Report:
    """Push, and count what was let in."""
    receipts = [desk.engine.run(enqueue(order())) for _ in range(200)]
    return {"accepted": sum(receipt.created for receipt in receipts), "by": number}


def test_the_high_mark_holds_against_many_producers(desk: Desk, redis_url: str) -> None:
    """To the task."""
    desk.configure(high=333)

    reports = at_once(desk, redis_url, enqueue_against_the_mark)

    assert sum(report["accepted"] for report in reports) == 333
    assert desk.queue().ready == 333


def claim_browsed(desk: Desk, number: int) -> Report:
    """All browse the same list and claim by id."""
    won, states = 0, set()
    for task in desk.engine.run(page(0, State.READY, limit=200)).tasks:
        try:
            desk.take_one(task.id, task.version, claimant=f"w{number}/1:a")
        except Conflict as conflict:
            states.add(conflict.state)
        else:
            won += 1
    return {"won": won, "states": states}


def test_a_browsed_task_goes_to_one_of_many(desk: Desk, redis_url: str) -> None:
    """The others are told of the conflict."""
    put_many(desk, 200)

    reports = at_once(desk, redis_url, claim_browsed)

    assert sum(report["won"] for report in reports) == 200
    assert set.union(*(report["states"] for report in reports)) <= {"running"}
