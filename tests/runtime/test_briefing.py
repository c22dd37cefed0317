"""What a claim needs to know is asked for together with what others need."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from coordq.client.client import Client, connect
from coordq.engine import keys
from coordq.engine.aio import AsyncEngine, open_async_engine
from coordq.errors import ForeignData
from coordq.ids import new_id
from coordq.runtime.briefing import Briefer, wanted
from coordq.work.claim import Claim
from coordq.work.flow.inputs import InputGone
from tests.claims import claim_of
from tests.servers import Server

pytestmark = pytest.mark.live


@pytest.fixture
def server(new_server: Callable[..., Server]) -> Server:
    """A server that nobody else talks to."""
    return new_server()


@pytest.fixture
def client(server: Server, namespace: str) -> Iterator[Client]:
    """A client of it."""
    with connect(server.url, namespace=namespace) as client:
        yield client


def ended(client: Client, amount: int) -> list[str]:
    """Tasks whose result is their number."""
    root, ids = keys.root(client.namespace, 0), [new_id() for _ in range(amount)]
    for number, one in enumerate(ids):
        record = f"s3 7 1 0 1 - - -\ndefault n\n{{}}\n{number}"
        client.engine.execute(0, "SET", keys.task(root, one), record)
    return ids


def joining(inputs: dict[str, Any], **args: Any) -> Claim:
    """A claim of a task with inputs from others."""
    return claim_of("n", args=json.dumps({"$from": inputs, **args}).encode())


def kept(client: Client, **fields: str) -> Claim:
    """A claim of a task that has kept something."""
    claim = replace(claim_of("n"), saved=True)
    key = keys.saved(keys.root(client.namespace, 0), claim.id)
    flat = [word for name, text in fields.items() for word in (name.replace("_", ":"), text)]
    client.engine.execute(0, "HSET", key, *flat)
    return claim


def briefed(client: Client, claims: list[Claim]) -> list[Any]:
    """The claims with what they need, or why not."""

    async def run() -> list[Any]:
        async with await open_async_engine(
            client.engine.address.url, namespace=client.namespace
        ) as engine:
            return await _brief(engine, claims)

    return asyncio.run(run())


async def _brief(engine: AsyncEngine, claims: list[Claim]) -> list[Any]:
    briefer = Briefer(engine)
    asked: list[Awaitable[Claim]] = [briefer.brief(claim) for claim in claims]
    return await asyncio.gather(*asked, return_exceptions=True)


def calls(client: Client, command: str) -> int:
    """How often the server was asked something."""
    stats = client.engine.execute(0, "INFO", "commandstats").decode()
    lines = [line for line in stats.splitlines() if line.startswith(f"cmdstat_{command}:")]
    return int(lines[0].split("calls=")[1].split(",")[0]) if lines else 0


def test_claims_of_one_turn_are_briefed_with_one_request(client: Client) -> None:
    """A hundred that join a hundred parents each ask once for all of them."""
    parents = ended(client, 100)
    claims = [joining({"parts": parents}, me=me) for me in range(100)]
    before = calls(client, "mget")

    found = briefed(client, claims)

    assert calls(client, "mget") - before == 1
    assert {one.args for one in found} == {
        b'{"me":%d,"parts":[%s]}' % (me, b",".join(b"%d" % n for n in range(100)))
        for me in range(100)
    }


def test_what_cannot_be_had_concerns_only_the_task_that_wants_it(client: Client) -> None:
    """A parent that is gone, or a hash that a stranger wrote, is no reason to hold up others."""
    (parent,), gone = ended(client, 1), new_id()
    fine = kept(client, state='{"at":3}', w_go='{"value":7}', wait="{}", until="5")
    strange = kept(client, state="not JSON")
    claims = [
        joining({"n": gone}),
        strange,
        fine,
        joining({"n": parent}),
    ]

    missing, foreign, reminded, filled = briefed(client, claims)

    assert isinstance(missing, InputGone)
    assert isinstance(foreign, ForeignData)
    assert (reminded.memory.state, dict(reminded.memory.came)) == ({"at": 3}, {"go": {"value": 7}})
    assert filled.args == b'{"n":0}'


def test_a_plain_task_is_not_briefed() -> None:
    """It pays for a look at two things in hand."""
    assert not wanted(claim_of("n", text="from"))
    assert wanted(joining({}))
    assert wanted(replace(claim_of("n"), saved=True))
