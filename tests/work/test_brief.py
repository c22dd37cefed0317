"""A beat without the script: it keeps what is held, and never says more than is true."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from coordq.work.beat import Brief, Pulse, brief, leave, read_brief
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


def look_briefly(desk: Desk, *held: Claim, info: bytes = b"", now_ms: int | None = None) -> Brief:
    """What a worker understands of a brief beat that looks."""
    pulse = Pulse("w1", tuple(each.member for each in held), info, LEASE_MS)
    moment_ms = (last_beat(desk) or 0) + 1 if now_ms is None else now_ms
    commands = brief(desk.root, pulse, moment_ms, look=True)
    return read_brief(pulse, [desk.redis(*command) for command in commands])


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
    assert all((desk.task(each.id).lease_left_ms or 0) > LEASE_MS / 2 for each in claims)


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
    kept, lost = desk.claim(2, lease_ms=LEASE_MS // 2).claims
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


def test_a_look_is_a_beat_and_says_when_the_next_claim_lapses(desk: Desk) -> None:
    """Without a leader workers take claims back, whoever held them."""
    desk.put()
    desk.put()
    desk.beat(info=b"{}")
    mine = desk.take(lease_ms=1000)
    desk.take(lease_ms=LEASE_MS // 2)

    seen = look_briefly(desk, mine, info=b"{}")

    assert (seen.well, seen.short, seen.looked) == (True, False, True)
    assert 0 < (seen.lapse_in_ms or 0) <= LEASE_MS // 2
    assert abs(seen.now_ms - desk.now_ms()) < LEASE_MS


def test_a_look_tells_what_the_worker_has_counted(desk: Desk) -> None:
    """And keeps what was told before when there is nothing new."""
    desk.beat(info=b'{"succeeded":1}')
    info = desk.key("worker:w1")
    desk.redis("PEXPIRE", info, LEASE_MS)

    assert look_briefly(desk).well
    assert int(desk.redis("PTTL", info)) > LEASE_MS * 2
    assert look_briefly(desk, info=b'{"succeeded":2}').well
    assert desk.redis("GET", info) == b'{"succeeded":2}'
    assert int(desk.redis("PTTL", info)) > LEASE_MS * 2


@pytest.mark.parametrize("info", [b"", b"{}"])
def test_a_look_does_not_bring_a_forgotten_info_back(desk: Desk, info: bytes) -> None:
    """The worker was given up; only a full beat makes it a member again, and counts that."""
    desk.beat(info=b"{}")
    desk.redis("DEL", desk.key("worker:w1"))

    assert not look_briefly(desk, info=info).well
    assert not desk.redis("EXISTS", desk.key("worker:w1"))


def test_a_look_notices_that_something_is_cancelled(desk: Desk) -> None:
    """It does not say what: that is for the full beat, which is due then."""
    desk.put()
    desk.beat(info=b"{}")
    claim = desk.take()
    assert look_briefly(desk, claim).well

    desk.cancel(claim.id)

    assert not look_briefly(desk, claim).well


def test_a_look_sees_that_a_clock_was_set_back(desk: Desk) -> None:
    """The worker counts on from its answer; what was ahead is refused, so a full beat is due."""
    desk.beat(info=b"{}")
    ahead = look_briefly(desk, now_ms=desk.now_ms() + 3_600_000)

    assert ahead.well
    assert ahead.now_ms <= desk.now_ms()
    assert not look_briefly(desk, now_ms=ahead.now_ms + 1).well


def test_a_beat_that_was_refused_tells_nothing() -> None:
    """Redis was full, or away."""
    assert read_brief(Pulse("w1"), None) == Brief(well=False)
