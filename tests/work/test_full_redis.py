"""Redis at maxmemory: no new work, but what runs goes on, ends, and makes room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tests.work.damages_limits
import tests.work.damages_waits  # noqa: F401 - these add their damages
from coordq.engine.connection import open_engine
from coordq.errors import CoordqError, RedisFull
from coordq.work.beat import Pulse, brief
from coordq.work.flow import knots
from coordq.work.flow.tidy import sweep
from coordq.work.look import watch
from coordq.work.queue import configure
from coordq.work.saved import checkpoint
from tests.servers import Server
from tests.work.damages import DAMAGES, audited, busy, words
from tests.work.desk import ERROR, Desk, ask, order
from tests.work.flows import Flows, node
from tests.work.waiting_room import say, send, suspend, wait

ROOM = 3_000_000


@pytest.fixture(scope="module")
def shared(each_binary: Path) -> Iterator[Server]:
    """A server of our own: 6.2 and what is on PATH judge "full" by different code."""
    with Server(each_binary, maxmemory_policy="noeviction") as server:
        yield server


@pytest.fixture
def server(shared: Server) -> Iterator[Server]:
    """The server, with room before and after the test."""
    yield shared
    drain(shared)


@pytest.fixture
def desk(server: Server, namespace: str) -> Iterator[Desk]:
    """A desk on it, audited at the end."""
    with open_engine(server.url, namespace=namespace) as engine:
        desk = Desk(engine)
        yield desk
        desk.audit()


def fill(server: Server) -> None:
    """No byte is left."""
    server.config(maxmemory="1")


def drain(server: Server) -> None:
    """There is room again."""
    server.config(maxmemory="0")


@pytest.mark.parametrize("mode", ["wait", "refuse", "force", "shed"])
@pytest.mark.parametrize(
    "options", [{}, {"delay": 60}, {"unique": "u"}, {"unique": "u", "unique_for": 60}]
)
def test_an_enqueue_is_refused_and_changes_nothing(
    server: Server, desk: Desk, mode: str, options: dict[str, Any]
) -> None:
    """With an error of its own, so that a service can shed load."""
    desk.put()
    before = desk.dump()
    fill(server)

    with pytest.raises(RedisFull) as caught:
        desk.place(order("job", {"text": "x" * 3000}, **options), on_full=mode)

    assert caught.value.code == "redis-full"
    assert desk.dump() == before


def test_a_bulk_is_refused_and_changes_nothing(server: Server, desk: Desk) -> None:
    """All of it, also what would have fitted."""
    fill(server)

    with pytest.raises(RedisFull):
        desk.place_all([order() for _ in range(100)])

    assert list(desk.names()) == [desk.key("meta")]


@pytest.mark.parametrize("kind", ["succeeded", "retry", "failed", "snooze", "release", "cancelled"])
def test_every_outcome_is_committed(server: Server, desk: Desk, kind: str) -> None:
    """Work that was done is never lost because Redis is full."""
    desk.put(unique="u", mailbox="me", total_timeout=100)
    claim = desk.take()
    fill(server)

    assert desk.end(claim, kind, ERROR, delay_ms=60_000) == "ok"


def test_handlers_go_to_wait_and_are_woken(server: Server, desk: Desk) -> None:
    """A wait gives up a slot, and what ends it lets a task end that takes room."""
    running = desk.put("child")
    ending = desk.take_one(running)
    kinds = [
        wait("tasks", ids=(running,)),
        wait("approval"),
        wait("signal", name="go"),
        wait("time"),
    ]
    held = [desk.take_one(desk.put("waiter")) for _ in kinds]
    fill(server)

    for claim, what in zip(held, kinds, strict=True):
        assert suspend(desk, claim, what, timeout_ms=60_000) == "ok"
    desk.end(ending)
    say(desk, held[1].id)
    assert send(desk, "go").woken == 1
    drain(server)
    desk.make_due(f"z{held[3].id}")  # by hand, which would be refused
    fill(server)
    desk.promote()

    assert [desk.state(claim.id) for claim in held] == ["ready"] * 4


def test_a_checkpoint_is_refused_and_changes_nothing(server: Server, desk: Desk) -> None:
    """It takes room, and the run goes on without it."""
    desk.put()
    claim = desk.take()
    before = desk.dump()
    fill(server)

    with pytest.raises(RedisFull):
        desk.run(checkpoint(claim.member, b"1"))

    assert desk.dump() == before
    desk.end(claim)


def test_flows_that_are_over_go(server: Server, desk: Desk) -> None:
    """Nothing makes more room than that; and what holds up another one can be told."""
    flows = Flows(desk)
    over, held_up = flows.start(node("a")), flows.start(node("b", name="exotic"))
    flows.end("a")
    desk.redis("ZADD", desk.key("flows:ended"), 1, over.id)
    moved = int(desk.redis("ZSCORE", desk.key("flows:open"), held_up.id))
    fill(server)

    assert desk.run(sweep(0)).flows == 1
    assert desk.run(knots.tell(held_up.id, moved, knots.Knot("sign", "words")))


def test_claims_go_on(server: Server, desk: Desk) -> None:
    """Draining is what makes room."""
    for _ in range(3):
        desk.put("job", {"text": "x" * 3000})
    fill(server)

    first = desk.take()
    done = desk.finish(then=ask())
    third = desk.take()

    assert len({first.id, third.id, *(each.id for each in done.claimed.claims)}) == 3


def test_a_claim_by_id_goes_on(server: Server, desk: Desk) -> None:
    """Like any claim."""
    task_id = desk.put()
    fill(server)

    assert desk.take_one(task_id).id == task_id


def test_due_tasks_are_promoted(server: Server, desk: Desk) -> None:
    """They take no more room ready than scheduled."""
    task_id = desk.put(delay=60)
    desk.make_due(task_id)
    fill(server)

    assert desk.take().id == task_id


def test_a_claim_that_finds_nothing_is_no_error(server: Server, desk: Desk) -> None:
    """Idle workers stay idle, and calm."""
    fill(server)

    assert desk.claim(10).claims == ()


def test_beats_go_on(server: Server, desk: Desk) -> None:
    """Leases are kept; a new worker is welcome as well, for it will help to drain."""
    desk.put()
    claim = desk.take()
    desk.beat(claim)
    fill(server)

    assert desk.beat(claim).lost == ()
    assert desk.beat(worker="fresh", info=b'{"slots":1}').known


def test_a_brief_beat_is_refused_and_a_full_one_is_not(server: Server, desk: Desk) -> None:
    """A plain ZADD might need memory; the script is let in, so a worker falls back to that."""
    desk.put()
    claim = desk.take()
    desk.beat(claim)
    fill(server)
    alive, kept = brief(desk.root, Pulse("w1", (claim.member,)), desk.now_ms() + 1)

    for command in (alive, kept):
        with pytest.raises(RedisFull):
            desk.redis(*command)
    assert desk.beat(claim).lost == ()


def test_lapses_and_releases_go_back(server: Server, desk: Desk) -> None:
    """A crash while Redis is full loses nothing."""
    desk.put()
    desk.put()
    lapsed, crashed = desk.claim(2).claims
    desk.lapse(lapsed)
    fill(server)

    assert desk.reap().amount == 1
    assert desk.release(crashed, reason="crash") == 1


def test_cancel_purge_requeue_and_forget_go_on(server: Server, desk: Desk) -> None:
    """An operator must be able to make room."""
    waiting, running, dead = desk.put(), desk.put(priority="critical"), desk.put(priority="high")
    assert desk.take().id == running
    desk.end(desk.take(), "failed")
    desk.put()
    fill(server)

    assert desk.cancel(waiting).state.value == "cancelled"
    assert desk.cancel(running).requested
    assert desk.purge() == (1, False)
    assert desk.requeue(dead) == ["ok"]
    desk.cancel(dead)
    assert desk.forget(dead) == 1


def test_settings_can_be_changed(server: Server, desk: Desk) -> None:
    """Pausing the queue that fills Redis, for one."""
    fill(server)

    assert desk.run(configure(0, "default", paused=True)).paused


def test_results_can_be_waited_for(server: Server, desk: Desk) -> None:
    """Services that wait are not the ones that fill it."""
    task_id = desk.put()
    fill(server)

    assert desk.run(watch([task_id], mailbox="me")) == [None]
    desk.end(desk.take())
    assert desk.redis("LLEN", desk.key("mailbox:me")) == 1


def test_looks_go_on(server: Server, desk: Desk) -> None:
    """One can see what is going on."""
    task_id = desk.put()
    fill(server)

    assert desk.state(task_id) == "ready"
    assert desk.queue().ready == 1


def put_until_full(desk: Desk) -> None:
    """More and more."""
    for _ in range(10_000):
        desk.put("job", {"text": "x" * 10_000})


def test_after_draining_there_is_room_again(server: Server, desk: Desk) -> None:
    """With a real limit: fill it with tasks, be refused, run them, and be let in."""
    used = int(desk.redis("INFO", "memory").split(b"used_memory:")[1].split(b"\r\n")[0])
    server.config(maxmemory=str(used + ROOM))
    with pytest.raises(RedisFull):
        put_until_full(desk)
    assert 100 < desk.queue().ready < 400
    while claims := desk.claim(100).claims:
        for claim in claims:
            assert desk.end(claim, "failed") == "ok"
            desk.forget(claim.id)

    desk.put("job", {"text": "x" * 10_000})

    drain(server)


def test_a_namespace_can_be_opened_again(server: Server, desk: Desk, namespace: str) -> None:
    """A worker that restarts is let in, because it will help to drain."""
    desk.put()
    fill(server)

    with open_engine(server.url, namespace=namespace) as engine:
        assert Desk(engine).take().attempt == 1


def test_a_new_namespace_is_refused_in_words(server: Server, desk: Desk, namespace: str) -> None:
    """Not with a traceback."""
    fill(server)
    assert desk.claim(1).claims == ()

    with pytest.raises(CoordqError):
        open_engine(server.url, namespace=f"{namespace}-2", patience_s=0.1).close()


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_wrong_is_put_right(server: Server, desk: Desk, name: str) -> None:
    """A repair does not wait until there is room: it may be what makes some."""
    expected = DAMAGES[name](desk, busy(desk))
    fill(server)

    found = audited(desk)

    assert words(found) == [expected]
    assert audited(desk).findings == []
