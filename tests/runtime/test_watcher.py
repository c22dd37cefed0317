"""A real supervisor watches real workers: crashes, partitions, outages, and its own absence."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from coordq.client.client import Client, connect
from coordq.engine import keys
from coordq.errors import ReadOnly
from coordq.fleet.roster import Health
from coordq.fleet.status import WorkerStatus
from coordq.work.beat import Pulse, beat, reap
from coordq.work.claim import Claim
from coordq.work.finish import Outcome, finish
from tests.proxy import LossyProxy
from tests.runtime.conftest import NewFleet, NewWatchman
from tests.runtime.fleet import Fleet, started
from tests.servers import Server
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.chaos]
FAST = {"beat_s": 1.0}
"""Who is silent for three of these is dead: longer than a machine stands still."""
SHORT = {"lease_s": 1.5}
"""Where a leader is to lose its office."""


def healthy(fleet: Fleet) -> bool:
    """Whether a worker with a health port has heard of Redis within a lease."""
    url = fleet.log().split("health at ")[1].split()[0]
    try:
        with urlopen(url, timeout=30) as reply:  # noqa: S310 - our own, on loopback
            return bool(reply.status == 200)
    except HTTPError:
        return False


def told(client: Client, *kinds: str) -> list[tuple[str, str, str]]:
    """Kind, subject and words of what the leader told, in order."""
    return [
        (event.kind, event.subject, event.detail)
        for event in client.work.events()
        if event.kind in kinds
    ]


def wait_told(client: Client, kind: str, *, times: int = 1) -> list[str]:
    """Wait until so many events of a kind were told; their words."""
    wait_until(lambda: len(told(client, kind)) >= times, what=f"{kind} to be told")
    return [detail for _, _, detail in told(client, kind)]


def by_start(client: Client, name: str) -> WorkerStatus:
    """The worker whose name begins like this."""
    (found,) = [one for one in client.fleet.status().workers if one.name.startswith(f"{name}.")]
    return found


def lapsed_claim(client: Client) -> Claim:
    """A claim that was taken back, though somebody may still be at it."""
    task_id = client.work.enqueue("unknown-to-all", {}).id
    claim = client.work.claim_one(task_id, claimant="hand/0:a")
    client.engine.execute(0, "ZADD", keys.lease(keys.root(client.namespace, 0)), 1, claim.member)
    client.engine.run(reap(0))
    return claim


@pytest.fixture
def far(redis_server: Server) -> Iterator[Callable[[], LossyProxy]]:
    """Wires to Redis that can be cut, one a call."""
    with ExitStack() as wires:
        yield lambda: wires.enter_context(LossyProxy(redis_server.port))


def test_a_killed_machine_is_suspected_and_then_dead(
    new_fleet: NewFleet, new_watchman: NewWatchman, client: Client
) -> None:
    """Parent and children at once: nobody is left who could say so."""
    new_watchman(zone="office")
    new_fleet(name="stays", zone="a", **FAST)
    doomed = new_fleet(name="dies", zone="a", **FAST)
    wait_told(client, "joined", times=2)

    doomed.signal_all(signal.SIGKILL)

    (words,) = wait_told(client, "dead")
    assert "taken for crashed: silent for" in words
    assert "the other worker of zone a beats" in words
    assert [kind for kind, subject, _ in told(client, "suspect", "dead") if "dies" in subject] == [
        "suspect",
        "dead",
    ]
    assert by_start(client, "dies").health is Health.DEAD
    assert by_start(client, "stays").health.reachable
    assert [worker.name.partition(".")[0] for worker in client.work.workers()] == ["stays"]


def test_a_paused_worker_comes_back_as_a_new_incarnation(
    new_fleet: NewFleet, new_watchman: NewWatchman, client: Client
) -> None:
    """It hears with its next beat that it was given up, and works on."""
    new_watchman(zone="office")
    new_fleet(name="stays", zone="a", **FAST)
    paused = new_fleet(name="sleeps", zone="a", concurrency=1, **FAST)
    wait_told(client, "joined", times=2)

    paused.signal_all(signal.SIGSTOP)
    wait_told(client, "dead")
    paused.signal_all(signal.SIGCONT)

    wait_told(client, "rejoined")
    wait_until(lambda: by_start(client, "sleeps").incarnation == 2, what="the new incarnation")
    paused.wait_for("goes on as incarnation 2")
    assert client.work.run("echo", {"text": "still here"}, wait_for=60) == "still here"


def test_a_partition_from_cut_to_heal(
    new_fleet: NewFleet,
    new_watchman: NewWatchman,
    far: Callable[[], LossyProxy],
    client: Client,
) -> None:
    """Most of the fleet is cut off: the rest takes no new work, till they are back."""
    wire = far()
    new_watchman(zone="office", on_minority="read-only")
    new_fleet(name="here", zone="a", **FAST)
    away = [new_fleet(wire.url, name=f"away{n}", zone="b", **FAST) for n in range(2)]
    wait_told(client, "joined", times=3)
    claim = lapsed_claim(client)

    wire.refuse()

    (words,) = wait_told(client, "partition")
    assert "2 of 2 workers" in words
    wait_told(client, "read-only")
    wait_until(lambda: client.fleet.status().mode is not None, what="every shard to know")
    with pytest.raises(ReadOnly, match="1 of 3 known workers can be reached"):
        client.work.enqueue("echo", {"text": "refused"})
    forced = client.work.enqueue("echo", {"text": "forced"}, force=True)
    assert "The fleet is read-only: its leader" in client.work.why(forced.id)
    outcome = Outcome("succeeded", claim.id, claim.fence, b"null")
    assert client.engine.run(finish(0, [outcome])).verdicts == ("stale",)

    wire.accept()

    assert forced.result(timeout=60) == "forced"
    wait_told(client, "rejoined", times=2)
    (report,) = wait_told(client, "healed")
    assert "2 workers rejoined" in report
    assert "1 late finish refused" in report
    assert "1 task enqueued" in report
    assert [kind for kind, _, _ in told(client, "read-only", "writable")] == [
        "read-only",
        "writable",
    ]
    assert told(client, "dead") == []
    for fleet in away:
        fleet.wait_for("goes on as incarnation 2")


def test_an_outage_of_redis_is_told_and_nobody_is_suspected(
    new_server: Callable[..., Server],
    new_fleet: NewFleet,
    new_watchman: NewWatchman,
    namespace: str,
) -> None:
    """It lasts longer than the leader's lease, so the leader has to be elected anew as well."""
    server = new_server()
    how = {"zone": "a", "beat_s": 1.5, "health_port": 0}
    fleets = [new_fleet(server.url, name=f"w{n}", **how) for n in range(2)]
    watchman = new_watchman(server.url, zone="office", **SHORT)
    with connect(server.url, namespace=namespace, patience=120) as client:
        wait_told(client, "joined", times=2)

        server.pause()
        watchman.wait_for("leads no more")
        for fleet in fleets:  # one that was silent for a lease: that is long enough to be told
            wait_until(lambda fleet=fleet: not healthy(fleet))  # type: ignore[misc]
        server.resume()
        watchman.wait_until_it_leads(terms=2)

        (words,) = wait_told(client, "outage")
        assert "did not answer for" in words
        wait_until(
            lambda: all(one.silence_ms < 1500 for one in client.fleet.status().workers),
            what="all to beat again",
        )
        assert told(client, "suspect", "dead", "partition", "cut-off") == []


def test_a_supervisor_that_was_cut_off_blames_itself(
    new_fleet: NewFleet,
    new_watchman: NewWatchman,
    far: Callable[[], LossyProxy],
    client: Client,
) -> None:
    """The workers went on beating: nobody is suspected, and the event names the supervisor."""
    wire = far()
    watchman = new_watchman(wire.url, zone="office", **SHORT)
    new_fleet(name="w", zone="a", **FAST)
    wait_told(client, "joined")

    wire.refuse()
    watchman.wait_for("leads no more")
    before = by_start(client, "w").silence_ms
    wait_until(
        lambda: client.fleet.status().now_ms - client.fleet.status().workers[0].silence_ms > before,
        what="a beat meanwhile",
    )
    _wait_ms(client, 5000)
    wire.accept()

    (words,) = wait_told(client, "cut-off")
    assert told(client, "cut-off")[0][1] == watchman.name
    assert "1 of 1 worker went on beating" in words
    assert told(client, "suspect", "dead", "outage") == []


def _wait_ms(client: Client, ms: int) -> None:
    """Until so much time has passed for Redis."""
    since = client.fleet.status().now_ms
    wait_until(lambda: client.fleet.status().now_ms - since >= ms, what=f"{ms} ms")


def test_a_new_leader_knows_what_the_old_one_knew(
    new_fleet: NewFleet, new_watchman: NewWatchman, client: Client
) -> None:
    """Nobody joins twice, and who dies is found by whoever leads then."""
    first = new_watchman(zone="office", **SHORT)
    doomed = new_fleet(name="dies", zone="a", **FAST)
    new_fleet(name="stays", zone="a", **FAST)
    wait_told(client, "joined", times=2)
    second = new_watchman(zone="office", **SHORT)

    first.signal_all(signal.SIGKILL)
    second.wait_until_it_leads()
    doomed.signal_all(signal.SIGKILL)

    wait_told(client, "dead")
    assert len(told(client, "joined")) == 2


def test_a_worker_of_0_1_is_watched_and_served(new_watchman: NewWatchman, client: Client) -> None:
    """It does not say how often it beats, has no incarnation, and is told so."""
    new_watchman(zone="office")
    info = json.dumps({"worker": "old", "host": "h1", "zone": "", "state": "running"}).encode()
    client.engine.run(beat(0, Pulse("old.1-aa", (), info, 2000)))

    (words,) = wait_told(client, "joined")
    assert "zone h1, of version 0.1" in words
    wait_told(client, "dead")


def test_an_operator_stops_the_fleet_and_lets_it_go(
    new_fleet: NewFleet, new_watchman: NewWatchman, client: Client, tmp_path: Path
) -> None:
    """What runs is finished, nothing new starts, and then the workers wake by themselves."""
    gate = tmp_path / "gate"
    new_watchman(zone="office")
    new_fleet(name="w", zone="a", **FAST)
    running = client.work.enqueue("gated", {"path": str(gate)})
    wait_until(lambda: started(gate), what="the start")

    assert client.fleet.read_only(on=True, reason="moving house", who="ada")
    waiting = client.work.enqueue("echo", {"text": "later"}, force=True)
    gate.touch()
    assert running.result(timeout=60) == 1
    assert waiting.get().state.value == "ready"
    assert client.fleet.read_only(on=False, who="ada")

    assert waiting.result(timeout=60) == "later"
    assert [words for _, _, words in told(client, "read-only", "writable")] == [
        "by ada: moving house",
        "by ada",
    ]
