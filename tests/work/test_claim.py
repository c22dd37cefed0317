"""work/claim: the best ready tasks for one worker, with a lease and a fence that only grows."""

from __future__ import annotations

from typing import Any

import pytest

from coordq.engine.call import Call
from coordq.errors import ForeignData, ScriptMisuse
from coordq.work import claim
from coordq.work.payload import dump_args
from tests.work.desk import CLAIMANT, Desk, ask, order


def test_a_claim_starts_the_first_attempt(desk: Desk) -> None:
    """What the worker gets is all it needs to run the task."""
    task_id = desk.put("job", {"n": 1}, timeout=5, headers={"trace": "a b"})

    taken = desk.take()

    assert (taken.id, taken.version, taken.attempt, taken.strikes) == (task_id, 2, 1, 0)
    assert (taken.name, taken.queue, taken.args) == ("job", "default", b'{"n":1}')
    assert (taken.spec.timeout_ms, taken.spec.headers) == (5000, {"trace": "a b"})
    assert taken.member == f"{task_id}|{taken.fence}"


def test_the_record_says_who_runs_the_task(desk: Desk) -> None:
    """Worker and child; which of its lines asked is nobody's business."""
    task_id = desk.put()
    desk.take(claimant="w7/2.1:b")

    task = desk.task(task_id)

    assert (task.state.value, task.worker) == ("running", "w7/2.1")
    assert 30_000 < (task.lease_left_ms or 0) <= 60_000


def test_a_claimed_task_is_nobody_elses(desk: Desk) -> None:
    """That is what a claim is."""
    desk.put()
    desk.take()

    assert desk.claim(10, claimant="w2/1:a").claims == ()


def test_a_worker_gets_no_more_than_it_asked_for(desk: Desk) -> None:
    """And is told that there is more."""
    for _ in range(5):
        desk.put()

    claimed = desk.claim(2)

    assert (len(claimed.claims), claimed.more) == (2, True)
    assert (len(desk.claim(10).claims), desk.claim(10).more) == (3, False)


def test_fences_grow_with_every_claim(desk: Desk) -> None:
    """Within a call, between calls, and when a task comes round again."""
    for _ in range(3):
        desk.put()
    first = desk.claim(2).claims
    desk.release(*first)
    second = desk.claim(3).claims

    fences = [each.fence for each in (*first, *second)]

    assert fences == sorted(set(fences))


def test_fences_grow_though_the_counter_was_lost(desk: Desk) -> None:
    """A failover may lose the last seconds, also of the counter: then the clock vouches."""
    desk.put()
    first = desk.take()
    desk.redis("DEL", desk.key("fence"))
    desk.release(first)

    assert desk.take().fence > first.fence


def test_fences_grow_though_the_clock_went_back(desk: Desk) -> None:
    """A server with an earlier clock: then the counter vouches."""
    desk.put()
    ahead = desk.now_ms() * 1000 + 10**12
    desk.redis("SET", desk.key("fence"), ahead)

    assert desk.take().fence == ahead + 1


def test_a_counter_that_is_no_number_is_replaced(desk: Desk) -> None:
    """Strangers' data under our key must not strand tasks that have just left the line."""
    desk.put()
    desk.redis("SET", desk.key("fence"), "junk")

    assert desk.take().fence > 10**15


def test_a_counter_of_the_wrong_type_is_replaced(desk: Desk) -> None:
    """Likewise."""
    desk.put()
    desk.redis("RPUSH", desk.key("fence"), "junk")

    assert desk.take().fence > 10**15


def test_a_repeated_claim_gets_the_same_tasks(desk: Desk) -> None:
    """The reply was lost: asking again with the same nonce takes nothing more."""
    for n in range(4):
        desk.put("job", {"n": n, "text": "x" * 3000 * n})
    once = desk.claim(2, nonce="a").claims

    again = desk.claim(2, nonce="a").claims

    assert again == once
    assert desk.queue().running == 2


def test_a_new_nonce_gets_new_tasks(desk: Desk) -> None:
    """Only the last grant is remembered."""
    for _ in range(2):
        desk.put()

    assert desk.claim(1, nonce="a").claims != desk.claim(1, nonce="b").claims


def test_a_repeated_claim_does_not_get_what_has_lapsed_since(desk: Desk) -> None:
    """What somebody else may run by now is not ours any more."""
    desk.put()
    desk.put()
    kept, lost = desk.claim(2, nonce="a").claims
    desk.lapse(lost)
    desk.reap()

    assert desk.claim(2, nonce="a").claims == (kept,)


def test_a_repeated_claim_passes_over_records_that_are_not_ours(desk: Desk) -> None:
    """A stranger overwrote one meanwhile: the other is still handed out."""
    desk.audited = False
    spoilt = desk.put()
    desk.put()
    claims = desk.claim(2, nonce="a").claims
    desk.redis("SET", desk.key(f"t:{spoilt}"), "junk")

    assert desk.claim(2, nonce="a").claims == claims[1:]


def test_a_paused_queue_gives_nothing(desk: Desk) -> None:
    """Until it is resumed."""
    desk.put()
    desk.configure(paused=True)
    assert desk.claim(10).claims == ()

    desk.configure(paused=False)
    assert len(desk.claim(10).claims) == 1


def test_queues_are_served_in_the_order_they_are_asked_for(desk: Desk) -> None:
    """`--queues a,b` means a first."""
    b, a = desk.put(queue="b"), desk.put(queue="a")

    assert [each.id for each in desk.claim(2, queues="a b").claims] == [a, b]


def test_a_claim_fills_up_from_the_next_queue(desk: Desk) -> None:
    """Preference is no reason to idle."""
    for queue in "aab":
        desk.put(queue=queue)

    assert [each.queue for each in desk.claim(3, queues="b a").claims] == ["b", "a", "a"]


def test_a_queue_that_was_not_asked_for_is_left_alone(desk: Desk) -> None:
    """Its tasks are for others."""
    desk.put(queue="other")

    assert desk.claim(10).claims == ()


def test_entries_that_have_moved_on_are_passed_over(desk: Desk) -> None:
    """A line's entries are hints: what was cancelled or claimed by id is not handed out again."""
    gone, taken, wanted = (desk.put() for _ in range(3))
    desk.cancel(gone)
    desk.take_one(taken)

    assert [each.id for each in desk.claim(1).claims] == [wanted]


def test_an_id_that_stands_twice_in_a_line_is_granted_once(desk: Desk) -> None:
    """A task that was claimed by id and released left its old entry behind."""
    task_id = desk.put()
    desk.release(desk.take_one(task_id))

    assert [each.id for each in desk.claim(10).claims] == [task_id]
    assert desk.claim(10).claims == ()


def test_an_id_that_stands_three_times_is_granted_once(desk: Desk) -> None:
    """Also when the call comes back to the line for more: a second grant would be a second run."""
    task_id = desk.put()
    for _ in range(3):
        desk.release(desk.take_one(task_id))

    for want in (2, 3):
        claims = desk.claim(want).claims
        assert [each.id for each in claims] == [task_id]
        assert desk.redis("ZCARD", desk.key("lease")) == 1
        desk.release(*claims)
        desk.release(desk.take_one(task_id))


def test_a_thousand_stale_entries_do_not_hold_up_a_claim_for_ever(desk: Desk) -> None:
    """A call looks at a bounded number of entries, and says that there may be more."""
    orders = [order() for _ in range(500)] + [order() for _ in range(500)]
    for half in (orders[:500], orders[500:]):
        desk.place_all(half)
    for each in orders:
        desk.cancel(each.id)
    wanted = desk.put()

    first = desk.claim(1)
    found = [*first.claims, *desk.claim(1).claims]

    assert first.more
    assert [each.id for each in found] == [wanted]


def test_a_foreign_record_becomes_a_dead_letter_and_the_claim_goes_on(desk: Desk) -> None:
    """One blob that coordq did not write must not stop a worker."""
    desk.audited = False
    spoilt, fine = desk.put(), desk.put()
    desk.redis("SET", desk.key(f"t:{spoilt}"), "not ours")

    claims = desk.claim(10).claims

    assert [each.id for each in claims] == [fine]
    assert desk.redis("ZSCORE", desk.key("dead"), spoilt) is not None
    assert desk.kinds(spoilt)[-1] == "failed"
    assert desk.queue().ready == 0


def test_a_record_of_the_wrong_type_becomes_a_dead_letter(desk: Desk) -> None:
    """A list where a record should be is as foreign as a blob."""
    desk.audited = False
    spoilt, fine = desk.put(), desk.put()
    desk.redis("DEL", desk.key(f"t:{spoilt}"))
    desk.redis("RPUSH", desk.key(f"t:{spoilt}"), "not ours")

    assert [each.id for each in desk.claim(10).claims] == [fine]
    assert desk.redis("ZSCORE", desk.key("dead"), spoilt) is not None


def test_a_record_that_is_gone_is_passed_over(desk: Desk) -> None:
    """Deleted by hand: nothing can be said of it, and nothing stops for it."""
    desk.audited = False
    gone, fine = desk.put(), desk.put()
    desk.redis("DEL", desk.key(f"t:{gone}"))

    assert [each.id for each in desk.claim(10).claims] == [fine]


def test_a_record_made_to_choke_on_is_read_in_no_time(desk: Desk) -> None:
    """A pattern that backtracks over half a megabyte of digits would stop Redis for everybody."""
    desk.audited = False
    spoilt = desk.put()
    desk.redis("SET", desk.key(f"t:{spoilt}"), "q" + "1" * 500_000)

    assert desk.claim(1).claims == ()


def test_payloads_that_are_gone_are_empty_arguments(desk: Desk) -> None:
    """The handler's validation then says what is missing; the claim does not fail."""
    task_id = desk.put("job", {"text": "x" * 3000})
    desk.redis("DEL", desk.key(f"p:{task_id}"))

    assert desk.take().args == b"{}"
    desk.audited = False


def test_a_claim_says_when_something_is_due(desk: Desk) -> None:
    """So that a worker can set its alarm instead of polling."""
    assert desk.claim(1).next_due_ms is None
    desk.put(delay=30)

    assert 15_000 < (desk.claim(1).next_due_ms or 0) <= 30_000


def test_a_claim_says_when_new_requirements_appear(desk: Desk) -> None:
    """A worker then reads the routes again."""
    before = desk.claim(1).routes_version
    desk.put(role="reader")

    assert desk.claim(1).routes_version == before + 1


def test_a_wrong_type_lease_set_takes_nothing_from_the_lines(desk: Desk) -> None:
    """The claim is refused before a task has left its line, so that none is stranded."""
    task_id = desk.put()
    desk.redis("SET", desk.key("lease"), "junk")
    before = desk.dump()

    with pytest.raises(ForeignData):
        desk.claim(1)
    assert desk.dump() == before

    desk.redis("DEL", desk.key("lease"))
    assert desk.take().id == task_id


def test_large_arguments_survive_a_retry(desk: Desk) -> None:
    """The record then has an outcome behind the mark that stands for the arguments."""
    args = {"text": "x" * 3000}
    desk.put("job", args)
    desk.end(desk.take(), "retry")

    assert desk.take().args == dump_args("job", args)


def test_a_call_with_too_few_arguments_is_refused_by_name(desk: Desk) -> None:
    """The script's header says what is missing."""
    desk.redis("SCRIPT", "FLUSH")
    call: Call[Any] = Call("work/claim", 0, ("w", "n"), lambda reply: reply)

    with pytest.raises(ScriptMisuse, match=r"ARGV\[3\] want"):
        desk.run(call)


def test_an_ask_names_its_arguments_in_the_order_of_the_header() -> None:
    """Both scripts that claim take them alike."""
    who = ask(3, queues="a b", served=("x", "y"), nonce="n")

    assert who.args == (CLAIMANT, "n", 3, 60_000, "a b", " x y ")
    assert claim.claim(0, who).args == who.args
