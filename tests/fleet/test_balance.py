"""Balancers: shares, turns for all, nobody whose breaker is open, and who is let go of."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from threading import Thread

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coordq.errors import InvalidOption
from coordq.fleet.balance.balancer import Balancer, Candidate
from coordq.fleet.balance.kinds import KINDS, make_balancer
from coordq.fleet.balance.response import ResponseTime
from coordq.fleet.balance.sketch import Sketch


@dataclass
class Clock:
    """Stands still unless it is moved."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def made(kind: str, clock: Clock | None = None, *, warm_up_s: float = 0, seed: int = 1) -> Balancer:
    """A balancer that can be repeated."""
    return make_balancer(
        kind, clock=clock or Clock(), warm_up_s=warm_up_s, chance=random.Random(seed)
    )


def serve(
    balancer: Balancer,
    candidates: list[Candidate],
    picks: int,
    *,
    ms: dict[str, float] | None = None,
    clock: Clock | None = None,
) -> list[str]:
    """So many pieces of work, one after another; who did them."""
    done = []
    for _ in range(picks):
        name = balancer.pick(candidates)
        assert name is not None
        took = (ms or {}).get(name, 10.0)
        if clock is not None:
            clock.now += took / 1000
        balancer.done(name, ms=took)
        done.append(name)
    return done


every_kind = pytest.mark.parametrize("kind", KINDS)
WEIGHTS = st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0, 5.0, 8.0]), min_size=1, max_size=12)


@given(weights=WEIGHTS, rounds=st.integers(1, 5))
@settings(deadline=None)
def test_turns_are_shared_by_weight(weights: list[float], rounds: int) -> None:
    """After whole rounds everybody has its part, to the piece."""
    candidates = [Candidate(f"a{n}", weight) for n, weight in enumerate(weights)]
    picks = round(2 * sum(weights)) * rounds

    seen = Counter(serve(made("round-robin"), candidates, picks))

    assert [seen[one.name] for one in candidates] == [
        round(2 * one.weight) * rounds for one in candidates
    ]


@given(weights=WEIGHTS)
@example(weights=[0.5] * 8 + [1.0, 8.0, 8.0])
@settings(deadline=None)
def test_nobody_waits_for_a_turn_longer_than_its_weight_says(weights: list[float]) -> None:
    """Standings sum to nothing and none falls below minus a whole, so none climbs over the rest.

    One gains its weight with every turn it waits, so that lasts a whole for each at most.
    """
    candidates = [Candidate(f"a{n}", weight) for n, weight in enumerate(weights)]
    order = serve(made("round-robin"), candidates, 40 * len(weights))

    for one in candidates:
        places = [-1, *(at for at, name in enumerate(order) if name == one.name)]
        longest = max(b - a for a, b in zip(places, [*places[1:], len(order)], strict=True))
        assert longest <= sum(weights) / one.weight * len(weights)


@every_kind
@given(
    states=st.lists(st.sampled_from(["closed", "open", "half-open"]), min_size=1, max_size=6),
    script=st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), max_size=60),
)
@settings(deadline=None, max_examples=50)
def test_an_open_breaker_is_never_picked(
    kind: str, states: list[str], script: list[tuple[int, bool, bool]]
) -> None:
    """Whatever happened before; and one on trial gets one piece of work at a time."""
    balancer, in_flight = made(kind), Counter[str]()
    candidates = [Candidate(f"a{n}", breaker=state) for n, state in enumerate(states)]
    for which, finish, ok in script:
        at = which % len(candidates)
        if finish and in_flight[candidates[at].name]:
            in_flight[candidates[at].name] -= 1
            balancer.done(candidates[at].name, ms=5, ok=ok)
        else:
            turned = {"closed": "open", "open": "half-open", "half-open": "closed"}
            candidates[at] = replace(candidates[at], breaker=turned[candidates[at].breaker])
        name = balancer.pick(candidates)
        able = [
            one.name
            for one in candidates
            if one.breaker == "closed" or (one.breaker == "half-open" and not in_flight[one.name])
        ]
        assert (name is None) == (not able)
        if name is not None:
            assert name in able
            in_flight[name] += 1


@every_kind
def test_nobody_is_starved(kind: str) -> None:
    """One that is slow, one that has failed, one of little weight: each has its turn again."""
    clock = Clock()
    balancer = made(kind, clock)
    candidates = [Candidate("fast"), Candidate("slow"), Candidate("light", 0.2)]
    candidates += [Candidate("failed")]
    for _ in range(5):
        balancer.pick([Candidate("failed")])
        balancer.done("failed", ms=1, ok=False)
    times = {"fast": 5.0, "slow": 500.0, "light": 5.0, "failed": 5.0}

    order = serve(balancer, candidates, 20_000, ms=times, clock=clock)

    assert set(order[-5000:]) == set(times)


@pytest.mark.parametrize("kind", ["response-time", "two-choices", "least-connections"])
def test_who_is_slow_gets_less(kind: str) -> None:
    """Of work that overlaps: one is ten times as slow as each of three others."""
    clock = Clock()
    balancer = made(kind, clock)
    candidates = [Candidate(name) for name in ("a", "b", "c", "slow")]
    running: list[tuple[float, str, float]] = []
    seen = Counter[str]()
    for _ in range(4000):
        clock.now += 0.003
        for one in sorted(one for one in running if one[0] <= clock.now):
            running.remove(one)
            balancer.done(one[1], ms=one[2])
        name = balancer.pick(candidates)
        assert name is not None
        seen[name] += 1
        took = 100.0 if name == "slow" else 10.0
        running.append((clock.now + took / 1000, name, took))

    assert seen["slow"] < 0.4 * min(seen[name] for name in "abc")


@every_kind
def test_failing_fast_is_not_being_fast(kind: str) -> None:
    """An agent that fails at once would draw all the work."""
    clock = Clock()
    balancer = made(kind, clock)
    candidates = [Candidate(name) for name in ("a", "b", "bad")]
    seen = Counter[str]()
    for _ in range(2000):
        name = balancer.pick(candidates)
        assert name is not None
        seen[name] += 1
        clock.now += 0.01
        balancer.done(name, ms=0.5 if name == "bad" else 10.0, ok=name != "bad")

    assert seen["bad"] < 0.3 * min(seen["a"], seen["b"])


@every_kind
def test_a_newcomer_warms_up(kind: str) -> None:
    """It gets its full share only after a while; those from the beginning have theirs at once."""
    clock = Clock()
    balancer = made(kind, clock, warm_up_s=10)
    old = [Candidate("a"), Candidate("b")]
    held = [balancer.pick(old) for _ in range(20)]
    both = [*old, Candidate("new")]
    for name in held:
        balancer.done(name or "", ms=10)

    cold = Counter[str | None]()
    for _ in range(40):  # nothing ends meanwhile: by time alone it would look the fastest
        cold[balancer.pick(both)] += 1
    clock.now = 10.0
    for name, amount in cold.items():
        for _ in range(amount):
            balancer.done(name or "", ms=10)
    warm = Counter(serve(balancer, both, 300, clock=clock))

    assert cold["new"] <= 8
    assert warm["new"] >= 60


@every_kind
def test_who_comes_and_goes_leaves_nothing_behind(kind: str) -> None:
    """A balancer that lives for months does not grow with all the agents that ever were."""
    balancer = made(kind)

    for number in range(3000):
        name = balancer.pick([Candidate(f"a{number}"), Candidate("stays")])
        balancer.done(name or "", ms=1)

    assert len(balancer._seen) < 200
    kept = getattr(balancer, "_times", None) or getattr(balancer, "_sketches", None) or {}
    assert len(kept) < 200


@every_kind
def test_threads_share_a_balancer(kind: str) -> None:
    """What is in flight is counted right, and is nothing in the end."""
    balancer = made(kind)
    candidates = [Candidate(f"a{n}") for n in range(4)]
    threads = [Thread(target=serve, args=(balancer, candidates, 500)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(seen.in_flight for seen in balancer._seen.values()) == 0
    assert balancer._picks == 2000


@every_kind
def test_nobody_to_pick_is_nobody(kind: str) -> None:
    """Not an error: the caller knows what to say."""
    assert made(kind).pick([]) is None
    made(kind).done("nobody", ms=1)


def test_what_others_gave_an_agent_counts_as_well() -> None:
    """As far as its beats tell."""
    busy = [Candidate("a", running=9), Candidate("b", running=1)]

    assert set(serve(made("least-connections"), busy, 5)) == {"b"}


@given(st.lists(st.floats(0.05, 1e6), min_size=1, max_size=300))
@settings(deadline=None)
def test_a_quantile_is_right_within_its_promise(times: list[float]) -> None:
    """2.5 %, whatever the times are."""
    sketch = Sketch(0.0)
    for ms in times:
        sketch.add(ms, 0.0)

    for share in (0.0, 0.5, 0.95, 0.99, 1.0):
        true = sorted(times)[int(share * (len(times) - 1))]
        found = sketch.quantile(share, 0.0)
        assert found is not None
        assert abs(found / true - 1) <= 0.026


def test_old_times_are_forgotten() -> None:
    """After one window they still count, after two no more."""
    sketch = Sketch(0.0, window_s=30)
    sketch.add(1000, 1.0)
    sketch.add(10, 31.0)
    both = sketch.quantile(1.0, 32.0)
    late = sketch.quantile(1.0, 62.0)

    assert both == pytest.approx(1000, rel=0.03)
    assert late == pytest.approx(10, rel=0.03)
    assert sketch.quantile(1.0, 1000.0) is None


def test_the_quantiles_of_an_agent_can_be_seen() -> None:
    """p50, p95 and p99 of what it was given."""
    balancer = ResponseTime(clock=Clock(), quantile="p50")
    for ms in range(1, 101):
        balancer.pick([Candidate("a")])
        balancer.done("a", ms=ms)

    found = balancer.quantiles("a")

    assert found is not None
    assert list(found) == ["p50", "p95", "p99"]
    assert list(found.values()) == [pytest.approx(ms, rel=0.05) for ms in (50, 95, 99)]
    assert balancer.quantiles("b") is None


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("random", {}),
        ("round-robin", {"warm_up_s": -1}),
        ("round-robin", {"warm_up_s": "10"}),
        ("two-choices", {"warm_up_s": float("nan")}),
        ("response-time", {"quantile": "p42"}),
        ("least-connections", {"quantile": "p95"}),
        ("least-connections", {"colour": "red"}),
    ],
)
def test_a_balancer_that_cannot_be_is_refused(kind: str, options: dict[str, object]) -> None:
    """With what there is."""
    with pytest.raises(InvalidOption):
        make_balancer(kind, **options)
