"""Calls whose effect a replica shall have before the caller hears of it.

WAIT counts the replicas that have what its own connection wrote last, so it follows the call on
the same connection. Between the two goes a write of our own: a call that is repeated after a lost
reply, or that finds another task under its unique key, may write nothing, and a WAIT without a
write before it would be content with replicas that lack what the first call wrote.

It narrows a window and does not close it. WAIT is no transaction: the task is on the primary and
may run whatever WAIT says, and a failover may still promote a replica that does not have it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from coordq.engine import keys
from coordq.engine.call import Call
from coordq.engine.wire import pack
from coordq.errors import InvalidOption, NotReplicated

T = TypeVar("T")
WAIT_S: Final = 1.0
"""How long a replica may take. One that follows needs milliseconds."""
MARK_MS: Final = 1000
ROLE: Final = pack(("ROLE",))


def replicated(call: Call[T], confirm: Callable[[T, bool], T]) -> Call[T]:
    """`call`, followed by a wait for one replica.

    confirm: makes the result, from that of `call` and whether a replica has its effect.
    """

    def read(reply: Any) -> T:
        answer, amount = reply
        return confirm(call.read(answer), amount > 0)

    return replace(call, read=read, replicas=1)


def wait(namespace: str, call: Call[Any]) -> tuple[bytes, bytes]:
    """What follows `call` on its connection: a write, and the wait for it. Two replies come."""
    key = keys.waited(keys.root(namespace, call.shard))
    mark = pack(("SET", key, "1", "PX", MARK_MS))
    return mark, pack(("WAIT", call.replicas, int(WAIT_S * 1000)))


def check(role: Any, where: str) -> None:
    """Raise NotReplicated when a server's ROLE shows no replica: nobody could confirm."""
    if isinstance(role, list) and role[0] == b"master" and not role[2]:
        raise NotReplicated(
            f'durability="replica" needs a replica, and none is connected to the Redis at {where}: '
            "nothing was sent. Attach one, or leave durability out.",
            ids=[],
        )


def refuse_fake() -> None:
    """Raise InvalidOption: a fake server has no replicas."""
    raise InvalidOption('durability="replica": fake:// has no replicas.', option="durability")
