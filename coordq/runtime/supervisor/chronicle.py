"""What was done while a part of the fleet was away: counted when that begins and when it ends."""

from __future__ import annotations

from typing import Any, Final

from coordq.engine import keys
from coordq.fleet.partition import Books
from coordq.runtime.supervisor.term import Term
from coordq.work.events import read_entry
from coordq.work.queue import overview

PAGE: Final = 1000


async def books_of(term: Term) -> Books:
    """The counters of all queues, summed."""
    queues = [
        queue for shard in range(term.shards) for queue in (await term.run(overview(shard))).queues
    ]
    return Books(
        enqueued=sum(queue.enqueued for queue in queues),
        succeeded=sum(queue.succeeded for queue in queues),
        taken_back=sum(queue.lapsed for queue in queues),
    )


async def refused_since(term: Term, since_ms: int) -> int:
    """How many finishes by an old fence were refused, as far back as events are kept."""
    amount = 0
    for shard in range(term.shards):
        key = keys.events(keys.root(term.engine.namespace, shard))
        after = str(since_ms)
        while True:
            page: list[Any] = await term.engine.execute(
                shard, "XRANGE", key, after, "+", "COUNT", PAGE
            )
            refused = (entry for entry in page if entry[1][1].startswith(b"refused "))
            amount += sum(len(list(read_entry(shard, entry))) for entry in refused)
            if len(page) < PAGE:
                break
            after = "(" + page[-1][0].decode()
    return amount
