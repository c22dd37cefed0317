"""The async engine: the same calls, on one event loop.

Besides the pool for single calls there are dedicated lines: a connection of one's own for a
blocking command, or for calls that must stay in order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol, Self, TypeVar

import redis
import redis.asyncio as aredis

from coordq.engine import fake, replica, schema
from coordq.engine.address import Address, parse
from coordq.engine.call import Argument, Call, blocking
from coordq.engine.reconnect import persist_async
from coordq.engine.topology import Endpoint, Plain, Sentinels, Topology, topology
from coordq.engine.trouble import LEFT, LostError, NoScriptError, closed, translate
from coordq.engine.wire import CONNECT_TIMEOUT_S, REPLY_TIMEOUT_S, Packer, connection_options, pack
from coordq.errors import RedisFull

T = TypeVar("T")
WINDOW = 4
"""How many calls of run_many are on their way at once."""
LINKS_MAX = 64
"""How many calls may be on their way at once, each on a link of its own; the others wait."""
_KINDS: dict[str, type[Any]] = {
    "tcp": aredis.Connection,
    "ssl": aredis.SSLConnection,
    "unix": aredis.UnixDomainSocketConnection,
}


class AsyncLink(Protocol):
    """One connection: requests go in as bytes, replies come out in order."""

    async def send(self, packed: bytes) -> None:
        """Hand a request to the kernel."""

    async def receive(self, timeout_s: float | None = None) -> Any:
        """The reply to the oldest request that has none."""

    async def close(self) -> None:
        """Hang up."""


class AsyncSocketLink:
    """An AsyncLink over redis-py's connection classes."""

    __slots__ = ("_connection", "endpoint")

    def __init__(self, endpoint: Endpoint, options: dict[str, Any]) -> None:
        self.endpoint = endpoint
        # Time limits are ours: redis-py's own use asyncio.wait_for, which costs a task for each
        # request, and on Python 3.11 swallows a cancel that comes as the request has been sent.
        self._connection = _KINDS[endpoint.kind](**options | {"socket_timeout": None})

    async def open(self) -> AsyncSocketLink:
        """Connect and authenticate."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S + REPLY_TIMEOUT_S):
                await self._connection.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def send(self, packed: bytes) -> None:
        """Hand a request to the kernel."""
        async with asyncio.timeout(REPLY_TIMEOUT_S):
            await self._connection.send_packed_command(packed, check_health=False)

    async def receive(self, timeout_s: float | None = None) -> Any:
        """The reply to the oldest request that has none."""
        # redis-py would take a time limit, and say None when it is over: that is a reply as well
        try:
            async with asyncio.timeout(timeout_s):
                return await self._connection.read_response()
        except TimeoutError as error:
            raise TimeoutError(f"no answer within {timeout_s} s") from error

    async def close(self) -> None:
        """Hang up."""
        await self._connection.disconnect(nowait=True)


class AsyncEngine:
    """A namespace on a Redis, for one event loop. Made by `open_async_engine`."""

    def __init__(self, address: Address, *, patience_s: float | None, name: str) -> None:
        self.address = address
        self.namespace = address.namespace
        self.shards = 1
        self.patience_s = patience_s
        self._name = name
        self._packer = Packer(address.namespace)
        self._topology: Topology | None = None
        self._idle: dict[int, deque[AsyncLink]] = {}
        self._doubted: set[int] = set()
        self._homes: dict[int, Endpoint] = {}
        """Where each shard was found last."""
        self._room = asyncio.Semaphore(LINKS_MAX)
        self._closed = False

    async def run(self, call: Call[T]) -> T:
        """Run one call. Raises Unreachable, RedisFull, ReadOnly, ForeignData, ScriptMisuse."""
        async with self._room:
            line = self._borrow(call.shard)
            try:
                return await line.run(call)
            finally:
                await self._give_back(line)

    async def run_many(self, calls: Iterable[Call[T]]) -> list[T]:
        """Run calls of any shards, a few at once; the results are in order."""
        results: dict[int, T] = {}
        numbered = enumerate(calls)

        async def send() -> None:
            for at, call in numbered:
                results[at] = await self.run(call)

        senders = [asyncio.create_task(send()) for _ in range(WINDOW)]
        try:
            await asyncio.gather(*senders)
        finally:
            for sender in senders:
                sender.cancel()
            await asyncio.gather(*senders, return_exceptions=True)
        return [results[at] for at in sorted(results)]

    async def execute(self, shard: int, *command: Argument, timeout_s: float = 0.0) -> Any:
        """Run a plain command on the shard's server and return its raw reply.

        timeout_s: how long a blocking command may block, on top of the usual reply timeout.
        """
        line = self._borrow(shard)
        try:
            return await line.execute(*command, timeout_s=timeout_s)
        finally:
            await self._give_back(line)

    async def dedicated(self, shard: int) -> Line:
        """A connection of one's own to the server of `shard`. Close it after use."""
        return Line(self, shard, None)

    def _borrow(self, shard: int) -> Line:
        idle = self._idle.setdefault(shard, deque())
        return Line(self, shard, idle.pop() if idle else None)

    async def _give_back(self, line: Line) -> None:
        if self._closed:  # while the call was on its way
            await line.close()
        elif line.link is not None:
            self._idle[line.shard].append(line.link)
            line.link = None

    async def forget_idle(self, shard: int) -> None:
        """Hang up the idle links of a shard: they lead to a server that has gone."""
        idle = self._idle.get(shard, deque())
        while idle:
            await idle.pop().close()

    def doubt(self, shard: int) -> None:
        """The server of a shard may be another by now: ask before the next link is made.

        It broke a connection, said that it is not the one, or somebody gave up waiting for it: a
        server that is frozen breaks no connection.
        """
        self._doubted.add(shard)

    async def connect(self, shard: int) -> AsyncLink:
        """A new link to the server of `shard`. Raises LostError, Unreachable."""
        try:
            link = await self._connect(shard, again=shard in self._doubted)
        except BaseException:
            self.doubt(shard)
            raise
        self._doubted.discard(shard)
        return link

    async def _connect(self, shard: int, *, again: bool) -> AsyncLink:
        if self._closed:
            raise closed(self.address.shown)
        if self.address.kind == "fake":
            return fake.AsyncFakeLink(self.address.path)
        try:
            if self._topology is None:
                self._topology = await asyncio.to_thread(topology, self.address)
            if isinstance(self._topology, Plain):
                endpoint = self._topology.locate(shard)
            else:
                endpoint = await asyncio.to_thread(self._topology.locate, shard, again=again)
            if self._homes.get(shard) != endpoint:
                await self.forget_idle(shard)  # a server that was left may be silent for ever
                self._homes[shard] = endpoint
            options = connection_options(
                endpoint.kind,
                dict(endpoint.options),
                name=self._name,
                reply_timeout_s=REPLY_TIMEOUT_S,
            )
            return await AsyncSocketLink(endpoint, options).open()
        except (redis.RedisError, OSError) as error:
            raise translate(error, "connect") from error

    async def check_not_left(self, link: AsyncLink) -> None:
        """Raise redis.ConnectionError when another has the place of the server behind a link."""
        sentinels = self._topology
        if not (isinstance(sentinels, Sentinels) and isinstance(link, AsyncSocketLink)):
            return
        if sentinels.must_ask:
            left = await asyncio.to_thread(sentinels.replaced, link.endpoint)
        else:
            left = sentinels.replaced(link.endpoint)
        if left:
            raise redis.ConnectionError(LEFT)

    @property
    def packer(self) -> Packer:
        """What packs this namespace's calls."""
        return self._packer

    async def greet(self) -> None:
        """Check that the server will do, and agree on the layout of the namespace."""
        schema.check(await self.execute(0, "INFO"), self.address)
        self.shards = await self.run(schema.hello(self.address))

    async def close(self) -> None:
        """Hang up. Closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        for shard in list(self._idle):
            await self.forget_idle(shard)
        if self._topology is not None:
            await asyncio.to_thread(self._topology.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class Line:
    """One connection to one shard, replaced when it breaks. Not for concurrent use."""

    __slots__ = ("_engine", "link", "shard")

    def __init__(self, engine: AsyncEngine, shard: int, link: AsyncLink | None) -> None:
        self._engine = engine
        self.shard = shard
        self.link = link

    async def run(self, call: Call[T]) -> T:
        """Run one call; the same errors as AsyncEngine.run."""
        packed = self._engine.packer.pack(call)
        if call.replicas:
            await self._check_replicas()
        try:
            reply = await self._exchange(call, packed)
        except LostError:
            await self._engine.forget_idle(self.shard)
            reply = await persist_async(
                lambda: self._exchange(call, packed),
                where=self._engine.address.shown,
                patience_s=self._engine.patience_s,
            )
        return call.read(reply)

    async def execute(self, *command: Argument, timeout_s: float = 0.0) -> Any:
        """Run a plain command; timeout_s as in AsyncEngine.execute."""
        packed = pack(command)
        name = str(command[0])
        try:
            return await self._round(packed, name, timeout_s)
        except LostError:
            await self._engine.forget_idle(self.shard)
            return await persist_async(
                lambda: self._round(packed, name, timeout_s),
                where=self._engine.address.shown,
                patience_s=self._engine.patience_s,
            )

    async def attempt(self, *commands: tuple[Argument, ...]) -> list[Any] | None:
        """Run plain commands in one go, and only once; their raw replies.

        None when one of them was refused, or not answered: any may have had its effect.
        """
        try:
            link = self.link or await self._engine.connect(self.shard)
        except LostError:
            return None
        self.link, replies, refused = None, [], False
        try:
            await link.send(b"".join(map(pack, commands)))
            for _ in commands:
                try:
                    replies.append(await link.receive(REPLY_TIMEOUT_S))
                except redis.ResponseError:
                    refused = True  # the others are answered all the same
            await self._engine.check_not_left(link)
        except (redis.RedisError, OSError):
            self._engine.doubt(self.shard)
            await link.close()
            return None
        except BaseException:
            self._engine.doubt(self.shard)
            await link.close()
            raise
        self.link = link
        return None if refused else replies

    async def block(self, *command: Argument, timeout_s: float) -> Any:
        """Run a blocking command, its time-out appended; None when it timed out."""
        return await self.execute(*command, blocking(timeout_s), timeout_s=timeout_s)

    async def _exchange(self, call: Call[Any], packed: bytes) -> Any:
        try:
            return await self._ask(call, packed)
        except NoScriptError:
            return await self._ask(call, self._engine.packer.pack_whole(call))

    async def _ask(self, call: Call[Any], packed: bytes) -> Any:
        reply = await self._round(packed, call.script)
        if not call.replicas:
            return reply
        mark, wait = replica.wait(self._engine.namespace, call)
        try:
            await self._round(mark, "SET")
        except RedisFull:
            return reply, 0
        return reply, await self._round(wait, "WAIT", replica.WAIT_S)

    async def _check_replicas(self) -> None:
        if self._engine.address.kind == "fake":
            replica.refuse_fake()
        replica.check(await self.execute("ROLE"), self._engine.address.shown)

    async def _round(self, packed: bytes, what: str, block_s: float = 0.0) -> Any:
        link = self.link
        if link is None:
            link = await self._engine.connect(self.shard)
        self.link = None
        try:
            await link.send(packed)
            reply = await link.receive(block_s + REPLY_TIMEOUT_S)
            await self._engine.check_not_left(link)
        except (redis.RedisError, OSError) as error:
            meaning = translate(error, what)
            if isinstance(meaning, LostError):
                if meaning.moved:
                    self._engine.doubt(self.shard)
                await link.close()
            else:
                self.link = link
            raise meaning from error
        except BaseException:
            self._engine.doubt(self.shard)
            await link.close()
            raise
        self.link = link
        return reply

    async def close(self) -> None:
        """Hang up."""
        link, self.link = self.link, None
        if link is not None:
            await link.close()


async def open_async_engine(
    url: str | None = None,
    *,
    namespace: str | None = None,
    patience_s: float | None = 10.0,
    name: str = "coordq",
) -> AsyncEngine:
    """Open a namespace for the running event loop; arguments and errors as in `open_engine`."""
    engine = AsyncEngine(parse(url, namespace=namespace), patience_s=patience_s, name=name)
    try:
        await engine.greet()
    except BaseException:
        await engine.close()
        raise
    return engine
