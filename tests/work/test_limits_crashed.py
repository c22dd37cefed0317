"""Who crashed keeps its slots, so that it recovers at once; but not if nobody starts it again."""

from __future__ import annotations

import pytest

from coordq.work import claim
from coordq.work import why as reasoning
from coordq.work.finish import Outcome
from tests.work.desk import Desk, ask, bulk
from tests.work.gate import allow, ids_of, seen, some
from tests.work.test_races import Report, at_once


def crash(desk: Desk) -> str:
    """A task that nobody knows any more holds the only slot; its id."""
    allow(desk, "openai", concurrency=1, rate="2/hour", burst=2)
    gone = desk.put("gone", limits=["openai"])
    desk.release(desk.take(served=["gone"]), reason="crash")
    return gone


@pytest.mark.parametrize("end", ["crash", "lapse"])
def test_a_task_that_nobody_starts_again_gives_its_slot_up(desk: Desk, end: str) -> None:
    """After a minute; others that know nothing of it do not wait for ever."""
    allow(desk, "openai", concurrency=1)
    gone = desk.put("gone", limits=["openai"])
    held = desk.take(served=["gone"])
    (other,) = some(desk, 1, "openai")
    assert desk.claim(5).claims == ()
    if end == "crash":
        desk.release(held, reason="crash")
    else:
        desk.lapse(held)
        desk.reap()
    assert desk.claim(5).claims == ()
    due = float(desk.redis("ZSCORE", desk.key("due"), f"h{gone}"))
    assert 0 < due - desk.now_ms() <= 60_000

    desk.make_due(f"h{gone}")

    assert ids_of(desk.claim(5).claims) == [other]
    assert desk.state(gone) == "ready"
    assert seen(desk, "openai").running == 1


def test_it_asks_for_a_slot_again_and_has_paid(desk: Desk) -> None:
    """Once somebody knows it: never more at once than may, and it pays no second time."""
    gone = crash(desk)
    (other,) = some(desk, 1, "openai")
    desk.make_due(f"h{gone}")
    held = desk.take()
    assert held.id == other

    assert desk.claim(5, served=["gone"]).claims == ()
    assert seen(desk, "openai").running == 1
    desk.end(held)

    again = desk.take(served=["gone"])
    assert again.id == gone
    assert desk.claim(5, served=["gone", "job"]).claims == ()
    desk.end(again)
    assert seen(desk, "openai").running == 0


def test_a_run_that_goes_on_gives_nothing_up(desk: Desk) -> None:
    """It was started again before its time was over."""
    gone = crash(desk)
    some(desk, 1, "openai")
    held = desk.take(served=["gone"])

    desk.make_due(f"h{gone}")

    assert desk.claim(5).claims == ()
    assert seen(desk, "openai").running == 1
    desk.end(held)
    assert desk.redis("ZCARD", desk.key("due")) == 0


def test_a_second_crash_begins_another_minute(desk: Desk) -> None:
    """Whatever was left of the first."""
    gone = crash(desk)
    desk.redis("ZADD", desk.key("due"), desk.now_ms() + 10_000, f"h{gone}")
    held = desk.take(served=["gone"])

    desk.release(held, reason="crash")

    due = float(desk.redis("ZSCORE", desk.key("due"), f"h{gone}"))
    assert due - desk.now_ms() > 30_000


def test_the_answer_to_a_claim_may_be_lost_when_a_slot_is_given_up(desk: Desk) -> None:
    """The repetition gets the same task, and the slot is taken once."""
    gone = crash(desk)
    some(desk, 2, "openai")
    desk.make_due(f"h{gone}")
    call = claim.claim(0, ask(5))

    first, second = desk.run(call), desk.run(call)

    assert ids_of(first.claims) == ids_of(second.claims)
    assert len(first.claims) == seen(desk, "openai").running == 1


def test_why_says_that_slots_are_kept_and_for_how_long(desk: Desk) -> None:
    """On the task that nobody starts."""
    gone = crash(desk)

    said = reasoning.why(desk.glance(gone), [])

    assert "keeps the slots of its limits for another" in said
    desk.make_due(f"h{gone}")
    desk.claim()
    assert "keeps the slots" not in reasoning.why(desk.glance(gone), [])


def its_minute_is_over(desk: Desk, task_id: str) -> None:
    """Unless another process has started the task since: then nothing is kept for it any more."""
    desk.redis("ZADD", desk.key("due"), "XX", desk.now_ms() - 1, f"h{task_id}")


def crash_and_give_up(desk: Desk, number: int) -> Report:
    """Every other claim crashes, and its minute is over at once; who claims looks how many run."""
    most = turns = 0
    while desk.queue().ready + desk.queue().running:
        turns += 1
        for each in desk.claim(2, claimant=f"w{number}/1:a").claims:
            most = max(most, desk.redis("ZCARD", desk.key("lease")))
            if each.strikes == 0 and turns % 2:
                desk.release(each, reason="crash")
                its_minute_is_over(desk, each.id)
            else:
                desk.finish(Outcome("succeeded", each.id, each.fence, b"1"))
    return {"most": [str(most)]}


def test_slots_that_are_given_up_are_never_two(desk: Desk, redis_url: str) -> None:
    """Four processes claim, crash and let go of slots that others wait for."""
    allow(desk, "openai", concurrency=2)
    orders = bulk(60, limits=("openai",))
    desk.place_all(orders)

    reports = at_once(desk, redis_url, crash_and_give_up)

    assert max(int(report["most"][0]) for report in reports) == 2
    assert {desk.state(each.id) for each in orders} == {"succeeded"}
    assert (seen(desk, "openai").running, seen(desk, "openai").parked) == (0, 0)
