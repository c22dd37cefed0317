"""A desk to work at by hand: what producers, workers and the clock do, one call each.

Every operation is the real one, on a real server. Only time is helped along: leases and due
moments are moved into the past instead of waiting for them. `audit` recounts the whole shard.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

from coordq.engine import keys
from coordq.engine.call import Argument, Call
from coordq.engine.connection import Engine
from coordq.ids import new_id
from coordq.work import beat as beating
from coordq.work import cancel, claim, finish, look, morgue, queue
from coordq.work import enqueue as ordering
from coordq.work.cancel import Cancellation
from coordq.work.claim import Ask, Claim, Claimed
from coordq.work.enqueue import Order, Receipt
from coordq.work.events import Event, read_entry
from coordq.work.finish import Outcome
from coordq.work.look import Glance
from coordq.work.options import DEFAULTS, template
from coordq.work.payload import dump_args
from coordq.work.queue import Queue
from coordq.work.task import Task
from tests.work.audit import audit

WORKER = "w1"
CLAIMANT = f"{WORKER}/1:a"
ERROR = b'{"type":"Boom","message":"it broke","reason":"error"}'
_BODIES = {
    "succeeded": b"null",
    "snooze": b"",
    "release": b"",
    "suspend": b'{"kind":"time","key":"nap"}',
}
_nonces = count(1)


def order(
    name: str = "job",
    args: dict[str, Any] | None = None,
    *,
    id: str | None = None,  # noqa: A002 - that is what the option is called
    mailbox: str = "",
    shard: int = 0,
    **options: Any,
) -> Order:
    """An order for one task, ready to be enqueued."""
    made = template(name, DEFAULTS.merge(**options))
    return Order(id or new_id(shard), made, dump_args(name, args or {}), mailbox)


def bulk(amount: int, name: str = "job", **options: Any) -> list[Order]:
    """Orders that differ in nothing but their ids and arguments: one group of a call."""
    first = order(name, **options)
    rest = (Order(new_id(), first.template, b'{"n":%d}' % n) for n in range(1, amount))
    return [first, *rest]


def ask(
    want: int = 1,
    *,
    queues: str = "default",
    served: Iterable[str] = ("job",),
    claimant: str = CLAIMANT,
    nonce: str | None = None,
    lease_ms: int = 60_000,
) -> Ask:
    """An ask by a worker that knows tasks named `job`."""
    return Ask(claimant, nonce or f"n{next(_nonces)}", want, queues, claim.serve(served), lease_ms)


class Desk:
    """One shard of a namespace, within reach."""

    def __init__(self, engine: Engine, shard: int = 0) -> None:
        self.engine = engine
        self.shard = shard
        self.root = keys.root(engine.namespace, shard)
        self.audited = True
        """Whether the books are balanced after the test; off where strangers scribbled in them."""

    # -- producers -----------------------------------------------------------------------------

    def place(self, what: Order, *, on_full: str | None = None) -> Receipt:
        """Enqueue one order."""
        return self.engine.run(ordering.enqueue(what, on_full=on_full))

    def place_all(self, orders: list[Order], *, on_full: str = "wait") -> list[Receipt]:
        """Enqueue several in one call."""
        return self.engine.run(ordering.enqueue_many(orders, on_full=on_full))

    def put(self, name: str = "job", args: dict[str, Any] | None = None, **options: Any) -> str:
        """Enqueue one task that must be accepted; its id."""
        made = order(name, args, shard=self.shard, **options)
        receipt = self.place(made)
        assert receipt == Receipt(made.id)
        return receipt.id

    # -- workers -------------------------------------------------------------------------------

    def claim(self, want: int = 1, **how: Any) -> Claimed:
        """What a worker gets that asks for `want`."""
        return self.engine.run(claim.claim(self.shard, ask(want, **how)))

    def take(self, **how: Any) -> Claim:
        """Claim the one task that must be there."""
        (taken,) = self.claim(1, **how).claims
        return taken

    def take_one(self, task_id: str, version: int = -1, **how: Any) -> Claim:
        """Claim one browsed task."""
        who = ask(1, **how)
        return self.engine.run(
            claim.claim_one(
                task_id,
                version=version,
                claimant=who.claimant,
                nonce=who.nonce,
                lease_ms=who.lease_ms,
            )
        )

    def finish(self, *outcomes: Outcome, then: Ask | None = None) -> finish.Finished:
        """Commit outcomes, and claim what `then` asks for."""
        return self.engine.run(finish.finish(self.shard, outcomes, then))

    def end(
        self, held: Claim, kind: str = "succeeded", body: bytes | None = None, delay_ms: int = 0
    ) -> str:
        """Commit the outcome of one claim; the verdict."""
        if body is None:
            body = _BODIES.get(kind, ERROR)
        outcome = Outcome(kind, held.id, held.fence, body, delay_ms)
        (verdict,) = self.finish(outcome).verdicts
        return verdict

    def beat(
        self, *held: Claim, worker: str = WORKER, lease_ms: int = 60_000, info: bytes = b"{}"
    ) -> beating.Beaten:
        """One heartbeat."""
        members = tuple(each.member for each in held)
        return self.engine.run(
            beating.beat(self.shard, beating.Pulse(worker, members, info, lease_ms))
        )

    def reap(self, limit: int = 100) -> beating.Reaped:
        """Take lapsed claims back."""
        return self.engine.run(beating.reap(self.shard, limit=limit))

    def release(
        self, *held: Claim, reason: str = "shutdown", claimants: tuple[str, ...] = ()
    ) -> int:
        """Give claims back; how many were still held."""
        members = [each.member for each in held]
        call = beating.release(self.shard, members, reason=reason, claimants=claimants)
        return len(self.engine.run(call))

    # -- everybody else ------------------------------------------------------------------------

    def cancel(self, task_id: str, reason: str = "no longer wanted") -> Cancellation:
        """Cancel a task, or ask its worker to."""
        return self.engine.run(cancel.cancel(task_id, reason=reason))

    def requeue(self, *ids: str) -> list[str]:
        """Make ended and scheduled tasks ready again."""
        return self.engine.run(morgue.requeue(ids))

    def forget(self, *ids: str) -> int:
        """Delete ended tasks."""
        return self.engine.run(morgue.forget(ids))

    def configure(self, name: str = "default", **settings: int | bool) -> Queue:
        """Change a queue's settings."""
        return self.engine.run(queue.configure(self.shard, name, **settings))

    def purge(self, name: str = "default", limit: int = 500) -> tuple[int, bool]:
        """Cancel waiting tasks: how many, and whether to call again."""
        return self.engine.run(queue.purge(self.shard, name, limit=limit))

    def overview(self) -> queue.Overview:
        """The shard at a glance."""
        return self.engine.run(queue.overview(self.shard))

    def queue(self, name: str = "default") -> Queue:
        """One queue of the overview."""
        return next(each for each in self.overview().queues if each.name == name)

    def glance(self, task_id: str) -> Glance:
        """A task and what surrounds it."""
        return self.engine.run(look.glance(task_id))

    def task(self, task_id: str) -> Task:
        """A task as it is now."""
        return self.glance(task_id).task

    def state(self, task_id: str) -> str:
        """The name of the state a task is in."""
        return self.task(task_id).state.value

    def events(self) -> list[Event]:
        """Everything that has happened, oldest first."""
        entries = self.redis("XRANGE", self.key("events"), "-", "+")
        return [event for entry in entries for event in read_entry(self.shard, entry)]

    def kinds(self, task_id: str) -> list[str]:
        """What has happened to one task."""
        return [event.kind for event in self.events() if event.subject == task_id]

    # -- the clock, and the drawers below ------------------------------------------------------

    def redis(self, *command: Argument) -> Any:
        """A plain command."""
        return self.engine.execute(self.shard, *command)

    def run(self, call: Call[Any]) -> Any:
        """Any other operation."""
        return self.engine.run(call)

    def key(self, rest: str) -> str:
        """The key that ends in `rest`."""
        return self.root + rest

    def now_ms(self) -> int:
        """What time it is for Redis."""
        seconds, micros = self.redis("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def lapse(self, *held: Claim, ago_ms: int = 1) -> None:
        """Let the leases of claims have run out."""
        for each in held:
            self.redis("ZADD", self.key("lease"), self.now_ms() - ago_ms, each.member)

    def make_due(self, *members: str, ago_ms: int = 1) -> None:
        """Let what was to happen later be due now."""
        for member in members:
            self.redis("ZADD", self.key("due"), self.now_ms() - ago_ms, member)

    def promote(self) -> None:
        """Let what is due happen: any claim does that, also one that can take nothing."""
        self.claim(1, served=("nothing-is-called-this",))

    def marks(self, route: str = "job", queue: str = "default") -> int:
        """How many waiting workers a route would wake."""
        return int(self.redis("ZCARD", self.key(f"marker:{queue}:{route}")))

    def dump(self) -> dict[str, bytes]:
        """Every key of the namespace with its contents, for "nothing was changed"."""
        return {name: self.redis("DUMP", name) for name in sorted(self.names())}

    def names(self) -> Iterator[str]:
        """Every key of the shard."""
        cursor: bytes | str = "0"
        while True:
            cursor, found = self.redis("SCAN", cursor, "MATCH", f"{self.root}*", "COUNT", 1000)
            yield from (name.decode() for name in found)
            if cursor == b"0":
                return

    def audit(self) -> None:
        """Recount the shard from its records and hold that against its books."""
        audit(self.redis, self.root)


def error(reason: str = "error", message: str = "it broke") -> bytes:
    """The body of an outcome that is not a success."""
    return json.dumps(
        {"type": "Boom", "message": message, "reason": reason}, separators=(",", ":")
    ).encode()
