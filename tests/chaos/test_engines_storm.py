"""Everybody connects at once, and again after a restart; and hosts that vanish without a word."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from coordq.client.client import connect
from coordq.engine.aio import AsyncEngine, AsyncSocketLink, open_async_engine
from coordq.engine.connection import SocketLink, open_engine
from coordq.errors import Unreachable
from coordq.work.queue import overview
from tests.chaos.books import Books
from tests.servers import Server
from tests.waiting import wait_until, wait_until_async

pytestmark = [pytest.mark.live, pytest.mark.chaos]

NewServer = Callable[..., Server]
CLIENTS = 300


def test_three_hundred_clients_come_at_once_and_all_come_back(
    new_server: NewServer, namespace: str, tmp_path: Path
) -> None:
    """Each blocks on something, as clients do; none is left behind, and a fleet is among them."""
    server = new_server(appendonly="yes", appendfsync="always")

    async def story() -> None:
        async with AsyncExitStack() as stack:
            engines = await asyncio.gather(*(arrive(stack, n) for n in range(CLIENTS)))
            waiting = [asyncio.create_task(block(engine)) for engine in engines]
            await wait_until_async(lambda: blocked(server) >= CLIENTS, within=60, what="all")

            server.kill9()
            server.start()  # not in a thread: with that it would end
            await wait_until_async(lambda: blocked(server) >= CLIENTS, within=60, what="all again")
            server.ask("RPUSH", f"{namespace}:bell", *range(CLIENTS))

            assert all(await asyncio.gather(*waiting))
            assert len(await asyncio.gather(*(e.run(overview(0)) for e in engines))) == CLIENTS

    async def arrive(stack: AsyncExitStack, number: int) -> AsyncEngine:
        opening = open_async_engine(
            server.url, namespace=namespace, patience_s=60, name=f"storm-{number}"
        )
        return await stack.enter_async_context(await opening)

    async def block(engine: AsyncEngine) -> object:
        return await engine.execute(0, "BLPOP", f"{namespace}:bell", 60, timeout_s=60)

    with (
        connect(server.url, namespace=namespace, patience=60) as client,
        Books(tmp_path).fleet(server.url, namespace, processes=2),
    ):
        asyncio.run(story())
        assert client.work.run("echo", {"text": "back"}, wait_for=60) == "back"


def blocked(server: Server) -> int:
    """How many clients of the storm block on the server."""
    rows = server.ask("CLIENT", "LIST").splitlines()
    return sum(b"name=storm-" in row and b"cmd=blpop" in row for row in rows)


def test_who_finds_no_connection_left_waits_for_one(new_server: NewServer, namespace: str) -> None:
    """At `maxclients` a server hangs up on whoever comes: that passes, or is told in its words."""
    server = new_server(maxclients="12")

    async def story() -> None:
        async def visit() -> None:
            async with await open_async_engine(server.url, namespace=namespace, patience_s=60) as e:
                await e.execute(0, "PING")

        await asyncio.gather(*(visit() for _ in range(40)))

    asyncio.run(story())
    crowd: list[socket.socket] = []
    try:
        wait_until(lambda: crowd_in(server, crowd) == 12, what="those of before to have left")
        with pytest.raises(Unreachable, match="max number of clients"):
            open_engine(server.url, namespace=namespace, patience_s=2)
    finally:
        for line in crowd:
            line.close()


def crowd_in(server: Server, crowd: list[socket.socket]) -> int:
    """Try for one more connection; how many the server has taken."""
    line = socket.create_connection(("127.0.0.1", server.port))
    with suppress(ConnectionError):
        line.sendall(b"PING\r\n")
        if line.recv(64).startswith(b"+PONG"):
            crowd.append(line)
            return len(crowd)
    line.close()
    return len(crowd)


def test_the_kernel_watches_every_connection(redis_url: str, namespace: str) -> None:
    """A host that vanishes closes nothing: without keepalive a blocked call would never know."""
    with open_engine(redis_url, namespace=namespace) as engine:
        link = engine._take(0)
        assert isinstance(link, SocketLink)
        sync = link._connection._sock
        watched(sync)
        link.close()

    async def story() -> None:
        async with await open_async_engine(redis_url, namespace=namespace) as engine:
            link = await engine.connect(0)
            assert isinstance(link, AsyncSocketLink)
            watched(link._connection._writer.get_extra_info("socket"))
            await link.close()

    asyncio.run(story())


def watched(line: socket.socket) -> None:
    """Keepalive is on, and gives up in some ten seconds where the system lets us say so."""
    assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        idle, every, tries, unheard_ms = (
            line.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        )
        assert idle + every * tries <= 12
        assert unheard_ms <= 10_000
