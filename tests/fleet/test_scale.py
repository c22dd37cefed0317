"""A group grows when tasks wait for busy workers, and shrinks when nobody would miss one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.runtime.spawner.scale import Load, Rule, decide, too_large

RULE = Rule(1, 8, scale_up_age_s=5, utilisation=0.7, cooldown_s=30)


def load(
    size: int, age_s: float | None, used: float, *, idle_s: float = 0, serving: int | None = None
) -> Load:
    """A group of which all workers serve, unless it is said how many do."""
    return Load(size, age_s, used, size if serving is None else serving, idle_s)


@pytest.mark.parametrize(
    ("seen", "wanted", "why"),
    [
        (load(2, 9, 1.0), 3, "tasks wait, everybody is busy: 2 x 1.0 / 0.7 makes 3"),
        (load(4, 9, 1.0), 6, "the larger the group, the larger the step"),
        (load(6, 9, 1.0), 8, "not beyond the most"),
        (load(1, 9, 0.7), 2, "at least one"),
        (load(8, 9, 1.0), 8, "the most is the most"),
        (load(2, 4, 1.0), 2, "they have not waited long enough"),
        (load(2, None, 1.0), 2, "busy, but nothing waits"),
        (load(2, 900, 0.2), 2, "they wait, but not for workers: nobody is busy"),
        (load(3, 9, 1.0, serving=2), 3, "one is still on its way"),
        (load(3, None, 0.0, idle_s=29), 3, "not idle for long enough"),
        (load(3, None, 0.0, idle_s=30), 2, "one less, not all at once"),
        (load(1, None, 0.0, idle_s=999), 1, "the least is the least"),
        (load(3, None, 0.45, idle_s=999), 3, "two would have 0.68 to do: too close to 0.7"),
        (load(3, None, 0.40, idle_s=999), 2, "two would have 0.60 to do: room to spare"),
        (load(3, 60, 0.0, idle_s=999), 3, "something waits, for whatever reason"),
        (load(0, None, 0.0), 1, "below the least, at once"),
        (load(12, None, 1.0), 8, "above the most, at once"),
    ],
)
def test_the_size_follows_the_load(seen: Load, wanted: int, why: str) -> None:
    """Both signs must agree before it grows; it shrinks late and in small steps."""
    assert decide(seen, RULE) == wanted, why


def test_a_group_may_sleep() -> None:
    """With a least of 0 the last worker goes when it has nothing to do, one comes with a task."""
    rule = Rule(0, 4)

    assert decide(load(1, None, 0.0, idle_s=30), rule) == 0
    assert decide(load(1, 0.1, 0.0, idle_s=30), rule) == 1, "something is ready"
    assert decide(load(0, None, 0.0), rule) == 0
    assert decide(load(0, 0.0, 0.0), rule) == 1, "at once: nobody else is there"


loads = st.builds(
    Load,
    size=st.integers(0, 12),
    backlog_age_s=st.none() | st.floats(0, 1000),
    utilisation=st.floats(0, 1),
    serving=st.integers(0, 12),
    idle_s=st.floats(0, 1000),
)


@given(loads)
def test_the_size_stays_in_its_range(seen: Load) -> None:
    """Whatever is seen; and it shrinks by one at most, grows to twice at most."""
    wanted = decide(seen, RULE)

    assert RULE.least <= wanted <= RULE.most
    if RULE.least <= seen.size <= RULE.most:
        assert seen.size - 1 <= wanted <= seen.size * 2


@given(loads)
def test_a_step_is_not_taken_back(seen: Load) -> None:
    """Under the same work a group that has shrunk would not grow, nor the other way round."""
    wanted = decide(seen, RULE)
    if wanted == 0 or not RULE.least <= seen.size <= RULE.most or wanted == seen.size:
        return
    after = Load(
        wanted,
        seen.backlog_age_s,
        min(1.0, seen.utilisation * seen.size / wanted),
        wanted,
        RULE.cooldown_s,
    )

    if wanted > seen.size:
        assert not too_large(after, RULE)
    else:
        assert decide(after, RULE) <= wanted
