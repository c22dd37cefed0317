"""The detector over simulated histories: what is told of whom, and what is not."""

from __future__ import annotations

from coordq.fleet.roster import Health
from tests.fleet.town import BEAT_MS, Town


def test_a_steady_fleet_is_told_once() -> None:
    """Ten minutes of ten workers: they joined, and that is all there is to say."""
    town = Town()
    town.settle(10)

    town.live(600_000)

    assert set(town.kinds()) == {"joined"}
    assert len(town.roster) == 10


def test_a_killed_worker_is_suspected_and_then_dead_in_time() -> None:
    """Nine seconds of silence at the most, and a look."""
    town = Town()
    doomed, *_ = town.settle(4)
    town.live(20_000)
    last_ms = town.beats[doomed.name]
    town.kill(doomed)

    while not town.kinds("dead"):
        town.live(50)

    assert town.of([doomed]) == ["suspect", "dead"]
    assert town.now_ms - last_ms <= 4.5 * BEAT_MS + town.look_ms
    assert "the other 3 workers of zone z beat" in town.detail("dead")
    assert town.roster[doomed.name].health is Health.DEAD


def test_a_worker_that_comes_back_is_a_new_incarnation() -> None:
    """It was paused, not dead; what it holds it may have lost."""
    town = Town()
    paused, *_ = town.settle(3)
    town.live(20_000)
    town.kill(paused)
    town.live(30_000)
    town.revive(paused)

    town.live(5_000)

    assert town.of([paused]) == ["suspect", "dead", "rejoined"]
    assert "incarnation 2; it was taken for crashed" in town.detail("rejoined")
    assert town.roster[paused.name].incarnation == 2


def test_a_worker_that_leaves_is_not_missed() -> None:
    """Who says good-bye is no case for anybody."""
    town = Town()
    leaver, *_ = town.settle(3)
    town.live(10_000)
    town.leave(leaver)

    town.live(20_000)

    assert town.of([leaver]) == ["left"]
    assert leaver.name not in town.roster


def test_a_thousand_workers_are_not_suspected_by_chance() -> None:
    """Two minutes, every interval a fifth longer or shorter: not one word."""
    town = Town()
    town.settle(1000, jitter=0.2)

    town.live(120_000)

    assert set(town.kinds()) == {"joined"}
    assert {subject for _, subject, _ in town.told} == {"fleet"}, "told together"


def test_a_slow_clock_is_learnt() -> None:
    """A worker whose seconds last half as long again is late by its own promise, never dead."""
    town = Town()
    town.settle(20, slow=1.5, jitter=0.1)

    town.live(300_000)

    assert set(town.kinds()) == {"joined"}


def test_a_starved_machine_is_not_dead() -> None:
    """Beats that come up to three quarters late, now and then, for five minutes."""
    town = Town()
    town.settle(50, jitter=0.75)

    town.live(300_000)

    assert "dead" not in town.kinds()


def test_an_outage_of_redis_is_nobodys_fault() -> None:
    """Eight seconds without Redis: one event, no suspicion, and none while all come back."""
    town = Town()
    town.settle(30)
    town.live(20_000)

    town.redis_away = True
    town.live(8_000)
    town.redis_away = False
    town.live(60_000)

    assert town.kinds("outage") == ["outage"]
    assert set(town.kinds()) == {"joined", "outage"}


def test_a_worker_that_dies_in_an_outage_is_found_after_it() -> None:
    """The excuse lasts a lease, not for ever."""
    town = Town()
    doomed, *_ = town.settle(5)
    town.live(20_000)
    town.redis_away = True
    town.live(4_000)
    town.kill(doomed)
    town.live(4_000)
    town.redis_away = False

    town.live(25_000)

    assert town.of([doomed])[-1] == "dead"
    assert town.kinds("dead") == ["dead"]


def test_a_leader_that_was_cut_off_blames_itself() -> None:
    """Others beat all the while: the hole was in our own looking."""
    town = Town()
    town.settle(5)
    town.live(20_000)

    town.leader_away = True
    town.live(8_000)
    town.leader_away = False
    town.live(20_000)

    assert set(town.kinds()) == {"joined", "cut-off"}
    assert "5 of 5 workers went on beating" in town.detail("cut-off")


def test_a_new_leader_does_not_take_an_outage_for_crashes() -> None:
    """The outage ended the old term; the new leader has only the roster and the beats."""
    town = Town()
    town.settle(10)
    town.live(20_000)
    town.redis_away = True
    town.live(8_000)
    town.redis_away = False
    town.depose()

    town.look(ours=False)
    town.live(30_000)

    assert set(town.kinds()) <= {"joined", "outage"}


def test_brief_beats_out_of_a_buffer_make_nobody_suspect() -> None:
    """Redis was paused, and takes at once what was sent in the first seconds of that."""
    town = Town()
    workers = town.settle(10)
    town.live(20_000)
    paused_ms = town.now_ms
    town.redis_away = True
    town.live(6_600)
    town.redis_away = False
    for number, worker in enumerate(workers):
        town.beats[worker.name] = paused_ms + 200 * (number + 1)
    town.depose()

    town.look(ours=False)
    town.live(30_000)

    assert set(town.kinds()) <= {"joined", "outage"}


def test_a_new_leader_finds_whom_the_old_one_suspected() -> None:
    """A leader may die with the machine it should have missed."""
    town = Town()
    doomed, *_ = town.settle(12)
    town.live(20_000)
    last_ms = town.beats[doomed.name]
    town.kill(doomed)
    town.leader_away = True
    town.live(3_300)
    town.leader_away = False
    town.depose()
    town.look(ours=False)

    while not town.kinds("dead"):
        town.live(50)

    assert town.now_ms - last_ms <= 10_000
    assert town.kinds("joined", "left") == ["joined"] * 12, "nobody joins twice"


def test_a_flapping_worker_is_told_once() -> None:
    """A bad cable must not fill the event stream."""
    town = Town()
    flapper, *_ = town.settle(4)
    town.live(20_000)

    for _ in range(12):
        town._beat(flapper)
        town.kill(flapper)
        town.live(8_000)
        town.revive(flapper)
        town.live(4_000)

    told = town.of([flapper])
    assert told.count("flapping") == 1
    assert told.count("suspect") == told.count("dead") == 3
    assert town.roster[flapper.name].health in {Health.FLAPPING, Health.SUSPECT}

    town.live(400_000)
    assert town.of([flapper])[-1] == "healthy", "and it is told that it has calmed down"


def test_a_restarted_worker_takes_the_place_of_the_crashed_one() -> None:
    """Known stays what it was: a restart is not growth."""
    town = Town()
    town.settle(3)
    (old,) = town.settle(1)
    del town.workers[old.name]
    old.name = "web.100-aaaa"
    town.workers[old.name] = old
    town.live(20_000)
    town.kill(old)
    town.live(15_000)
    (new,) = town.settle(1)
    del town.workers[new.name]
    new.name = "web.200-bbbb"
    town.workers[new.name] = new

    town.live(5_000)

    assert town.found.standing.known == 4
    assert any("in the place of web.100-aaaa" in detail for _, _, detail in town.told)


def test_a_crashed_worker_is_forgotten_after_a_minute() -> None:
    """A fleet that has shrunk for good must not wait for ever."""
    town = Town()
    doomed, *_ = town.settle(4)
    town.live(20_000)
    town.kill(doomed)

    town.live(80_000)

    assert town.of([doomed]) == ["suspect", "dead", "forgotten"]
    assert town.found.standing.known == 3


def test_whom_an_operator_forgets_the_leader_forgets() -> None:
    """The roster is the truth, also when somebody else writes it."""
    town = Town()
    town.settle(3, "a")
    away = town.settle(3, "b")
    town.live(20_000)
    town.kill(*away)
    town.live(20_000)

    for worker in away:
        town.roster.pop(worker.name)
    town.live(5_000)

    assert town.found.standing.known == 3
    assert town.found.whole


def test_mass_restarts_are_told_together() -> None:
    """Two hundred leave in order and two hundred come: a handful of events, no case."""
    town = Town()
    old = town.settle(200)
    town.live(20_000)
    for worker in old:
        town.leave(worker)
    town.settle(200, "y")

    town.live(20_000)

    assert set(town.kinds()) == {"joined", "left"}
    assert len(town.told) < 60
    assert town.found.standing.known == 200


def test_a_fleet_of_0_1_is_watched_too() -> None:
    """It does not say how often it beats: that is learnt, and its lease is known."""
    town = Town()
    old, *_ = town.settle(3, protocol=1)
    town.live(60_000)
    last_ms = town.beats[old.name]
    town.kill(old)

    while not town.kinds("dead"):
        town.live(50)

    assert "of version 0.1" in town.told[0][2]
    assert town.now_ms - last_ms <= 4.5 * BEAT_MS + town.look_ms, "its rhythm was learnt"


def test_who_died_before_anybody_watched_is_asked_for_once() -> None:
    """The list of beats keeps them for a day."""
    town = Town()
    town.beats = {f"gone.{number}": town.now_ms - 3_600_000 for number in range(50)}
    town.settle(2)

    town.live(10_000)

    assert sorted(town.roster) == ["z.0", "z.1"]
    assert town.wanted == set()
