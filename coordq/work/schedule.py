"""What is enqueued again and again: a task with its options, and when."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from zlib import crc32

from coordq.amounts import is_number
from coordq.errors import InvalidSchedule
from coordq.ids import new_id
from coordq.names import check_name
from coordq.spans import parse_span
from coordq.work.enqueue import Order
from coordq.work.options import DEFAULTS, LONGEST_S, template
from coordq.work.payload import dump_args
from coordq.work.slots import check_cron, zone
from coordq.work.spec import write_spec

OVERLAP: Final = ("skip", "queue", "cancel-oldest")
MISSED: Final = ("skip", "one", "all")
SHORTEST_S: Final = 1.0
_LATEST_S: Final = 2**33
_NOT_HERE: Final = {
    "id": "every run has its own",
    "at": "the schedule says when; use start=",
    "delay": "the schedule says when; use start= or jitter=",
    "unique": 'overlap="skip" keeps runs from piling up',
    "unique_for": 'overlap="skip" keeps runs from piling up',
    "on_duplicate": 'overlap="skip" keeps runs from piling up',
    "force": "while the fleet is read-only nothing is started; the slot stays due",
    "durability": "a failover that loses the run has its slot due again",
    "wait": "nobody waits; a slot whose queue is full stays due until there is room",
}


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as it was asked for; made by `make`, which checks it."""

    name: str
    task: str
    args: Mapping[str, Any]
    options: Mapping[str, Any]
    """As in coordq.Options, as plain JSON: seconds for times, a token for the backoff."""
    every_ms: int = 0
    """0: `cron` says when."""
    cron: str = ""
    tz: str = "UTC"
    """In which cron is meant, and moments are shown."""
    overlap: str = "skip"
    """While an earlier run lives: leave the slot out, enqueue all the same, or cancel that run."""
    missed: str = "one"
    """Of slots that came due while nobody led, fire none, the latest, or all (1,000 at most)."""
    start_ms: int | None = None
    """No slot before it; intervals count from it."""
    end_ms: int | None = None
    """No slot at or after it."""
    jitter_ms: int = 0
    """A run starts up to so long after its slot; how long follows from name and slot."""

    def to_text(self) -> str:
        """What Redis keeps: canonical JSON, so that equal schedules are equal texts."""
        facts = {key: value for key, value in self.to_json().items() if key != "name"}
        return json.dumps(facts, sort_keys=True, separators=(",", ":"))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "name": self.name,
            "task": self.task,
            "args": dict(self.args),
            "options": dict(self.options),
            "every_ms": self.every_ms,
            "cron": self.cron,
            "tz": self.tz,
            "overlap": self.overlap,
            "missed": self.missed,
            "start_ms": self.start_ms,
            "end_ms": self.end_ms,
            "jitter_ms": self.jitter_ms,
        }

    def moment(self, slot_ms: int) -> datetime:
        """A slot as a moment of the schedule's zone."""
        return datetime.fromtimestamp(slot_ms / 1000, zone(self.tz))

    def words(self, slot_ms: int) -> str:
        """A slot in words: 2026-03-29T09:00:00+02:00."""
        return self.moment(slot_ms).isoformat(timespec="seconds")

    def order(self, slot_ms: int, *, shard: int) -> Order:
        """The task of one slot, ready to be enqueued; 0: run by hand."""
        made = template(self.task, DEFAULTS.merge(**_rich(self.options)))
        spec = replace(made.spec, schedule=self.name, slot_ms=slot_ms)
        late_ms = 0
        if self.jitter_ms and slot_ms:
            late_ms = crc32(f"{self.name}@{slot_ms}".encode()) * self.jitter_ms >> 32
        made = replace(
            made,
            spec=spec,
            text=write_spec(spec),
            delay=f"@{slot_ms + late_ms}" if late_ms else "0",
        )
        return Order(new_id(shard), made, dump_args(self.task, self.args))


def make(
    name: str,
    task: str,
    args: Mapping[str, Any] | None = None,
    *,
    every: float | timedelta | None = None,
    cron: str | None = None,
    tz: str = "UTC",
    overlap: str = "skip",
    missed: str = "one",
    start: datetime | float | None = None,
    end: datetime | float | None = None,
    jitter: float | timedelta = 0,
    options: Mapping[str, Any] | None = None,
) -> Schedule:
    """A checked schedule. Times are seconds or timedeltas, moments as `Schedule` says.

    A datetime without a zone is meant in `tz`. Raises InvalidSchedule, InvalidName, InvalidOption,
    InvalidArguments, PayloadTooLarge.
    """
    check_name("schedule", name)
    if (every is None) == (cron is None):
        raise InvalidSchedule(
            "When? Give either every= or cron=."
            if every is None
            else "every and cron both say when: give one.",
            field="every",
        )
    if not isinstance(tz, str) or not tz:
        raise InvalidSchedule(f"tz={tz!r}: give a name such as 'Europe/Berlin'.", field="tz")
    zone(tz)
    made = Schedule(
        name=name,
        task=check_name("task", task),
        args=json.loads(dump_args(task, args)),
        options=_plain(task, dict(options or {})),
        every_ms=0 if every is None else _span_ms("every", every, least_s=SHORTEST_S),
        cron="" if cron is None else check_cron(cron),
        tz=tz,
        overlap=_choice("overlap", overlap, OVERLAP),
        missed=_choice("missed", missed, MISSED),
        start_ms=_moment_ms("start", start, tz),
        end_ms=_moment_ms("end", end, tz),
        jitter_ms=_span_ms("jitter", jitter, least_s=0),
    )
    _check_together(made)
    return made


def from_text(name: str, text: bytes) -> Schedule:
    """The schedule that Redis keeps. Raises ValueError when coordq did not write it."""
    facts = json.loads(text)
    if not isinstance(facts, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - one kind of error is enough
    known = {key: facts.pop(key, None) for key in Schedule.__slots__ if key != "name"}
    if facts or None in (known["task"], known["every_ms"], known["jitter_ms"]):
        raise ValueError(f"it says {', '.join(facts) or 'too little'}")
    return make(
        name,
        known["task"],
        known["args"],
        every=known["every_ms"] / 1000 or None,
        cron=known["cron"] or None,
        tz=known["tz"],
        overlap=known["overlap"],
        missed=known["missed"],
        start=_seconds(known["start_ms"]),
        end=_seconds(known["end_ms"]),
        jitter=known["jitter_ms"] / 1000,
        options=known["options"],
    )


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


# -- checks --------------------------------------------------------------------------------------


def _choice(field: str, value: object, allowed: tuple[str, ...]) -> str:
    if isinstance(value, str) and value in allowed:
        return value
    close = difflib.get_close_matches(str(value), allowed, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise InvalidSchedule(f"{field}={value!r:.60}: use {', '.join(allowed)}.{hint}", field=field)


def _span_ms(field: str, value: object, *, least_s: float) -> int:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if not is_number(value):
        meant = parse_span(value) if isinstance(value, str) else None
        hint = f": {field}={meant:g}" if meant else ""
        raise InvalidSchedule(
            f"{field}={value!r:.60} is no number: give seconds or a timedelta{hint}.", field=field
        )
    if not least_s <= value <= LONGEST_S:  # a NaN is not either
        raise InvalidSchedule(
            f"{field}={value!r:.60}: use seconds, from {least_s:g} to {LONGEST_S:.0f} (ten years).",
            field=field,
        )
    return round(value * 1000)


def _moment_ms(field: str, value: object, tz: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        try:
            value = (value if value.tzinfo else value.replace(tzinfo=zone(tz))).timestamp()
        except (OverflowError, ValueError):
            value = -1
    if not is_number(value, 0, _LATEST_S):
        raise InvalidSchedule(
            f"{field}={value!r:.60}: give a datetime, or seconds since 1970.", field=field
        )
    return round(value * 1000)


def _check_together(made: Schedule) -> None:
    if made.end_ms is not None and made.end_ms <= (made.start_ms or 0):
        raise InvalidSchedule("end must lie after start.", field="end")
    if made.every_ms and made.jitter_ms >= made.every_ms:
        raise InvalidSchedule(
            f"jitter={made.jitter_ms / 1000:g} must be less than every={made.every_ms / 1000:g}, "
            "or runs would overtake each other.",
            field="jitter",
        )


def _plain(task: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options of each run as JSON. Raises InvalidSchedule, InvalidOption."""
    for option, reason in _NOT_HERE.items():
        if option in options:
            raise InvalidSchedule(
                f"The option {option!r} does not belong to a schedule: {reason}.", field=option
            )
    if options.get("on_full") == "shed":
        raise InvalidSchedule(
            'on_full="shed" does not belong to a schedule: use wait, refuse or force.',
            field="on_full",
        )
    checked = DEFAULTS.merge(**_rich(options))
    template(task, checked)
    return {name: _plain_value(getattr(checked, name)) for name in sorted(options)}


def _plain_value(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, tuple | list | set | frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    return value.encode() if hasattr(value, "encode") and not isinstance(value, str) else value


def _rich(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as coordq.Options takes them."""
    rich = dict(options)
    if isinstance(rich.get("backoff"), str):
        from coordq.work.backoff import Backoff

        rich["backoff"] = Backoff.decode(rich["backoff"])
    if isinstance(rich.get("capabilities"), list):
        rich["capabilities"] = tuple(rich["capabilities"])
    return rich
