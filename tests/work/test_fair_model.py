"""Turns against a model: tenants come, go and weigh what they like; each gets its share.

The model is the definition: of the tenants that wait, the one with the lowest pass is next, and a
turn costs it 1 / weight. It knows nothing of heaps, pages or batches. Beside it stands what the
definition is for: between any two tenants that waited all the while, the turns they had, each
divided by its weight, differ by little more than one.
"""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from coordq.engine.connection import open_engine
from coordq.work import tenant as tenants
from tests.work.desk import Desk, bulk

NAMES = ("a", "b", "c", "d", "Z")
WEIGHTS = (0.001, 0.1, 0.3, 1.0, 1.5, 3.0, 7.0, 1000.0)
names = st.sampled_from(NAMES)


@dataclass(slots=True)
class Waiting:
    """A tenant that waits."""

    travelled: float
    """Its pass."""
    ids: deque[str] = field(default_factory=deque)
    since: dict[str, tuple[float, float]] = field(default_factory=dict)
    """For each other that waits: turns by weight that it and this one had since both wait."""


class Turns(RuleBasedStateMachine):
    """A line of tenants, what should be in it, and that the two agree after every step."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.engine = open_engine(self.url, namespace=f"f-{secrets.token_hex(6)}")
        self.desk = Desk(self.engine)
        self.weights = dict.fromkeys(NAMES, 1.0)
        self.line: dict[str, Waiting] = {}

    def _first(self) -> str:
        """As Redis sorts them: by pass, then by name."""
        return min(self.line, key=lambda name: (self.line[name].travelled, name))

    @rule(name=names, amount=st.integers(1, 12))
    def enqueue(self, name: str, amount: int) -> None:
        """Some tasks of one tenant."""
        orders = bulk(amount, tenant=name)
        self.desk.place_all(orders)
        if name not in self.line:
            first = self.line[self._first()].travelled if self.line else 0.0
            self.line[name] = Waiting(first + 1 / self.weights[name])
            for other in self.line:
                self.line[name].since[other] = self.line[other].since[name] = (0.0, 0.0)
        self.line[name].ids.extend(each.id for each in orders)

    @rule(want=st.integers(1, 30))
    def claim(self, want: int) -> None:
        """As many as a worker has room for, in one call."""
        got = [each.id for each in self.desk.claim(want).claims]

        assert got == self._granted(want)

    def _granted(self, want: int) -> list[str]:
        ids: list[str] = []
        while len(ids) < want and self.line:
            name = self._first()
            one = self.line[name]
            ids.append(one.ids.popleft())
            one.travelled += 1 / self.weights[name]
            self._count(name)
            if not one.ids:
                del self.line[name]
                for other in self.line.values():
                    other.since.pop(name, None)
        return ids

    def _count(self, name: str) -> None:
        for other, (mine, theirs) in self.line[name].since.items():
            if other != name:
                more = mine + 1 / self.weights[name]
                self.line[name].since[other] = (more, theirs)
                self.line[other].since[name] = (theirs, more)

    @rule(name=names, weight=st.sampled_from(WEIGHTS))
    def weigh(self, name: str, weight: float) -> None:
        """A share changes, for who waits and for who is away."""
        self.desk.run(tenants.weigh(0, name, weight))
        factor = (1 / weight) / (1 / self.weights[name])
        self.weights[name] = weight
        if name in self.line:
            first = self.line[self._first()].travelled
            one = self.line[name]
            one.travelled = first + (one.travelled - first) * factor
            for other in self.line:  # what they had by the old weight says nothing of the new one
                one.since[other] = self.line[other].since[name] = (0.0, 0.0)

    @invariant()
    def turns_are_as_they_should_be(self) -> None:
        """The books of the line say what the model says."""
        key = self.desk.key("fair:default:2job~")
        flat = self.desk.redis("ZRANGE", key, 0, -1, "WITHSCORES")
        booked = {flat[at].decode(): float(flat[at + 1]) for at in range(0, len(flat), 2)}
        assert booked == {name: one.travelled for name, one in self.line.items()}

    @invariant()
    def nobody_has_more_than_its_share(self) -> None:
        """Two that wait together differ by no more than a turn of each."""
        for name, one in self.line.items():
            for other, (mine, theirs) in one.since.items():
                bound = 2 * (1 / self.weights[name] + 1 / self.weights[other]) + 1e-6
                assert abs(mine - theirs) <= bound, (name, other)

    def teardown(self) -> None:
        """The whole shard is recounted."""
        self.desk.audit()
        self.engine.close()


def test_turns_are_dealt_as_the_definition_says(redis_url: str) -> None:
    """Whatever comes, goes and changes its weight, in whatever order."""
    machine = type("Judged", (Turns,), {"url": redis_url})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=100,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
