"""durability="replica": what a producer is told, in either client and in the shell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from coordq import Agent, connect, connect_async, new_id
from coordq.client.client import Client
from coordq.errors import InvalidOption, NotReplicated
from coordq.interfaces.cli.root import cli
from tests.replicas import Guarded, Pair
from tests.waiting import wait_until_async

pytestmark = pytest.mark.live

agent = Agent("keeper")


@agent.task(durability="replica")
async def keep(text: str) -> str:
    """A task whose every enqueue asks for a replica."""
    return text


@pytest.fixture(scope="module")
def pair(server_binary: object) -> Iterator[Pair]:
    """A master and its replica."""
    assert server_binary
    with Pair() as pair:
        yield pair


@pytest.fixture
def client(pair: Pair, namespace: str) -> Iterator[Client]:
    """On the master."""
    with connect(pair.master.url, namespace=namespace) as client:
        yield client


@pytest.fixture(autouse=True)
def _waits_fit(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A replica that is frozen need not be waited for in full; on a busy machine any other must."""
    short = "frozen" in request.fixturenames
    monkeypatch.setattr("coordq.engine.replica.WAIT_S", 0.3 if short else 30.0)


@pytest.fixture
def frozen(pair: Pair) -> Iterator[None]:
    """The replica is connected and says nothing."""
    pair.replica.pause()
    yield
    pair.replica.resume()


def test_an_enqueue_that_a_replica_has_returns_as_usual(client: Client) -> None:
    """One or many, by name or typed."""
    client.work.enqueue("job", durability="replica")
    many = client.work.enqueue_many([("job", {})] * 3, durability="replica")
    typed = keep.enqueue(client, "x")

    assert client.work.queue("default").ready == 5
    assert len({handle.id for handle in many}) == 3
    assert typed.created


@pytest.mark.usefixtures("frozen")
def test_who_is_not_confirmed_learns_what_is_done(client: Client) -> None:
    """The task is there; the error names it, and enqueueing it again has one effect."""
    task_id = new_id()
    for _ in range(2):
        with pytest.raises(NotReplicated, match="is on the primary") as caught:
            client.work.enqueue("job", id=task_id, durability="replica")
        assert caught.value.ids == [task_id]

    assert client.work.queue("default").ready == 1


@pytest.mark.usefixtures("frozen")
def test_a_bulk_is_enqueued_whole_and_then_told(client: Client) -> None:
    """Only those that asked are named; none is left out because another was not confirmed."""
    items: list[Any] = [("job", {}, {"durability": "replica"}), ("job", {}), ("job", {})]

    with pytest.raises(NotReplicated) as caught:
        client.work.enqueue_many(items)

    assert len(caught.value.ids) == 1
    assert client.work.queue("default").ready == 3


def give_up(pair: Pair) -> bool:
    """Whoever waits for the replica waits no longer; whether somebody did."""
    clients = pair.master.ask("CLIENT", "LIST").decode().splitlines()
    waiting = [line.split()[0].removeprefix("id=") for line in clients if "cmd=wait" in line]
    woken = [pair.master.ask("CLIENT", "UNBLOCK", id_) for id_ in waiting]
    return any(woken)


@pytest.mark.usefixtures("frozen")
def test_others_do_not_wait_with_those_who_wait(
    pair: Pair, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Concurrent async enqueues travel together, but only those that asked for a replica wait."""

    async def run() -> None:
        monkeypatch.setattr("coordq.engine.replica.WAIT_S", 60.0)
        async with connect_async(pair.master.url, namespace=namespace) as client:
            durable = [
                asyncio.create_task(client.work.enqueue("job", durability="replica"))
                for _ in range(20)
            ]
            await asyncio.sleep(0)
            plain = await asyncio.gather(*(client.work.enqueue("job") for _ in range(20)))
            assert not any(task.done() for task in durable), "they wait for it"
            assert len({handle.id for handle in plain}) == 20
            await wait_until_async(lambda: give_up(pair))
            monkeypatch.setattr("coordq.engine.replica.WAIT_S", 0.3)
            told = await asyncio.gather(*durable, return_exceptions=True)
            assert all(isinstance(error, NotReplicated) for error in told)
            with pytest.raises(NotReplicated):
                await client.work.enqueue_many([("job", {})] * 2, durability="replica")
            assert (await client.work.queue("default")).ready == 42

    asyncio.run(run())


def test_a_durability_that_does_not_exist_is_refused(client: Client) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidOption, match="primary, replica"):
        client.work.enqueue("job", durability="all")


def test_without_a_replica_the_shell_says_so(redis_url: str, namespace: str) -> None:
    """Exit code 1, the stable code, and nothing enqueued."""
    words = ["--url", redis_url, "--namespace", namespace, "--json"]

    result = CliRunner().invoke(cli, ["enqueue", "job", "--durability", "replica", *words])

    assert result.exit_code == 1
    assert "not-replicated" in result.output
    with connect(redis_url, namespace=namespace) as client:
        assert client.work.stats().queues == ()


def test_the_shell_asks_for_a_replica(pair: Pair, namespace: str) -> None:
    """Also for each line of a file."""
    where = ["--url", pair.master.url, "--namespace", namespace, "--json"]
    line = json.dumps({"name": "job", "options": {"durability": "replica"}})

    one = CliRunner().invoke(cli, ["enqueue", "job", "--durability", "replica", *where])
    many = CliRunner().invoke(cli, ["enqueue", "--file", "-", *where], input=f"{line}\n{line}\n")

    assert (one.exit_code, many.exit_code) == (0, 0)
    with connect(pair.master.url, namespace=namespace) as client:
        assert client.work.queue("default").ready == 3


@pytest.mark.chaos
@pytest.mark.usefixtures("server_binary")
def test_what_a_replica_confirmed_survives_the_failover(namespace: str) -> None:
    """The master is killed the moment the call returns."""
    with Guarded() as guarded, connect(guarded.url, namespace=namespace, patience=60) as client:
        handles = client.work.enqueue_many([("job", {})] * 1200, durability="replica")
        guarded.fail_over()

        assert client.work.queue("default").ready == len(handles)
        assert all(handle.get().state == "ready" for handle in handles[::100])
