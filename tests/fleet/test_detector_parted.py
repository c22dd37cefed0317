"""The detector over simulated partitions: one event for a zone, a minority that stops, the heal."""

from __future__ import annotations

import pytest

from coordq.fleet.detector import Detector
from coordq.fleet.roster import Policy
from tests.fleet.town import Town


def test_a_zone_that_falls_silent_is_one_event() -> None:
    """A cable, not five crashes; and its members stay known."""
    town = Town()
    town.settle(5, "a")
    away = town.settle(5, "b")
    town.live(20_000)

    town.kill(*away)
    town.live(120_000)

    assert town.kinds("partition", "dead") == ["partition"]
    assert "5 of 5 workers" in town.detail("partition")
    assert town.found.standing.known == 10
    assert town.found.standing.reachable == 5


def test_a_partition_heals_with_one_report() -> None:
    """Who came back, as what, and for how long they were away."""
    town = Town()
    town.settle(5, "a")
    away = town.settle(3, "b")
    town.live(20_000)
    town.kill(*away)
    town.live(30_000)
    for worker in away:
        worker.lost = 2
    town.revive(*away)

    while not town.found.healed:
        town.live(50)

    (partition,) = town.found.healed
    assert partition.back == {worker.name: 2 for worker in away}
    assert partition.gone == []
    assert town.kinds("rejoined") == ["rejoined"] * 3
    assert not town.detector.memory.partitions


def test_who_does_not_come_back_with_its_zone_has_crashed() -> None:
    """The report waits for stragglers, but not for ever."""
    town = Town()
    town.settle(5, "a")
    away = town.settle(3, "b")
    town.live(20_000)
    town.kill(*away)
    town.live(30_000)
    town.revive(*away[:2])

    while not town.found.healed:
        town.live(50)

    assert town.found.healed[0].gone == [away[2].name]
    assert town.of([away[2]])[-1] == "dead"


def test_a_partition_survives_its_leader() -> None:
    """The next leader neither opens it again nor forgets it."""
    town = Town()
    town.settle(3, "a")
    away = town.settle(3, "b")
    town.live(20_000)
    town.kill(*away)
    town.live(20_000)

    town.depose()
    town.live(20_000)
    town.revive(*away)
    town.live(1_000)
    while not town.found.healed and town.detector.memory.partitions:
        town.live(50)

    assert town.kinds("partition") == ["partition"]
    assert town.kinds("rejoined") == ["rejoined"] * 3


def stopped(town: Town) -> bool:
    """Whether the leader has made the fleet read-only."""
    return town.detector.memory.stopped


def minority(**how: object) -> Town:
    """A fleet of which more than half is cut off."""
    town = Town(Detector(**how))  # type: ignore[arg-type]
    town.detector.meet_server("one", replicated=how.get("on_minority") == "auto")
    town.settle(2, "a")
    away = town.settle(3, "b")
    town.live(20_000)
    town.kill(*away)
    town.live(15_000)
    return town


def test_a_minority_becomes_read_only_and_writable_again() -> None:
    """It stops because most may be at work elsewhere, and says so with the figures."""
    town = minority(on_minority="auto")

    assert stopped(town)
    assert "2 of 5 known workers can be reached, fewer than the majority of 3" in town.detail(
        "read-only"
    )

    town.revive(*(worker for worker in town.workers.values() if worker.zone == "b"))
    town.live(5_000)
    assert not stopped(town)
    assert town.kinds("read-only", "writable") == ["read-only", "writable"]


def test_a_primary_that_lost_its_replicas_with_the_others_still_stops() -> None:
    """They went over with the majority: what counts is that there were some before."""
    town = Town(Detector(on_minority="auto"))
    town.detector.meet_server("one", replicated=True)
    town.settle(2, "a")
    away = town.settle(3, "b")
    town.live(20_000)
    town.kill(*away)
    while not town.detector.memory.partitions:
        town.live(50)
    town.detector.meet_server("one", replicated=False)

    town.live(1_000)

    assert town.detector.memory.stopped


@pytest.mark.parametrize("how", ["continue", "one redis"])
def test_a_minority_goes_on_where_stopping_protects_nothing(how: str) -> None:
    """The operator says so, or there is only one Redis, which is the arbiter."""
    town = Town(Detector(on_minority="continue" if how == "continue" else "auto"))
    town.detector.meet_server("one", replicated=how == "continue")
    town.settle(2, "a")
    away = town.settle(3, "b")
    town.live(20_000)
    town.kill(*away)
    town.live(15_000)

    assert town.found.standing.minority
    assert not town.detector.memory.stopped


def test_an_operator_who_insists_is_obeyed_until_the_fleet_is_whole() -> None:
    """The leader lets go at once, and is told when it may decide again."""
    town = minority(on_minority="read-only")

    town.policy = Policy(writable=True)
    town.live(2_000)
    assert not town.detector.memory.stopped
    assert not town.found.whole, "not yet"

    town.revive(*(worker for worker in town.workers.values() if worker.zone == "b"))
    town.live(10_000)
    assert town.found.whole


def test_an_expected_size_makes_a_small_fleet_a_minority() -> None:
    """Also one that has never been larger, as after a restart in the smaller half."""
    town = Town(Detector(on_minority="read-only"), policy=Policy(expect=7))
    town.settle(3)

    town.live(5_000)

    assert town.detector.memory.stopped
    assert "of 7 expected workers" in town.detail("read-only")
