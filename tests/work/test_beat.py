"""work/beat: a worker lives and keeps what it holds; after an outage nobody is taken for dead."""

from __future__ import annotations

from coordq.work.beat import Pulse, beat, leave
from tests.work.desk import Desk

LEASE_MS = 60_000


def silent(desk: Desk, worker: str, ms: int) -> None:
    """Let a worker's last beat be so long ago."""
    desk.redis("ZADD", desk.key("workers"), desk.now_ms() - ms, worker)


def test_a_beat_extends_every_lease_that_is_held(desk: Desk) -> None:
    """One call for all claims."""
    desk.put()
    desk.put()
    claims = desk.claim(2, lease_ms=1000).claims

    beaten = desk.beat(*claims, lease_ms=LEASE_MS)

    assert (beaten.lost, beaten.cancelled, beaten.lapsed) == ((), (), False)
    assert all((desk.task(each.id).lease_left_ms or 0) > LEASE_MS / 2 for each in claims)


def test_a_beat_says_which_claims_are_lost(desk: Desk) -> None:
    """Their work must stop: its outcome would be refused."""
    desk.put()
    desk.put()
    kept, lost = desk.claim(2).claims
    desk.lapse(lost)
    desk.reap()

    assert desk.beat(kept, lost).lost == (lost.member,)


def test_a_beat_does_not_bring_a_lost_claim_back(desk: Desk) -> None:
    """A lease that has gone to somebody else is not resurrected by insisting."""
    desk.put()
    late = desk.take()
    desk.lapse(late)
    desk.reap()
    desk.take(claimant="w2/1:a")

    desk.beat(late)

    assert desk.redis("ZSCORE", desk.key("lease"), late.member) is None


def test_a_beat_saves_a_lapsed_claim_that_nobody_took_back(desk: Desk) -> None:
    """Late, but in time."""
    desk.put()
    claim = desk.take()
    desk.lapse(claim)

    assert desk.beat(claim).lost == ()
    assert desk.reap().amount == 0


def test_a_beat_reminds_of_cancels(desk: Desk) -> None:
    """Until the worker has obeyed."""
    desk.put()
    desk.put()
    wanted, unwanted = desk.claim(2).claims
    desk.cancel(unwanted.id)

    assert desk.beat(wanted, unwanted).cancelled == (unwanted.member,)
    assert desk.beat(wanted, unwanted).cancelled == (unwanted.member,)
    desk.end(unwanted, "cancelled")
    assert desk.beat(wanted).cancelled == ()


def test_a_beat_says_that_something_has_lapsed(desk: Desk) -> None:
    """Of any worker: whoever hears it reaps."""
    desk.put()
    other = desk.take(claimant="w2/1:a")
    desk.lapse(other)

    assert desk.beat().lapsed


def test_info_is_asked_for_when_redis_has_forgotten_it(desk: Desk) -> None:
    """It is sent only when it has changed."""
    assert not desk.beat(info=b"").known
    assert desk.beat(info=b'{"slots":4}').known
    assert desk.beat(info=b"").known
    desk.redis("DEL", desk.key("worker:w1"))
    assert not desk.beat(info=b"").known


def test_a_worker_is_listed_while_it_beats(desk: Desk) -> None:
    """And for three leases more."""
    desk.beat(info=b'{"slots":4}', lease_ms=LEASE_MS)

    (view,) = desk.overview().workers
    assert (view.name, view.info, view.beat_age_ms < LEASE_MS) == ("w1", {"slots": 4}, True)
    assert LEASE_MS * 2 < desk.redis("PTTL", desk.key("worker:w1")) <= LEASE_MS * 3


def test_a_worker_that_left_is_not_listed(desk: Desk) -> None:
    """In good order, and told so only once."""
    desk.beat()

    assert desk.run(leave(0, "w1"))
    assert not desk.run(leave(0, "w1"))
    assert desk.overview().workers == ()


def test_a_thousand_members_fit_into_a_beat(desk: Desk) -> None:
    """Lua's stack is bounded; so is the call."""
    members = tuple(f"{n:022d}|{n}" for n in range(1000))

    assert desk.run(beat(0, Pulse("w1", members))).lost == members


# -- outages -----------------------------------------------------------------------------------


def test_after_an_outage_nobody_reaps_for_one_lease(desk: Desk) -> None:
    """All were silent, so Redis was away: all must have the chance to beat first."""
    desk.put()
    claim = desk.take()
    silent(desk, "w1", LEASE_MS)
    desk.lapse(claim)

    desk.beat(worker="w2")

    reaped = desk.reap()
    assert reaped.amount == 0
    assert LEASE_MS / 2 < reaped.grace_ms <= LEASE_MS
    assert desk.beat(claim).lost == ()


def test_one_silent_worker_is_no_outage(desk: Desk) -> None:
    """The others beat, so Redis was there: it is dead, and its work goes on elsewhere."""
    desk.put()
    claim = desk.take()
    silent(desk, "w1", LEASE_MS)
    silent(desk, "w2", 100)
    desk.lapse(claim)

    desk.beat(worker="w3")

    assert desk.reap().amount == 1


def test_a_short_silence_is_no_outage(desk: Desk) -> None:
    """Less than half a lease happens."""
    silent(desk, "w1", LEASE_MS // 4)

    desk.beat(worker="w2")

    assert desk.reap().grace_ms == 0


def test_the_first_worker_of_all_is_no_outage(desk: Desk) -> None:
    """There was nobody to be silent."""
    desk.beat()

    assert desk.reap().grace_ms == 0


def test_when_the_grace_is_over_reaping_goes_on(desk: Desk) -> None:
    """Whoever has not come back by then is dead."""
    desk.put()
    claim = desk.take()
    silent(desk, "w1", LEASE_MS)
    desk.lapse(claim)
    desk.beat(worker="w2")
    desk.redis("DEL", desk.key("grace"))

    assert desk.reap().amount == 1
