"""Who leads: one at a time, by lease and epoch, whoever dies, pauses or loses a reply."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from coordq.engine.connection import Engine, open_engine
from coordq.errors import Deposed, ForeignData
from coordq.fleet.election import Answer, Candidate, campaign, inaugurate, resign, standing
from tests.work.desk import Desk

LEASE_MS = 60_000
"""No lease ends by itself while a test runs: see `silence`."""


def run_for(
    desk: Desk, name: str, *, lease_ms: int = LEASE_MS, floor: int = 0, **facts: Any
) -> Answer:
    """One campaign."""
    return desk.engine.run(campaign(Candidate(name, lease_ms, **facts), floor=floor))


def told(desk: Desk) -> list[tuple[str, str, str]]:
    """What happened: kind, subject, detail."""
    return [(event.kind, event.subject, event.detail) for event in desk.events()]


def silence(desk: Desk) -> None:
    """The leader's lease ends."""
    desk.redis("DEL", desk.key("leader"))


def test_the_first_to_come_leads(desk: Desk) -> None:
    """Under an epoch that follows Redis's clock, for one lease."""
    answer = run_for(desk, "a", settings={"lease_s": 60})

    assert answer.leads
    assert answer.leader.epoch // 1000 == pytest.approx(desk.now_ms(), abs=60_000)
    assert 0 < int(desk.redis("PTTL", desk.key("leader"))) <= LEASE_MS
    assert (answer.leader.name, answer.leader.settings) == ("a", {"lease_s": 60})


def test_others_hear_who_leads_and_for_how_long(desk: Desk) -> None:
    """So they can wait just as long, and warn when their own settings differ."""
    first = run_for(desk, "a", settings={"lease_s": 60})

    second = run_for(desk, "b", settings={"lease_s": 9})

    assert not second.leads
    assert (second.leader.name, second.leader.epoch) == ("a", first.leader.epoch)
    assert second.leader.settings == {"lease_s": 60}
    assert 0 < second.leader.left_ms <= LEASE_MS


def test_who_leads_keeps_its_epoch_by_campaigning_on(desk: Desk) -> None:
    """Each campaign is a new lease; the term goes on."""
    first = run_for(desk, "a")

    again = run_for(desk, "a", lease_ms=10 * LEASE_MS, floor=first.leader.epoch - 1)

    assert again.leads
    assert (again.leader.epoch, again.leader.since_ms) == (
        first.leader.epoch,
        first.leader.since_ms,
    )
    assert int(desk.redis("PTTL", desk.key("leader"))) > LEASE_MS


def test_when_a_lease_ends_the_next_to_come_leads_with_a_higher_epoch(desk: Desk) -> None:
    """And the event says after whom."""
    first = run_for(desk, "a")
    silence(desk)

    second = run_for(desk, "b")

    assert second.leads
    assert second.leader.epoch > first.leader.epoch
    assert told(desk)[-1] == (
        "elected",
        "b",
        f"leads with epoch {second.leader.epoch} after a went silent",
    )


def test_a_leader_whose_lease_has_ended_comes_back_with_a_new_epoch(desk: Desk) -> None:
    """Somebody may have led in between, so the old epoch is never taken up again."""
    first = run_for(desk, "a")
    silence(desk)

    again = run_for(desk, "a", floor=first.leader.epoch - 1)

    assert again.leader.epoch > first.leader.epoch
    assert told(desk)[-1][2] == f"leads with epoch {again.leader.epoch} after a pause"


def test_a_term_that_is_over_is_not_continued(desk: Desk) -> None:
    """A leader that stepped down while its lease still ran asks for more than it had."""
    first = run_for(desk, "a")

    again = run_for(desk, "a", floor=first.leader.epoch)

    assert again.leads
    assert again.leader.epoch > first.leader.epoch


def test_resigning_hands_over_at_once(desk: Desk) -> None:
    """The lease is not waited for, and one that waits is woken."""
    first = run_for(desk, "a")
    run_for(desk, "b")

    assert desk.run(resign("a"))

    assert desk.redis("BLPOP", desk.key("handover"), 1)[1] == b"a"
    second = run_for(desk, "b")
    assert second.leads
    assert told(desk)[1:] == [
        ("resigned", "a", f"leads no more; its epoch was {first.leader.epoch}"),
        ("elected", "b", f"leads with epoch {second.leader.epoch} after a resigned"),
    ]


def test_resigning_touches_nobody_elses_office(desk: Desk) -> None:
    """A stand-by that ends takes itself off the list, and no more."""
    leader = run_for(desk, "a").leader
    run_for(desk, "b")

    assert not desk.run(resign("b"))

    seen = desk.run(standing())
    assert (seen.leader.name, seen.leader.epoch) == ("a", leader.epoch)
    assert [one.name for one in seen.supervisors] == ["a"]
    assert desk.redis("EXISTS", desk.key("handover")) == 0


def test_the_epoch_grows_after_the_server_has_lost_it(desk: Desk) -> None:
    """A failover to a replica that had not heard of it, or a restart without a disk."""
    first = run_for(desk, "a").leader.epoch
    desk.redis("DEL", desk.key("leader"), desk.key("epoch"), desk.key("led"))

    second = run_for(desk, "b").leader.epoch

    assert second > first


def test_the_epoch_grows_also_when_the_clock_of_redis_was_set_back(desk: Desk) -> None:
    """The counter and what the candidate has heard of hold where the clock does not."""
    ahead = run_for(desk, "a").leader.epoch + 10**15
    silence(desk)
    heard = run_for(desk, "b", floor=ahead).leader.epoch
    silence(desk)

    assert heard == ahead + 1
    assert run_for(desk, "c").leader.epoch == ahead + 2


def test_a_shard_refuses_an_epoch_older_than_one_it_has_seen(desk: Desk) -> None:
    """The same one, or a newer, is welcome as often as it comes."""
    for epoch in (5, 5, 9):
        desk.run(inaugurate(0, epoch))

    with pytest.raises(Deposed) as refused:
        desk.run(inaugurate(0, 8))

    assert refused.value.epoch == 9


def test_supervisors_are_listed_while_they_are_heard(desk: Desk) -> None:
    """Whoever leads. One that is silent for four of its leases is not shown."""
    for name in "abc":
        run_for(desk, name, info={"host": f"host-{name}"})
    desk.redis("PEXPIRE", desk.key("supervisor:b"), 0)

    seen = desk.run(standing())

    assert [(one.name, one.info["host"]) for one in seen.supervisors] == [
        ("a", "host-a"),
        ("c", "host-c"),
    ]
    assert seen.leader.name == "a"
    assert all(seen.now_ms - one.heard_ms < 60_000 for one in seen.supervisors)


def test_when_nobody_leads_that_is_what_is_seen(desk: Desk) -> None:
    """No supervisor was ever started: nothing is wrong with that."""
    seen = desk.run(standing())

    assert (seen.leader, seen.supervisors) == (None, ())


def test_a_leader_that_cannot_be_read_is_no_leader(desk: Desk) -> None:
    """Somebody scribbled on the key: supervisors take the office back."""
    desk.redis("SET", desk.key("leader"), "junk")

    assert desk.run(standing()).leader is None
    assert run_for(desk, "a").leads


def test_a_key_of_another_kind_is_foreign_data(desk: Desk) -> None:
    """A clear error instead of a guess, and nobody leads."""
    desk.redis("RPUSH", desk.key("leader"), "junk")

    with pytest.raises(ForeignData):
        run_for(desk, "a")


THREADS = 12
ROUNDS = 25


def test_of_many_that_campaign_at_once_exactly_one_wins_each_epoch(
    redis_url: str, namespace: str, desk: Desk
) -> None:
    """Round after round the lease ends and all come together: one wins, epochs grow."""
    barrier = Barrier(THREADS)
    engines = [open_engine(redis_url, namespace=namespace) for _ in range(THREADS)]

    def one(at: int, engine: Engine) -> list[Answer]:
        answers = []
        for _ in range(ROUNDS):
            if barrier.wait() == 0:
                silence(desk)
            barrier.wait()
            answers.append(engine.run(campaign(Candidate(f"s{at}", LEASE_MS))))
        return answers

    with ThreadPoolExecutor(THREADS) as pool:
        rounds = list(zip(*pool.map(one, range(THREADS), engines), strict=True))
    for engine in engines:
        engine.close()

    epochs = [answers[0].leader.epoch for answers in rounds]
    assert all(sum(answer.leads for answer in answers) == 1 for answers in rounds)
    assert all(
        {answer.leader.epoch for answer in answers} == {epoch}
        for answers, epoch in zip(rounds, epochs, strict=True)
    )
    assert epochs == sorted(set(epochs))
    assert [event.fence for event in desk.events() if event.kind == "elected"] == epochs
