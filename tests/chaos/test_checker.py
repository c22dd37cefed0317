"""Each rule of the checker, on a history that keeps it and on one that breaks it.

A checker that says yes to everything is worse than none: these histories are made by hand.
"""

from __future__ import annotations

import pytest

from coordq.interfaces.chaos.checker import check
from coordq.interfaces.chaos.history import Ack, History, Rest
from tests.chaos.scribe import START_MS, A, B, Scribe, Tale, rules

# -- what is right ---------------------------------------------------------------------------------


def plain(told: Scribe) -> None:
    told.enqueue(A)
    told.succeed(A, 10)


def retried(told: Scribe) -> None:
    told.enqueue(A)
    told.event(A, "running", 2, 10)
    told.run(A, 10, "failed")
    told.event(A, "retrying", 3, 10, detail="100")
    told.event(A, "ready", 4, 10)
    told.succeed(A, 11, version=5)


def lapsed_and_refused(told: Scribe) -> None:
    """A slow worker comes back too late: its finish is refused, and that is as it should be."""
    told.enqueue(A)
    told.event(A, "running", 2, 10)
    told.event(A, "lapsed", 3, 0, detail="10 worker-0.1-ab/0.1")
    told.succeed(A, 11, version=4)
    told.run(A, 10)
    told.event(A, "refused", 5, 11, detail="10")


def poisoned(told: Scribe) -> None:
    told.enqueue(A)
    told.event(A, "running", 2, 10)
    told.event(A, "failed", 3, 0, detail="poison")


def cancelled_while_waiting(told: Scribe) -> None:
    told.enqueue(A)
    told.event(A, "cancelled", 2, 0, detail="changed my mind")


def released_by_a_shutdown(told: Scribe) -> None:
    told.enqueue(A)
    told.event(A, "running", 2, 10)
    told.event(A, "released", 3, 10)
    told.succeed(A, 11, version=4)


def one_key_after_another(told: Scribe) -> None:
    told.enqueue(A, key="k")
    told.succeed(A, 10)
    told.enqueue(B, key="k")
    told.succeed(B, 11)


def two_terms(told: Scribe) -> None:
    told.leader("elected", "supervisor-0.1", 100)
    told.leader("suspect", "worker-1.1", 100)
    told.leader("elected", "supervisor-1.1", 200)
    told.leader("healthy", "worker-1.1", 200)
    told.leader("healthy", "worker-1.1", 100, shard=1)


def a_write_by_fence(told: Scribe) -> None:
    """The first run wrote and died; the second finds that it was done."""
    told.enqueue(A, name="fenced")
    told.event(A, "running", 2, 10)
    told.event(A, "crashed", 3, 0, detail="10 worker-0.1-ab/0.1")
    told.succeed(A, 11, version=4)
    told.history.answers += [(A, 10, "ok"), (A, 10, "applied"), (A, 11, "ok"), (A, 11, "known")]


def counted(told: Scribe) -> None:
    plain(told)
    counters = {"enqueued": 1, "succeeded": 1, "ready": 0}
    told.history.rest = Rest(counters={0: {"default": counters}})


@pytest.mark.parametrize(
    "tell",
    [
        plain,
        retried,
        lapsed_and_refused,
        poisoned,
        cancelled_while_waiting,
        released_by_a_shutdown,
        one_key_after_another,
        two_terms,
        a_write_by_fence,
        counted,
    ],
)
def test_what_is_right_is_not_complained_of(tell: Tale) -> None:
    """False alarms would teach everybody to look away."""
    assert rules(tell) == set()


# -- what is wrong ---------------------------------------------------------------------------------


def a_gap(told: Scribe) -> None:
    plain(told)
    told.history.gaps.append("shard 0: from 1-0 to 9-0")


def acknowledged_and_never_seen(told: Scribe) -> None:
    told.history.wished[A] = "-"
    told.history.acked[A] = Ack("quick", START_MS - 1, START_MS)


def never_ended(told: Scribe) -> None:
    told.enqueue(A)
    told.event(A, "running", 2, 10)
    told.history.rest = Rest(open={A: "running"})


def a_lease_left_behind(told: Scribe) -> None:
    plain(told)
    told.history.rest = Rest(leases=[f"{A}|10"])


def ended_twice(told: Scribe) -> None:
    plain(told)
    told.event(A, "succeeded", 4, 10)


def run_again_after_its_end(told: Scribe) -> None:
    plain(told)
    told.event(A, "running", 4, 11)
    told.run(A, 11)
    told.event(A, "succeeded", 5, 11)


def a_version_left_out(told: Scribe) -> None:
    told.enqueue(A)
    told.succeed(A, 10, version=3)


def a_fence_that_did_not_grow(told: Scribe) -> None:
    told.enqueue(A)
    told.enqueue(B)
    told.succeed(A, 10)
    told.succeed(B, 10)


def committed_by_an_old_fence(told: Scribe) -> None:
    told.enqueue(A)
    told.event(A, "running", 2, 10)
    told.event(A, "lapsed", 3, 0, detail="10 worker-0.1-ab/0.1")
    told.event(A, "running", 4, 11)
    told.run(A, 10)
    told.event(A, "succeeded", 5, 10)


def committed_after_the_claim_was_given_back(told: Scribe) -> None:
    told.enqueue(A)
    told.event(A, "running", 2, 10)
    told.event(A, "lapsed", 3, 0, detail="10 worker-0.1-ab/0.1")
    told.run(A, 10)
    told.event(A, "succeeded", 4, 10)


def success_without_a_run(told: Scribe) -> None:
    told.enqueue(A)
    told.event(A, "running", 2, 10)
    told.event(A, "succeeded", 3, 10)


def success_of_a_run_that_died(told: Scribe) -> None:
    told.enqueue(A)
    told.event(A, "running", 2, 10)
    told.run(A, 10, "")
    told.event(A, "succeeded", 3, 10)


def success_before_the_run_was_done(told: Scribe) -> None:
    plain(told)
    told.history.runs[A, 10].ended_ms += 1000


def a_write_made_twice(told: Scribe) -> None:
    told.enqueue(A, name="fenced")
    told.succeed(A, 10)
    told.history.answers += [(A, 10, "applied"), (A, 10, "applied")]


def a_success_whose_write_was_not_made(told: Scribe) -> None:
    told.enqueue(A, name="fenced")
    told.succeed(A, 10)


def a_commit_that_the_resource_refused(told: Scribe) -> None:
    told.enqueue(A, name="fenced")
    told.succeed(A, 10)
    told.history.answers += [(A, 10, "applied"), (A, 10, "refused")]


def one_key_held_twice(told: Scribe) -> None:
    told.enqueue(A, key="k")
    told.enqueue(B, key="k")
    told.succeed(A, 10)
    told.succeed(B, 11)


def a_key_left_behind(told: Scribe) -> None:
    plain(told)
    told.history.rest = Rest(keys={"digest": A})


def a_dead_letter_without_a_word(told: Scribe) -> None:
    told.enqueue(A)
    told.event(A, "running", 2, 10)
    told.event(A, "failed", 3, 10, detail="")


def a_task_of_nobody(told: Scribe) -> None:
    told.event(A, "ready", 1)
    told.succeed(A, 10)


def two_leaders_of_an_epoch(told: Scribe) -> None:
    told.leader("elected", "supervisor-0.1", 100)
    told.leader("elected", "supervisor-1.1", 100)


def a_write_of_a_former_leader(told: Scribe) -> None:
    told.leader("elected", "supervisor-0.1", 100)
    told.leader("elected", "supervisor-1.1", 200)
    told.leader("suspect", "worker-1.1", 100)


def a_counter_that_drifted(told: Scribe) -> None:
    plain(told)
    told.history.rest = Rest(counters={0: {"default": {"enqueued": 1, "succeeded": 2}}})


def a_count_of_nothing(told: Scribe) -> None:
    plain(told)
    counters = {"enqueued": 1, "succeeded": 1, "running": 1}
    told.history.rest = Rest(counters={0: {"default": counters}})


def a_worker_that_met_a_bug(told: Scribe) -> None:
    plain(told)
    told.history.failures.append(("worker-1", "ValueError: mmap closed or invalid"))


def something_was_mended(told: Scribe) -> None:
    plain(told)
    told.leader("repaired", A, 100)


@pytest.mark.parametrize(
    ("tell", "rule"),
    [
        (a_gap, "incomplete"),
        (acknowledged_and_never_seen, "lost"),
        (never_ended, "stuck"),
        (a_lease_left_behind, "stuck"),
        (ended_twice, "twice"),
        (run_again_after_its_end, "twice"),
        (a_version_left_out, "order"),
        (a_fence_that_did_not_grow, "fence"),
        (committed_by_an_old_fence, "stale"),
        (committed_after_the_claim_was_given_back, "stale"),
        (success_without_a_run, "hollow"),
        (success_of_a_run_that_died, "hollow"),
        (success_before_the_run_was_done, "hollow"),
        (a_write_made_twice, "effect"),
        (a_success_whose_write_was_not_made, "effect"),
        (a_commit_that_the_resource_refused, "effect"),
        (one_key_held_twice, "unique"),
        (a_key_left_behind, "unique"),
        (a_dead_letter_without_a_word, "reason"),
        (a_task_of_nobody, "stranger"),
        (two_leaders_of_an_epoch, "leader"),
        (a_write_of_a_former_leader, "leader"),
        (a_counter_that_drifted, "counters"),
        (a_count_of_nothing, "counters"),
        (something_was_mended, "repaired"),
        (a_worker_that_met_a_bug, "failure"),
    ],
)
def test_what_is_wrong_is_named(tell: Tale, rule: str) -> None:
    """By its rule, with evidence; a rule that cannot fail guards nothing."""
    assert rule in rules(tell)


# -- failovers -------------------------------------------------------------------------------------


def test_a_task_lost_by_a_failover_is_excused_and_counted() -> None:
    """Asynchronous replication promises no more; whoever reads the table sees how many."""
    history = History(wished={A: "-"}, acked={A: Ack("quick", START_MS - 1, START_MS)})
    history.rewound[0] = [(START_MS - 5, START_MS + 5)]

    verdict = check(history)

    assert verdict.violations == ()
    assert [one.subject for one in verdict.excused] == [A]


def test_a_task_that_was_on_a_replica_may_not_be_lost() -> None:
    """That is what durability="replica" was asked for."""
    history = History(wished={A: "-"}, acked={A: Ack("quick", START_MS - 1, START_MS)})
    history.rewound[0], history.durable = [(START_MS - 5, START_MS + 5)], True

    assert [one.rule for one in check(history).violations] == ["lost"]


def test_a_task_lost_at_another_time_is_not_excused() -> None:
    """A failover explains its own moments only."""
    history = History(wished={A: "-"}, acked={A: Ack("quick", START_MS - 1, START_MS)})
    history.rewound[0] = [(START_MS + 60_000, START_MS + 61_000)]

    assert [one.rule for one in check(history).violations] == ["lost"]


def test_fences_grow_over_a_failover_too() -> None:
    """A claim that was taken back must not lend its fence to the next one."""
    scribe = Scribe()
    scribe.enqueue(A)
    scribe.event(A, "running", 2, 20)
    scribe.history.undone[0] = [[scribe.history.events[0].pop()]]
    scribe.succeed(A, 20)

    assert {one.rule for one in check(scribe.history).violations} == {"fence"}
