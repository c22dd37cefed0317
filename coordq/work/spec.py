"""The spec line of a record: what was asked for when the task was enqueued; it never changes.

`<queue> <name>` and then one `<letter>=<value>` for each option that is not the default:

    p priority 0-3        r role+capability+...     m attempts       t result TTL, s
    x queue timeout, ms   d total timeout, ms       y run timeout, ms; of a node, its wait
    b backoff             u unique digest           U unique period, ms
    h headers, percent-encoded JSON
    c schedule@slot in ms; the slot is 0 for a run by hand
    T tenant              l limit[:key],...         C cost in units
    f flow                e edges, see lua/lib/edges.lua
    k its alternative     a whose alternative it is D pause after its parents, ms
    w what it waits for instead of running: a, s:<signal>, t
    B ids of the tasks that it was enqueued behind, without a flow; at most BEHIND_MAX
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from coordq.work.amount import shown

if TYPE_CHECKING:
    from coordq.work.backoff import Backoff

PRIORITIES: Final = ("critical", "high", "normal", "low")
NORMAL: Final = PRIORITIES.index("normal")
MAX_ATTEMPTS: Final = 3
RESULT_TTL_S: Final = 600
BEHIND_MAX: Final = 100
"""Tasks before it that a spec names; how many there are is counted elsewhere."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec line, read."""

    queue: str
    name: str
    priority: str = "normal"
    role: str = ""
    capabilities: tuple[str, ...] = ()
    max_attempts: int = 0
    """0: as the task's definition says, else MAX_ATTEMPTS."""
    result_ttl: int = RESULT_TTL_S
    """Seconds."""
    expires_ms: int = 0
    total_ms: int = 0
    timeout_ms: int = 0
    """Of one run; 0 = none."""
    backoff: Backoff | None = None
    """None: the task's own, else the default."""
    unique: str = ""
    unique_ms: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    schedule: str = ""
    """Which schedule made it, if one did."""
    slot_ms: int = 0
    """For which of its slots; 0: by hand."""
    tenant: str = ""
    """Whose task it is; tenants share a line fairly."""
    limits: tuple[str, ...] = ()
    """What it counts against besides queue, name and tenant; keys percent-encoded."""
    cost: float = 1
    """Units that it takes from budgets."""
    flow: str = ""
    """The id of the flow that it belongs to."""
    edges: tuple[str, ...] = ()
    """To tasks that wait for it, as in lua/lib/edges.lua; others are kept apart."""
    fallback: str = ""
    """The id of the task that takes its place when it fails for good."""
    stands_for: str = ""
    """The id of the task whose place it takes."""
    pause_ms: int = 0
    """How long it waits after the tasks before it."""
    waits: str = ""
    """What a node without a handler waits for: a, s:<signal> or t."""
    behind: tuple[str, ...] = ()
    """Ids of the tasks that it waits, or waited, for by depends_on."""

    @property
    def route(self) -> str:
        """Who may take the task: its name, and its requirement if it has one."""
        return route(self.name, self.role, self.capabilities)

    @property
    def line(self) -> str:
        """Where the task stands in its queue when ready."""
        line = f"{PRIORITIES.index(self.priority)}{self.route}"
        return f"{line}~{self.tenant}" if self.tenant else line


def requirement(role: str, capabilities: tuple[str, ...]) -> str:
    """`role+capability+...`, or "" when there is none."""
    return "+".join((role, *sorted(capabilities))) if role or capabilities else ""


def route(name: str, role: str = "", capabilities: tuple[str, ...] = ()) -> str:
    """`name`, or `name@role+capability+...`."""
    wanted = requirement(role, capabilities)
    return f"{name}@{wanted}" if wanted else name


def write_spec(spec: Spec) -> str:
    """The line for `spec`."""
    options = {
        "p": "" if spec.priority == "normal" else str(PRIORITIES.index(spec.priority)),
        "r": requirement(spec.role, spec.capabilities),
        "m": str(spec.max_attempts or ""),
        "t": "" if spec.result_ttl == RESULT_TTL_S else str(spec.result_ttl),
        "x": str(spec.expires_ms or ""),
        "d": str(spec.total_ms or ""),
        "y": str(spec.timeout_ms or ""),
        "b": spec.backoff.encode() if spec.backoff else "",
        "u": spec.unique,
        "U": str(spec.unique_ms or ""),
        "h": quote(json.dumps(spec.headers, separators=(",", ":"))) if spec.headers else "",
        "c": f"{spec.schedule}@{spec.slot_ms}" if spec.schedule else "",
        "T": spec.tenant,
        "l": ",".join(spec.limits),
        "C": "" if spec.cost == 1 else shown(spec.cost),
        "f": spec.flow,
        "e": ",".join(spec.edges),
        "k": spec.fallback,
        "a": spec.stands_for,
        "D": str(spec.pause_ms or ""),
        "w": quote(spec.waits, safe=":"),
        "B": ",".join(spec.behind),
    }
    tail = "".join(f" {letter}={value}" for letter, value in options.items() if value)
    return f"{spec.queue} {spec.name}{tail}"


def read_spec(line: bytes) -> Spec:
    """The spec that `line` holds. Raises ValueError when coordq did not write it."""
    # what belongs to a flow names it, and mostly others: no two such lines are equal
    return _parse(line) if b" f=" in line else _remembered(line)


def _parse(line: bytes) -> Spec:
    queue, name, *tail = line.decode().split(" ")
    options = dict(text.split("=", 1) for text in tail)
    role, *capabilities = options.get("r", "").split("+")
    schedule, _, slot = options.get("c", "").partition("@")
    return Spec(
        queue=queue,
        name=name,
        priority=PRIORITIES[int(options.get("p", NORMAL))],
        role=role,
        capabilities=tuple(capabilities),
        max_attempts=int(options.get("m", 0)),
        result_ttl=int(options.get("t", RESULT_TTL_S)),
        expires_ms=int(options.get("x", 0)),
        total_ms=int(options.get("d", 0)),
        timeout_ms=int(options.get("y", 0)),
        backoff=_backoff(options.get("b")),
        unique=options.get("u", ""),
        unique_ms=int(options.get("U", 0)),
        headers=json.loads(unquote(options["h"])) if "h" in options else {},
        schedule=schedule,
        slot_ms=int(slot or 0),
        tenant=options.get("T", ""),
        limits=tuple(filter(None, options.get("l", "").split(","))),
        cost=float(options.get("C", 1)),
        flow=options.get("f", ""),
        edges=tuple(filter(None, options.get("e", "").split(","))),
        fallback=options.get("k", ""),
        stands_for=options.get("a", ""),
        pause_ms=int(options.get("D", 0)),
        waits=unquote(options.get("w", "")),
        behind=tuple(filter(None, options.get("B", "").split(","))),
    )


_remembered = lru_cache(maxsize=4096)(_parse)


def _backoff(token: str | None) -> Backoff | None:
    if not token:
        return None
    from coordq.work.backoff import Backoff

    return Backoff.decode(token)
