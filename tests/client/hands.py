"""Hands that do tasks one at a time, where a whole worker would be too much.

They use the scripts a worker uses: claim, finish, report. Sync hands also serve async tests, since
both clients see the same Redis.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from coordq import Client
from coordq.engine import keys
from coordq.work.claim import Ask, Claim, claim, serve
from coordq.work.finish import Finished, Outcome, finish
from coordq.work.report import report


def take(
    client: Client, *names: str, queue: str = "default", shard: int = 0, want: int = 1
) -> list[Claim]:
    """Claim up to `want` ready tasks with these names ("job" by default)."""
    ask = Ask("hands/0:1", uuid4().hex, want, queue, serve(names or ("job",)))
    return list(client.engine.run(claim(shard, ask)).claims)


def take_one(client: Client, *names: str, queue: str = "default", shard: int = 0) -> Claim:
    """Claim the next task; fails when there is none."""
    (one,) = take(client, *names, queue=queue, shard=shard)
    return one


def end(client: Client, held: Claim, kind: str, body: Any = None, delay_ms: int = 0) -> Finished:
    """Commit how a run ended: `end(client, claim, "succeeded", 42)`."""
    outcome = Outcome(kind, held.id, held.fence, json.dumps(body).encode(), delay_ms)
    return client.engine.run(finish(int(held.id[9:11], 32), [outcome]))


def succeed(client: Client, held: Claim, result: Any = None) -> None:
    """The task returned `result`."""
    assert end(client, held, "succeeded", result).verdicts == ("ok",)


def bury(client: Client, held: Claim, message: str = "broken", reason: str = "exception") -> None:
    """The task failed for good."""
    error = {"type": "ValueError", "message": message, "traceback": "", "reason": reason}
    assert end(client, held, "failed", error).verdicts == ("ok",)


def say(client: Client, held: Claim, *lines: str, progress: dict[str, Any] | None = None) -> None:
    """The task reports lines for its log, and how far it is."""
    assert client.engine.run(report(held.member, progress=progress, lines=lines))


def is_awaited(client: Client, task_id: str) -> bool:
    """Whether a mailbox stands in the task's record: somebody's wait has reached Redis."""
    key = keys.task(keys.root(client.namespace, int(task_id[9:11], 32)), task_id)
    life = client.engine.execute(int(task_id[9:11], 32), "GET", key).split(b"\n")[0]
    return len(life.split(b" ")) > 6 and life.split(b" ")[6] != b"-"
