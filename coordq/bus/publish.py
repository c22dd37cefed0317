"""Messages come in: many of one shard in a call, of any channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from coordq.bus.envelope import Parcel
from coordq.engine.call import Argument, Call

BATCH_MAX: Final = 500
BATCH_BYTES: Final = 1024 * 1024
MODES: Final = ("wait", "refuse", "shed")
UNKNOWN: Final = -1
ONCE: Final = "!"
"""How a nonce begins that is remembered for five minutes: of who may say the same again."""


class Posted(NamedTuple):
    """What became of a parcel."""

    id: str
    receivers: int
    """How many groups will be given it; 0: nobody asks for this topic, and it was not kept."""
    full: bool = False
    """The channel had no room: it was not taken; with mode "shed" it was left out for good."""
    unknown: bool = False
    """It was for an agent that does not exist."""


def publish(
    shard: int, parcels: Sequence[Parcel], *, mode: str = "wait", nonce: str
) -> Call[list[Posted]]:
    """Publish up to 500 parcels of one shard, in order.

    mode: "wait" and "refuse" take of each channel and lane as many as fit, from the first on;
    "wait" also asks to be woken when there is room. "shed" makes room by burying unread low ones.
    nonce: new for every call, kept when a call is repeated. One that begins with ONCE says what is
    said, and may come again in a later call, which has no effect then if the first one had.
    """
    args: list[Argument] = [nonce, mode]
    runs: list[int] = []
    place, amount_at = ("", ""), 0
    for parcel in parcels:
        if (parcel.channel, parcel.lane) != place:
            place = parcel.channel, parcel.lane
            amount_at = len(args) + 2
            args += (parcel.channel, parcel.lane, 0)
            runs.append(0)
        runs[-1] += 1
        args[amount_at] = runs[-1]
        args += (parcel.expires_ms, parcel.header, parcel.body)

    def read(reply: Any) -> list[Posted]:
        numbers = [int(word) for word in reply.split()]
        posted: list[Posted] = []
        for at, amount in enumerate(runs):
            receivers, taken = numbers[2 * at], numbers[2 * at + 1]
            some = parcels[len(posted) : len(posted) + amount]
            if receivers == UNKNOWN:
                posted += [Posted(each.id, 0, unknown=True) for each in some]
                continue
            posted += [Posted(each.id, receivers) for each in some[:taken]]
            posted += [Posted(each.id, 0, full=True) for each in some[taken:]]
        return posted

    return Call("bus/publish", shard, tuple(args), read)
