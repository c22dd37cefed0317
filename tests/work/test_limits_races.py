"""Many clients at one limit: never more than it allows, by what Redis itself has written down.

The stream of events has every grant and every end in the order in which they happened. What runs
is counted along it; a crash or a lapse ends nothing, because the next run keeps the slot.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from coordq.work.claim import Claim
from coordq.work.events import Event
from coordq.work.finish import Outcome
from tests.work.desk import Desk, bulk
from tests.work.gate import allow, seen
from tests.work.test_races import Report, at_once

ENDS = {"succeeded", "failed", "cancelled", "retrying", "snoozed", "released"}
TASKS = 120


def most_at_once(events: Iterable[Event]) -> int:
    """How many held a slot at the same time, at most."""
    held: set[str] = set()
    most = 0
    for event in events:
        if event.kind == "running":
            held.add(event.subject)
        elif event.kind in ENDS:
            held.discard(event.subject)
        most = max(most, len(held))
    return most


def work_hard(desk: Desk, number: int) -> Report:
    """Claim, end in every way there is, crash and lapse, until all is done."""
    chance = random.Random(number)
    idle = 0
    while idle < 40:
        held = desk.claim(chance.randint(1, 5), claimant=f"w{number}/1:a").claims
        idle = 0 if held else idle + 1
        if not held:
            let_all_be_due(desk)
        for claim in held:
            end_somehow(desk, claim, chance)
    return {}


def let_all_be_due(desk: Desk) -> None:
    """Whatever is to happen later, and has not been done by another process since it was read."""
    words = [w for m in desk.redis("ZRANGE", desk.key("due"), 0, -1) for w in (1, m)]
    if words:
        desk.redis("ZADD", desk.key("due"), "XX", *words)


def end_somehow(desk: Desk, claim: Claim, chance: random.Random) -> None:
    """Mostly well."""
    fate = chance.choice(
        ("succeeded", "succeeded", "succeeded", "retry", "crash", "lapse", "release")
    )
    if fate == "crash":
        desk.release(claim, reason="crash")
    elif fate == "lapse":
        desk.lapse(claim)
        desk.reap()
    else:
        desk.finish(Outcome(fate, claim.id, claim.fence, b"{}", 1))


@pytest.mark.parametrize("name", ["openai", "queue:default"])
def test_no_more_run_at_once_than_may(desk: Desk, redis_url: str, name: str) -> None:
    """Through retries, crashes, lapses and releases by four processes."""
    allow(desk, name, concurrency=3)
    named: dict[str, Any] = {"limits": (name,)} if name == "openai" else {}
    orders = bulk(TASKS, max_attempts=50, **named)
    desk.place_all(orders)

    at_once(desk, redis_url, work_hard)

    states = {desk.state(each.id) for each in orders}
    assert states <= {"succeeded", "failed"}  # failed: three crashes
    assert most_at_once(desk.events()) == 3
    assert (seen(desk, name).running, seen(desk, name).parked) == (0, 0)


def hammer(desk: Desk, number: int) -> Report:
    """Claim as fast as can be, until nothing is left."""
    while desk.queue().ready:
        claims = desk.claim(8, claimant=f"w{number}/1:a").claims
        if claims:
            desk.finish(*(Outcome("succeeded", each.id, each.fence, b"1") for each in claims))
    return {}


@pytest.mark.parametrize(("window", "spare"), [("bucket", 6), ("sliding", 0)])
def test_no_more_start_than_the_rate_allows(
    desk: Desk, redis_url: str, window: str, spare: int
) -> None:
    """In no second, by Redis's own time of each grant; spare is what may be made up for."""
    allow(desk, "api", rate="100/s", window=window)
    desk.place_all(bulk(220, limits=("api",)))

    at_once(desk, redis_url, hammer)

    # a fence says when its claim was granted, in microseconds; an event, when it was written down
    starts = sorted(event.fence for event in desk.events() if event.kind == "running")
    allowed = 100 + spare
    assert len(starts) == 220
    # those of one grant count on from its moment
    assert all(
        later - sooner >= 999_000 for sooner, later in zip(starts, starts[allowed:], strict=False)
    )


def test_only_one_of_many_rivals_is_left(desk: Desk, redis_url: str) -> None:
    """cancel-newest under load: one runs to its end, and each other one has a reason."""
    allow(desk, "task:job", concurrency=1, on_conflict="cancel-newest")
    orders = bulk(200)
    desk.place_all(orders)

    reports = at_once(desk, redis_url, claim_only)

    taken = [task_id for report in reports for task_id in report["ids"]]
    assert taken == [orders[0].id]
    others = [desk.task(each.id) for each in orders[1:]]
    assert {(task.state.value, task.reason) for task in others} == {("cancelled", "gave-way")}


def claim_only(desk: Desk, number: int) -> Report:
    """Take what there is, and keep it."""
    taken: list[str] = []
    while claims := desk.claim(7, claimant=f"w{number}/1:a").claims:
        taken += [each.id for each in claims]
    return {"ids": taken}
