"""The registry of agents: who is known, who is there, and what two callers change at once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from coordq.engine.connection import Engine, open_engine
from coordq.errors import ForeignData
from coordq.fleet import registry
from coordq.fleet.directory import Directory, Wanted
from coordq.fleet.profile import make_profile, read_profile
from coordq.fleet.registry import Verdict
from tests.work.desk import Desk

pytestmark = pytest.mark.live

ANN = make_profile("ann", role="reader", capabilities={"http"}, ttl=60)


def told(desk: Desk) -> list[tuple[str, str]]:
    """Kinds and subjects of what was told, in order."""
    return [(event.kind, event.subject) for event in desk.events()]


def beat(desk: Desk, worker: str, *agents: str, busy: int = 0, state: str = "running") -> None:
    """A worker beats, with what it says of itself."""
    info = {
        "worker": worker,
        "state": state,
        "slots": 4,
        "running": busy,
        "zone": "rack-1",
        "agents": [{"name": name, "role": "reader", "tasks": ["read"]} for name in agents],
        "by_agent": {name: {"running": busy, "succeeded": 3} for name in agents},
    }
    desk.beat(worker=worker, info=json.dumps(info).encode())


def host(desk: Desk, worker: str, *agents: str) -> None:
    """A worker beats and registers what it has."""
    beat(desk, worker, *agents)
    desk.run(registry.host(worker, dict.fromkeys(agents, ANN)))


def seen(desk: Desk, directory: Directory | None = None) -> Directory:
    """Everything as it is now."""
    directory = directory or Directory()
    directory.learn(desk.run(registry.look(directory.revision)), 0.0)
    return directory


def state(desk: Desk, name: str) -> str:
    """How an agent stands."""
    view = seen(desk).get(name)
    assert view is not None
    return view.state


def test_an_agent_stays_known_when_the_last_worker_has_left(desk: Desk) -> None:
    """With one of two it is still serving; with none it is away, and somebody is told."""
    host(desk, "w1", "ann")
    host(desk, "w2", "ann")

    first = desk.run(registry.unhost("w1"))
    last = desk.run(registry.unhost("w2"))
    for worker in ("w1", "w2"):
        desk.redis("DEL", desk.key(f"worker:{worker}"))

    assert (first, last) == ([], ["ann"])
    assert told(desk) == [("agent-registered", "ann"), ("agent-left", "ann")]
    assert state(desk, "ann") == "away"


def test_a_worker_that_crashed_hosts_nobody(desk: Desk) -> None:
    """It cannot say so; the leader finds out, and the state is right before that."""
    host(desk, "w1", "ann", "bob")
    desk.redis("DEL", desk.key("worker:w1"))
    before = state(desk, "ann")

    left, _ = desk.run(registry.tend(7))

    assert (before, left) == ("away", 2)
    assert told(desk)[2:] == [("agent-left", "ann"), ("agent-left", "bob")]
    assert desk.run(registry.tend(7)) == (0, 0)


def test_an_agent_that_a_worker_has_no_more_is_taken_off(desk: Desk) -> None:
    """A reload that removes an agent is heard like the end of a worker."""
    host(desk, "w1", "ann", "bob")

    host(desk, "w1", "bob")

    assert told(desk)[-1] == ("agent-left", "ann")
    assert state(desk, "bob") == "serving"


def test_the_same_description_is_no_new_version(desk: Desk) -> None:
    """A hundred workers that start with the same code are one registration."""
    for number in range(3):
        host(desk, f"w{number}", "ann")
    desk.run(registry.host("w1", {"ann": make_profile("ann", role="writer")}))

    record = desk.run(registry.look()).records["ann"]
    assert record is not None
    assert record.version == 2
    assert [kind for kind, _ in told(desk)] == ["agent-registered", "agent-updated"]


def test_an_agent_outside_workers_is_there_while_it_is_heard(desk: Desk) -> None:
    """Its time is helped along; then it is away, and back with its next word."""
    desk.run(registry.register("ann", ANN, load=0.5))
    here = seen(desk).get("ann")
    desk.redis("HSET", desk.key("outside"), "ann", "1 60000 ")
    gone = state(desk, "ann")
    desk.run(registry.tend(7))

    kept_ms = desk.run(registry.present("ann"))

    assert here is not None
    assert (here.state, here.load, gone, kept_ms) == ("outside", 0.5, "away", 60_000)
    assert [kind for kind, _ in told(desk)] == [
        "agent-registered",
        "agent-left",
        "agent-registered",
    ]
    assert state(desk, "ann") == "outside"


def test_workers_speak_for_the_agents_they_have(desk: Desk) -> None:
    """Whoever is outside cannot take the name of an agent that workers host."""
    host(desk, "w1", "ann")

    assert desk.run(registry.register("ann", ANN)) == Verdict("hosted", 1)
    assert desk.run(registry.present("ann")) == -1
    assert desk.run(registry.depart("ann")) == Verdict("hosted", 1)


def test_one_of_two_that_want_to_be_the_first_is(engine: Engine, desk: Desk) -> None:
    """Version 0 means: nobody has this name yet."""
    profiles = [make_profile("ann", role=f"r{number}", ttl=60) for number in range(8)]

    with ThreadPoolExecutor(8) as pool:
        done = list(
            pool.map(lambda one: engine.run(registry.register("ann", one, version=0)), profiles)
        )

    assert sorted(one.verdict for one in done) == ["conflict"] * 7 + ["ok"]
    assert told(desk) == [("agent-registered", "ann")]


def test_changes_by_version_lose_nothing(engine: Engine, desk: Desk) -> None:
    """Each of eight racers reads, adds a word of its own, and tries again when it was beaten."""
    engine.run(registry.register("ann", ANN))

    def add(number: int) -> None:
        verdict = "conflict"
        while verdict == "conflict":
            record = engine.run(registry.look(live=False)).records["ann"]
            assert record is not None
            words = json.loads(record.said).get("interests", "")
            said = json.dumps({"interests": f"{words} w{number}"})
            change = registry.revise("ann", said, version=record.version, who="eve")
            verdict = engine.run(change).verdict

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))

    view = seen(desk).get("ann")
    assert view is not None
    assert sorted(view.interests.split()) == [f"w{number}" for number in range(8)]
    assert view.version == 9


def test_workers_that_come_and_go_at_once_are_counted_right(redis_url: str, desk: Desk) -> None:
    """After any race of starts and ends the two sides of the pairs say the same."""

    def live(number: int) -> None:
        worker = f"w{number}"
        with open_engine(redis_url, namespace=desk.engine.namespace) as engine:
            for _ in range(20):
                engine.run(registry.host(worker, {"ann": ANN, f"own{number}": ANN}))
                engine.run(registry.unhost(worker))

    for number in range(4):
        beat(desk, f"w{number}", "ann")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(live, range(4)))

    assert desk.redis("ZCARD", desk.key("hosts")) == desk.redis("ZCARD", desk.key("hosted")) == 0
    kinds = [kind for kind, subject in told(desk) if subject == "ann"]
    assert kinds == ["agent-registered", "agent-left"] * (len(kinds) // 2)


# -- stand-ins -------------------------------------------------------------------------------------


def test_a_stand_in_ends_when_the_agent_is_back(desk: Desk) -> None:
    """Whoever acted for it must not go on beside it."""
    host(desk, "w1", "ann")
    host(desk, "w2", "bob")
    desk.run(registry.unhost("w1"))
    desk.run(registry.stand_in("ann", "bob", who="eve"))
    stood = seen(desk).stand_ins()

    host(desk, "w1", "ann")

    assert (stood["ann"].by, stood["ann"].who) == ("bob", "eve")
    assert seen(desk).stand_ins() == {}
    assert [kind for kind, _ in told(desk)][3:] == [
        "stand-in",
        "agent-registered",
        "stand-in-ended",
    ]


def test_a_stand_in_by_policy_begins_when_the_agent_is_away_long_enough(desk: Desk) -> None:
    """The first of its list that is there; a restart is shorter than the grace."""
    host(desk, "w1", "ann")
    host(desk, "w2", "bob")
    desk.run(registry.revise("ann", '{"stand_ins":["eve","bob"]}', version=1, who="op"))
    desk.run(registry.unhost("w1"))

    early = desk.run(registry.tend(7, after_s=60))
    late = desk.run(registry.tend(7, after_s=0))

    assert (early, late) == ((0, 0), (0, 1))
    assert seen(desk).stand_ins()["ann"].by == "bob"


def test_agents_do_not_stand_in_for_each_other(desk: Desk) -> None:
    """A circle of three would pass a message round for ever."""
    host(desk, "w1", "ann", "bob", "eve")
    desk.run(registry.stand_in("ann", "bob", who="op"))
    desk.run(registry.stand_in("bob", "eve", who="op"))

    assert desk.run(registry.stand_in("eve", "ann", who="op")) == "circle"
    assert desk.run(registry.stand_in("ann", "ann", who="op")) == "circle"
    assert desk.run(registry.stand_in("nobody", "ann", who="op")) == "unknown"
    assert desk.run(registry.stand_in("ann", "nobody", who="op")) == "nobody"


def test_a_forgotten_agent_stands_in_for_nobody(desk: Desk) -> None:
    """What is not known cannot act."""
    for name in ("ann", "bob"):
        desk.run(registry.register(name, ANN))
    desk.run(registry.stand_in("ann", "bob", who="op"))
    directory = seen(desk)

    desk.run(registry.depart("bob", forget=True))
    seen(desk, directory)

    assert directory.stand_ins() == {}
    assert directory.get("bob") is None


# -- a directory -----------------------------------------------------------------------------------


def test_a_directory_learns_what_moved_and_no_more(desk: Desk) -> None:
    """A thousand agents are not read again because one changed."""
    for number in range(20):
        desk.run(registry.register(f"a{number}", ANN))
    directory = seen(desk)
    desk.run(registry.revise("a7", '{"weight":3.0}', version=1, who="op"))
    desk.run(registry.depart("a8", forget=True))

    news = desk.run(registry.look(directory.revision, live=False))
    directory.learn(news, 0.0)

    assert set(news.records) == {"a7", "a8"}
    assert not news.all
    changed = directory.get("a7")
    assert changed is not None
    assert (changed.weight, directory.get("a8")) == (3.0, None)
    assert desk.run(registry.look(directory.revision, live=False)).records == {}


def test_a_directory_starts_anew_when_the_registry_was_lost(desk: Desk) -> None:
    """A Redis that came back without its data knows fewer changes than the directory."""
    desk.run(registry.register("ann", ANN))
    directory = seen(desk)
    desk.redis("UNLINK", "-", *desk.names())

    seen(desk, directory)

    assert directory.names() == []


def test_an_entry_of_a_stranger_hides_no_other(desk: Desk) -> None:
    """What coordq did not write is left out."""
    desk.run(registry.register("ann", ANN))
    for name, text in (("eve", "junk"), ("eva", "1 1 1 1 o\n[1]\n{}"), ("ev", "1 1 1 1 o\n{\n")):
        desk.redis("HSET", desk.key("agents"), name, text)
    desk.redis("HSET", desk.key("stand-ins"), "ann", "junk")
    desk.redis("HSET", desk.key("outside"), "eve", "junk")

    assert seen(desk).names() == ["ann"]
    with pytest.raises(ForeignData):
        read_profile("eve", '{"role": 7}')


def test_agents_are_found_by_all_that_is_asked(desk: Desk) -> None:
    """Everything that is said must hold; the least busy comes first."""
    beat(desk, "w1", "ann", busy=4)
    beat(desk, "w2", "bob", busy=1)
    ann = make_profile("ann", role="reader", capabilities={"http", "pdf"}, interests="News of rail")
    bob = make_profile("bob", role="reader", capabilities={"http"}, tasks=["read"])
    desk.run(registry.host("w1", {"ann": ann}))
    desk.run(registry.host("w2", {"bob": bob}))
    desk.run(registry.register("eve", make_profile("eve", role="writer", zone="mars", ttl=60)))
    directory = seen(desk)

    def names(**given: object) -> list[str]:
        return [view.name for view in directory.find(Wanted(**given))]  # type: ignore[arg-type]

    assert names() == ["eve", "bob", "ann"]
    assert names(role="reader") == ["bob", "ann"]
    assert names(capabilities=frozenset({"http", "pdf"})) == ["ann"]
    assert names(task="read") == ["bob"]
    assert names(zone="rack-1") == ["bob", "ann"]
    assert names(zone="mars") == ["eve"]
    assert names(text="rail news reader") == ["ann", "bob"]
    assert names(max_load=0.5) == ["eve", "bob"]
    assert names(states=frozenset({"outside"})) == ["eve"]
    assert [view.name for view in directory.find(Wanted(role="reader"), 1)] == ["bob"]


def test_a_worker_that_drains_is_not_counted_on(desk: Desk) -> None:
    """It finishes what it runs, and takes nothing new."""
    host(desk, "w1", "ann")
    beat(desk, "w1", "ann", state="draining")

    assert state(desk, "ann") == "away"


def test_agents_of_older_workers_are_found_by_their_beats(desk: Desk) -> None:
    """They beat, and do not register."""
    beat(desk, "w1", "old")

    view = seen(desk).get("old")

    assert view is not None
    assert (view.state, view.role, view.tasks, view.version) == (
        "serving",
        "reader",
        frozenset({"read"}),
        0,
    )
