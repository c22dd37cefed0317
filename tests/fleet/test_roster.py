"""The scripts of the watcher: what it sees, and how the roster is kept when others write too."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from coordq.engine.connection import open_engine
from coordq.fleet.roster import (
    Entry,
    Health,
    Introduction,
    Member,
    enroll,
    forget,
    introduction,
    newcomer,
    observe,
    read_member,
    read_roster,
    set_policy,
)
from coordq.work.beat import Pulse, beat
from tests.work.desk import Desk

INFO = {"zone": "rack-1", "beat_ms": 500, "lease_ms": 2500, "incarnation": 2, "lost": 3}


def info(**facts: object) -> bytes:
    """What a worker says of itself."""
    return json.dumps(INFO | {"protocol": 2} | facts).encode()


def beaten(desk: Desk, name: str, *, ago_ms: int = 0, **facts: object) -> Member:
    """A worker that has beaten so long ago, as the leader would note it."""
    desk.beat(worker=name, info=info(**facts))
    if ago_ms:
        desk.redis("ZADD", desk.key("workers"), desk.now_ms() - ago_ms, name)
    heard_ms = int(float(desk.redis("ZSCORE", desk.key("workers"), name)))
    return newcomer(name, introduction(info(**facts)), now_ms=desk.now_ms(), heard_ms=heard_ms)


def test_a_look_shows_all_beats_and_who_was_asked_for(desk: Desk) -> None:
    """Infos are large: only those that are needed travel."""
    beaten(desk, "w1")
    beaten(desk, "w2", zone="rack-2")

    sight = desk.run(observe(1, wanted=["w2", "unheard-of"]))

    assert sorted(sight.beats) == ["w1", "w2"]
    assert sight.introductions == {"w2": Introduction("rack-2", 500, 2500, 2, 3, 2)}
    assert abs(sight.now_ms - desk.now_ms()) < 60_000


def test_a_look_counts_when_its_answer_has_arrived(desk: Desk) -> None:
    """A call that lay in the buffer of a paused Redis must not hide the pause."""
    first = desk.run(observe(1))
    unheard = desk.run(observe(1, seen_ms=first.now_ms))
    assert unheard.now_ms >= first.now_ms

    another = desk.run(observe(2))

    assert first.seen_ms == 0
    assert another.seen_ms == first.now_ms, "not that of the look whose answer nobody confirmed"


def test_an_older_word_about_looking_does_not_win(desk: Desk) -> None:
    """It may arrive late."""
    desk.run(observe(1, seen_ms=5000))
    desk.run(observe(1, seen_ms=4000))

    assert desk.run(observe(1)).seen_ms == 5000


def test_the_dead_are_forgotten_by_redis(desk: Desk) -> None:
    """So the next beat tells the worker, and nobody lists it as alive."""
    member = beaten(desk, "w1")
    desk.run(enroll(1, [Entry("add", member)]))

    assert desk.run(enroll(1, [Entry("dead", member)])) == {"w1": "ok"}

    assert desk.run(observe(1)).beats == {}
    assert desk.overview().workers == ()
    assert not desk.beat(worker="w1", info=b"").known


def test_who_beats_in_that_moment_is_spared(desk: Desk) -> None:
    """Between the look and the verdict there is a round trip."""
    member = beaten(desk, "w1", ago_ms=9000)
    desk.run(enroll(1, [Entry("add", member)]))
    beaten(desk, "w1")

    assert desk.run(enroll(1, [Entry("dead", member)])) == {"w1": "alive"}

    assert "w1" in desk.run(observe(1)).beats


def test_a_beat_tells_whether_the_worker_was_given_up(desk: Desk) -> None:
    """Also when its info has changed since, and again until it joins: a reply may be lost."""
    beaten(desk, "w1")
    desk.redis("DEL", desk.key("worker:w1"))

    again = Pulse("w1", info=info(lost=4), joins=False)
    assert [desk.run(beat(0, again)).known for _ in range(2)] == [False, False]
    assert desk.run(beat(0, replace(again, joins=True))).known
    assert desk.run(beat(0, again)).known


def test_whom_an_operator_forgot_the_leader_cannot_bring_back(desk: Desk) -> None:
    """It may just be about to write what it thinks of that worker."""
    member = beaten(desk, "w1", ago_ms=9000)
    desk.run(enroll(1, [Entry("add", member)]))

    assert desk.run(forget(0, "w1", 1000)) == "forgotten"

    assert desk.run(
        enroll(
            1,
            [
                Entry("set", member),
            ],
        )
    ) == {"w1": "unknown"}
    assert desk.run(enroll(1, [Entry("dead", member)])) == {"w1": "unknown"}
    assert desk.run(observe(1)).known == 0


def test_a_worker_that_beats_is_not_forgotten(desk: Desk) -> None:
    """An operator may be wrong about that; nothing was changed."""
    beaten(desk, "w1")
    before = desk.dump().keys()

    assert desk.run(forget(0, "w1", 60_000)) == "alive"
    assert desk.dump().keys() == before
    assert desk.run(forget(0, "w2", 60_000)) == "unknown"


def test_the_roster_remembers_for_the_next_leader(desk: Desk) -> None:
    """Members, and what concerns no single one."""
    member = beaten(desk, "w1")
    desk.run(enroll(1, [Entry("add", member)], memory='{"stopped":true}'))

    roster = read_roster(desk.redis("HGETALL", desk.key("roster")))

    assert roster.members == {"w1": member}
    assert roster.memory == b'{"stopped":true}'


def test_strangers_in_the_roster_are_left_alone(desk: Desk) -> None:
    """They are counted, so that nobody reads the roster over and over, and not judged."""
    desk.redis("HSET", desk.key("roster"), "junk", "not json", "half", '{"zone":"a"}')

    roster = read_roster(desk.redis("HGETALL", desk.key("roster")))

    assert roster.members == {}
    assert desk.run(observe(1)).known == len(roster.names) == 2


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"7",
        b'{"beat_ms":"often"}',
        b'{"beat_ms":-1,"zone":7}',
        b'{"lost":true}',
        b"\xff",
    ],
)
def test_an_odd_introduction_is_read_somehow(text: bytes) -> None:
    """What a worker says of itself is a stranger's word."""
    said = introduction(text)

    assert (said.beat_ms, said.lost, said.zone) == (0, 0, "-")
    assert said.lease_ms == 10_000


def test_a_worker_of_0_1_is_known_by_its_lease() -> None:
    """Its info lives for three leases: that says how long one is, and so how often it beats."""
    said = introduction(b'{"host":"h1","zone":""}', 30_000)

    assert (said.zone, said.protocol, said.incarnation, said.beat_ms) == ("h1", 1, 0, 0)
    assert said.lease_ms == 10_000


def test_a_member_survives_its_passage_through_redis() -> None:
    """Every field."""
    member = Member("w", "z", Health.PARTITIONED, 1, 2, 3, 4, 5, 6, 7, 2, 1.5)

    assert read_member("w", json.dumps(member.to_json()).encode()) == member
    assert read_member("w", b'{"health":"splendid"}') is None


def test_what_the_operator_says_is_seen_at_the_next_look(desk: Desk) -> None:
    """And 0 takes it back."""
    desk.run(set_policy("expect", 7))
    desk.run(set_policy("writable", 1))
    said = desk.run(observe(1)).policy
    desk.run(set_policy("expect", 0))

    assert (said.expect, said.writable) == (7, True)
    assert desk.run(observe(1)).policy.expect == 0


def test_a_verdict_and_beats_that_race_agree(desk: Desk, redis_url: str, namespace: str) -> None:
    """Whoever comes first: either it is dead and its next beat is news, or it is alive."""

    def beat_once(name: str) -> bool:
        with open_engine(redis_url, namespace=namespace) as engine:
            return Desk(engine).beat(worker=name, info=b"").known

    members = [beaten(desk, f"w{number}", ago_ms=9000) for number in range(24)]
    desk.run(enroll(1, [Entry("add", member) for member in members]))
    with ThreadPoolExecutor(4) as pool:
        beats = [pool.submit(beat_once, member.name) for member in members]
        answers = [desk.run(enroll(1, [Entry("dead", member)]))[member.name] for member in members]
        known = [one.result() for one in beats]

    for member, answer, was_known in zip(members, answers, known, strict=True):
        assert was_known is (answer == "alive"), member.name
