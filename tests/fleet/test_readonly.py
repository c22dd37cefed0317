"""Read-only: nothing new is taken or started, and all that is under way goes on."""

from __future__ import annotations

import pytest

from coordq.errors import Deposed, ReadOnly
from coordq.fleet.election import inaugurate
from coordq.fleet.readonly import TTL_MS, read_mode, resume, stop
from tests.work.desk import Desk, ask, bulk, order


def halt(desk: Desk, *, epoch: int | None = None, reason: str = "rack 3 is moved") -> bool:
    """Make the shard read-only."""
    return bool(desk.run(stop(desk.shard, who="ada", reason=reason, epoch=epoch)))


def test_nothing_is_enqueued(desk: Desk) -> None:
    """The refusal says who, why, and what to do; nothing was changed."""
    halt(desk)
    before = desk.dump()

    for attempt in (
        desk.put,
        lambda: desk.put(on_full="shed"),
        lambda: desk.place_all(bulk(3)),
    ):
        with pytest.raises(ReadOnly, match=r"operator \(ada\) said so: rack 3 is moved"):
            attempt()

    assert desk.dump() == before


def test_the_refusal_carries_its_facts(desk: Desk) -> None:
    """A program must not parse the message."""
    halt(desk, epoch=7)

    with pytest.raises(ReadOnly) as refused:
        desk.put()

    facts = refused.value.facts
    assert (facts["by"], facts["who"], facts["reason"]) == ("leader", "ada", "rack 3 is moved")
    assert abs(desk.now_ms() - facts["since_ms"]) < 60_000
    assert (refused.value.code, refused.value.exit_code) == ("read-only", 5)


@pytest.mark.parametrize("on_full", ["wait", "refuse", "force", "shed"])
def test_what_is_forced_is_enqueued(desk: Desk, on_full: str) -> None:
    """Whoever knows better may; it waits there until work goes on."""
    halt(desk)

    desk.put(force=True, on_full=on_full)
    desk.place_all([*bulk(2, force=True, on_full=on_full)], on_full=on_full)

    assert desk.queue().ready == 3
    assert desk.claim(3).claims == ()


def test_nothing_is_claimed(desk: Desk) -> None:
    """Neither by a claim, nor by id, nor beside a finish."""
    held, other = desk.put(), desk.put()
    claim = desk.take()
    assert claim.id == held
    halt(desk)

    assert desk.claim(1).claims == ()
    with pytest.raises(ReadOnly):
        desk.take_one(other)
    finished = desk.finish(then=ask(1))
    assert finished.claimed.claims == ()
    assert desk.state(other) == "ready"


def test_what_runs_goes_on(desk: Desk) -> None:
    """Beats keep leases, finishes commit, releases give back, cancels reach, looks show."""
    ids = [desk.put() for _ in range(4)]
    done, given_back, unwanted = desk.claim(3).claims
    halt(desk)

    assert desk.beat(done, given_back, unwanted).lost == ()
    assert desk.end(done) == "ok"
    assert desk.release(given_back) == 1
    desk.cancel(unwanted.id)
    assert desk.beat(unwanted).cancelled == (unwanted.member,)
    assert desk.end(unwanted, "cancelled") == "ok"
    assert [desk.state(one) for one in ids] == ["succeeded", "ready", "cancelled", "ready"]


def test_a_claim_whose_reply_was_lost_is_still_answered(desk: Desk) -> None:
    """It was granted before: the worker holds it, whether it knows or not."""
    desk.put()
    first = desk.claim(1, nonce="n").claims
    halt(desk)

    assert desk.claim(1, nonce="n").claims == first


def test_work_goes_on_and_wakes_who_waits(desk: Desk) -> None:
    """Marks were spent on claims that got nothing; without new ones workers would sleep on."""
    desk.place_all(bulk(3))
    halt(desk)
    desk.redis("DEL", desk.key("marker:default:job"))

    assert desk.run(resume(0))

    assert desk.marks() == 3
    assert len(desk.claim(3).claims) == 3
    desk.put()


def test_a_second_word_changes_nothing(desk: Desk) -> None:
    """Also when the first one's reply was lost."""
    assert halt(desk)
    assert not halt(desk)
    assert desk.run(resume(0))
    assert not desk.run(resume(0))


def test_what_a_leader_stops_goes_on_by_itself(desk: Desk) -> None:
    """A leader that is gone must not stop a queue for ever; an operator's word lasts."""
    halt(desk, epoch=7)
    leaders = desk.redis("PTTL", desk.key("readonly"))
    desk.run(resume(0, epoch=7))
    halt(desk)

    assert 0 < leaders <= TTL_MS
    assert desk.redis("PTTL", desk.key("readonly")) == -1


def test_a_leader_does_not_end_what_an_operator_began(desk: Desk) -> None:
    """Nor does it put its own in the place of that, which would expire."""
    halt(desk)

    assert not desk.run(resume(0, epoch=7))
    assert not halt(desk, epoch=7, reason="a minority")

    mode = read_mode(desk.redis("GET", desk.key("readonly")))
    assert mode is not None
    assert (mode.by_operator, mode.reason) == (True, "rack 3 is moved")


def test_an_operator_ends_what_a_leader_began(desk: Desk) -> None:
    """The operator knows better."""
    halt(desk, epoch=7)

    assert desk.run(resume(0))
    desk.put()


def test_saying_it_again_keeps_since_when(desk: Desk) -> None:
    """The leader renews it; people want to know how long it has lasted."""
    halt(desk, epoch=7)
    first = read_mode(desk.redis("GET", desk.key("readonly")))
    halt(desk, epoch=7, reason="still a minority")
    second = read_mode(desk.redis("GET", desk.key("readonly")))

    assert first is not None
    assert second is not None
    assert second.since_ms == first.since_ms
    assert second.reason == "still a minority"


def test_a_leader_of_the_past_stops_nothing(desk: Desk) -> None:
    """Its view of the fleet is as old as its epoch."""
    desk.run(inaugurate(0, 9))

    with pytest.raises(Deposed):
        halt(desk, epoch=8)
    with pytest.raises(Deposed):
        desk.run(resume(0, epoch=8))
    desk.put()


@pytest.mark.parametrize("text", [b"", b"x", b"operator soon ada", b"\xff \xff"])
def test_what_a_stranger_wrote_is_read_somehow(desk: Desk, text: bytes) -> None:
    """The key exists, so work stops; what it says is for people."""
    desk.redis("SET", desk.key("readonly"), text)

    assert read_mode(text) is not None
    with pytest.raises(ReadOnly):
        desk.place(order())
