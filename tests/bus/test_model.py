"""The bus against a model of a few lines: whatever is published, taken, settled, crashed or passed.

What must hold after every step: nobody is given what their group has done with, or what another
holds; nothing that a group is owed is lost; what was never given out keeps its order; and the books
of the shard balance.
"""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from coordq.bus.group import unsubscribe
from coordq.bus.take import Given, hold
from coordq.bus.topic import PRIORITIES
from coordq.engine.connection import open_engine
from tests.bus.model import LANES, GroupModel, Model, order_of
from tests.bus.office import Office

TOPICS = ("a.x", "a.y", "b.x")
GROUPS = {"g": ("a.*",), "h": ("*.x",), "i": ("**",)}
READERS = ("r1", "r2", "r3")
BOUND = 12
LONG_MS = 400_000
"""Longer than any history takes: what is held or delayed is due when the model says so."""
any_of = st.integers(0, 10_000)


class Bus(RuleBasedStateMachine):
    """A shard, and what must hold after every step."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.engine = open_engine(self.url, namespace=f"b-{secrets.token_hex(6)}")
        self.office = Office(self.engine)
        self.office.bound("**", BOUND)
        self.model = Model()
        self.given: list[tuple[str, Given, int]] = []
        """Reader, what it was given, its number: also what it holds no more."""

    def teardown(self) -> None:
        self.drain()
        names = list(self.office.names())
        if names:
            self.office.redis("UNLINK", *names)
        self.engine.close()

    # -- what may be done ----------------------------------------------------------------------

    @rule(name=st.sampled_from(tuple(GROUPS)), deliveries=st.sampled_from((1, 3)))
    def subscribe(self, name: str, deliveries: int) -> None:
        """A group comes, or changes its mind about deliveries."""
        self.office.group(name, *GROUPS[name], max_deliveries=deliveries, visibility=LONG_MS / 1000)
        known = self.model.groups.get(name)
        if known is None:
            self.model.groups[name] = GroupModel(name, GROUPS[name], deliveries)
        else:
            known.deliveries = deliveries

    @rule(name=st.sampled_from(tuple(GROUPS)))
    def leave(self, name: str) -> None:
        """A group ends, and is swept up."""
        if name in self.model.groups:
            self.office.run(unsubscribe(0, name))
            self.office.sweep()
            self.office.sweep()
            del self.model.groups[name]
            self.given = [each for each in self.given if each[1].group != name]

    @rule(topic=st.sampled_from(TOPICS), priority=st.sampled_from(LANES), amount=st.integers(1, 6))
    def publish(self, topic: str, priority: str, amount: int) -> None:
        """As many as fit are taken, from the first on."""
        wanted = []
        full = False
        for _ in range(amount):
            full = full or self.model.lane_full(topic, priority, BOUND)
            if full and any(group.hears(topic) for group in self.model.groups.values()):
                wanted.append((self.model.count + 1, 0, True))
                continue
            number, receivers = self.model.publish(topic, priority)
            wanted.append((number, receivers, False))
        bodies = [number for number, _, _ in wanted]

        posted = self.office.post(topic, *bodies, priority=priority)

        assert [(each.receivers, each.full) for each in posted] == [
            (receivers, full) for _, receivers, full in wanted
        ]

    @rule(
        names=st.sets(st.sampled_from(tuple(GROUPS)), min_size=1),
        reader=st.sampled_from(READERS),
        want=st.integers(1, 8),
        join=st.booleans(),
    )
    def take(self, names: set[str], reader: str, want: int, *, join: bool) -> None:
        """A reader asks; or comes back after a crash, and is given what it held."""
        there = [name for name in sorted(names) if name in self.model.groups]
        if join:
            self.crash(there, reader)
        buried = self.worn_out(there)
        for group, number in buried:
            group.done(number, dead=True)
        want = 500 if buried else want  # it comes to all of them
        before = {name: self.model.groups[name].may_give() for name in there}

        taken = self.office.take(*sorted(names), want=want, reader=reader, join=join)

        assert len(taken.given) <= want
        assert set(taken.missing) == names - set(there)
        if len(taken.given) < want:
            assert len(taken.given) == sum(map(len, before.values()))
        first = [given for given in taken.given if self.was_given(reader, given)]
        self.keeps_order(first)

    def crash(self, names: list[str], reader: str) -> None:
        """What a reader held may be given out at once."""
        for name in names:
            for owed in self.model.groups[name].owed:
                if owed.holder == reader:
                    owed.due = True

    def worn_out(self, names: list[str]) -> list[tuple[GroupModel, int]]:
        """Those that were given out as often as they may be: the next take buries them."""
        groups = [self.model.groups[name] for name in names]
        return [
            (group, owed.number)
            for group in groups
            for owed in group.owed
            if owed.attempts >= group.deliveries and owed.due
        ]

    def was_given(self, reader: str, given: Given) -> bool:
        """It was owed, nobody held it, and its attempt is counted; whether it is the first."""
        number = given.message().body
        owed = self.model.groups[given.group].find(number)
        assert owed is not None, "handled, or never owed"
        assert owed.due, "another has it"
        owed.attempts += 1
        assert given.attempt == owed.attempts
        first, owed.fresh = owed.fresh, False
        owed.holder, owed.due = reader, False
        self.given.append((reader, given, number))
        return first

    def keeps_order(self, given: list[Given]) -> None:
        """What is given out first of a place comes in order of publication, nothing left out."""
        for name, place in {(each.group, each.place) for each in given}:
            first = [
                each.message().body for each in given if (each.group, each.place) == (name, place)
            ]
            assert order_of(first)
            rest = self.model.groups[name].fresh(place[1:], PRIORITIES[place[0]])
            assert not rest or max(first) < min(rest)

    @rule(number=any_of, late=st.booleans())
    def ack(self, number: int, *, late: bool) -> None:
        """By its holder, or by one who was too slow."""
        if not self.given:
            return
        reader, given, body = self.given[number % len(self.given)]
        self.office.ack(given, reader="nobody" if late else reader)
        group = self.model.groups[given.group]
        if group.find(body) is not None:
            group.done(body)

    @rule(number=any_of, verdict=st.sampled_from("nrd"), delay=st.sampled_from((0, LONG_MS)))
    def give_back(self, number: int, verdict: str, delay: int) -> None:
        """Only its holder can, and only by the delivery that it was last given."""
        if not self.given:
            return
        reader, given, body = self.given[number % len(self.given)]
        self.office.settle(verdict, given, reader=reader, delay_ms=delay)
        group = self.model.groups[given.group]
        owed = group.find(body)
        if owed is None or owed.holder != reader or owed.attempts != given.attempt:
            return
        if verdict == "d" or (verdict == "n" and owed.attempts >= group.deliveries):
            group.done(body, dead=True)
            return
        owed.holder, owed.due = "", delay == 0
        owed.attempts -= verdict == "r"

    @rule(number=any_of)
    def hold(self, number: int) -> None:
        """Only what is held can be held on."""
        if not self.given:
            return
        reader, given, body = self.given[number % len(self.given)]
        owed = self.model.groups[given.group].find(body)
        mine = owed is not None and owed.holder == reader
        assert self.office.run(hold(0, reader, [given])) == int(mine)
        if owed is not None and mine:
            owed.due = False

    @rule()
    def time_passes(self) -> None:
        """So long that whatever is held or delayed comes again, unless its holder is quicker."""
        self.office.pass_time(LONG_MS + 1000)
        for group in self.model.groups.values():
            for owed in group.owed:
                owed.due = True

    @rule()
    def sweep(self) -> None:
        """Nothing is to be swept up that anybody is owed."""
        self.office.sweep()

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def books(self) -> None:
        """Redis holds what somebody is owed, and its books balance."""
        self.office.audit()
        for topic in TOPICS:
            assert self.office.entries(topic) == len(self.model.entries(topic))

    def drain(self) -> None:
        """In the end every group has been given all it was owed."""
        for group in self.model.groups.values():
            for _ in range(40):
                self.office.pass_time(LONG_MS + 1000)
                taken = self.office.take(group.name, want=100, reader="last")
                for given in taken.given:
                    number: Any = given.message().body
                    assert group.find(number) is not None
                    group.done(number)
                self.office.ack(*taken.given, reader="last")
                if not taken.given:
                    break
            assert all(owed.attempts >= group.deliveries for owed in group.owed), group.name
        for topic in TOPICS:
            assert self.office.entries(topic) == 0


@pytest.mark.live
def test_the_bus_does_what_the_model_does(redis_url: str) -> None:
    """Many histories, each of many steps."""
    Bus.url = redis_url
    run_state_machine_as_test(
        Bus,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
