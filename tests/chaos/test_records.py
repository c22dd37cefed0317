"""What is recorded is what happened: journals, the fenced resource, a stream read to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest

import coordq
from coordq.client.client import Client
from coordq.interfaces.chaos.composer import Composer, sample_flow
from coordq.interfaces.chaos.flows import ENDED, MEMBERS
from coordq.interfaces.chaos.handlers import Recorder
from coordq.interfaces.chaos.history import read_history
from coordq.interfaces.chaos.journal import Journal, lines
from coordq.interfaces.chaos.load import LIMITS, SHARES, wishes
from coordq.interfaces.chaos.resource import Resource
from coordq.interfaces.chaos.rest import read_rest
from tests.waiting import wait_until
from tests.work.desk import Desk

EVENT = ("evt", "5-0", "ready", "1k7unajoj0064rnikppl00", 1, 0, "default", "quick", "")


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path: Path) -> None:
    """Half a line is no evidence of anything."""
    path = tmp_path / "one.journal"
    journal = Journal(path)
    journal.write("ack", "a", "quick", "-", 1)
    with path.open("a") as file:
        file.write("ack\tb\tqui")

    assert [line[1] for line in lines(path)] == ["a"]


def test_a_producer_draws_the_same_tasks_again() -> None:
    """Killed and started anew it goes on where it was, and a seed can be replayed."""
    first, again = (wishes(3, 0, producers=2, lease_s=2.0) for _ in range(2))

    assert [next(first) for _ in range(50)] == [next(again) for _ in range(50)]


def test_a_producer_draws_some_of_everything() -> None:
    """A kind of task that is never enqueued is never broken."""
    drawn = wishes(3, 0, producers=2, lease_s=2.0)
    many = [next(drawn) for _ in range(3000)]

    assert {"quick", "nap", "blocking", "fenced", "flaky", "doomed", "snoozer"} <= set(SHARES)
    for option in ("delay", "unique", "timeout", "priority", "max_attempts", "limits"):
        assert any(option in wish.options for wish in many), option
    assert any(wish.cancel for wish in many)
    counted = {limit for wish in many for limit in wish.options.get("limits", ())}
    assert {limit.partition(":")[0] for limit in counted} == set(LIMITS)


# -- flows -----------------------------------------------------------------------------------------


class Killed(BaseException):
    """What ends a producer between two calls."""


class CutShort(Journal):
    """Its producer dies when Redis has taken a flow, before it hears of that."""

    def write(self, *fields: object) -> None:
        """Add a line, unless it is the one."""
        if fields[0] == "fak":
            raise Killed
        super().write(*fields)


@pytest.mark.live
def test_a_producers_next_life_repeats_the_flow_of_the_last(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """It cannot know how far that came; with the same ids there is one flow, however far it was."""
    under_way = tmp_path / "producer-0-flow"
    first, next_one = CutShort(tmp_path / "producer-0-1.journal"), tmp_path / "producer-0-2.journal"
    with coordq.connect(redis_url, namespace=namespace) as client:
        with pytest.raises(Killed):
            Composer(under_way, first, set()).keep_up(client, 1, share=0.1, durability="primary")
        told = read_history(tmp_path).flows
        assert [one.acked for one in told.values()] == [False]

        next_life = Composer(under_way, Journal(next_one), set())
        next_life.keep_up(client, 1, share=0.1, durability="primary")
        assert [view.id for view in client.flows.ls()] == list(told)
        assert [one.acked for one in read_history(tmp_path).flows.values()] == [True]

        last_life = Composer(under_way, Journal(next_one), set(told))
        last_life.keep_up(client, 2 * MEMBERS * 9, share=0.1, durability="primary")
        assert len(client.flows.ls()) == 2


def test_the_shape_of_the_flow_is_what_the_checker_expects() -> None:
    """Each of its tasks, and no other, has an end that it should come to."""
    assert {node.key for node in sample_flow().plan().nodes} == set(ENDED)


# -- what is left ----------------------------------------------------------------------------------


@pytest.mark.live
def test_what_is_left_behind_is_read(redis_url: str, namespace: str) -> None:
    """Whoever looks into the wrong keys finds nothing, and nothing wrong."""
    with coordq.connect(redis_url, namespace=namespace) as client:
        client.limits.set("seats", concurrency=1)
        ids = [client.work.enqueue("nap", limits=["seats:1"], unique=f"k{n}").id for n in range(2)]
        flow = client.flows.run(sample_flow())
        Desk(client.engine, 0).claim(9, served=("nap",))

        rest = read_rest(client.engine)

    assert rest.seats == {"seats:1": ids[:1]}
    assert [entry[:22] for entry in rest.parked["seats:1"]] == ids[1:]
    assert {rest.open[one] for one in ids} == {"running", "ready"}
    assert sorted(rest.keys.values()) == ids
    assert [member[:22] for member in rest.leases] == ids[:1]
    assert list(rest.flows) == [flow.id]
    assert rest.counters[0]["default"]["running"] == 1


# -- the resource ----------------------------------------------------------------------------------


@pytest.fixture
def resource(tmp_path: Path) -> Iterator[Resource]:
    """An empty one."""
    opened = Resource(tmp_path / "resource")
    yield opened
    opened.close()


def test_the_resource_refuses_an_old_fence(resource: Resource) -> None:
    """A worker that slept too long can do no harm outside either."""
    resource.announce(7, 20)

    assert resource.apply(7, 10) == "refused"
    assert resource.announce(7, 10) == "refused"
    assert resource.apply(7, 20) == "applied"


def test_the_resource_makes_a_write_once(resource: Resource) -> None:
    """The second run learns that the first one got so far."""
    assert [resource.apply(7, 10), resource.apply(7, 20)] == ["applied", "known"]
    assert resource.apply(8, 5) == "applied"


# -- histories -------------------------------------------------------------------------------------


def test_what_a_failover_took_back_is_forgotten(tmp_path: Path) -> None:
    """The history is that of the Redis there is now; the rest is kept for the growth of fences.

    The stream is read again from its oldest entry: what survived may have been written by a server
    that died before anybody had read it.
    """
    journal = Journal(tmp_path / "tail-0.journal")
    for at in ("1-0", "5-0", "9-0"):
        journal.write("evt", at, *EVENT[2:])
    journal.write("rew", "5-0")
    for at in ("5-0", "6-0", "12-0"):
        journal.write("evt", at, *EVENT[2:])

    history = read_history(tmp_path)

    assert [event.at for event in history.events[0]] == ["1-0", "5-0", "6-0", "12-0"]
    assert [[event.at for event in lost] for lost in history.undone[0]] == [["9-0"]]
    assert history.rewound[0] == [(9, 9)]


def test_a_traceback_in_a_log_is_part_of_the_history(tmp_path: Path) -> None:
    """Whoever was started anew after a bug would have passed unnoticed."""
    (tmp_path / "worker-1.log").write_text(
        "warning: all is well\nTraceback (most recent call last):\n  File x\nValueError: bad\nbye\n"
    )

    assert read_history(tmp_path).failures == [("worker-1", "ValueError: bad")]


def test_a_gap_is_part_of_the_history(tmp_path: Path) -> None:
    """Nobody may conclude anything from what was not read."""
    Journal(tmp_path / "tail-0.journal").write("gap", "5-0", "9-0")

    assert len(read_history(tmp_path).gaps) == 1


def follow(url: str, namespace: str, path: Path) -> subprocess.Popen[bytes]:
    """A tailer of shard 0."""
    module = "coordq.interfaces.chaos.tailer"
    return subprocess.Popen([sys.executable, "-m", module, url, namespace, "0", str(path)])


@pytest.mark.live
def test_a_tailer_reads_to_the_end(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Told to end, it first reads what there is; so the last events are never missing."""
    path = tmp_path / "tail-0.journal"
    with coordq.connect(redis_url, namespace=namespace) as client:
        client.work.enqueue_many([("one", {})] * 300)
        tailer = follow(redis_url, namespace, path)
        wait_until(lambda: path.exists() and len(list(lines(path))) >= 300, what="300 events")
        client.work.enqueue_many([("two", {})] * 300)
        tailer.send_signal(signal.SIGTERM)

        assert tailer.wait(60) == 0
    told = list(lines(path))
    assert [line[7] for line in told] == ["one"] * 300 + ["two"] * 300


def stop(tailer: subprocess.Popen[bytes], client: Client) -> None:
    """Freeze a tailer; what it had asked is answered by then."""
    tailer.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, tailer.pid, os.WSTOPPED | os.WNOWAIT)
    for _ in range(2):  # before the second Redis has read all that had come before the first
        client.engine.execute(0, "PING")


@pytest.mark.live
def test_a_tailer_says_what_it_has_missed(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """The stream is capped: whoever reads too late must not take the rest for the whole."""
    path = tmp_path / "tail-0.journal"
    with coordq.connect(redis_url, namespace=namespace) as client:
        client.work.enqueue("one")
        tailer = follow(redis_url, namespace, path)
        wait_until(lambda: path.exists() and list(lines(path)), what="the first event")
        stop(tailer, client)
        client.work.enqueue("two")
        client.work.enqueue("three")
        key = f"cq:{{{namespace}.0}}:events"
        client.engine.execute(0, "XTRIM", key, "MAXLEN", 1)
        tailer.send_signal(signal.SIGCONT)
        wait_until(lambda: any(line[0] == "gap" for line in lines(path)), what="the gap")
        tailer.send_signal(signal.SIGTERM)
        tailer.wait(60)

    told = [line[0] if line[0] == "gap" else line[7] for line in lines(path)]
    assert told == ["one", "gap", "three"]


def test_threads_of_a_process_share_its_journal(tmp_path: Path) -> None:
    """Begin and end of a run in two files would make a riddle of the order."""
    recorder, together = Recorder(tmp_path), Barrier(8)

    def open_it() -> None:
        together.wait(60)
        assert recorder.journal.path.exists()

    threads = [Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(list(tmp_path.glob("run-*.journal"))) == 1
