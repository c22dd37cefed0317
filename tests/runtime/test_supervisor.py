"""Supervisors as processes: one leads, and whatever becomes of it, another does."""

from __future__ import annotations

import json
import signal
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from coordq.client.client import Client
from coordq.fleet.election import Candidate, campaign, standing
from coordq.fleet.report import read_reports
from coordq.work.events import Event
from tests.runtime.conftest import NewFleet, NewWatchman
from tests.runtime.watchman import Watchman
from tests.waiting import wait_until
from tests.work.desk import Desk


@pytest.fixture
def desk(client: Client) -> Desk:
    """The shard of this test, by hand."""
    return Desk(client.engine)


def leader(desk: Desk) -> str | None:
    """Who leads."""
    found = desk.engine.run(standing()).leader
    return None if found is None else found.name


def told(desk: Desk, kind: str) -> list[Event]:
    """Events of a kind."""
    return [event for event in desk.events() if event.kind == kind]


def test_of_two_supervisors_one_leads_and_the_other_stands_by(
    desk: Desk, new_watchman: NewWatchman
) -> None:
    """And says whom it stands by for."""
    first, second = new_watchman(), new_watchman()

    assert leader(desk) == first.name
    assert second.epochs() == []
    assert f"stand-by: {first.name} leads" in second.log()


def test_a_leader_that_is_told_to_end_hands_over(desk: Desk, new_watchman: NewWatchman) -> None:
    """At once: its lease of a minute is not waited for."""
    first, second = new_watchman(), new_watchman()

    assert first.stop() == 0

    epoch = second.wait_until_it_leads()
    assert epoch > first.epochs()[-1]
    assert [event.subject for event in told(desk, "resigned")] == [first.name]
    assert told(desk, "elected")[-1].detail.endswith(f"after {first.name} resigned")


def test_when_a_leader_is_killed_a_stand_by_takes_over(
    desk: Desk, new_watchman: NewWatchman
) -> None:
    """When its lease has ended, and the event says why."""
    first, second = new_watchman(lease_s=1), new_watchman()

    first.signal(signal.SIGKILL)

    assert second.wait_until_it_leads() > first.epochs()[-1]
    assert told(desk, "elected")[-1].detail.endswith(f"after {first.name} went silent")


def test_a_leader_that_was_paused_changes_nothing_when_it_goes_on(
    desk: Desk, new_watchman: NewWatchman
) -> None:
    """It finds that its lease has passed, or is refused; then it stands by."""
    first, second = new_watchman(lease_s=1), new_watchman()
    first.signal(signal.SIGSTOP)
    epoch, before = second.wait_until_it_leads(), first.epochs()

    first.signal(signal.SIGCONT)

    first.wait_for(f"stand-by: {second.name} leads")
    assert first.epochs() == before
    assert (leader(desk), int(desk.redis("GET", desk.key("epoch")))) == (second.name, epoch)
    after = desk.events()[desk.events().index(told(desk, "elected")[-1]) :]
    assert {event.fence for event in after} == {epoch}


def test_one_that_was_paused_as_a_stand_by_is_none_the_worse(
    desk: Desk, new_watchman: NewWatchman
) -> None:
    """It goes on waiting, and takes over when it is its turn."""
    first, second = new_watchman(), new_watchman(lease_s=1)
    second.signal(signal.SIGSTOP)
    wait_until(lambda: not listed(desk, second), what="the stand-by to be off the list")
    second.signal(signal.SIGCONT)
    wait_until(lambda: listed(desk, second), what="the stand-by to be heard again")

    first.stop()

    second.wait_until_it_leads()


def listed(desk: Desk, watchman: Watchman) -> bool:
    """Whether a supervisor has been heard lately."""
    names = [one.name for one in desk.engine.run(standing()).supervisors]
    return watchman.name in names


def test_a_second_signal_ends_it_at_once(new_watchman: NewWatchman) -> None:
    """Whoever presses Ctrl-C twice does not want to wait for a good-bye."""
    watchman = new_watchman()
    watchman.signal(signal.SIGSTOP)
    watchman.signal(signal.SIGTERM)
    watchman.signal(signal.SIGINT)

    watchman.signal(signal.SIGCONT)

    assert watchman.wait() == 1


def test_a_stand_by_that_ends_leaves_the_leader_alone(
    desk: Desk, new_watchman: NewWatchman
) -> None:
    """And takes itself off the list."""
    first, second = new_watchman(), new_watchman()

    assert second.stop() == 0

    assert leader(desk) == first.name
    assert not listed(desk, second)


def test_an_epoch_seen_on_a_shard_makes_the_leader_campaign_above_it(
    desk: Desk, new_watchman: NewWatchman
) -> None:
    """After a failover a shard may know of an election that shard 0 has forgotten."""
    watchman = new_watchman()
    ahead = watchman.epochs()[0] + 10**12
    desk.redis("SET", desk.key("epoch"), ahead)

    assert watchman.wait_until_it_leads(terms=2) > ahead
    assert "leads no more" in watchman.log()


def test_the_leaders_settings_count_and_a_stand_by_with_others_says_so(
    desk: Desk, new_watchman: NewWatchman
) -> None:
    """Two supervisors started with different flags: nobody has to guess whose are in force."""
    first = new_watchman(dead_retention_s=60)
    second = new_watchman(dead_retention_s=90)

    second.wait_for("the leader's settings count: dead_retention_s is 60")
    seen = desk.engine.run(standing())
    assert seen.leader is not None
    assert seen.leader.settings["dead_retention_s"] == 60
    assert {one.name: one.info["settings"]["dead_retention_s"] for one in seen.supervisors} == {
        first.name: 60,
        second.name: 90,
    }


# -- its parts -----------------------------------------------------------------------------------


def figures(desk: Desk, part: str) -> dict[str, Any]:
    """What a part of the leader says of itself."""
    reports = desk.engine.run(read_reports("parts"))
    found = reports.get("parts", {}).get(part, {})
    assert isinstance(found, dict)
    return found


def test_the_leader_recovers_and_forwards_without_any_worker(
    desk: Desk, new_watchman: NewWatchman
) -> None:
    """A fleet that died as a whole finds its work ready when it is back."""
    lapsed, scheduled = desk.put(), desk.put(delay=60)
    desk.lapse(desk.take())
    desk.make_due(scheduled)

    new_watchman()

    wait_until(lambda: {desk.state(lapsed), desk.state(scheduled)} == {"ready"})


def test_a_claim_is_recovered_when_its_lease_ends(desk: Desk, new_watchman: NewWatchman) -> None:
    """Not before, and nobody has to ask."""
    new_watchman()
    task_id = desk.put()
    held = desk.take(lease_ms=1500)

    wait_until(lambda: desk.state(task_id) == "ready")

    assert desk.end(held) == "stale"
    assert desk.kinds(task_id) == ["ready", "running", "lapsed", "refused"]


def test_old_dead_letters_are_deleted_if_the_leader_was_told_to(
    desk: Desk, new_watchman: NewWatchman
) -> None:
    """A retention in its settings; without one they stay."""
    old, young = desk.put(), desk.put()
    for held in desk.claim(2).claims:
        desk.end(held, "failed")
    desk.redis("ZADD", desk.key("dead"), desk.now_ms() - 120_000, old)

    new_watchman(dead_retention_s=60)

    wait_until(lambda: desk.redis("ZRANGE", desk.key("dead"), 0, -1) == [young.encode()])


def test_a_part_fails_alone_and_comes_back(desk: Desk, new_watchman: NewWatchman) -> None:
    """A stranger's key is in the forwarder's way; the recoverer does not know."""
    desk.redis("SET", desk.key("due"), "junk")
    task_id = desk.put()
    desk.lapse(desk.take_one(task_id))

    watchman = new_watchman()

    watchman.wait_for("forwarder: ForeignData")
    wait_until(lambda: "lapsed" in desk.kinds(task_id), what="the lapsed claim to be back")
    desk.redis("DEL", desk.key("due"))
    scheduled = desk.put(delay=60)
    desk.make_due(scheduled)
    wait_until(lambda: desk.state(scheduled) == "ready", what="the part to be back")
    assert len(watchman.epochs()) == 1


def test_the_parts_tell_what_they_have_done(desk: Desk, new_watchman: NewWatchman) -> None:
    """For whoever looks at the fleet: figures of each part, its last error among them."""
    desk.put()
    desk.lapse(desk.take())
    desk.redis("SET", desk.key("due"), "junk")

    new_watchman()

    wait_until(lambda: figures(desk, "recoverer").get("recovered") == 1)
    wait_until(lambda: figures(desk, "forwarder").get("last_error", "").startswith("ForeignData"))
    wait_until(lambda: figures(desk, "janitor").get("rounds", 0) > 0)


def test_work_goes_on_when_no_supervisor_is_left(
    desk: Desk, new_watchman: NewWatchman, new_fleet: NewFleet
) -> None:
    """The leader is what makes things prompt; workers recover and forward by themselves."""
    new_watchman(lease_s=1).signal(signal.SIGKILL)
    lapsed, scheduled = (desk.put("echo", {"text": "hi"}, delay=at) for at in (0, 60))
    desk.lapse(desk.take(served=["echo"], claimant="gone/1:a"))
    desk.make_due(scheduled)

    new_fleet(beat_s=0.2, lease_s=1)

    wait_until(lambda: {desk.state(lapsed), desk.state(scheduled)} == {"succeeded"})
    wait_until(lambda: leader(desk) is None, what="the last lease to end")


# -- health --------------------------------------------------------------------------------------


@pytest.fixture
def watched(new_watchman: NewWatchman) -> tuple[Watchman, Watchman]:
    """A leader and a stand-by with health ports."""
    return new_watchman(health_port=0), new_watchman(health_port=0)


def look(watchman: Watchman, path: str) -> tuple[int, dict[str, Any]]:
    """The status and the body of a health check."""
    watchman.wait_for("health at ")
    url = watchman.log().split("health at ")[1].split("/healthz")[0]
    try:
        with urlopen(url + path, timeout=30) as answer:  # noqa: S310 - our own loopback
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def test_a_leader_and_a_stand_by_are_both_healthy_and_ready(
    watched: tuple[Watchman, Watchman],
) -> None:
    """The body says which is which, for the same epoch."""
    states = []
    for watchman in watched:
        assert look(watchman, "/healthz")[0] == 200
        status, body = look(watchman, "/readyz")
        assert status == 200
        assert (body["leader"], body["epoch"]) == (watched[0].name, watched[0].epochs()[0])
        states.append(body["state"])

    assert states == ["leader", "stand-by"]
    assert "recoverer" in body["parts"]


# -- another process with the same say -----------------------------------------------------------


def test_a_leader_elected_by_hand_is_respected(desk: Desk, new_watchman: NewWatchman) -> None:
    """The protocol is Redis's, not ours: a supervisor in another language may lead."""
    desk.run(campaign(Candidate("other", 60_000)))

    watchman = new_watchman(lease_s=1)

    assert watchman.epochs() == []
    desk.redis("DEL", desk.key("leader"))
    watchman.wait_until_it_leads()
