"""A script was carried out and its reply never came: the repetition must have no second effect.

A room has scenes: each makes a call on a shard, and says what must be true once it had one effect.
The proxy loses the reply of the script under test once, for the sync and for the async engine; both
repeat the call by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from coordq.engine import scripts
from coordq.engine.aio import open_async_engine
from coordq.engine.call import Argument, Call
from coordq.engine.connection import Engine, open_engine
from tests.proxy import LossyProxy

Scenes = Mapping[str, Callable[[Any], tuple[Call[Any], Callable[[Any], None]]]]
"""By name: what makes the call, and says what it must have done. It is given the Place."""


class Place(Protocol):
    """One shard within reach: a Desk, or an Office."""

    engine: Engine

    def redis(self, *words: Argument) -> Any:
        """A plain command."""

    def names(self) -> Iterable[Any]:
        """All keys of the shard."""


def lose(place: Place, proxy: LossyProxy, call: Call[Any]) -> None:
    """The next reply to this script is lost. It is known to Redis, or the reply is NOSCRIPT."""
    script = scripts.load(call.script)
    place.redis("SCRIPT", "LOAD", script.source)
    proxy.drop_reply(script.sha.encode())


def run_sync(url: str, namespace: str, call: Call[Any]) -> Any:
    """The call's answer from a sync engine of its own."""
    with open_engine(url, namespace=namespace) as engine:
        return engine.run(call)


def run_async(url: str, namespace: str, call: Call[Any]) -> Any:
    """The call's answer from an async engine of its own."""

    async def run() -> Any:
        async with await open_async_engine(url, namespace=namespace) as engine:
            return await engine.run(call)

    return asyncio.run(run())


ENGINES = {"sync": run_sync, "async": run_async}


def has_one_effect(scenes: Scenes, name: str, place: Place, proxy: LossyProxy, kind: str) -> None:
    """Play a scene, lose the reply once, and hold what came of it against what must be true."""
    call, check = scenes[name](place)
    lose(place, proxy, call)

    answer = ENGINES[kind](proxy.url, place.engine.namespace, call)

    assert proxy.dropped == 1
    check(answer)


def all_calls(scenes: Scenes, place: Place) -> Iterator[Call[Any]]:
    """The call of each scene, each on an empty shard."""
    for build in scenes.values():
        place.redis("UNLINK", "-", *place.names())
        yield build(place)[0]


def untried(scenes: Scenes, place: Place, *rooms: str) -> set[str]:
    """Scripts of these rooms without a scene, and scenes of other scripts: none, that is."""
    tried = {call.script for call in all_calls(scenes, place)}
    return tried ^ {name for name in scripts.names() if name.split("/")[0] in rooms}
