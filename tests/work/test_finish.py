"""work/finish: outcomes are committed once per fence, and the next tasks come with the answer."""

from __future__ import annotations

import pytest

from coordq.work.finish import LETTERS, Outcome
from tests.work.desk import ERROR, Desk, ask, error


def test_success_keeps_the_result(desk: Desk) -> None:
    """For as long as the task asked for."""
    task_id = desk.put(result_ttl=1000)

    assert desk.end(desk.take(), body=b'{"answer":42}') == "ok"

    task = desk.task(task_id)
    assert (task.state.value, task.result, task.error) == ("succeeded", {"answer": 42}, None)
    assert 500 <= desk.redis("TTL", desk.key(f"t:{task_id}")) <= 1000
    assert desk.queue().succeeded == 1


@pytest.mark.parametrize("ttl", [0, 1])
def test_no_record_goes_at_once(desk: Desk, ttl: int) -> None:
    """A finish repeated after a lost reply must still be recognised."""
    desk.put(result_ttl=ttl)
    claim = desk.take()
    before_ms = desk.now_ms()
    desk.end(claim)

    assert desk.end(claim) == "duplicate"
    left_ms = desk.redis("PTTL", desk.key(f"t:{claim.id}"))
    assert 0 < left_ms <= 5000 <= desk.now_ms() + left_ms - before_ms


def test_a_retry_comes_back_later_with_its_error(desk: Desk) -> None:
    """The last error is kept for whoever asks why."""
    task_id = desk.put()

    assert desk.end(desk.take(), "retry", error(message="flaky"), delay_ms=60_000) == "ok"

    task = desk.task(task_id)
    assert (task.state.value, task.attempt, task.reason) == ("scheduled", 1, "error")
    assert 30_000 < (task.due_in_ms or 0) <= 60_000
    desk.make_due(task_id)
    assert desk.take().attempt == 2


def test_a_retry_without_delay_is_ready_at_once(desk: Desk) -> None:
    """Also for the claim in the same call."""
    desk.put()
    claim = desk.take()

    done = desk.finish(Outcome("retry", claim.id, claim.fence, ERROR, 0), then=ask())

    assert [each.attempt for each in done.claimed.claims] == [2]


def test_failure_for_good_is_a_dead_letter(desk: Desk) -> None:
    """It stays until somebody revives or purges it."""
    task_id = desk.put()

    assert desk.end(desk.take(), "failed", error("rejected")) == "ok"

    assert (desk.state(task_id), desk.task(task_id).reason) == ("failed", "rejected")
    assert desk.redis("TTL", desk.key(f"t:{task_id}")) == -1
    assert desk.events()[-1].detail == "rejected"


def test_a_snooze_costs_no_attempt(desk: Desk) -> None:
    """The task asked for patience; it did not fail."""
    task_id = desk.put()
    desk.end(desk.take(), "snooze", delay_ms=60_000)

    assert (desk.state(task_id), desk.task(task_id).attempt) == ("scheduled", 0)
    desk.make_due(task_id)
    assert desk.take().attempt == 1


def test_a_snooze_keeps_the_last_error(desk: Desk) -> None:
    """It says nothing new about the attempt before."""
    task_id = desk.put()
    desk.end(desk.take(), "retry", error(message="first"))
    desk.end(desk.take(), "snooze", delay_ms=60_000)

    assert (desk.task(task_id).error or {})["message"] == "first"


def test_a_released_task_is_next_in_line(desk: Desk) -> None:
    """It has waited its turn already."""
    first, _ = desk.put(), desk.put()
    claim = desk.take()

    assert desk.end(claim, "release") == "ok"

    assert desk.task(first).attempt == 0
    assert desk.take().id == first


def test_a_cancelled_outcome_ends_the_task(desk: Desk) -> None:
    """The worker has stopped it as it was asked to."""
    task_id = desk.put()
    claim = desk.take()
    desk.cancel(task_id)

    assert desk.end(claim, "cancelled", error("cancelled")) == "ok"

    assert desk.state(task_id) == "cancelled"
    assert desk.queue().cancelled == 1


@pytest.mark.parametrize("kind", ["retry", "snooze", "release"])
def test_a_cancelled_task_does_not_run_again(desk: Desk, kind: str) -> None:
    """The request came while it ran, and it ended in a way that would bring it back."""
    task_id = desk.put()
    claim = desk.take()
    desk.cancel(task_id)

    desk.end(claim, kind, delay_ms=60_000)

    assert desk.state(task_id) == "cancelled"


@pytest.mark.parametrize("kind", LETTERS)
def test_a_repeated_outcome_is_a_duplicate(desk: Desk, kind: str) -> None:
    """Its reply was lost: saying it again changes nothing."""
    desk.put()
    claim = desk.take()
    assert desk.end(claim, kind, delay_ms=60_000) == "ok"
    before = desk.dump()

    assert desk.end(claim, kind, delay_ms=60_000) == "duplicate"

    assert desk.dump() == before


def test_an_outcome_twice_in_one_call_is_committed_once(desk: Desk) -> None:
    """One fence, one outcome: the first."""
    desk.put()
    claim = desk.take()
    twice = [
        Outcome("succeeded", claim.id, claim.fence, b"1"),
        Outcome("failed", claim.id, claim.fence, ERROR),
    ]

    assert desk.finish(*twice).verdicts == ("ok", "duplicate")
    assert desk.task(claim.id).result == 1


@pytest.mark.parametrize("kind", LETTERS)
def test_a_late_outcome_is_stale(desk: Desk, kind: str) -> None:
    """The claim lapsed and the task is somebody else's: nothing changes but the log of events."""
    desk.put()
    late = desk.take()
    desk.lapse(late)
    desk.reap()
    fresh = desk.take(claimant="w2/1:a")
    before = desk.dump()

    assert desk.end(late, kind, delay_ms=60_000) == "stale"

    after = desk.dump()
    assert {key for key in after if after[key] != before.get(key)} == {desk.key("events")}
    assert desk.events()[-1].kind == "refused"
    assert desk.events()[-1].detail == str(late.fence)
    assert desk.end(fresh) == "ok"


def test_a_late_outcome_is_stale_while_nobody_has_the_task_yet(desk: Desk) -> None:
    """It went back to its line; the old claim proves nothing any more."""
    desk.put()
    late = desk.take()
    desk.lapse(late)
    desk.reap()

    assert desk.end(late) == "stale"
    assert desk.take().attempt == 1


def test_an_outcome_in_time_counts_though_the_lease_has_lapsed(desk: Desk) -> None:
    """Nobody took the task back yet, so it is still ours."""
    desk.put()
    claim = desk.take()
    desk.lapse(claim)

    assert desk.end(claim) == "ok"


def test_an_outcome_for_a_task_that_is_gone_is_stale(desk: Desk) -> None:
    """Deleted by hand; the worker goes on."""
    desk.audited = False
    desk.put()
    claim = desk.take()
    desk.redis("DEL", desk.key(f"t:{claim.id}"))

    assert desk.end(claim) == "stale"
    assert desk.redis("ZCARD", desk.key("lease")) == 0


def test_an_outcome_for_a_foreign_record_is_stale_and_the_others_count(desk: Desk) -> None:
    """One spoilt record does not take the batch with it."""
    desk.audited = False
    desk.put()
    desk.put()
    spoilt, fine = desk.claim(2).claims
    desk.redis("SET", desk.key(f"t:{spoilt.id}"), "junk")

    done = desk.finish(
        Outcome("succeeded", spoilt.id, spoilt.fence, b"1"),
        Outcome("succeeded", fine.id, fine.fence, b"1"),
    )

    assert done.verdicts == ("stale", "ok")


def test_an_outcome_of_a_requeued_task_is_stale(desk: Desk) -> None:
    """It starts over, and its old fences are refused."""
    task_id = desk.put()
    claim = desk.take()
    desk.end(claim, "failed")
    desk.requeue(task_id)

    assert desk.end(claim) == "stale"


def test_two_hundred_outcomes_and_claims_are_one_call(desk: Desk) -> None:
    """Batched under load."""
    for _ in range(300):
        desk.put()
    claims = desk.claim(200).claims
    outcomes = [Outcome("succeeded", each.id, each.fence, b"null") for each in claims]

    done = desk.finish(*outcomes, then=ask(200))

    assert done.verdicts == ("ok",) * 200
    assert len(done.claimed.claims) == 100
    assert (desk.queue().succeeded, desk.queue().running, desk.queue().ready) == (200, 100, 0)


def test_a_repeated_finish_brings_the_same_claims(desk: Desk) -> None:
    """Outcome and claim travel together, so they are repeated together."""
    for _ in range(3):
        desk.put()
    claim = desk.take()
    outcome, then = Outcome("succeeded", claim.id, claim.fence, b"1"), ask()

    first = desk.finish(outcome, then=then)
    second = desk.finish(outcome, then=then)

    assert (first.verdicts, second.verdicts) == (("ok",), ("duplicate",))
    assert first.claimed.claims == second.claimed.claims
    assert desk.queue().running == 1


def test_a_finish_that_claims_nothing_says_nothing_about_routes(desk: Desk) -> None:
    """-1 is no version: the caller must not compare it."""
    desk.put()
    claim = desk.take()

    done = desk.finish(Outcome("succeeded", claim.id, claim.fence))

    assert (done.claimed.claims, done.claimed.routes_version) == ((), -1)


def test_a_result_of_several_lines_stays_whole(desk: Desk) -> None:
    """The outcome is the record's last line, and may hold more."""
    task_id = desk.put()
    desk.end(desk.take(), body=b'{\n "pretty": true\n}')

    assert desk.task(task_id).result == {"pretty": True}


def test_arguments_survive_every_kind_of_rewriting(desk: Desk) -> None:
    """Only the life line and the outcome of a record change."""
    task_id = desk.put("job", {"text": "ä\n\0\u2028", "n": [1, {"a": None}]}, headers={"k": "v w"})
    before = desk.task(task_id)
    for kind in ("retry", "snooze", "release", "failed"):
        desk.end(desk.take(), kind)
    desk.requeue(task_id)

    after = desk.task(task_id)

    assert (after.args, after.spec) == (before.args, before.spec)


def test_only_so_many_dead_letters_are_kept(desk: Desk) -> None:
    """The oldest go first; what is kept for ever without bound fills the Redis."""
    desk.audited = False
    oldest = desk.put()
    desk.end(desk.take(), "failed")
    for start in range(0, 10_000, 2000):
        fakes = [word for n in range(2000) for word in (start + n + 1, f"{start + n:022d}")]
        desk.redis("ZADD", desk.key("dead"), *fakes)
    desk.redis("ZADD", desk.key("dead"), 0, oldest)
    newest = desk.put()
    desk.end(desk.take(), "failed")

    assert desk.redis("ZCARD", desk.key("dead")) == 10_000
    assert desk.redis("EXISTS", desk.key(f"t:{oldest}")) == 0
    assert desk.state(newest) == "failed"


def test_only_so_many_ended_tasks_are_listed(desk: Desk) -> None:
    """The list is for people; records live as long as their TTL."""
    for start in range(0, 10_000, 5000):
        desk.redis("RPUSH", desk.key("done"), *(f"{start + n:022d}" for n in range(5000)))
    desk.put()
    desk.end(desk.take())

    assert desk.redis("LLEN", desk.key("done")) == 10_000
