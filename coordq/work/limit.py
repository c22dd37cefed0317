"""Limits: how often, how many at once, and how much may be spent, by name.

What a limit means for a task is decided in lua/lib/slot.lua and lua/lib/limit.lua. A task counts
against the limits it names, `openai` or, with a key, `openai:gpt-4`, and by itself against
`queue:<queue>`, `task:<name>` and `tenant:<tenant>`. A limit set for a name without a key holds for
each key separately, unless one is set for name and key: `openai` says what is right for every
`openai:<key>`, and `queue` for every queue.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

from coordq.amounts import is_number, is_whole
from coordq.errors import InvalidLimit
from coordq.names import check_name
from coordq.work.amount import shown

ON_CONFLICT: Final = {"queue": "q", "cancel-oldest": "o", "cancel-newest": "n", "skip": "s"}
WINDOWS: Final = {"bucket": "b", "sliding": "s"}
BY_ITSELF: Final = ("queue", "task", "tenant")
"""Limits that tasks count against without naming them, each with a key."""
ONCE: Final = "once"
"""What tasks that keep the last count against, with their unique key; see lua/lib/place.lua."""
SLIDING_MAX: Final = 10_000
"""A sliding window remembers each start."""
RIVALS_MAX: Final = 100
"""Who cancels has to look at all who hold or want a slot."""
AMOUNT_MAX: Final = 10**9
KEY_MAX: Final = 200
LIMITS_MAX: Final = 8
"""That one task may name."""
PERIOD_MIN_S: Final = 0.001
PERIOD_MAX_S: Final = 366 * 86_400.0

_UNITS: Final = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hour": 3600,
    "d": 86_400,
    "day": 86_400,
    "week": 604_800,
}
_RATE: Final = re.compile(r"([^/]*)/\s*(\d*\.?\d*)\s*([A-Za-z]*)\s*")
_EXAMPLES: Final = 'such as "100/min", "5/s", "1000/hour" or "30/10s"'

Rate = tuple[float, float]
"""How many, in how many seconds."""


def _period(field: str, given: object, said: object) -> float:
    if isinstance(given, timedelta):
        given = given.total_seconds()
    if not is_number(given):
        raise InvalidLimit(
            f"{field}={said!r}: the period must be seconds or a timedelta.", field=field
        )
    if not PERIOD_MIN_S <= given <= PERIOD_MAX_S:
        raise InvalidLimit(
            f"{field}={said!r}: the period must lie between a millisecond and a year.", field=field
        )
    return float(given)


def read_rate(field: str, given: object) -> Rate:
    """What a rate or budget says: text such as "100/min", or an amount and seconds.

    Raises InvalidLimit.
    """
    if isinstance(given, str):
        return _read_text(field, given)
    if isinstance(given, tuple | list) and len(given) == 2:  # noqa: PLR2004 - amount and period
        return _amount(field, given[0], given), _period(field, given[1], given)
    raise InvalidLimit(
        f"{field}={given!r}: give text {_EXAMPLES}, or (amount, seconds).", field=field
    )


def _read_text(field: str, text: str) -> Rate:
    match = _RATE.fullmatch(text.strip())
    if match is None or not (match[2] or match[3]):
        raise InvalidLimit(
            f"{field}={text!r}: give an amount and a period, {_EXAMPLES}.", field=field
        )
    unit = match[3].lower()
    length = _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s")) or (0 if unit else 1)
    if not length:
        units = ", ".join(word for word in _UNITS if len(word) > 1)
        raise InvalidLimit(
            f"{field}={text!r}: {match[3]!r} is no unit of time; there are: {units}.", field=field
        )
    try:
        amount, times = float(match[1]), float(match[2] or 1)
    except ValueError as error:
        raise InvalidLimit(
            f"{field}={text!r}: {match[1].strip()!r} is no number.", field=field
        ) from error
    return _amount(field, amount, text), _period(field, times * length, text)


def _amount(field: str, given: object, said: object) -> float:
    if not is_number(given):
        raise InvalidLimit(f"{field}={said!r}: {given!r} is no number.", field=field)
    if not 0 < given <= AMOUNT_MAX:
        raise InvalidLimit(
            f"{field}={said!r}: the amount must be above 0 and at most {AMOUNT_MAX:,}.", field=field
        )
    if field == "rate" and given != int(given):
        raise InvalidLimit(
            f"{field}={said!r}: tasks are counted whole; say it for a longer period, such as 1/2s.",
            field=field,
        )
    return float(given)


@dataclass(frozen=True, slots=True)
class Limit:
    """What may not be exceeded. At least one of rate, concurrency and budget is set."""

    name: str
    rate: Rate | None = None
    """How many tasks may start in how many seconds."""
    burst: int = 0
    """How many of them at once, after a rest; 0: none but what a claim came late. Bucket only."""
    window: str = "bucket"
    """bucket: evenly; sliding: in no period of that length more, but these as fast as can be."""
    concurrency: int = 0
    """How many may run at once; 0 = any number."""
    on_conflict: str = "queue"
    """When they do: queue, cancel-oldest, cancel-newest or skip."""
    budget: Rate | None = None
    """How many units may be spent in how many seconds; periods count from 1970, UTC."""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def shared(self) -> bool:
        """Whether all shards keep a part of it; else each task goes where its limit is kept."""
        return self.name.partition(":")[0] in BY_ITSELF

    def said(self) -> dict[str, Any]:
        """What was asked for, without what goes without saying."""
        given = ((at.name, getattr(self, at.name)) for at in fields(self)[1:])
        usual = {at.name: at.default for at in fields(self)}
        return {name: value for name, value in given if value != usual[name]}

    def text(self, shards: int = 1) -> str:
        """As HASH limits holds it on each of so many shards."""
        part = shards if self.shared else 1
        rate, period_s = self.rate or (0, 0)
        budget, budget_s = self.budget or (0, 0)
        numbers = (
            -int(-rate // part),
            round(period_s * 1e6),
            -(-self.burst // part),
            WINDOWS[self.window],
            -(-self.concurrency // part),
            ON_CONFLICT[self.on_conflict],
            shown(budget / part),
            round(budget_s * 1000),
            json.dumps(self.said(), separators=(",", ":")),
        )
        return " ".join(map(str, numbers))

    def words(self) -> str:
        """`100 in 60 s, 4 at once`."""
        parts = []
        if self.rate:
            how = " in any" if self.window == "sliding" else " in"
            burst = f" (up to {self.burst} at once)" if self.burst > 1 else ""
            parts.append(f"{self.rate[0]:g}{how} {self.rate[1]:g} s{burst}")
        if self.concurrency:
            policy = f", else {self.on_conflict}" if self.on_conflict != "queue" else ""
            parts.append(f"{self.concurrency} at once{policy}")
        if self.budget:
            parts.append(f"{shown(self.budget[0])} units in {self.budget[1]:g} s")
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {at.name: getattr(self, at.name) for at in fields(self)}


def _whole(field: str, value: object, most: int) -> None:
    if not is_whole(value, 0, most):
        raise InvalidLimit(
            f"{field}={value!r}: give a whole number up to {most:,}, 0 for none.", field=field
        )


def _one_of(field: str, value: object, known: dict[str, str]) -> None:
    if value not in known:
        raise InvalidLimit(f"{field}={value!r}: use one of {', '.join(known)}.", field=field)


def _check(limit: Limit) -> None:
    _one_of("window", limit.window, WINDOWS)
    _one_of("on_conflict", limit.on_conflict, ON_CONFLICT)
    _whole("burst", limit.burst, AMOUNT_MAX)
    _whole("concurrency", limit.concurrency, AMOUNT_MAX)
    if not (limit.rate or limit.concurrency or limit.budget):
        raise InvalidLimit(
            f"Limit {limit.name!r} limits nothing: give rate=, concurrency= or budget=; "
            "take it away with limits.rm.",
            field="rate",
        )
    sliding = limit.window == "sliding"
    if limit.burst and (sliding or not limit.rate):
        raise InvalidLimit(
            "burst= goes with rate= in a bucket, and with nothing else.", field="burst"
        )
    if sliding and not (limit.rate and limit.rate[0] <= SLIDING_MAX):
        raise InvalidLimit(
            f"window='sliding' needs a rate of at most {SLIDING_MAX:,}, because it remembers "
            "each start: use the bucket for more.",
            field="window",
        )
    cancels = limit.on_conflict.startswith("cancel")
    if limit.on_conflict != "queue" and not limit.concurrency:
        raise InvalidLimit("on_conflict= needs concurrency=.", field="on_conflict")
    if cancels and limit.concurrency > RIVALS_MAX:
        raise InvalidLimit(
            f"on_conflict={limit.on_conflict!r} needs a concurrency of at most {RIVALS_MAX}.",
            field="concurrency",
        )


def make(name: object, **given: Any) -> Limit:
    """A limit from what a caller says, see `Limit`; rate and budget also as text.

    Raises InvalidLimit, InvalidName.
    """
    known = [field.name for field in fields(Limit)][1:]
    for field in given:
        if field not in known:
            raise InvalidLimit(
                f"A limit has no {field!r}; it has: {', '.join(known)}.", field=field
            )
    for field in ("rate", "budget"):
        if given.get(field) is not None:
            given[field] = read_rate(field, given[field])
    slot = slot_text(name)
    if slot.partition(":")[0] == ONCE:
        raise InvalidLimit(f"Limit {name!r} is coordq's own: choose another name.")
    return Limit(slot, **given)


def slot_text(text: object) -> str:
    """How records and keys spell `limit` or `limit:key`. Raises InvalidLimit, InvalidName."""
    if not isinstance(text, str):
        raise InvalidLimit(f"{text!r} names no limit: give text, `name` or `name:key`.")
    name, colon, key = text.partition(":")
    check_name("limit", name)
    if not colon:
        return name
    try:
        spelled = quote(key, safe=":.-_~@+=/")
    except UnicodeEncodeError as error:
        raise InvalidLimit(f"The key of limit {name!r} is not Unicode: {key!r}.") from error
    if not 1 <= len(spelled) <= KEY_MAX:
        raise InvalidLimit(
            f"The key of limit {name!r} has {len(spelled)} characters as it is stored: "
            f"use 1 to {KEY_MAX}."
        )
    return f"{name}:{spelled}"


def check_limits(limits: object, cost: object) -> None:
    """Refuse what no task can count against. Raises InvalidLimit, InvalidName, InvalidOption."""
    if isinstance(limits, str) or not isinstance(limits, tuple | list):
        raise InvalidLimit(f'limits={limits!r}: give a list of names, such as ("openai:gpt-4",).')
    for limit in limits:
        name = slot_text(limit).partition(":")[0]
        if name in (*BY_ITSELF, ONCE):
            raise InvalidLimit(
                f"limits={limit!r}: tasks count against {', '.join((*BY_ITSELF, ONCE))} without "
                "naming them."
            )
    if len(limits) > LIMITS_MAX or len(set(limits)) < len(limits):
        raise InvalidLimit(f"limits={limits!r}: name up to {LIMITS_MAX} limits, each once.")
    check_units("cost", cost)


def check_units(field: str, value: object) -> float:
    """`value` when it is an amount of units. Raises InvalidLimit."""
    if not is_number(value, 0, AMOUNT_MAX):
        raise InvalidLimit(f"{field}={value!r}: give units, from 0 to {AMOUNT_MAX:,}.", field=field)
    return float(value)


def read_limit(slot: str, text: bytes | None) -> Limit | None:
    """The limit that a text of HASH limits means; None when coordq did not write it."""
    if text is None:
        return None
    try:
        said = json.loads(text.split(b" ", 8)[8])
        for field in ("rate", "budget"):
            if field in said:
                said[field] = tuple(said[field])
        return Limit(slot, **said)
    except (ValueError, TypeError, IndexError, KeyError):
        return None
