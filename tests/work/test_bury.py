"""work/bury: all claims of a worker that is known to be dead go back, and nobody else's."""

from __future__ import annotations

import pytest

from coordq.errors import Deposed
from coordq.work.beat import bury
from tests.work.desk import Desk, bulk


def buried(desk: Desk, worker: str, *, reason: str = "crash") -> int:
    """Bury a worker, page by page; how many claims went back."""
    amount, cursor = 0, 0
    while True:
        page = desk.engine.run(bury(desk.shard, worker, cursor=cursor, reason=reason))
        amount, cursor = amount + page.amount, page.cursor
        if cursor == 0:
            return amount


def test_all_claims_of_a_dead_worker_go_back_whatever_child_held_them(desk: Desk) -> None:
    """Its children died with it, and nobody asks them what they held."""
    desk.place_all(bulk(5))
    desk.claim(2, claimant="w1/1.1:a")
    desk.claim(3, claimant="w1/2.1:b")

    assert buried(desk, "w1") == 5
    assert (desk.queue().ready, desk.queue().running) == (5, 0)


def test_claims_of_others_stay(desk: Desk) -> None:
    """Also of one whose name begins alike."""
    desk.place_all(bulk(2))
    mine = desk.take(claimant="w1/1:a")
    other = desk.take(claimant="w11/1:a")

    assert buried(desk, "w1") == 1
    assert desk.beat(other, worker="w11").lost == ()
    assert desk.beat(mine).lost == (mine.member,)


def test_more_claims_than_fit_a_page_go_back(desk: Desk) -> None:
    """A call looks at about 500 leases, so that Redis is not held up."""
    for _ in range(4):
        desk.place_all(bulk(500))
    desk.claim(1000, claimant="w1/1:a")
    desk.claim(1000, claimant="w2/1:a")

    assert buried(desk, "w1") == 1000
    assert (desk.queue().ready, desk.queue().running) == (1000, 1000)


@pytest.mark.parametrize(("reason", "strikes"), [("crash", 1), ("shutdown", 0)])
def test_a_crash_costs_a_strike_and_a_shutdown_nothing(
    desk: Desk, reason: str, strikes: int
) -> None:
    """A spawner that ended its worker on purpose knows that no task was to blame."""
    task_id = desk.put()
    desk.take()

    buried(desk, "w1", reason=reason)

    task = desk.task(task_id)
    assert (task.state.value, task.attempt, task.strikes) == ("ready", 0, strikes)


def test_the_finish_of_one_that_was_buried_alive_is_refused(desk: Desk) -> None:
    """The proof of death was wrong: its outcome does not count, and the task runs again."""
    desk.put()
    held = desk.take()
    buried(desk, "w1")

    assert desk.end(held) == "stale"


def test_a_deposed_leader_buries_nobody(desk: Desk) -> None:
    """Nor does it change anything else."""
    desk.put()
    desk.take()
    desk.redis("SET", desk.key("epoch"), 8)
    before = desk.dump()

    with pytest.raises(Deposed):
        desk.run(bury(0, "w1", epoch=7))

    assert desk.dump() == before
