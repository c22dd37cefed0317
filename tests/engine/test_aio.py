"""The async engine: the same promises on one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from coordq.engine.aio import LINKS_MAX, AsyncEngine, open_async_engine
from coordq.errors import QueueFull, ScriptMisuse, Unreachable
from coordq.work.enqueue import enqueue, enqueue_many
from coordq.work.queue import configure, overview
from tests.proxy import LossyProxy
from tests.servers import Server
from tests.waiting import wait_until_async
from tests.work.desk import bulk, order

Story = Callable[[AsyncEngine], Awaitable[None]]


def play(story: Story, url: str, namespace: str, *, patience_s: float = 10.0) -> None:
    """Run a story on an engine of its own."""

    async def run() -> None:
        async with await open_async_engine(
            url, namespace=namespace, name=namespace, patience_s=patience_s
        ) as engine:
            await story(engine)

    asyncio.run(run())


async def connections(engine: AsyncEngine) -> int:
    """How many connections of this engine's name the server sees."""
    clients: bytes = await engine.execute(0, "CLIENT", "LIST")
    return clients.count(f"name={engine.namespace} ".encode())


def test_calls_one_after_the_other_share_a_connection(redis_url: str, namespace: str) -> None:
    """As with the sync engine."""

    async def story(engine: AsyncEngine) -> None:
        for _ in range(20):
            await engine.execute(0, "PING")
        assert await connections(engine) == 1

    play(story, redis_url, namespace)


def test_calls_at_once_get_their_own_replies(redis_url: str, namespace: str) -> None:
    """Hundreds of coroutines, each with its own answer."""

    async def echo(engine: AsyncEngine, n: int) -> bool:
        return bool(await engine.execute(0, "ECHO", str(n)) == str(n).encode())

    async def story(engine: AsyncEngine) -> None:
        assert all(await asyncio.gather(*(echo(engine, n) for n in range(100))))

    play(story, redis_url, namespace)


def test_a_crowd_of_calls_does_not_open_a_crowd_of_connections(
    redis_url: str, namespace: str
) -> None:
    """A server has so many connections to give, and others want some too."""

    async def story(engine: AsyncEngine) -> None:
        seen = await asyncio.gather(*(engine.run(overview(0)) for _ in range(500)))
        assert len(seen) == 500
        assert await connections(engine) <= LINKS_MAX

    play(story, redis_url, namespace)


def test_a_window_of_calls_keeps_order_and_bounds(redis_url: str, namespace: str) -> None:
    """A hundred batches do not travel at once."""

    async def story(engine: AsyncEngine) -> None:
        batches = [bulk(10) for _ in range(100)]
        receipts = await engine.run_many(enqueue_many(batch, on_full="wait") for batch in batches)
        assert [r.id for each in receipts for r in each] == [o.id for b in batches for o in b]
        assert await connections(engine) <= 8

    play(story, redis_url, namespace)


def test_a_refusal_in_a_window_stops_the_rest(redis_url: str, namespace: str) -> None:
    """And is the error that the caller gets."""

    async def story(engine: AsyncEngine) -> None:
        await engine.run(configure(0, "default", high=3))
        calls = [enqueue_many(bulk(2), on_full="refuse") for _ in range(50)]
        with pytest.raises(QueueFull):
            await engine.run_many(calls)
        assert await engine.execute(0, "ECHO", "fine") == b"fine"

    play(story, redis_url, namespace)


def test_an_error_keeps_the_connection(redis_url: str, namespace: str) -> None:
    """An answer is an answer."""

    async def story(engine: AsyncEngine) -> None:
        for _ in range(5):
            with pytest.raises(ScriptMisuse):
                await engine.execute(0, "NO-SUCH-COMMAND")
        assert await connections(engine) == 1

    play(story, redis_url, namespace)


def test_a_cancelled_call_gives_its_connection_up(redis_url: str, namespace: str) -> None:
    """Its reply is still to come: the next call must not read it."""

    async def story(engine: AsyncEngine) -> None:
        for n in range(20):
            call = asyncio.create_task(engine.execute(0, "ECHO", "mine"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert await engine.execute(0, "ECHO", str(n)) == str(n).encode()

    play(story, redis_url, namespace)


def test_a_blocking_call_times_out_with_nothing(redis_url: str, namespace: str) -> None:
    """On a line of its own, so that nobody waits behind it."""

    async def story(engine: AsyncEngine) -> None:
        line = await engine.dedicated(0)
        assert await line.block("BLPOP", f"{namespace}:empty", timeout_s=0.01) is None
        waiting = asyncio.create_task(line.block("BLPOP", f"{namespace}:list", timeout_s=60))
        await engine.execute(0, "RPUSH", f"{namespace}:list", "x")
        assert await waiting == [f"{namespace}:list".encode(), b"x"]
        await line.close()

    play(story, redis_url, namespace)


def test_a_line_replaces_its_connection(proxy: LossyProxy, namespace: str) -> None:
    """Also while it blocks."""

    async def story(engine: AsyncEngine) -> None:
        line = await engine.dedicated(0)
        await line.execute("PING")
        waiting = asyncio.create_task(line.block("BLPOP", f"{namespace}:list", timeout_s=60))
        await asyncio.sleep(0)
        proxy.cut()
        await engine.execute(0, "RPUSH", f"{namespace}:list", "x")
        assert await waiting == [f"{namespace}:list".encode(), b"x"]
        await line.close()

    play(story, proxy.url, namespace)


def test_an_attempt_runs_plain_commands_in_one_go(redis_url: str, namespace: str) -> None:
    """The replies are in order, and the next call gets its own."""

    async def story(engine: AsyncEngine) -> None:
        line = await engine.dedicated(0)
        assert await line.attempt(("ECHO", "a"), ("ECHO", "b")) == [b"a", b"b"]
        assert await line.execute("ECHO", "c") == b"c"
        await line.close()

    play(story, redis_url, namespace)


def test_a_refused_attempt_keeps_the_connection_in_step(redis_url: str, namespace: str) -> None:
    """The command after the refused one was answered as well; that is nobody else's reply."""

    async def story(engine: AsyncEngine) -> None:
        line = await engine.dedicated(0)
        await line.execute("SET", f"{namespace}:text", "x")
        link = line.link
        assert await line.attempt(("ZCARD", f"{namespace}:text"), ("ECHO", "b")) is None
        assert await line.execute("ECHO", "c") == b"c"
        assert line.link is link
        await line.close()

    play(story, redis_url, namespace)


@pytest.mark.parametrize("loss", ["request", "reply"])
def test_an_attempt_that_is_lost_is_not_repeated(
    proxy: LossyProxy, namespace: str, loss: str
) -> None:
    """Whoever tries has something better to do than to wait; the line is as good as new."""

    async def story(engine: AsyncEngine) -> None:
        line = await engine.dedicated(0)
        await line.execute("PING")
        (proxy.drop_request if loss == "request" else proxy.drop_reply)(b"INCR")
        assert await line.attempt(("INCR", f"{namespace}:tries"), ("PING",)) is None
        tries = await line.execute("GET", f"{namespace}:tries")
        assert tries == (None if loss == "request" else b"1")
        await line.close()

    play(story, proxy.url, namespace)


def test_an_attempt_without_a_server_answers_nothing(
    new_server: Callable[..., Server], namespace: str
) -> None:
    """As quickly as that is known."""
    server = new_server()

    async def story(engine: AsyncEngine) -> None:
        line = await engine.dedicated(0)
        server.kill9()
        assert await line.attempt(("PING",)) is None

    play(story, server.url, namespace)


@pytest.mark.chaos
def test_silence_is_no_reply(
    new_server: Callable[..., Server], namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a server that is frozen or cut off; nor is its late answer one to the next request."""
    server = new_server()

    async def story(engine: AsyncEngine) -> None:
        line = await engine.dedicated(0)
        assert await line.execute("ECHO", "before") == b"before"
        engine.patience_s = 0.1
        server.pause()
        try:
            with pytest.raises(Unreachable, match="did not answer"):
                await line.execute("ECHO", "lost")
        finally:
            server.resume()
        engine.patience_s = 60
        assert await line.execute("ECHO", "after") == b"after"
        await line.close()

    monkeypatch.setattr("coordq.engine.aio.REPLY_TIMEOUT_S", 0.3)
    play(story, server.url, namespace, patience_s=60)


def test_idle_connections_that_broke_are_replaced(proxy: LossyProxy, namespace: str) -> None:
    """All at once, when Redis was restarted."""

    async def story(engine: AsyncEngine) -> None:
        await asyncio.gather(*(engine.execute(0, "PING") for _ in range(10)))
        proxy.cut()
        answers = await asyncio.gather(*(engine.run(enqueue(order())) for _ in range(10)))
        assert all(receipt.created for receipt in answers)

    play(story, proxy.url, namespace)


def test_a_redis_that_is_down_is_unreachable_after_the_patience(
    proxy: LossyProxy, namespace: str
) -> None:
    """And reachable when it is back."""

    async def story(engine: AsyncEngine) -> None:
        proxy.refuse()
        with pytest.raises(Unreachable):
            await engine.run(enqueue(order()))
        proxy.accept()
        assert (await engine.run(enqueue(order()))).created

    play(story, proxy.url, namespace, patience_s=0.3)


def test_closing_hangs_up(redis_server: Server, namespace: str) -> None:
    """Every connection, and twice is fine."""

    async def story(engine: AsyncEngine) -> None:
        await asyncio.gather(*(engine.execute(0, "PING") for _ in range(5)))
        await engine.close()
        name = f"name={namespace} ".encode()
        await wait_until_async(lambda: name not in redis_server.ask("CLIENT", "LIST"))

    play(story, redis_server.url, namespace)
