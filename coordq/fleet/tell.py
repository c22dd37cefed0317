"""What the leader has to say: events under its epoch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from coordq.engine.call import Argument, Call
from coordq.ids import new_id

_APART: Final = re.compile(r"[\s,]+")

Telling = tuple[str, str, str]
"""Kind, subject (who or what it is about), detail (words for people)."""


def tell(shard: int, epoch: int | None, events: Iterable[Telling]) -> Call[None]:
    """Write events of the leader on a shard's stream, once however often the call is repeated.

    epoch: None for who does not lead, such as a fleet spawner. Raises Deposed.
    """
    args: list[Argument] = ["" if epoch is None else epoch, new_id()]
    for kind, subject, detail in events:
        args += [kind, _APART.sub("-", subject) or "-", " ".join(detail.split())]
    return Call("fleet/tell", shard, tuple(args), lambda _: None)
