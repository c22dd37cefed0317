"""What a producer enqueues: drawn from a seed, some of everything that tasks can do. Pure.

Flows are not drawn: there is one shape of them, see `flows`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from coordq.work.backoff import Backoff

BACKOFF: Final = Backoff(base=0.1, max=1.0)
PRIORITIES: Final = ("critical", "high", "normal", "low")
KEYS: Final = 12
"""So few unique keys that tasks meet at them."""
LIMITS: Final[dict[str, dict[str, Any]]] = {
    "seats": {"concurrency": 2},
    "pace": {"rate": (8, 1.0), "window": "sliding"},
    "floor": {"concurrency": 1, "on_conflict": "cancel-oldest"},
}
"""What is set before anything is enqueued; each key of a limit has slots and starts of its own."""
LIMIT_KEYS: Final = 2
"""So few that tasks have to wait for each other, and enough to keep up with those that come."""
RESULT_TTL_S: Final = 45
"""Longer than any fault, short enough that a long run does not fill Redis."""

SHARES: Final = {
    "quick": 598,  # does nothing
    "nap": 80,  # awaits a little
    "blocking": 30,  # in a thread
    "limited": 60,  # by its key: how many at once, how often, or the latest only
    "fenced": 80,  # writes to an outside resource that knows fences
    "flaky": 50,  # fails at first
    "delayed": 40,  # not before a moment
    "unique": 25,  # at most one of its key at a time
    "called-off": 12,  # cancelled by its producer, waiting or running
    "doomed": 8,  # a dead letter in the end
    "snoozer": 5,  # comes back later at no cost
    "overdue": 4,  # takes longer than its timeout
    "large": 4,  # arguments kept apart
    "long": 4,  # takes longer than a lease
}


@dataclass(frozen=True, slots=True)
class Wish:
    """A task to enqueue."""

    name: str
    args: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    cancel: bool = False
    """Whether its producer will change its mind."""


def wishes(seed: int, producer: int, *, producers: int, lease_s: float) -> Iterator[Wish]:
    """Without end; number `n` of a producer is the same whenever it is drawn."""
    names, weights = list(SHARES), list(SHARES.values())
    number = 0
    while True:
        chance = random.Random(f"{seed} {producer} {number}")
        (name,) = chance.choices(names, weights)
        yield _wish(chance, name, number * producers + producer, lease_s)
        number += 1


def _wish(chance: random.Random, name: str, number: int, lease_s: float) -> Wish:
    draft = _DRAFTS.get(name)
    wish = draft(chance, number, lease_s) if draft else Wish(name)
    options: dict[str, Any] = {"result_ttl": RESULT_TTL_S, "backoff": BACKOFF}
    if chance.random() < 0.1:  # noqa: PLR2004 - a share
        options["priority"] = chance.choice(PRIORITIES)
    return replace(wish, options=options | wish.options)


def _called_off(chance: random.Random) -> Wish:
    """Half of them wait when their producer changes its mind, half of them run."""
    delay = {"delay": 1.0} if chance.random() < 0.5 else {}  # noqa: PLR2004 - a coin
    return Wish("nap", {"seconds": 0.5}, delay, cancel=True)


def _limited(chance: random.Random) -> Wish:
    """Its limits hold over attempts that fail, are put off or called off."""
    key = chance.randrange(LIMIT_KEYS)
    names = chance.choices((("seats",), ("seats", "pace"), ("floor",)), (45, 45, 10))[0]
    how = chance.choices(("nap", "flaky", "snoozer", "called-off"), (75, 10, 10, 5))[0]
    seconds = {"seconds": round(chance.uniform(0.1, 0.3), 3)}
    draft = {
        "nap": Wish("nap", seconds),
        "flaky": Wish("flaky", {"failures": 1}, {"max_attempts": 4}),
        "snoozer": Wish("snoozer"),
        "called-off": Wish("nap", seconds, cancel=True),
    }[how]
    limits = tuple(f"{name}:{key}" for name in names)
    return replace(draft, options=draft.options | {"limits": limits})


def _short_s(chance: random.Random) -> float:
    return round(chance.uniform(0.01, 0.15), 3)


_DRAFTS: Final[dict[str, Callable[[random.Random, int, float], Wish]]] = {
    "nap": lambda chance, *_: Wish("nap", {"seconds": round(chance.uniform(0.05, 1.2), 3)}),
    "blocking": lambda chance, *_: Wish("blocking", {"seconds": _short_s(chance)}),
    "fenced": lambda _, number, __: Wish(
        "fenced", {"slot": number, "seconds": 0.02}, {"max_attempts": 50}
    ),
    "flaky": lambda chance, *_: Wish(
        "flaky", {"failures": chance.randint(1, 2)}, {"max_attempts": 4}
    ),
    "delayed": lambda chance, *_: Wish(
        "quick", options={"delay": round(chance.uniform(0.1, 2), 3)}
    ),
    "unique": lambda chance, *_: Wish(
        "nap", {"seconds": 0.1}, {"unique": f"key-{chance.randrange(KEYS)}"}
    ),
    "limited": lambda chance, *_: _limited(chance),
    "called-off": lambda chance, *_: _called_off(chance),
    "doomed": lambda *_: Wish("doomed", options={"max_attempts": 2}),
    "overdue": lambda *_: Wish("nap", {"seconds": 5.0}, {"timeout": 0.2, "max_attempts": 2}),
    "large": lambda *_: Wish("quick", {"load": "x" * 3000}),
    "long": lambda _, __, lease_s: Wish("nap", {"seconds": lease_s * 1.3}),
}
