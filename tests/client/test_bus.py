"""The bus through its doors: publish, read, ask, answer, in both clients."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from coordq.client.client import Client, connect
from coordq.client.client_async import AsyncClient, connect_async
from coordq.errors import AskFailed, GroupNotFound, Unreachable, WaitTimeout
from tests.client.hearing import now_ms
from tests.servers import Server
from tests.waiting import wait_until

pytestmark = pytest.mark.live


@pytest.fixture
def client(redis_url: str, namespace: str) -> Iterator[Client]:
    """A client of its own namespace."""
    with connect(redis_url, namespace=namespace) as client:
        yield client


@pytest.fixture
def another(redis_url: str, namespace: str) -> Iterator[Client]:
    """Somebody else's."""
    with connect(redis_url, namespace=namespace) as client:
        yield client


# -- sync ----------------------------------------------------------------------------------------


def test_publish_and_receive(client: Client, another: Client) -> None:
    """With everything that an envelope says."""
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with client.bus.subscribe("orders.*") as messages:
        said: dict[str, Any] = {
            "sender": "ada",
            "kind": "news",
            "correlation": "c",
            "causation": "t",
            "schema": 2,
        }
        published = another.bus.publish("orders.created", {"n": 1}, trace=trace, **said)
        delivery = messages.receive(60)
        assert delivery is not None
        delivery.ack()

        message = delivery.message
        assert published.receivers == 1
        assert (message.id, message.topic, message.body) == (
            published.id,
            "orders.created",
            {"n": 1},
        )
        assert {name: getattr(message, name) for name in said} == said
        assert (message.trace, message.priority, message.attempt) == (trace, "normal", 1)
        assert messages.receive(0) is None


def test_readers_without_a_group_are_each_given_all(client: Client) -> None:
    """And leave nothing behind."""
    with client.bus.subscribe("t.*") as one, client.bus.subscribe("t.*") as two:
        assert client.bus.publish("t.x", 1).receivers == 2
        assert [each.receive(60).body for each in (one, two)] == [1, 1]  # type: ignore[union-attr]

    assert client.bus.groups() == []
    assert client.bus.publish("t.x", 2).receivers == 0


def test_what_was_taken_and_not_handed_out_goes_back(client: Client) -> None:
    """At once, and without a delivery's being counted."""
    with client.bus.subscribe("t.*", group="g") as first:
        client.bus.publish_many([("t.x", n) for n in range(5)])
        delivery = first.receive(60)
        assert delivery is not None
        delivery.ack()

    with client.bus.subscribe(group="g") as second:
        found = second.receive_many(10, 60)
        assert [(each.body, each.message.attempt) for each in found] == [
            (n, 1) for n in range(1, 5)
        ]


def test_large_bodies_travel_compressed(client: Client) -> None:
    """If that was asked for; who reads sees nothing of it."""
    body = {"words": ["again"] * 5_000}
    with client.bus.subscribe("t.*") as messages:
        client.bus.publish("t.x", body, compress=True)
        assert client.bus.channel("t.x").bytes < 2_000
        assert messages.receive(60).body == body  # type: ignore[union-attr]


def test_a_question_is_answered_in_parts(client: Client, another: Client) -> None:
    """By an agent that reads its mailbox."""
    box = another.bus.subscribe("@ada")

    def answer() -> None:
        with box:
            delivery = box.receive(60)
            assert delivery is not None
            for word in delivery.body.split():
                delivery.reply(word, more=True)
            delivery.reply("done")

    agent = threading.Thread(target=answer)
    agent.start()
    parts = list(client.bus.ask_parts("ada", "to be or", timeout=60))
    agent.join()

    assert [(part.body, part.how) for part in parts] == [
        ("to", "part"),
        ("be", "part"),
        ("or", "part"),
        ("done", "last"),
    ]
    assert client.bus.group("@ada").figures["handled"] == 1


def test_nobody_answers_in_time(client: Client) -> None:
    """The asker does not wait for ever, and the question is not handled afterwards."""
    with client.bus.subscribe("@ada") as box:
        with pytest.raises(WaitTimeout):
            client.bus.ask("ada", "?", timeout=0.05)
        ended = now_ms(client)
        wait_until(lambda: now_ms(client) > ended + 1)

        assert box.receive(0) is None

    assert [letter.reason for letter in client.bus.dead()] == ["expired"]


def test_task_events_are_topics(client: Client) -> None:
    """A message for each task, acknowledged one by one."""
    with client.bus.subscribe("task.ready") as messages:
        handles = client.work.enqueue_many([("job", {"n": n}) for n in range(3)])
        client.work.cancel(handles[0].id)
        found = [messages.receive(60) for _ in range(3)]
        for each in found:
            assert each is not None
            assert (each.topic, each.message.kind) == ("task.ready", "event")
            each.ack()

        assert {each.body["id"] for each in found if each} == {one.id for one in handles}
        assert messages.receive(0) is None
        assert client.bus.group(messages.group.name).held == 0


def test_events_that_were_cut_off_leave_a_gap(client: Client) -> None:
    """The stream of events is capped by count: whoever is too slow is told so."""
    with client.bus.subscribe("task.ready") as messages:
        client.work.enqueue("job")
        assert messages.receive(60).topic == "task.ready"  # type: ignore[union-attr]
        client.work.enqueue_many([("job", {"n": n}) for n in range(10)])
        root = f"cq:{{{client.namespace}.0}}:"
        client.engine.execute(0, "XADD", f"{root}events", "MAXLEN", 1, "*", "e", "ready q j \nx")

        gap = messages.receive(60)

        assert gap is not None
        assert (gap.topic, gap.message.kind) == ("bus.gap", "gap")
        assert set(gap.body) == {"after", "until"}
        gap.ack()


def test_a_group_that_was_ended_is_said_to_its_reader(client: Client, another: Client) -> None:
    """It does not wait for ever for nothing."""
    with client.bus.subscribe("t.*", group="g") as messages:
        another.bus.unsubscribe("g")

        with pytest.raises(GroupNotFound):
            messages.receive(60)


def test_dead_letters_are_looked_at_revived_and_purged(client: Client) -> None:
    """Through the door."""
    with client.bus.subscribe("t.*", group="g") as messages:
        client.bus.publish_many([("t.x", n) for n in range(2)])
        for delivery in messages.receive_many(2, 60):
            delivery.reject("no\nuse")
        letters = client.bus.dead(group="g", channel="t.x")
        assert {letter.reason for letter in letters} == {"no use"}
        assert client.bus.dead(group="other") == []

        assert client.bus.purge_dead(letters[0].id) == 1
        assert client.bus.revive(letters[1].id) == 1
        assert client.bus.dead() == []
        again = messages.receive(60)
        assert again is not None
        assert (again.topic, again.message.attempt) == ("t.x", 1)
        again.ack()


# -- async ---------------------------------------------------------------------------------------


@asynccontextmanager
async def opened(url: str, namespace: str) -> AsyncIterator[AsyncClient]:
    """An async client."""
    async with connect_async(url, namespace=namespace) as client:
        yield client


def test_concurrent_messages_and_acks_travel_together(redis_url: str, namespace: str) -> None:
    """Five hundred publishes and five hundred acks are a few calls."""

    async def play() -> tuple[list[int], int]:
        async with opened(redis_url, namespace) as client:
            async with client.bus.subscribe("t.*", group="g", prefetch=500) as messages:
                before = await scripts_run(client)
                await asyncio.gather(*(client.bus.publish("t.x", n) for n in range(500)))
                found: list[int] = []
                while len(found) < 500:
                    some = await messages.receive_many(500, 60)
                    await asyncio.gather(*(each.ack() for each in some))
                    found += [each.body for each in some]
                calls = await scripts_run(client) - before
            assert (await client.bus.group("g")).figures["handled"] == 500
            return found, calls

    found, calls = asyncio.run(play())

    assert found == list(range(500))
    assert calls < 200


async def scripts_run(client: AsyncClient) -> int:
    """How many scripts the server has run, of whomever."""
    text = (await client.engine.execute(0, "INFO", "commandstats")).decode()
    for line in text.splitlines():
        if line.startswith("cmdstat_evalsha:"):
            return int(line.partition("calls=")[2].partition(",")[0])
    return 0


def test_questions_at_once_get_each_its_answer(redis_url: str, namespace: str) -> None:
    """Over one connection; an error is raised where it was asked."""

    async def play() -> None:
        async with (
            opened(redis_url, namespace) as client,
            client.bus.subscribe("sums.*", group="g") as messages,
        ):
            server = asyncio.create_task(serve(messages))
            asks = (client.bus.ask("sums.add", [n, 1], timeout=60) for n in range(50))
            assert await asyncio.gather(*asks) == [n + 1 for n in range(50)]
            with pytest.raises(AskFailed, match="no numbers") as failed:
                await client.bus.ask("sums.add", "x", timeout=60)
            assert failed.value.facts["by"] == "g"
            parts = [part.body async for part in client.bus.ask_parts("sums.add", [])]
            assert parts == ["nothing", 0]
            server.cancel()

    async def serve(messages: object) -> None:
        async for delivery in messages:  # type: ignore[attr-defined]
            if delivery.body == "x":
                await delivery.fail("bad", "no numbers")
                continue
            if not delivery.body:
                await delivery.reply("nothing", more=True)
            await delivery.reply(sum(delivery.body))

    asyncio.run(play())


def test_an_async_reader_gives_back_nacks_and_holds(redis_url: str, namespace: str) -> None:
    """As the sync one."""

    async def play() -> None:
        async with opened(redis_url, namespace) as client:
            async with client.bus.subscribe("t.*", group="g") as messages:
                await client.bus.publish("t.x", 1)
                first = await messages.receive(60)
                assert first is not None
                assert await first.hold()
                await first.nack(0, reason="again")
                again = await messages.receive(60)
                assert again is not None
                assert again.message.attempt == 2
                await again.reject("never")
                assert await messages.receive(0.01) is None
            assert [each.reason for each in await client.bus.dead()] == ["never"]
            assert (await client.bus.channel("t.x")).entries == 0

    asyncio.run(play())


def test_an_ack_that_did_not_reach_redis_can_be_made_again(
    namespace: str, new_server: Callable[..., Server]
) -> None:
    """The message is still ours to acknowledge."""
    server = new_server(appendonly="yes")
    with connect(server.url, namespace=namespace, patience=0.1) as client:
        messages = client.bus.subscribe("t.*", group="g")
        client.bus.publish("t.x", 1)
        delivery = messages.receive(60)
        assert delivery is not None
        server.stop()
        with pytest.raises(Unreachable):
            delivery.ack()
        server.restart()

        delivery.ack()

        assert client.bus.channel("t.x").entries == 0
        messages.close()


def test_a_reader_survives_an_outage(namespace: str, new_server: Callable[..., Server]) -> None:
    """It says so, once its patience is over; whoever asks again goes on."""
    server = new_server(appendonly="yes")

    async def play() -> None:
        async with (
            connect_async(server.url, namespace=namespace, patience=0.1) as client,
            client.bus.subscribe("t.*", group="g") as messages,
        ):
            assert await messages.receive(0.01) is None
            server.stop()
            with pytest.raises(Unreachable):
                await messages.receive(30)
            server.restart()
            await client.bus.publish("t.x", 1)
            delivery = await messages.receive(60)
            assert delivery is not None
            await delivery.ack()

    asyncio.run(play())


def test_events_are_read_again_after_their_stream_was_deleted(client: Client) -> None:
    """Somebody cleaned up too much."""
    with client.bus.subscribe("task.ready") as messages:
        assert messages.receive(0) is None
        client.engine.execute(0, "DEL", f"cq:{{{client.namespace}.0}}:events")
        assert messages.receive(0) is None
        client.work.enqueue("job")

        found = messages.receive(60)

        assert found is not None
        assert found.topic == "task.ready"
        found.ack()
