"""An audit: the plan of how a shard is read, and a way to run it by hand.

    keys      every task is compared with the books: lease, due, dead, cancels, its line
    books     every entry of lease, due, dead and cancels is compared with its task
    counters  small queues are counted in one step; large ones in pages, while they stand still

The leader's auditor drives the same plan, slowly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from coordq.client.orphans import Orphans
from coordq.client.plan import Command, Plan, chunks
from coordq.engine import keys
from coordq.engine.call import Call
from coordq.engine.connection import Engine
from coordq.work import audit
from coordq.work.audit import Finding, Sheet, Sum, Suspect

PAGE: Final = 500
READY_MAX: Final = 100_000
"""Ready tasks that are remembered until the lines are read: about 12 MB."""
LINE_PAGE: Final = 1000
SLOW_MAX: Final = 10
"""Suspects in a call of those whose line has to be read."""
TRIES: Final = 2
"""How often a large queue is counted anew when it has moved meanwhile."""


@dataclass(slots=True)
class Report:
    """What an audit has found so far."""

    tasks: int = 0
    """Records that were read."""
    suspects: int = 0
    findings: list[Finding] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    """Queues too large to be counted in one step, and too busy to be counted in several."""


@dataclass(slots=True)
class Audit:
    """One audit of one shard. `plan` is to be driven; `report` grows with it."""

    namespace: str
    shard: int
    look: bool = False
    """Say what is wrong and change nothing."""
    epoch: int | None = None
    report: Report = field(default_factory=Report)

    @property
    def root(self) -> str:
        """The prefix of the shard's keys."""
        return keys.root(self.namespace, self.shard)

    def plan(self) -> Plan[Report]:
        """Everything, once. Raises Deposed when a leader that has been followed drives it."""
        listed: list[bytes] = yield self._command("SMEMBERS", keys.queues(self.root))
        queues = {name.decode(errors="replace") for name in listed}
        orphans = Orphans(self.root, self.shard)
        yield from self._judge((yield from orphans.begin()))
        yield from self._keys(queues, orphans)
        yield from self._books()
        known = {finding.subject for finding in self.report.findings}
        lonely = yield from orphans.suspects()
        yield from self._judge([one for one in lonely if one[1].split(" ")[0] not in known])
        yield from self._counters(sorted(queues))
        return self.report

    def _command(self, *words: str | int) -> Command:
        return Command(self.shard, words)

    def _judge(self, suspects: Sequence[Suspect], *, size: int = PAGE) -> Plan[None]:
        """Have suspects looked at again, and mended."""
        self.report.suspects += len(suspects)
        for some in chunks(suspects, size):
            found = yield audit.repair(self.shard, some, epoch=self.epoch, look=self.look)
            self.report.findings += found

    def _records(self, ids: Sequence[str]) -> Plan[list[bytes | None]]:
        if not ids:
            return []
        return (yield self._command("MGET", *(keys.task(self.root, one) for one in ids)))  # type: ignore[no-any-return]

    # -- by key --------------------------------------------------------------------------------

    def _keys(self, queues: set[str], orphans: Orphans) -> Plan[None]:
        """Go through the keyspace; adds the queues that come up to `queues`."""
        members = yield self._command("SMEMBERS", keys.routes(self.root))
        routes = frozenset(member.decode(errors="replace") for member in members)
        ready: dict[str, str] = {}
        cursor = "0"
        while True:
            words = ("SCAN", cursor, "MATCH", f"{self.root}*", "COUNT", PAGE)
            after, names = yield self._command(*words)
            page = audit.sort_keys(self.root, names)
            unlisted = [name for name in page.books.pop("queue", ()) if name not in queues]
            queues.update(unlisted)
            yield from self._judge([("queue", name) for name in unlisted])
            yield from self._others(page.books)
            yield from self._judge((yield from orphans.lists(page.books.get("kids", ()))))
            for ids in chunks(page.tasks):
                records = yield from self._records(ids)
                orphans.read(ids, records)
                sheet = audit.read_records(self.root, ids, records, routes=routes)
                self.report.tasks += len(ids)
                ready |= sheet.ready
                yield from self._compare(sheet)
            cursor = after.decode()
            if cursor == "0" or len(ready) >= READY_MAX:
                yield from self._lines(ready)
                ready = {}
            if cursor == "0":
                return

    def _compare(self, sheet: Sheet) -> Plan[None]:
        """What the records of a page say, with the books."""
        suspects = sheet.suspects
        for key, members in (
            (keys.lease(self.root), sheet.leased),
            (keys.due(self.root), sheet.due),
            (keys.dead(self.root), sheet.dead),
        ):
            if members:
                scores = yield self._command("ZMSCORE", key, *members)
                suspects += audit.missing(members, scores)
        if sheet.cancels:
            known = yield self._command("SMISMEMBER", keys.cancels(self.root), *sheet.cancels)
            suspects += audit.missing(sheet.cancels, known)
        if sheet.payloads:
            there = (keys.payload(self.root, one) for one in sheet.payloads)
            if (yield self._command("EXISTS", *there)) < len(sheet.payloads):
                suspects += [("task", one) for one in sheet.payloads]
        if sheet.fences:
            last = yield self._command("GET", keys.fence(self.root))
            suspects += audit.ahead(sheet.fences, last)
        yield from self._judge(suspects)

    def _others(self, books: dict[str, list[str]]) -> Plan[None]:
        """Keys of a page that are no tasks."""
        for kind in ("line", "slot", "park"):
            yield from self._judge([(kind, rest) for rest in books.get(kind, ())])
        yield from self._flows(books.get("flow", ()))
        for kind in ("payload", "saved", "need"):
            for ids in chunks(books.get(kind, ())):
                there = yield self._command("EXISTS", *(keys.task(self.root, one) for one in ids))
                if there < len(ids):
                    yield from self._judge([(kind, one) for one in ids])
        for name in books.get("listening", ()):
            yield from self._listening(name)
        for digests in chunks(books.get("unique", ())):
            names = (keys.unique(self.root, digest) for digest in digests)
            holders = yield self._command("MGET", *names)
            records = yield from self._records([(one or b"-").decode() for one in holders])
            yield from self._judge(audit.ended(digests, records))

    def _listening(self, name: str) -> Plan[None]:
        """Whether those who listen for a signal wait for it."""
        cursor = "0"
        while True:
            words = ("ZSCAN", keys.listening(self.root, name), cursor, "COUNT", PAGE)
            after, flat = yield self._command(*words)
            who = [one.decode(errors="replace") for one in flat[::2]]
            yield from self._judge([("listening", f"{one} {name}") for one in who])
            cursor = after.decode()
            if cursor == "0":
                return

    def _lines(self, ready: dict[str, str]) -> Plan[None]:
        """Who of `ready` is in no line. Read from the end: claims take from the other side."""
        unseen = set(ready)
        for key in sorted(set(ready.values())):
            last = -1
            while True:
                words = ("LRANGE", key, last - LINE_PAGE + 1, last)
                entries = yield self._command(*words)
                unseen.difference_update(entry[:22].decode() for entry in entries)
                if len(entries) < LINE_PAGE or not unseen:
                    break
                last -= LINE_PAGE
        yield from self._judge([("standing", one) for one in sorted(unseen)], size=SLOW_MAX)

    # -- by book -------------------------------------------------------------------------------

    def _books(self) -> Plan[None]:
        """Whether lease, due, dead, waiting and cancels name tasks as they are."""
        for kind, key in (
            ("lease", keys.lease(self.root)),
            ("due", keys.due(self.root)),
            ("dead", keys.dead(self.root)),
            ("waiting", keys.waiting(self.root)),
            ("cancel", keys.cancels(self.root)),
        ):
            scan = "SSCAN" if kind == "cancel" else "ZSCAN"
            cursor = "0"
            while True:
                after, flat = yield self._command(scan, key, cursor, "COUNT", PAGE)
                step = 1 if kind == "cancel" else 2
                members = [one.decode(errors="replace") for one in flat[::step]]
                for some in chunks(members):
                    records = yield from self._records([_id_in(kind, one) for one in some])
                    yield from self._judge(audit.unfit(kind, some, records))
                cursor = after.decode()
                if cursor == "0":
                    break

    # -- counters ------------------------------------------------------------------------------

    def _counters(self, queues: Sequence[str]) -> Plan[None]:
        """Counts stand on what was mended before: a look that found something ends there."""
        if self.look and self.report.findings:
            return
        for some in chunks(queues, 100):
            counted = yield audit.recount(self.shard, some, epoch=self.epoch, look=self.look)
            self.report.findings += counted.findings
            for name in counted.large:
                yield from self._large(name, alone=len(some) == 1)

    def _large(self, queue: str, *, alone: bool) -> Plan[None]:
        """A queue that shared the room of a call with others, or is too large for one."""
        if not alone:
            counted = yield audit.recount(self.shard, [queue], epoch=self.epoch, look=self.look)
            self.report.findings += counted.findings
            if not counted.large:
                return
        for _ in range(TRIES):
            token, sums = yield from self._tally(queue)
            if not token:
                continue
            found = yield audit.correct(
                self.shard, queue, token, sums, epoch=self.epoch, look=self.look
            )
            if found is not None:
                self.report.findings += found
                return
        self.report.unsettled.append(queue)

    def _flows(self, flows: Sequence[str]) -> Plan[None]:
        """Accounts of flows."""
        yield from self._judge([("flow", one) for one in flows], size=SLOW_MAX)
        for one in flows:
            if (yield self._command("LLEN", keys.flow_ids(self.root, one))) > audit.COUNTED_MAX:
                yield from self._large_flow(one)

    def _large_flow(self, flow: str) -> Plan[None]:
        """A flow that is too large for one call. If it does not stand still it is not counted."""
        for _ in range(TRIES):
            token, start, left = "", "0", 0
            while start:
                page = yield audit.tally_flow(self.shard, flow, start)
                if not page.token:
                    return
                if page.token != (token or page.token):
                    break
                token, start, left = page.token, page.after, left + page.open
            else:
                yield from self._judge([("left", f"{flow} {token} {left}")])
                return

    def _tally(self, queue: str) -> Plan[tuple[str, dict[str, int]]]:
        """A queue's sums, and the token under which all pages were read; "" when it has moved."""
        places = [("lease", ""), ("due", "")]
        sums = {"line": Sum(), "park": Sum(), "due": Sum(), "lease": Sum()}
        first = ""
        while places:
            where, line = places.pop()
            start = "0"
            while start:
                page = yield audit.tally(self.shard, queue, where, line, start)
                if page.token != (first or page.token):
                    return "", {}
                sums[where].add(page)
                start = page.after
                if not first:
                    first = page.token
                    lines = yield from self._lines_of(queue)
                    places += [("line", one) for one in lines]
                    slots = yield self._command("SMEMBERS", keys.parks(self.root))
                    places += [("park", one.decode()) for one in slots]
        return first, {
            "ready": sums["line"].amount + sums["park"].amount,
            "scheduled": sums["due"].amount,
            "running": sums["lease"].amount,
            "bytes": sums["line"].size + sums["park"].size + sums["due"].size,
        }

    def _lines_of(self, queue: str) -> Plan[list[str]]:
        """The lines of a queue; a fair one is those of its tenants."""
        lines: list[str] = []
        heads = yield self._command("ZRANGE", keys.heads(self.root, queue), 0, -1)
        for line in (one.decode() for one in heads):
            if line.endswith("~"):
                tenants = yield self._command("ZRANGE", keys.fair(self.root, queue, line), 0, -1)
                lines += [line + tenant.decode() for tenant in tenants]
            else:
                lines.append(line)
        return lines


def _id_in(kind: str, member: str) -> str:
    """The task that an entry is about."""
    return member[-22:] if kind == "due" else member[:22]


def run(engine: Engine, *, look: bool, shard: int = 0) -> Iterator[Report]:
    """Audit a shard at once: the report after each step, complete when there is no other.

    Raises Unreachable and ReadOnly, as all that talks to Redis.
    """
    work = Audit(engine.namespace, shard, look)
    plan = work.plan()
    answer: Any = None
    while True:
        try:
            step = plan.send(answer)
        except StopIteration:
            yield work.report
            return
        if isinstance(step, Call):
            answer = engine.run(step)
        else:
            answer = engine.execute(step.shard, *step.words)
        yield work.report
