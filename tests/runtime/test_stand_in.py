"""An agent that is gone is replaced: its stand-in reads what is sent to it, until it is back."""

from __future__ import annotations

import signal
import textwrap
from pathlib import Path

import pytest

from coordq.bus.group import Group
from coordq.client.client import Client
from coordq.fleet.registry import StandIn, deputies
from tests.runtime.conftest import NewFleet
from tests.runtime.fleet import Fleet
from tests.runtime.present import serving
from tests.waiting import wait_until

pytestmark = pytest.mark.live

READER = """
    from pathlib import Path
    from coordq import Agent, Context

    agent = Agent("{name}")

    @agent.on()
    async def read(ctx: Context, body: str) -> str:
        with (Path(__file__).parent / "heard").open("a") as file:
            file.write("{name} " + body + "\\n")
        return "{name}"
"""


def worker(new_fleet: NewFleet, folder: Path, name: str) -> Fleet:
    """A worker whose only agent reads its mailbox."""
    file = folder / f"{name}.py"
    file.write_text(textwrap.dedent(READER.format(name=name)))
    return new_fleet(targets=(str(file),), beat_s=0.2, lease_s=1.0)


def heard(folder: Path) -> list[str]:
    """Who heard what, in order."""
    file = folder / "heard"
    return file.read_text().splitlines() if file.exists() else []


def test_a_stand_in_reads_what_is_sent_to_who_is_gone(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """Also what was sent before; and when that is back, it reads for itself."""
    ann = worker(new_fleet, tmp_path, "ann")
    worker(new_fleet, tmp_path, "bob")
    serving(client, "ann", "bob")
    client.bus.send("ann", "one")
    wait_until(lambda: heard(tmp_path) == ["ann one"], what="ann")
    ann.signal_all(signal.SIGKILL)
    client.bus.send("ann", "two")

    client.agents.stand_in("ann", "bob")

    wait_until(lambda: "bob two" in heard(tmp_path), what="bob in the place of ann")
    assert client.bus.ask("ann", "three", timeout=60) == "bob"
    wait_until(lambda: client.agents.get("ann").state == "away", what="ann to be away")
    worker(new_fleet, tmp_path, "ann")
    wait_until(lambda: client.agents.stand_ins() == {}, what="the end of the stand-in")


def read_up(client: Client, *groups: str) -> bool:
    """Whether nothing waits for these mailboxes, and nobody holds anything of them."""
    views = [client.bus.group(name) for name in groups]
    return not any(view.places or view.held for view in views)


def test_a_stand_in_hears_once_what_is_said_to_all(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """For itself. What is sent to who is gone still comes, and nothing of theirs lies about."""
    client.bus.add_group(Group("@ann"))
    client.agents.register("ann", ttl=1)
    worker(new_fleet, tmp_path, "bob")
    serving(client, "bob")
    client.agents.stand_in("ann", "bob")
    client.bus.broadcast("lunch")
    client.bus.send("ann", "mail")

    wait_until(lambda: "bob mail" in heard(tmp_path), what="bob in the place of ann")
    client.bus.broadcast("tea")

    wait_until(lambda: "bob tea" in heard(tmp_path), what="bob for himself")
    wait_until(lambda: read_up(client, "@ann", "@bob"), what="nothing to wait for anybody")
    assert sorted(heard(tmp_path)) == ["bob lunch", "bob mail", "bob tea"]


def test_a_stand_in_hears_for_another_what_it_may_not_hear_itself(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """Who speaks to all is linked with who is gone, and not with the stand-in: it is heard so."""
    client.bus.add_group(Group("@ann"))
    client.agents.register("ann", ttl=1)
    client.topology.set("graph", ["ann", "bob", "eve"], links=[("ann", "bob"), ("ann", "eve")])
    worker(new_fleet, tmp_path, "bob")
    serving(client, "bob")
    client.agents.stand_in("ann", "bob")

    client.bus.broadcast("lunch", sender="eve")

    wait_until(lambda: heard(tmp_path) == ["bob lunch"], what="bob in the place of ann")
    wait_until(lambda: client.bus.dead(group="@bob"), what="that it was not for bob himself")
    wait_until(lambda: read_up(client, "@ann", "@bob"), what="nothing to wait for anybody")
    assert heard(tmp_path) == ["bob lunch"]


def test_a_stand_in_of_a_stand_in_acts_for_both() -> None:
    """And circles, which cannot be set, would not be followed for ever."""

    def by(name: str) -> StandIn:
        return StandIn(name, "op", 1)

    assert deputies({"a": by("b"), "b": by("c")}) == {"a": "c", "b": "c"}
    assert deputies({"a": by("b"), "b": by("a")}).keys() == {"a", "b"}
    assert deputies({}) == {}
