"""The topology in Redis: one version after the other, whoever sets it, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from coordq.engine.connection import Engine, open_engine
from coordq.errors import Conflict, Deposed, ForeignData
from coordq.fleet.election import inaugurate
from coordq.fleet.topology import calls
from coordq.fleet.topology.make import make
from coordq.fleet.topology.shape import Topology
from tests.servers import Server
from tests.work.desk import Desk


def mesh(*names: str) -> Topology:
    """A mesh of so many."""
    return make("mesh", names)


def test_versions_count_up_and_say_who_and_why(desk: Desk) -> None:
    """Nobody has to ask around why the agents are silent."""
    assert desk.run(calls.put(mesh("a"), who="ada", why="a first\ntry")) == 1
    assert desk.run(calls.put(mesh("a", "b"), who="bob", expect=1)) == 2

    seen = desk.run(calls.look())
    assert (seen.version, seen.topology, seen.who, seen.why) == (2, mesh("a", "b"), "bob", "")
    assert desk.now_ms() >= seen.at_ms > 0
    assert [(one.version, one.who, one.why) for one in desk.run(calls.past())] == [
        (2, "bob", ""),
        (1, "ada", "a first try"),
    ]
    said = [(event.kind, event.subject, event.detail) for event in desk.events()]
    assert said == [
        ("arranged", "topology", "version 1, mesh of 1, by ada: a first try"),
        ("arranged", "topology", "version 2, mesh of 2, by bob"),
    ]


def test_who_saw_an_older_version_is_refused(desk: Desk) -> None:
    """What it wanted was right for a fleet that is not that way any more."""
    desk.run(calls.put(mesh("a"), who="ada"))
    desk.run(calls.put(mesh("b"), who="bob"))

    with pytest.raises(Conflict, match="version 2 now, not 1") as caught:
        desk.run(calls.put(mesh("c"), who="ada", expect=1))

    assert (caught.value.version, caught.value.expected) == (2, 1)
    assert desk.run(calls.look()).topology == mesh("b")


def test_of_many_who_saw_the_same_version_one_wins(desk: Desk) -> None:
    """A compare-and-set, not a last write."""

    def attempt(number: int) -> int | None:
        with open_engine(desk.engine.address.url, namespace=desk.engine.namespace) as engine:
            try:
                return engine.run(calls.put(mesh(f"a{number}"), who=f"w{number}", expect=0))
            except Conflict:
                return None

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(attempt, range(8)))

    assert sorted(versions, key=str) == [1, *[None] * 7]
    assert desk.run(calls.look()).who == f"w{versions.index(1)}"


def test_many_who_do_not_care_get_a_version_each(desk: Desk) -> None:
    """None is lost from the history."""

    def put(number: int) -> int:
        with open_engine(desk.engine.address.url, namespace=desk.engine.namespace) as engine:
            return engine.run(calls.put(mesh(f"a{number}"), who=f"w{number}"))

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(put, range(16)))

    assert sorted(versions) == list(range(1, 17))
    assert [one.version for one in desk.run(calls.past())] == list(range(16, 0, -1))


def test_what_is_set_already_is_no_new_version(desk: Desk) -> None:
    """A script may set it at every start."""
    desk.run(calls.put(mesh("a"), who="ada"))

    assert desk.run(calls.put(mesh("a"), who="bob")) == 1
    assert desk.run(calls.look()).who == "ada"


def test_an_old_repetition_does_not_undo_what_came_after(desk: Desk) -> None:
    """A reply may be late by a minute, and others have set something meanwhile."""
    call = calls.put(mesh("a"), who="ada")
    desk.run(call)
    desk.run(calls.put(mesh("b"), who="bob"))

    assert desk.run(call) == 1
    assert desk.run(calls.look()).topology == mesh("b")


def test_the_history_is_bounded(desk: Desk) -> None:
    """Also that of an adaptive fleet that has lived for years."""
    for number in range(calls.HISTORY_MAX + 5):
        desk.run(calls.put(mesh(f"a{number}"), who="ada"))

    assert desk.redis("LLEN", desk.key("topology:past")) == calls.HISTORY_MAX
    assert desk.run(calls.past())[0].version == calls.HISTORY_MAX + 5


def test_who_knows_the_version_is_sent_nothing_else(desk: Desk) -> None:
    """Every client asks again and again."""
    desk.run(calls.put(mesh("a"), who="ada"))

    assert desk.run(calls.look(known=1)) is None
    assert desk.run(calls.look(known=7)).version == 1


def test_before_the_first_there_is_none(desk: Desk) -> None:
    """Everybody may talk to everybody."""
    seen = desk.run(calls.look())

    assert (seen.version, seen.topology) == (0, None)
    assert desk.run(calls.look(known=0)) is None
    assert desk.run(calls.past()) == ()


def test_a_leader_that_leads_no_more_changes_nothing(desk: Desk) -> None:
    """Its epoch is over."""
    desk.run(inaugurate(0, 9))

    with pytest.raises(Deposed):
        desk.run(calls.put(mesh("a"), who="leader", epoch=8))

    assert desk.run(calls.look()).version == 0


def test_words_of_strangers_stay_on_their_lines(desk: Desk) -> None:
    """The history is kept line by line."""
    desk.run(calls.put(mesh("a"), who="a\nb c", why="x\ny" * 400))

    (seen,) = desk.run(calls.past())
    assert (seen.who, seen.topology) == ("a b c", mesh("a"))
    assert len(seen.why) <= 500


def test_what_another_version_wrote_is_not_taken_for_nothing(desk: Desk) -> None:
    """To let everybody talk would be a guess."""
    desk.run(calls.put(mesh("a"), who="ada"))
    desk.redis("HSET", desk.key("topology"), "v", 2, "text", json.dumps({"kind": "torus"}))

    with pytest.raises(ForeignData, match="version 2"):
        desk.run(calls.look())


def test_a_foreign_key_is_named(desk: Desk) -> None:
    """And nothing is overwritten."""
    desk.redis("SET", desk.key("topology"), "junk")

    with pytest.raises(ForeignData):
        desk.run(calls.put(mesh("a"), who="ada"))


def test_a_topology_outlives_its_redis(new_server: Callable[..., Server], namespace: str) -> None:
    """With an append-only file; a power cut is enough to try it."""
    server = new_server(appendonly="yes", appendfsync="always")
    with open_engine(server.url, namespace=namespace) as engine:
        engine.run(calls.put(mesh("a", "b"), who="ada"))
        server.kill9()
        server.start()

        seen = engine.run(calls.look())

    assert seen is not None
    assert (seen.version, seen.topology) == (1, mesh("a", "b"))


def test_it_is_set_when_redis_is_full(new_server: Callable[..., Server], namespace: str) -> None:
    """An operator who takes agents apart that flood each other must be heard."""
    server = new_server(maxmemory_policy="noeviction")
    with open_engine(server.url, namespace=namespace) as engine:
        engine.run(calls.put(mesh("a", "b"), who="ada"))
        server.config(maxmemory="1")

        assert engine.run(calls.put(mesh("a"), who="ada")) == 2


def test_a_large_mesh_is_small(engine: Engine) -> None:
    """It is not written down link by link."""
    names = [f"agent-{number}" for number in range(1000)]

    assert len(make("mesh", names).text()) < 14_000
    assert engine.run(calls.put(make("mesh", names), who="ada")) == 1
