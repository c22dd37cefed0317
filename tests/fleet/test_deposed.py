"""A leader that was paused and replaced: whatever it still sends, to whatever shard, is refused."""

from __future__ import annotations

from typing import Any

import pytest

from coordq.engine import scripts
from coordq.engine.call import Call
from coordq.engine.connection import Engine
from coordq.errors import Deposed
from coordq.fleet.election import Candidate, campaign, inaugurate
from tests.work.desk import Desk

SHARDS = 3
LEASE_MS = 60_000
"""None ends by itself between two dumps."""


def first_argument(name: str) -> str:
    """What the header says of ARGV[1]."""
    return "".join(scripts.load(name).args[:1])


LEADERS_SCRIPTS = [
    name for name in scripts.names() if first_argument(name).startswith("ARGV[1] epoch ")
]


def send(engine: Engine, name: str, shard: int, epoch: int) -> Any:
    """Call a leader's script under an epoch, with arguments that do not matter."""
    rest = ("0",) * (len(scripts.load(name).args) - 1)
    return engine.run(Call(name, shard, (epoch, *rest), lambda reply: reply))


def test_there_are_scripts_of_the_leader() -> None:
    """An empty list passes every rule."""
    assert {"work/reap", "work/tidy", "fleet/tell", "fleet/inaugurate"} <= set(LEADERS_SCRIPTS)


@pytest.mark.parametrize("name", LEADERS_SCRIPTS)
def test_what_a_paused_leader_still_sends_changes_nothing(engine: Engine, name: str) -> None:
    """Every script that takes an epoch, on every shard that the new leader has come to."""
    desks = [Desk(engine, shard) for shard in range(SHARDS)]
    old = engine.run(campaign(Candidate("old", LEASE_MS))).leader.epoch
    desks[0].redis("DEL", desks[0].key("leader"))
    new = engine.run(campaign(Candidate("new", LEASE_MS))).leader.epoch
    for desk in desks:
        engine.run(inaugurate(desk.shard, new))
        before = desk.dump()

        with pytest.raises(Deposed) as refused:
            send(engine, name, desk.shard, old)

        assert refused.value.epoch == new
        assert desk.dump() == before


def test_a_shard_that_the_new_leader_has_not_come_to_learns_from_its_first_write(
    engine: Engine,
) -> None:
    """A part may be faster than the inauguration, or the shard was away during that."""
    engine.run(inaugurate(1, 5))
    send(engine, "work/forward", 1, 7)

    with pytest.raises(Deposed):
        send(engine, "work/forward", 1, 5)
