"""A beat without the script: it keeps what is held, and never says more than is true."""

from __future__ import annotations

from collections.abc import Sequence

from coordq.work.beat import Pulse, brief, leave
from coordq.work.claim import Claim
from tests.work.desk import Desk

LEASE_MS = 60_000


def beat_briefly(
    desk: Desk, *held: Claim, now_ms: int | None = None, worker: str = "w1"
) -> Sequence[int]:
    """What Redis answers to each of the commands."""
    pulse = Pulse(worker, tuple(each.member for each in held), lease_ms=LEASE_MS)
    moment_ms = desk.now_ms() if now_ms is None else now_ms
    return [int(desk.redis(*command)) for command in brief(desk.root, pulse, moment_ms)]


def last_beat(desk: Desk) -> int | None:
    """When Redis heard the worker."""
    score = desk.redis("ZSCORE", desk.key("workers"), "w1")
    return None if score is None else int(float(score))


def test_a_brief_beat_extends_every_lease_that_is_held(desk: Desk) -> None:
    """So an outage finds them as long as after any beat."""
    desk.put()
    desk.put()
    desk.beat()
    claims = desk.claim(2, lease_ms=1000).claims

    assert beat_briefly(desk, *claims, now_ms=desk.now_ms() + 1) == [1, 2]
    assert all((desk.task(each.id).lease_left_ms or 0) > 59_000 for each in claims)


def test_a_brief_beat_is_a_sign_of_life(desk: Desk) -> None:
    """The leader looks at moments, however they came to be."""
    desk.beat()
    later = (last_beat(desk) or 0) + 2000

    assert beat_briefly(desk, now_ms=later) == [1]
    assert last_beat(desk) == later


def test_a_brief_beat_never_brings_back_who_was_given_up(desk: Desk) -> None:
    """It would be in the fleet under its old incarnation, and without a word about itself."""
    desk.beat()
    desk.run(leave(0, "w1"))

    assert beat_briefly(desk) == [0]
    assert last_beat(desk) is None


def test_a_brief_beat_never_brings_a_lost_claim_back(desk: Desk) -> None:
    """Somebody else has the task; the answer is one short, so the worker asks which."""
    desk.put()
    desk.put()
    desk.beat()
    kept, lost = desk.claim(2, lease_ms=1000).claims
    desk.lapse(lost)
    desk.reap()

    assert beat_briefly(desk, kept, lost, now_ms=desk.now_ms() + 1) == [1, 1]
    assert desk.redis("ZSCORE", desk.key("lease"), lost.member) is None


def test_a_brief_beat_never_sets_a_beat_or_a_lease_back(desk: Desk) -> None:
    """It came late, or its moment is behind, or Redis has a clock that was set back."""
    desk.put()
    desk.beat()
    claim = desk.take(lease_ms=LEASE_MS)
    heard_ms, ends = last_beat(desk) or 0, desk.redis("ZSCORE", desk.key("lease"), claim.member)

    assert beat_briefly(desk, claim, now_ms=heard_ms - 1000) == [0, 0]
    assert last_beat(desk) == heard_ms
    assert desk.redis("ZSCORE", desk.key("lease"), claim.member) == ends


def test_a_repeated_brief_beat_is_not_believed_twice(desk: Desk) -> None:
    """Its reply was lost, perhaps with the server: a full beat clears that up."""
    desk.beat()
    moment_ms = (last_beat(desk) or 0) + 1

    assert beat_briefly(desk, now_ms=moment_ms) == [1]
    assert beat_briefly(desk, now_ms=moment_ms) == [0]


def test_a_full_beat_corrects_a_moment_that_was_ahead(desk: Desk) -> None:
    """Redis's clock was set back: that must not hide for long that somebody fell silent."""
    desk.beat()
    beat_briefly(desk, now_ms=desk.now_ms() + 3_600_000)

    desk.beat()

    assert (last_beat(desk) or 0) <= desk.now_ms()


def test_a_beat_says_what_time_it_is(desk: Desk) -> None:
    """From there the worker counts on; it is the moment of the beat itself."""
    before_ms = desk.now_ms()

    beaten = desk.beat()

    assert before_ms <= beaten.now_ms <= desk.now_ms()
    assert beaten.now_ms == last_beat(desk)
