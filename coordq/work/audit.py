"""Do the books agree with the records? Suspicions are found here, judged and mended in Lua.

A task's record is the truth; lines, leases, due moments, dead letters, unique keys and counters are
kept beside it. An audit reads all of them page by page while work goes on, so a page may be older
than the one it is compared with: what does not agree is only suspect. `work/repair` looks again at
each suspect in one step, and in one step nothing is ever half-way.

Pure: from what was read to what is suspect. Who reads is `coordq.client.audit`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from coordq.engine import keys
from coordq.engine.call import Argument, Call
from coordq.ids import is_id

Suspect = tuple[str, str]
"""Kind, as work/repair knows them, and subject."""

_HEAD: Final = re.compile(
    rb"([a-z])\d+(?: (\d+) \d+ \d+ \d+ [^ \n]+ [^ \n]+ ([^ \n]+))?"
    rb"\n([^ \n]+) ([^ \n]+)([^\n]*)\n(@?)"
)
_OPTION: Final = re.compile(r" ([prdT])=([^ ]+)")
_BOOKS: Final = {
    "p:": "payload",
    "unique:": "unique",
    "line:": "line",
    "queue:": "queue",
    "slots:": "slot",
    "park:": "park",
    "saved:": "saved",
    "need:": "need",
    "kids:": "kids",
    "listening:": "listening",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was wrong, in words."""

    shard: int
    subject: str
    """A task id, or the name of a queue."""
    wrong: str
    """`it ran without a lease: given back`; what follows the colon was done."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"shard": self.shard, "subject": self.subject, "wrong": self.wrong}


@dataclass(slots=True)
class Keys:
    """A page of a shard's keys, sorted by what they are."""

    tasks: list[str] = field(default_factory=list)
    """Ids."""
    books: dict[str, list[str]] = field(default_factory=dict)
    """Kind of suspect -> subjects."""


def sort_keys(root: str, names: Iterable[bytes]) -> Keys:
    """What the keys of a page are; those that an audit does not look at are left out."""
    page = Keys()
    start = len(root)
    for name in names:
        rest = name.decode(errors="replace")[start:]
        if rest[:2] == "t:":
            if is_id(rest[2:]):
                page.tasks.append(rest[2:])
            continue
        if rest[:5] == "flow:":
            if is_id(rest[5:]):
                page.books.setdefault("flow", []).append(rest[5:])
            continue
        for prefix, kind in _BOOKS.items():
            if rest.startswith(prefix):
                page.books.setdefault(kind, []).append(rest[len(prefix) :])
                break
    return page


@dataclass(slots=True)
class Sheet:
    """What the records of a page say; each list is compared with another book."""

    suspects: list[Suspect] = field(default_factory=list)
    """Suspect by their record alone."""
    ready: dict[str, str] = field(default_factory=dict)
    """Id -> the key of the line it should stand in."""
    leased: list[str] = field(default_factory=list)
    """Members that should be in lease."""
    due: list[str] = field(default_factory=list)
    """Members that should be in due."""
    dead: list[str] = field(default_factory=list)
    """Ids that should be in dead."""
    cancels: list[str] = field(default_factory=list)
    """Ids that should be in cancels."""
    payloads: list[str] = field(default_factory=list)
    """Ids whose arguments are kept apart."""
    fences: dict[str, int] = field(default_factory=dict)


def read_records(
    root: str, ids: Sequence[str], records: Sequence[bytes | None], *, routes: frozenset[str]
) -> Sheet:
    """Sort the tasks of a page by what has to be compared.

    routes: the requirements that workers can learn of, `<queue> <route>`.
    """
    sheet = Sheet()
    for task_id, record in zip(ids, records, strict=True):
        if record is None:
            continue
        head = _HEAD.match(record)
        if head is None:
            sheet.suspects.append(("task", task_id))
            continue
        state = head[1]
        if head[2] not in {None, b"0"}:
            sheet.fences[task_id] = int(head[2])
        if state in b"sc":
            continue
        if state in b"wp":
            sheet.suspects.append(("task", task_id))
        elif state == b"f":
            sheet.dead.append(task_id)
        else:
            _read_alive(sheet, root, task_id, head, routes)
    return sheet


def _read_alive(
    sheet: Sheet, root: str, task_id: str, head: re.Match[bytes], routes: frozenset[str]
) -> None:
    """A task that is scheduled, ready or running."""
    state, flags = head[1], head[3] or b"-"
    queue, name = head[4].decode(), head[5].decode()
    options = dict(_OPTION.findall(head[6].decode())) if head[6] else {}
    # it says that it holds slots of limits
    sheet.suspects += [("task", task_id)] if b"h" in flags else []
    if "d" in options and b"k" not in flags:
        sheet.due.append(f"y{task_id}")
    if state == b"r":
        sheet.leased.append(f"{task_id}|{(head[2] or b'0').decode()}")
        if b"x" in flags or b"k" in flags:
            sheet.cancels.append(task_id)
        return
    if head[7]:
        sheet.payloads.append(task_id)
    route = f"{name}@{options['r']}" if "r" in options else name
    if "r" in options and f"{queue} {route}" not in routes:
        sheet.suspects.append(("task", task_id))
    if state == b"d":
        sheet.due.append(task_id)
    elif state == b"q":
        tenant = f"~{options['T']}" if "T" in options else ""
        sheet.ready[task_id] = keys.line(root, queue, options.get("p", "2") + route + tenant)


def missing(members: Sequence[str], scores: Sequence[Any]) -> list[Suspect]:
    """The tasks of those members that a book does not have: their score is None or 0."""
    return [
        ("task", member.partition("|")[0][-22:])
        for member, score in zip(members, scores, strict=True)
        if not score
    ]


def ahead(fences: dict[str, int], last: bytes | None) -> list[Suspect]:
    """Tasks whose fence is above the last one given out: it would be given out again."""
    most = int(last) if last is not None and last.isdigit() else 0
    return [("task", task_id) for task_id, fence in fences.items() if fence > most]


_FIT: Final = {"lease": b"r", "cancel": b"r", "dead": b"f", "waiting": b"wp"}


def unfit(kind: str, members: Sequence[str], records: Sequence[bytes | None]) -> list[Suspect]:
    """Entries of lease, due, dead, waiting or cancels that do not agree with the records."""
    return [
        (kind, member)
        for member, record in zip(members, records, strict=True)
        if not _fits(kind, member, record)
    ]


def _fits(kind: str, member: str, record: bytes | None) -> bool:
    if record is None:
        return False
    state = record[:1]
    if kind == "due" and member[0] == "z":
        return state == b"p"
    if kind == "due":
        return state == b"d" if len(member) == 22 else state not in {b"s", b"f", b"c"}  # noqa: PLR2004 - an id
    if kind == "lease" and record.split(b" ", 2)[1:2] != [member[23:].encode()]:
        return False
    return state in _FIT[kind]


def ended(digests: Sequence[str], records: Sequence[bytes | None]) -> list[Suspect]:
    """Unique keys whose holder is gone or has ended."""
    return [
        ("unique", digest)
        for digest, record in zip(digests, records, strict=True)
        if record is None or record[:1] in b"sfc"
    ]


# -- calls -------------------------------------------------------------------------------------


def _mode(*, look: bool) -> str:
    return "look" if look else "repair"


def _findings(shard: int, flat: Sequence[bytes]) -> list[Finding]:
    words = [word.decode(errors="replace") for word in flat]
    return [Finding(shard, *pair) for pair in zip(words[::2], words[1::2], strict=True)]


def repair(
    shard: int, suspects: Sequence[Suspect], *, epoch: int | None = None, look: bool = False
) -> Call[list[Finding]]:
    """Judge suspects, at most 500, and mend what is wrong; the reply says what was.

    look: change nothing. epoch: the leader's; the reply then raises Deposed.
    """
    flat = [word for suspect in suspects for word in suspect]
    args: tuple[Argument, ...] = ("" if epoch is None else epoch, _mode(look=look), *flat)
    return Call("work/repair", shard, args, lambda reply: _findings(shard, reply))


@dataclass(frozen=True, slots=True)
class Recounted:
    """What counting queues in one step gave."""

    large: tuple[str, ...]
    """Queues of which not all could be counted in one step."""
    findings: tuple[Finding, ...]


def recount(
    shard: int, queues: Sequence[str], *, epoch: int | None = None, look: bool = False
) -> Call[Recounted]:
    """Count small queues, at most 100, and set the counters that are wrong."""

    def read(reply: Any) -> Recounted:
        large, flat = reply
        return Recounted(tuple(name.decode() for name in large), tuple(_findings(shard, flat)))

    args: tuple[Argument, ...] = ("" if epoch is None else epoch, _mode(look=look), *queues)
    return Call("work/recount", shard, args, read)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a large queue, counted."""

    token: str
    """What had happened to the queue; pages of different tokens do not add up."""
    after: str
    """Where the next page begins; "" after the last."""
    amount: int
    size: int
    """Bytes that these weigh."""
    doubtful: dict[bytes, int]
    """Tasks that another page may name too, and what they weigh."""


def tally(shard: int, queue: str, where: str, line: str, start: str) -> Call[Page]:
    """Count a page of a queue: where is line, park, due or lease; start "0", then `Page.after`."""

    def read(reply: Any) -> Page:
        token, after, amount, size, flat = reply
        doubtful = dict(zip(flat[::2], map(int, flat[1::2]), strict=True))
        return Page(token.decode(), after.decode(), int(amount), int(size), doubtful)

    return Call("work/tally", shard, (queue, where, line, start), read)


COUNTED_MAX: Final = 20_000
"""Tasks of a flow that `work/repair` counts in one step; more are counted by `tally_flow`."""


@dataclass(frozen=True, slots=True)
class FlowPage:
    """A page of a large flow, counted."""

    token: str
    """What had happened to the flow; pages of different tokens do not add up. "": not counted."""
    after: str
    open: int
    """Tasks that have not ended."""


def tally_flow(shard: int, flow_id: str, start: str) -> Call[FlowPage]:
    """Count a page of a flow; start "0", then `FlowPage.after`."""

    def read(reply: Any) -> FlowPage:
        return FlowPage(reply[0].decode(), reply[1].decode(), int(reply[2]))

    return Call("flow/tally", shard, (flow_id, start), read)


@dataclass(slots=True)
class Sum:
    """Pages of one place, added up."""

    amount: int = 0
    size: int = 0
    seen: set[bytes] = field(default_factory=set)

    def add(self, page: Page) -> None:
        """One more page; who was seen before does not count again."""
        self.amount += page.amount
        self.size += page.size
        for task_id, size in page.doubtful.items():
            if task_id not in self.seen:
                self.seen.add(task_id)
                self.amount += 1
                self.size += size


def correct(
    shard: int,
    queue: str,
    token: str,
    sums: dict[str, int],
    *,
    epoch: int | None = None,
    look: bool = False,
) -> Call[list[Finding] | None]:
    """Set what is wrong of ready, scheduled, running and bytes; None when the queue has moved."""

    def read(reply: Any) -> list[Finding] | None:
        return _findings(shard, reply[1]) if reply[0] == 1 else None

    amounts = (sums["ready"], sums["scheduled"], sums["running"], sums["bytes"])
    args: tuple[Argument, ...] = (
        "" if epoch is None else epoch,
        _mode(look=look),
        queue,
        token,
        *amounts,
    )
    return Call("work/correct", shard, args, read)
