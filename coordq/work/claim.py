"""One worker's right to tasks, for a while: lease and fence."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from coordq.engine import keys
from coordq.engine.call import Argument, Call
from coordq.errors import Conflict, ForeignData, TaskNotFound
from coordq.ids import shard_of
from coordq.work.spec import Spec, read_spec
from coordq.work.task import BY_LETTER

if TYPE_CHECKING:
    from coordq.work.waits import Memory

LEASE_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Claim:
    """A task that is ours to run until its lease ends."""

    id: str
    fence: int
    version: int
    attempt: int
    """From 1: the run now starting counts."""
    strikes: int
    spec: Spec
    args: bytes
    """A JSON object."""
    member: str
    """`id|fence`: what beats, finishes and reports are made with."""
    saved: bool = False
    """Whether an earlier run has kept something: see `work.saved`."""
    memory: Memory | None = None
    """What that is, once it was asked for."""

    @property
    def name(self) -> str:
        """The task's name."""
        return self.spec.name

    @property
    def queue(self) -> str:
        """The queue it came from."""
        return self.spec.queue


@dataclass(frozen=True, slots=True)
class Ask:
    """Who claims what, and how much of it."""

    claimant: str
    """`<worker>/<child>:<line>`; what follows the colon keeps two askers of a child apart."""
    nonce: str
    """New for every call; kept when a call is repeated."""
    want: int
    queues: str
    """Queue names in order of preference, separated by spaces."""
    served: str
    """Routes, each with a space before and after: see `serve`."""
    lease_ms: int = LEASE_MS

    @property
    def args(self) -> tuple[Argument, ...]:
        """As work/finish takes them."""
        return (self.claimant, self.nonce, self.want, self.lease_ms, self.queues, self.served)


NOBODY: Final = Ask("-", "-", 0, "", "")


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim got."""

    claims: tuple[Claim, ...]
    next_due_ms: int | None
    """From now until something is due on the shard; None when nothing is scheduled."""
    more: bool
    """There may be more for this claimant right now."""
    routes_version: int
    """Changes when `routes` would answer something new."""
    granted_ms: int = 0
    """When, by Redis's clock; 0 when nothing was granted."""


def serve(routes: Iterable[str]) -> str:
    """`routes` as `Ask.served` wants them."""
    return f" {' '.join(sorted(routes))} "


def serves(route: str, names: Collection[str], role: str, capabilities: Collection[str]) -> bool:
    """Whether an agent with these task names, role and capabilities may take tasks of `route`."""
    name, _, wanted = route.partition("@")
    if name not in names:
        return False
    wanted_role, *wanted_capabilities = wanted.split("+")
    return wanted_role in {"", role} and all(item in capabilities for item in wanted_capabilities)


def read_claim(task_id: bytes, record: bytes) -> Claim:
    """The claim that a granted record describes."""
    life, spec, args, *_ = record.split(b"\n", 3)
    version, fence, attempt, strikes, rest = life[1:].split(b" ", 4)
    name = task_id.decode()
    number = fence.decode()
    return Claim(
        name,
        int(number),
        int(version),
        int(attempt),
        int(strikes),
        read_spec(spec),
        args,
        f"{name}|{number}",
        not rest.endswith(b" -") and b"s" in rest.rpartition(b" ")[2],
    )


def read_claimed(granted: list[bytes], wait_ms: int, more: int, routes: int) -> Claimed:
    """What work/claim and work/finish answer about claims."""
    return Claimed(
        tuple(read_claim(granted[at], granted[at + 1]) for at in range(0, len(granted), 2)),
        None if wait_ms < 0 else wait_ms,
        more == 1,
        routes,
        _granted_ms(granted[1]) if granted else 0,
    )


def _granted_ms(record: bytes) -> int:
    """When a granted record came into its state."""
    return int(record.split(b" ", 5)[4])


def claim(shard: int, ask: Ask) -> Call[Claimed]:
    """The best ready tasks of a shard that the asker may take, at most `ask.want`."""
    return Call("work/claim", shard, ask.args, lambda reply: read_claimed(*reply))


def claim_one(
    task_id: str, *, version: int = -1, claimant: str, nonce: str, lease_ms: int = LEASE_MS
) -> Call[Claim]:
    """One browsed task, if its version is still the one that was seen (-1: any).

    The reply raises Conflict (with state and version as they are now, or the limit that has no room
    for it) and TaskNotFound.
    """

    def read(reply: Any) -> Claim:
        match reply[0]:
            case b"ok":
                return read_claim(reply[1], reply[2])
            case b"conflict":
                state = BY_LETTER[reply[1].decode()]
                raise Conflict(
                    f"Task {task_id} is {state.value} at version {int(reply[2])} now, not ready at "
                    f"version {version}: look at it again.",
                    id=task_id,
                    state=state.value,
                    version=int(reply[2]),
                )
            case b"limited":
                slot = unquote(reply[1].decode())
                raise Conflict(
                    f"Task {task_id} may not start now: limit {slot!r} has no room for it. "
                    f"See `coordq limit show {slot}`.",
                    id=task_id,
                    limit=slot,
                    state="ready",
                    version=version,
                )
            case b"foreign":
                raise ForeignData(f"The record of task {task_id} was not written by coordq.")
            case _:
                raise TaskNotFound(f"There is no task {task_id}.", id=task_id)

    args = (claimant, nonce, lease_ms, task_id, version)
    return Call("work/claim_one", shard_of(task_id), args, read)


def routes_key(root: str) -> str:
    """Where the routes with requirements are listed: a SET, read with SMEMBERS and `read_route`."""
    return keys.routes(root)


def read_route(member: bytes) -> str:
    """The route in a member of that set, which names the queue too."""
    return member.decode().partition(" ")[2]
