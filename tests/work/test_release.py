"""work/release: claims go back at once, because their holder stops or has died."""

from __future__ import annotations

from coordq.work.beat import release
from tests.work.desk import Desk


def test_a_shutdown_costs_nothing(desk: Desk) -> None:
    """Neither an attempt nor a strike, nor the place in line."""
    first, _ = desk.put(), desk.put()

    assert desk.release(desk.take()) == 1

    task = desk.task(first)
    assert (task.state.value, task.attempt, task.strikes) == ("ready", 0, 0)
    assert desk.take().id == first


def test_a_crash_costs_a_strike(desk: Desk) -> None:
    """And the third is the last."""
    task_id = desk.put()
    for _ in range(3):
        assert desk.release(desk.take(), reason="crash") == 1

    assert (desk.state(task_id), desk.task(task_id).reason) == ("failed", "poison")


def test_a_claim_that_is_not_held_is_not_given_back(desk: Desk) -> None:
    """The reply says which were."""
    desk.put()
    desk.put()
    lost, kept = desk.claim(2).claims
    desk.end(lost)

    members = desk.run(release(0, [lost.member, kept.member]))

    assert members == (kept.member,)


def test_a_repeated_release_does_nothing(desk: Desk) -> None:
    """Also when the task is somebody else's by now."""
    desk.put()
    claim = desk.take()
    desk.release(claim)
    desk.take(claimant="w2/1:a")

    assert desk.release(claim, reason="crash") == 0
    assert desk.task(claim.id).strikes == 0


def test_what_a_claimant_was_granted_last_goes_back_too(desk: Desk) -> None:
    """A child died before the reply to its claim reached the ledger: nobody knows the members."""
    desk.put()
    desk.put()
    desk.claim(2, claimant="w1/1:a")

    members = desk.run(release(0, [], claimants=["w1/1:a", "w1/1:b"], reason="crash"))

    assert len(members) == 2
    assert desk.queue().ready == 2


def test_members_and_claimants_may_name_the_same_claim(desk: Desk) -> None:
    """It goes back once."""
    desk.put()
    claim = desk.take()

    assert desk.release(claim, claimants=("w1/1:a",), reason="crash") == 1
    assert desk.task(claim.id).strikes == 1


def test_a_released_grant_is_not_repeated(desk: Desk) -> None:
    """The dead child's claim, should it still be on its way, must not be answered from memory."""
    desk.put()
    desk.claim(1, nonce="a")
    desk.run(release(0, [], claimants=["w1/1:a"]))
    taken = desk.take(claimant="w2/1:a")

    assert desk.claim(1, nonce="a").claims == ()
    assert desk.end(taken) == "ok"


def test_a_release_of_a_task_to_be_cancelled_cancels_it(desk: Desk) -> None:
    """It would only be claimed to be cancelled again."""
    task_id = desk.put()
    claim = desk.take()
    desk.cancel(task_id)

    desk.release(claim)

    assert desk.state(task_id) == "cancelled"


def test_a_release_passes_over_records_that_are_not_ours(desk: Desk) -> None:
    """Of any type; the others go back."""
    desk.audited = False
    desk.put()
    desk.put()
    spoilt, fine = desk.claim(2).claims
    desk.redis("DEL", desk.key(f"t:{spoilt.id}"))
    desk.redis("RPUSH", desk.key(f"t:{spoilt.id}"), "junk")

    assert desk.run(release(0, [spoilt.member, fine.member])) == (fine.member,)


def test_a_release_wakes_a_worker_for_each_task(desk: Desk) -> None:
    """A dead child's eight tasks do not wait for one other."""
    for _ in range(3):
        desk.put()
    claims = desk.claim(3).claims
    desk.redis("DEL", desk.key("marker:default:job"))

    desk.release(*claims)

    assert desk.marks() >= 1


def test_the_events_tell_a_crash_from_a_shutdown(desk: Desk) -> None:
    """Operators want to know."""
    task_id = desk.put()
    desk.release(desk.take())
    desk.release(desk.take(), reason="crash")

    kinds = desk.kinds(task_id)
    assert kinds == ["ready", "running", "released", "running", "crashed"]
