"""Limits at the grant: who may start, who is parked, and what brings the parked back."""

from __future__ import annotations

import pytest

from coordq.errors import Conflict
from coordq.work import allowance
from coordq.work.finish import Outcome
from tests.work.desk import Desk, ask
from tests.work.gate import allow, ids_of, pass_time, seen, some

LONG, LONG_MS = "52weeks", 52 * 7 * 86_400_000
"""A period of a budget that hardly ever ends in the middle of a test, as a day does at midnight."""

# -- slots -------------------------------------------------------------------------------------


def test_no_more_run_than_there_are_slots(desk: Desk) -> None:
    """The others are parked: ready, in no line, and counted as before."""
    allow(desk, "openai", concurrency=2)
    ids = some(desk, 5, "openai")

    claimed = desk.claim(10)

    assert ids_of(claimed.claims) == ids[:2]
    assert (desk.queue().ready, desk.queue().running) == (3, 2)
    assert (seen(desk, "openai").running, seen(desk, "openai").parked) == (2, 3)
    assert desk.kinds(ids[4]) == ["ready", "parked"]
    assert desk.task(ids[4]).version == 1


@pytest.mark.parametrize(
    "kind", ["succeeded", "failed", "retry", "snooze", "cancelled", "rate-limited"]
)
def test_every_end_of_a_run_gives_its_slot_to_the_next(desk: Desk, kind: str) -> None:
    """In the same step, so that the finish that frees it can claim it."""
    allow(desk, "openai", concurrency=1)
    first, second, _ = some(desk, 3, "openai")
    held = desk.take()
    desk.claim(10)
    body = b"other" if kind == "rate-limited" else b"{}"
    outcome = Outcome(kind, held.id, held.fence, body, 60_000)

    done = desk.finish(outcome, then=ask(10))

    assert held.id == first
    assert ids_of(done.claimed.claims) == [second]


def test_a_released_task_has_no_slot_but_has_paid(desk: Desk) -> None:
    """A shutdown frees the slot for whoever lives; the rate is not charged twice."""
    allow(desk, "openai", concurrency=1, rate="1/hour")
    (task_id,) = some(desk, 1, "openai")
    held = desk.take()

    desk.release(held)

    assert seen(desk, "openai").running == 0
    assert desk.take().id == task_id


@pytest.mark.parametrize("end", ["lapse", "crash"])
def test_recovering_waits_for_no_limit(desk: Desk, end: str) -> None:
    """A task that was running keeps its slot and what it paid: its next run starts at once."""
    allow(desk, "openai", concurrency=1, rate="1/hour", budget="1/day")
    first, _ = some(desk, 2, "openai")
    held = desk.take()
    desk.claim(10)

    if end == "lapse":
        desk.lapse(held)
        desk.reap()
    else:
        desk.release(held, reason="crash")

    assert seen(desk, "openai").running == 1
    again = desk.claim(10).claims
    assert ids_of(again) == [first]
    desk.end(again[0])
    assert seen(desk, "openai").running == 0


def test_poison_frees_the_slot(desk: Desk) -> None:
    """What is kept for the next run is not kept when there is none."""
    allow(desk, "openai", concurrency=1)
    first, second = some(desk, 2, "openai")
    for _ in range(3):
        held = desk.take()
        assert held.id == first
        desk.release(held, reason="crash")

    assert desk.state(first) == "failed"
    assert desk.take().id == second


def test_the_parked_come_back_by_priority_then_age(desk: Desk) -> None:
    """As they would have been taken from lines."""
    allow(desk, "openai", concurrency=1)
    running = desk.put(limits=("openai",))
    held = desk.take()
    low, old, young, high = (
        desk.put(limits=("openai",), priority=priority)
        for priority in ("low", "normal", "normal", "critical")
    )
    desk.claim(10)

    order_of_start = []
    while True:
        done = desk.finish(Outcome("succeeded", held.id, held.fence, b"1"), then=ask())
        if not done.claimed.claims:
            break
        (held,) = done.claimed.claims
        order_of_start.append(held.id)

    assert running not in order_of_start
    assert order_of_start == [high, old, young, low]


def test_each_key_has_its_own_slots(desk: Desk) -> None:
    """A limit without a key holds for each key; one for a key comes before it."""
    allow(desk, "repo", concurrency=1)
    allow(desk, "repo:big", concurrency=2)
    for name in ("a", "a", "b", "big", "big", "big"):
        desk.put(limits=(f"repo:{name}",))

    desk.claim(10)

    running = {slot: seen(desk, slot).running for slot in ("repo:a", "repo:b", "repo:big")}
    assert running == {"repo:a": 1, "repo:b": 1, "repo:big": 2}


@pytest.mark.parametrize(
    "name", ["queue:default", "queue", "task:job", "task", "tenant:t", "tenant"]
)
def test_queues_names_and_tenants_count_by_themselves(desk: Desk, name: str) -> None:
    """No task has to name them."""
    allow(desk, name, concurrency=1)
    for _ in range(3):
        desk.put(tenant="t")

    assert len(desk.claim(10).claims) == 1


def test_a_task_takes_all_its_slots_or_none(desk: Desk) -> None:
    """What is refused by one limit has taken nothing of the other."""
    allow(desk, "wide", concurrency=5, rate="100/hour", budget=f"100/{LONG}")
    allow(desk, "narrow", concurrency=1)
    some(desk, 4, "wide", "narrow")

    desk.claim(10)

    view = seen(desk, "wide")
    assert (view.running, view.spent, seen(desk, "narrow").parked) == (1, 1, 3)


def test_a_browsed_task_is_refused_by_its_limit_too(desk: Desk) -> None:
    """claim_one is no way around; once there is room it takes a parked task as well."""
    allow(desk, "openai", concurrency=1)
    _, other = some(desk, 2, "openai")
    held = desk.take()

    with pytest.raises(Conflict, match="openai"):
        desk.take_one(other)
    desk.claim(10)
    with pytest.raises(Conflict, match="openai"):
        desk.take_one(other)
    desk.end(held)

    assert desk.take_one(other).id == other
    assert desk.claim(10).claims == ()


def test_those_whom_nobody_serves_do_not_block_the_others(desk: Desk) -> None:
    """A slot that is free goes to somebody who can be served, after a second look."""
    allow(desk, "openai", concurrency=1)
    blocker = desk.put(limits=("openai",))
    held = desk.take()
    for name in ("unknown", "job"):
        desk.put(name, limits=("openai",))
    desk.claim(10, served=("job", "unknown"))
    desk.end(held)
    assert desk.claim(10).claims == ()  # who was brought back is not served

    desk.make_due("lopenai")

    (taken,) = desk.claim(10).claims
    assert taken.id != blocker
    assert taken.name == "job"


# -- rates -------------------------------------------------------------------------------------


def test_a_bucket_keeps_its_rate_over_a_minute_of_eight_claimers(desk: Desk) -> None:
    """Neither more nor less than two per cent off, however the claims fall."""
    allow(desk, "openai", rate="100/min")
    some(desk, 150, "openai")
    began, started = desk.now_ms(), len(desk.claim(8).claims)
    for _ in range(240):
        pass_time(desk, 250)
        started += len(desk.claim(8).claims)

    expected = 100 * (60_000 + desk.now_ms() - began) / 60_000
    assert expected * 0.98 <= started <= expected * 1.02 + 1


def test_a_burst_is_allowed_after_a_rest(desk: Desk) -> None:
    """And no second one before the bucket has filled again."""
    allow(desk, "openai", rate="60/hour", burst=10)
    some(desk, 30, "openai")

    first = len(desk.claim(30).claims)
    pass_time(desk, 5 * 60_000)

    assert (first, len(desk.claim(30).claims)) == (10, 5)


def test_a_sliding_window_never_holds_more_than_its_rate(desk: Desk) -> None:
    """Each start is remembered for exactly one period."""
    allow(desk, "openai", rate="3/hour", window="sliding")
    some(desk, 9, "openai")

    starts = [len(desk.claim(2).claims), len(desk.claim(2).claims)]
    pass_time(desk, 59 * 60_000)
    starts.append(len(desk.claim(9).claims))
    pass_time(desk, 60_001)
    starts.append(len(desk.claim(9).claims))

    assert starts == [2, 1, 0, 3]


def test_whoever_claims_learns_when_the_next_may_start(desk: Desk) -> None:
    """So that it sleeps until then, and not for ever."""
    allow(desk, "openai", rate="1/min")
    some(desk, 2, "openai")

    claimed = desk.claim(10)

    assert len(claimed.claims) == 1
    assert claimed.next_due_ms is not None
    assert 0 < claimed.next_due_ms <= 60_000


def test_a_claimer_that_gets_busy_wakes_somebody_who_learns_it_too(desk: Desk) -> None:
    """It may run for an hour, and the next one may start in a minute."""
    allow(desk, "openai", rate="1/min")
    some(desk, 3, "openai")
    desk.redis("DEL", desk.key("marker:default:job"))

    desk.claim(2)
    marks = desk.marks()
    desk.redis("DEL", desk.key("marker:default:job"))

    assert marks == 1
    assert desk.claim(2).next_due_ms is not None
    assert desk.marks() == 0, "who got nothing waits by itself"


def test_time_brings_back_as_many_as_may_start(desk: Desk) -> None:
    """Not all of them: a crowd would be parked again."""
    allow(desk, "openai", rate="60/min")
    some(desk, 50, "openai")
    desk.claim(50)
    pass_time(desk, 2_000)

    desk.promote()

    assert desk.redis("LLEN", desk.key("line:default:2job")) == 2


def test_a_limit_that_is_raised_or_taken_away_lets_its_tasks_go(desk: Desk) -> None:
    """At once, not when its old period ends."""
    allow(desk, "openai", rate="1/day")
    ids = some(desk, 4, "openai")
    desk.claim(10)

    allow(desk, "openai", rate="1000000/s")
    pass_time(desk, 1)
    raised = desk.claim(1)
    desk.run(allowance.take_off(0, "openai"))
    desk.run(allowance.wake(0, "openai"))

    assert ids_of(raised.claims) == ids[1:2]
    assert ids_of(desk.claim(10).claims) == ids[2:]


# -- pauses ------------------------------------------------------------------------------------


def test_a_remote_that_says_429_stops_everybody_who_calls_it(desk: Desk) -> None:
    """One round trip ends the run and pauses the limit, which nobody has to have set."""
    first, second = some(desk, 2, "openai:gpt-4")
    other = desk.put(limits=("openai:gpt-3",))
    held = desk.take()

    desk.finish(Outcome("rate-limited", held.id, held.fence, b"openai:gpt-4", 60_000))

    assert held.id == first
    assert desk.task(first).attempt == 0
    assert ids_of(desk.claim(10).claims) == [other]
    pass_time(desk, 60_001)
    assert set(ids_of(desk.claim(10).claims)) == {first, second}


def test_a_pause_of_a_limit_holds_for_all_its_keys(desk: Desk) -> None:
    """Until somebody ends it; what runs goes on."""
    ids = [desk.put(limits=(f"openai:{key}",)) for key in "ab"]
    desk.run(allowance.pause(0, "openai", None))

    paused = desk.claim(10)
    desk.run(allowance.pause(0, "openai", 0))
    desk.run(allowance.wake(0, "openai"))

    assert paused.claims == ()
    assert set(ids_of(desk.claim(10).claims)) == set(ids)


def test_the_longer_of_two_pauses_counts(desk: Desk) -> None:
    """A second 429 with a shorter wait does not end the first."""
    desk.run(allowance.pause(0, "openai", 60_000))

    assert desk.run(allowance.pause(0, "openai", 1_000)) > 50_000


# -- budgets -----------------------------------------------------------------------------------


def test_a_budget_is_spent_by_declared_costs(desk: Desk) -> None:
    """What does not fit waits for the next period."""
    allow(desk, "tenant:acme", budget=f"100/{LONG}")
    for cost in (60, 30, 20, 5):
        desk.put(tenant="acme", cost=cost)

    started = desk.claim(10).claims

    assert [each.spec.cost for each in started] == [60, 30, 5]
    assert seen(desk, "tenant:acme").spent == 95
    pass_time(desk, LONG_MS)
    assert len(desk.claim(10).claims) == 1


def test_what_a_run_reports_takes_the_place_of_what_it_declared(desk: Desk) -> None:
    """Less gives room at once; more counts as well."""
    allow(desk, "llm", budget=f"100/{LONG}")
    some(desk, 2, "llm", cost=80)
    held = desk.take()
    desk.claim(10)

    done = desk.finish(Outcome("succeeded", held.id, held.fence, b"1", units=12.5), then=ask())

    (second,) = done.claimed.claims
    assert seen(desk, "llm").spent == 92.5
    desk.finish(Outcome("retry", second.id, second.fence, b"{}", 60_000, units=100))
    assert seen(desk, "llm").spent == 112.5


def test_what_costs_more_than_the_budget_starts_with_a_fresh_one(desk: Desk) -> None:
    """It would wait for ever otherwise."""
    allow(desk, "llm", budget="10/day")
    some(desk, 2, "llm", cost=50)

    assert len(desk.claim(10).claims) == 1
