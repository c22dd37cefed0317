"""Waiting for a letter, for code that blocks. `mailbox.py` does it for event loops."""

from __future__ import annotations

from typing import TypeVar

from coordq.client.letters import Letters
from coordq.client.plan import BLOCK_S
from coordq.clock import monotonic
from coordq.engine import keys
from coordq.engine.call import blocking
from coordq.engine.connection import Engine
from coordq.ids import shard_of

T = TypeVar("T")


def wait(
    engine: Engine, letters: Letters[T], subject: str, mailbox: str, timeout: float | None
) -> T:
    """What the letter about `subject` says, for a caller that has this mailbox to itself.

    The mailbox is known at Redis already. Raises WaitTimeout, NotFound.
    """
    deadline = None if timeout is None else monotonic() + timeout
    shard = shard_of(subject)
    key = keys.mailbox(keys.root(engine.namespace, shard), mailbox)
    while True:
        left = BLOCK_S if deadline is None else deadline - monotonic()
        if left <= 0:
            raise letters.too_late(subject, timeout or 0)
        block = min(left, BLOCK_S)
        reply = engine.execute(shard, "BLPOP", key, blocking(block), timeout_s=block)
        if reply is None:
            (found,) = engine.run(letters.watch([subject], mailbox))
            if found is not None:
                ended: T = found
                return ended
        else:
            about, said = letters.read(reply[1])
            if about == subject:
                return said
