"""A process is given again what it still handles: two runs of a message, side by side."""

from __future__ import annotations

import signal
import textwrap
from pathlib import Path

import pytest

from coordq.client.client import Client
from coordq.engine import bus_keys, keys
from tests.runtime.conftest import NewFleet
from tests.waiting import wait_until

pytestmark = pytest.mark.live

AGENT = """
    import asyncio
    from pathlib import Path
    from coordq import Agent, Context

    HERE = Path(__file__).parent
    agent = Agent("ada")

    def note(kind: str, ctx: Context) -> None:
        with (HERE / kind).open("a") as file:
            file.write(f"{ctx.attempt}\\n")

    @agent.on("slow", visibility=600)
    async def gated(ctx: Context) -> None:
        note("begun", ctx)
        while not (HERE / f"gate-{ctx.attempt}").exists():
            await asyncio.sleep(0.02)
        note("ended", ctx)
"""


def test_a_process_that_is_given_its_own_message_again_tells_the_runs_apart(
    new_fleet: NewFleet, client: Client, tmp_path: Path
) -> None:
    """It was stopped for longer than the visibility, and is itself who takes next.

    When the runs shared a name the end of the first was taken for that of the second, which then
    met an error of ours; and a drain did not wait for it. The visibility is so long that nobody
    holds it on between the moment that it is due and the one that it is taken.
    """
    file = tmp_path / "hearing.py"
    file.write_text(textwrap.dedent(AGENT))
    fleet = new_fleet(targets=(str(file),))
    held = bus_keys.held(keys.root(client.namespace, 0), "ada.gated")

    def noted(kind: str) -> list[str]:
        path = tmp_path / kind
        return path.read_text().split() if path.exists() else []

    client.bus.publish("slow", {})
    wait_until(lambda: noted("begun") == ["1"], what="the first run")
    (member,) = client.engine.execute(0, "ZRANGE", held, 0, -1)
    client.engine.execute(0, "ZADD", held, "XX", 0, member)
    wait_until(lambda: noted("begun") == ["1", "2"], what="the second run")
    (tmp_path / "gate-1").touch()
    wait_until(lambda: not client.engine.execute(0, "ZCARD", held), what="the acknowledgement")
    fleet.signal(signal.SIGTERM)
    (tmp_path / "gate-2").touch()

    assert fleet.wait() == 0
    assert noted("ended") == ["1", "2"]
    assert "could not be handled" not in fleet.log()
