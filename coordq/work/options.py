"""What may be asked for when a task is enqueued, and how bad wishes are refused."""

from __future__ import annotations

import difflib
import hashlib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from coordq.amounts import is_number, is_whole
from coordq.errors import InvalidOption, InvalidTime
from coordq.ids import is_id
from coordq.names import check_name
from coordq.work.limit import ONCE, check_limits, slot_text
from coordq.work.spec import PRIORITIES, RESULT_TTL_S, Spec, write_spec

if TYPE_CHECKING:
    from coordq.work.backoff import Backoff

LONGEST_S: Final = 10 * 366 * 86400.0
"""Ten years: whatever is further away is a mistake in the unit."""
ATTEMPTS_MAX: Final = 10_000
HEADERS_MAX: Final = 4096
CAPABILITIES_MAX: Final = 32
ON_FULL: Final = ("wait", "refuse", "shed", "force")
ON_DUPLICATE: Final = {
    "return": "",
    "reject": "",
    "throttle": "",
    "replace": "r",
    "debounce": "d",
    "keep-last": "k",
}
"""As work/enqueue takes them."""
DEBOUNCES: Final = 10
"""So many delays a debounced task waits at most, unless `unique_for` says how long."""
DURABILITY: Final = ("primary", "replica")

Seconds = float | int | timedelta
Kin = tuple[bool, bool]


@dataclass(frozen=True, slots=True)
class Options:
    """How a task is to be run. Times are seconds or timedeltas."""

    queue: str = "default"
    priority: str = "normal"
    """critical, high, normal or low. Low ones age: they are overtaken for a while, not for ever."""
    delay: Seconds = 0
    """Not before so long from now."""
    at: datetime | float | None = None
    """Not before this moment: an aware datetime, or seconds since 1970. Not with `delay`."""
    unique: str | None = None
    """No second task with this key: while the first lives, or for `unique_for`."""
    unique_for: Seconds = 0
    on_duplicate: str = "return"
    """When the key is held. return: its holder's handle. reject: DuplicateTask. throttle: as
    return, for `unique_for` since the first. replace: a holder that waits gets the new arguments.
    debounce: so, and waits its `delay` anew, at most `unique_for` in all. keep-last: so, and while
    one runs another one waits for its end; the last arguments win."""
    max_attempts: int | None = None
    """How often it is tried; None: as its definition says, else three times."""
    backoff: Backoff | None = None
    timeout: Seconds = 0
    """Of one run; 0 = none."""
    expires: Seconds = 0
    """Queue timeout: a dead letter if no worker started it within this time; 0 = never."""
    total_timeout: Seconds = 0
    """From enqueue to the end, all attempts together; 0 = none."""
    result_ttl: Seconds = RESULT_TTL_S
    """How long the record outlives success or cancel."""
    role: str = ""
    capabilities: tuple[str, ...] = ()
    """Only agents with this role and all these capabilities may take it."""
    on_full: str = "wait"
    """At the queue's high mark: wait, refuse (QueueFull), shed (the least urgent), or force."""
    wait: Seconds = 30
    """How long `on_full="wait"` waits before QueueFull."""
    id: str | None = None
    """The task's id, from coordq.new_id(): enqueueing the same id twice has one effect."""
    headers: Mapping[str, str] | None = None
    """Short strings that travel with the task, such as a trace context."""
    durability: str = "primary"
    """replica: not done before a replica has the task, too; NotReplicated when none says so."""
    force: bool = False
    """Also while the fleet is read-only; it waits there until the fleet is not."""
    limits: tuple[str, ...] = ()
    """What it counts against besides its queue, name and tenant: `openai`, or with a key
    `openai:gpt-4`; see client.limits."""
    cost: float = 1
    """Units that it takes from budgets; what ctx.spend reports takes its place."""
    tenant: str | None = None
    """For whom it is done: tenants that wait at a queue get their shares of it, by weight."""

    def __post_init__(self) -> None:
        _check(self)

    def merge(self, **changes: Any) -> Options:
        """A copy with `changes`. Raises InvalidOption, InvalidTime, InvalidName."""
        if not changes:
            return self
        _refuse_unknown(changes)
        return replace(self, **changes)


NAMES: Final = tuple(field.name for field in fields(Options))


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    for name in given:
        if name not in NAMES:
            close = difflib.get_close_matches(name, NAMES, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(NAMES)}."
            raise InvalidOption(f"There is no option {name!r}: {hint}", option=name)


def seconds(option: str, value: object, *, zero: bool = True) -> float:
    """`value` in seconds. Raises InvalidTime when it is no sensible length of time."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidTime(
            f"{option}={value!r}: give seconds or a timedelta, not {type(value).__name__}.",
            option=option,
        )
    if abs(value) > 10**18:
        value = math.inf if value > 0 else -math.inf
    if math.isnan(value) or value < 0 or (value == 0 and not zero):
        raise InvalidTime(f"{option}={value!r}: a time must not be negative.", option=option)
    if value > LONGEST_S:
        raise InvalidTime(
            f"{option}={value!r} is more than ten years: the unit is seconds.", option=option
        )
    return float(value)


def _check(options: Options) -> None:
    check_name("queue", options.queue)
    if options.priority not in PRIORITIES:
        raise InvalidOption(
            f"priority={options.priority!r}: use one of {', '.join(PRIORITIES)}.", option="priority"
        )
    _check_choice("on_full", options.on_full, ON_FULL)
    _check_choice("on_duplicate", options.on_duplicate, ON_DUPLICATE)
    _check_choice("durability", options.durability, DURABILITY)
    if not isinstance(options.force, bool):
        raise InvalidOption(f"force={options.force!r}: say True or False.", option="force")
    _check_times(options)
    _check_routing(options)
    attempts = 1 if options.max_attempts is None else options.max_attempts
    if not is_whole(attempts, 1, ATTEMPTS_MAX):
        raise InvalidOption(
            f"max_attempts={attempts!r}: use a whole number from 1 to {ATTEMPTS_MAX}.",
            option="max_attempts",
        )
    backoff: object = options.backoff
    if isinstance(backoff, str) or not (backoff is None or hasattr(backoff, "encode")):
        raise InvalidOption(f"backoff={backoff!r}: give a coordq.Backoff.", option="backoff")
    if options.id is not None and not (isinstance(options.id, str) and is_id(options.id)):
        raise InvalidOption(f"id={options.id!r}: make ids with coordq.new_id().", option="id")
    _check_headers(options.headers)
    if options.limits != () or options.cost != 1 or options.cost is True:
        check_limits(options.limits, options.cost)


def _check_choice(option: str, value: object, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise InvalidOption(f"{option}={value!r}: use one of {', '.join(allowed)}.", option=option)


def _check_times(options: Options) -> None:
    for name in (
        "delay",
        "unique_for",
        "timeout",
        "expires",
        "total_timeout",
        "result_ttl",
        "wait",
    ):
        seconds(name, getattr(options, name))
    if options.at is not None:
        moment_ms(options.at)
        if options.delay:
            raise InvalidOption("delay and at say the same thing twice: give one.", option="at")
    if options.unique_for and options.unique is None:
        raise InvalidOption("unique_for needs unique.", option="unique_for")
    _check_duplicates(options)
    key = options.unique
    if key is not None and (not isinstance(key, str) or not key):
        raise InvalidOption(f"unique={key!r}: give text that is not empty.", option="unique")


def _check_duplicates(options: Options) -> None:
    mode = options.on_duplicate
    if options.unique is None:
        return
    if mode == "throttle" and not options.unique_for:
        raise InvalidOption("on_duplicate='throttle' needs unique_for.", option="unique_for")
    if mode == "debounce" and not options.delay:
        raise InvalidOption("on_duplicate='debounce' needs delay.", option="delay")
    if mode == "keep-last" and options.unique_for:
        raise InvalidOption(
            "on_duplicate='keep-last' goes by what runs and waits, not by unique_for.",
            option="unique_for",
        )


def _check_routing(options: Options) -> None:
    if options.role != "":
        check_name("role", options.role)
    if options.tenant is not None:
        check_name("tenant", options.tenant)
    capabilities: object = options.capabilities
    if isinstance(capabilities, str) or not isinstance(
        capabilities, tuple | list | set | frozenset
    ):
        raise InvalidOption(
            f"capabilities={capabilities!r}: give a collection of names.", option="capabilities"
        )
    if len(capabilities) > CAPABILITIES_MAX:
        raise InvalidOption(
            f"{len(capabilities)} capabilities: at most {CAPABILITIES_MAX} may be required.",
            option="capabilities",
        )
    for capability in capabilities:
        check_name("capability", capability)


def _check_headers(headers: object) -> None:
    if headers is None:
        return
    if not isinstance(headers, Mapping) or not all(
        isinstance(key, str) and isinstance(value, str) for key, value in headers.items()
    ):
        raise InvalidOption("headers: give a mapping of text to text.", option="headers")
    try:
        "".join([*headers, *headers.values()]).encode()
    except UnicodeEncodeError as error:
        raise InvalidOption(
            "headers hold half a surrogate pair, which is not Unicode.", option="headers"
        ) from error
    if sum(len(key) + len(value) for key, value in headers.items()) > HEADERS_MAX:
        raise InvalidOption(f"headers hold over {HEADERS_MAX} characters.", option="headers")


def moment_ms(at: object) -> int:
    """Milliseconds since 1970. Raises InvalidTime for a naive datetime or a wrong unit."""
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise InvalidTime(
                f"at={at!r} has no time zone: use datetime.now(timezone.utc) or astimezone().",
                option="at",
            )
        at = at.timestamp()
    if not is_number(at, 0, 2**33):
        raise InvalidTime(f"at={at!r}: give an aware datetime or seconds since 1970.", option="at")
    return int(at * 1000)


def unique_digest(name: str, key: str) -> str:
    """What stands for a unique key in Redis: 22 characters, scoped to the task name."""
    text = f"{name}\0{key}".encode(errors="surrogatepass")
    return hashlib.blake2b(text, digest_size=11).hexdigest()


DEFAULTS: Final = Options()


@dataclass(frozen=True, slots=True)
class Template:
    """What all tasks with the same name and options share, ready to send."""

    spec: Spec
    text: str
    """The record's spec line."""
    delay: str
    on_full: str
    wait_s: float
    reject: bool
    """Whether a duplicate is refused rather than returned."""
    durable: bool = False
    """Whether a replica shall have the task before its producer hears of it."""
    force: bool = False
    """Whether it is enqueued also while the fleet is read-only."""
    on_duplicate: str = ""
    """What becomes of a task that waits when another comes with its unique key."""
    kin: Kin = (False, False)
    """What orders must share, besides their mode, to travel in one call: these two."""

    @property
    def head(self) -> tuple[str | int, ...]:
        """The group header that work/enqueue takes, without the amount."""
        spec = self.spec
        return (
            self.text,
            spec.queue,
            spec.line,
            self.delay,
            spec.expires_ms,
            spec.total_ms,
            spec.unique + self.on_duplicate,
            spec.unique_ms,
        )


def template(name: str, options: Options) -> Template:
    """The template for tasks called `name`. Raises InvalidName."""
    check_name("task", name)
    unique = unique_digest(name, options.unique) if options.unique is not None else ""
    spec = Spec(
        queue=options.queue,
        name=name,
        priority=options.priority,
        role=options.role,
        capabilities=tuple(sorted(set(options.capabilities))),
        max_attempts=options.max_attempts or 0,
        result_ttl=math.ceil(seconds("result_ttl", options.result_ttl)),
        expires_ms=_ms(options.expires),
        total_ms=_ms(options.total_timeout),
        timeout_ms=_ms(options.timeout),
        backoff=options.backoff,
        unique=unique,
        unique_ms=_ms(_held_for(options)),
        headers=dict(options.headers or {}),
        tenant=options.tenant or "",
        limits=_slots(options, unique),
        cost=float(options.cost),
    )
    delay = f"@{moment_ms(options.at)}" if options.at is not None else str(_ms(options.delay))
    return Template(
        spec=spec,
        text=write_spec(spec),
        delay=delay,
        on_full=options.on_full,
        wait_s=seconds("wait", options.wait),
        reject=options.on_duplicate == "reject",
        on_duplicate=ON_DUPLICATE[options.on_duplicate] if unique else "",
        durable=options.durability == "replica",
        force=options.force,
        kin=(options.durability == "replica", options.force),
    )


def _held_for(options: Options) -> Seconds:
    if options.on_duplicate != "debounce" or options.unique is None or options.unique_for:
        return options.unique_for
    return min(LONGEST_S, DEBOUNCES * seconds("delay", options.delay))


def _slots(options: Options, unique: str) -> tuple[str, ...]:
    slots = tuple(slot_text(limit) for limit in options.limits)
    return (*slots, f"{ONCE}:{unique}") if unique and options.on_duplicate == "keep-last" else slots


def _ms(value: Seconds) -> int:
    return math.ceil(seconds("time", value) * 1000)
