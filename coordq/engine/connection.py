"""The sync engine: runs Calls on the server that holds their shard.

Thread-safe: each call takes a line (a connection) for its shard from a pool. A forked child starts
with an empty pool. Lost connections are replaced and the call repeated, for `patience_s` seconds.
"""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol, Self, TypeVar

import redis

from coordq.engine import fake, replica, schema
from coordq.engine.address import Address, parse
from coordq.engine.call import Argument, Call
from coordq.engine.reconnect import persist
from coordq.engine.topology import Endpoint, Sentinels, Topology, topology
from coordq.engine.trouble import LEFT, LostError, NoScriptError, closed, translate
from coordq.engine.wire import REPLY_TIMEOUT_S, Packer, connection_options, pack
from coordq.errors import RedisFull

T = TypeVar("T")
WINDOW = 2
"""How many calls of run_many are on their way: Redis works on one while we pack the next."""
_KINDS: dict[str, type[Any]] = {
    "tcp": redis.Connection,
    "ssl": redis.SSLConnection,
    "unix": redis.UnixDomainSocketConnection,
}


class Link(Protocol):
    """One connection: requests go in as bytes, replies come out in order."""

    def send(self, packed: bytes) -> None:
        """Hand a request to the kernel."""

    def receive(self, timeout_s: float | None = None) -> Any:
        """The reply to the oldest request that has none."""

    def close(self) -> None:
        """Hang up."""


class SocketLink:
    """A Link over redis-py's connection classes."""

    __slots__ = ("_connection", "endpoint")

    def __init__(self, endpoint: Endpoint, options: dict[str, Any]) -> None:
        self.endpoint = endpoint
        self._connection = _KINDS[endpoint.kind](**options)
        self._connection.connect()

    def send(self, packed: bytes) -> None:
        """Hand a request to the kernel."""
        self._connection.send_packed_command((packed,), check_health=False)

    def receive(self, timeout_s: float | None = None) -> Any:
        """The reply to the oldest request that has none."""
        if timeout_s is None:
            return self._connection.read_response()
        return self._connection.read_response(timeout=timeout_s)

    def close(self) -> None:
        """Hang up."""
        self._connection.disconnect()


class Engine:
    """A namespace on a Redis. Made by `open_engine`."""

    def __init__(self, address: Address, *, patience_s: float | None, name: str) -> None:
        self.address = address
        self.namespace = address.namespace
        self.shards = 1
        self.patience_s = patience_s
        self._name = name
        self._packer = Packer(address.namespace)
        self._topology: Topology | None = None if address.kind == "fake" else topology(address)
        self._idle: dict[int, deque[Link]] = {}
        self._closed = False
        _engines.add(self)

    # -- calls ---------------------------------------------------------------------------------

    def run(self, call: Call[T]) -> T:
        """Run one call. Raises Unreachable, RedisFull, ReadOnly, ForeignData, ScriptMisuse."""
        packed = self._packer.pack(call)
        if call.replicas:
            self._check_replicas(call.shard)
        try:
            reply = self._exchange(call, packed)
        except LostError:
            reply = persist(
                lambda: self._exchange(call, packed, again=True),
                where=self.address.shown,
                patience_s=self.patience_s,
            )
        return call.read(reply)

    def run_many(self, calls: Iterable[Call[T]]) -> list[T]:
        """Run calls of any shards, in order; the next is sent before the last is answered."""
        results: list[T] = []
        pending: deque[tuple[Call[T], Link | None]] = deque()
        try:
            for call in calls:
                pending.append((call, self._send(call)))
                if len(pending) >= WINDOW:
                    results.append(self._receive(*pending.popleft()))
            while pending:
                results.append(self._receive(*pending.popleft()))
        finally:
            # after an error, replies are still to come on these: nobody else may read them
            for _, link in pending:
                if link is not None:
                    link.close()
        return results

    def execute(self, shard: int, *command: Argument, timeout_s: float = 0.0) -> Any:
        """Run a plain command on the shard's server and return its raw reply.

        timeout_s: how long a blocking command may block, on top of the usual reply timeout.
        """
        packed = pack(command)

        def attempt(*, again: bool = True) -> Any:
            link = self._take(shard, again=again)
            return self._round(link, shard, packed, str(command[0]), timeout_s)

        try:
            return attempt(again=False)
        except LostError:
            return persist(attempt, where=self.address.shown, patience_s=self.patience_s)

    # -- one exchange --------------------------------------------------------------------------

    def _exchange(self, call: Call[Any], packed: bytes, *, again: bool = False) -> Any:
        try:
            return self._ask(self._take(call.shard, again=again), call, packed)
        except NoScriptError:
            return self._ask(self._take(call.shard), call, self._packer.pack_whole(call))

    def _ask(self, link: Link, call: Call[Any], packed: bytes) -> Any:
        if not call.replicas:
            return self._round(link, call.shard, packed, call.script)
        reply = self._round(link, call.shard, packed, call.script, keep=True)
        mark, wait = replica.wait(self.namespace, call)
        try:
            self._round(link, call.shard, mark, "SET", keep=True)
        except RedisFull:
            return reply, 0
        return reply, self._round(link, call.shard, wait, "WAIT", replica.WAIT_S)

    def _check_replicas(self, shard: int) -> None:
        if self.address.kind == "fake":
            replica.refuse_fake()
        replica.check(self.execute(shard, "ROLE"), self.address.shown)

    def _round(
        self,
        link: Link,
        shard: int,
        packed: bytes,
        what: str,
        block_s: float = 0.0,
        *,
        keep: bool = False,
    ) -> Any:
        """One request and its reply. keep: the link stays with the caller, unless this raises."""
        try:
            link.send(packed)
            reply = link.receive(block_s + REPLY_TIMEOUT_S if block_s else None)
            self._check_not_left(link)
        except redis.RedisError as error:
            raise self._after(error, link, shard, what) from error
        except BaseException:
            link.close()
            raise
        if not keep:
            self._idle[shard].append(link)
        return reply

    def _check_not_left(self, link: Link) -> None:
        """Raise redis.ConnectionError when another has the place of the server behind a link."""
        sentinels = self._topology
        if (
            isinstance(sentinels, Sentinels)
            and isinstance(link, SocketLink)
            and sentinels.replaced(link.endpoint)
        ):
            raise redis.ConnectionError(LEFT)

    def _after(self, error: Exception, link: Link, shard: int, what: str) -> Exception:
        """What to raise for `error`; the link is kept if it still can be used."""
        meaning = translate(error, what)
        if isinstance(meaning, LostError):
            link.close()
        else:
            self._idle[shard].append(link)
        return meaning

    def _send(self, call: Call[Any]) -> Link | None:
        """None: `_receive` shall make the whole call."""
        packed = self._packer.pack(call)
        if call.replicas:
            return None
        try:
            link = self._take(call.shard)
        except LostError:
            return None
        try:
            link.send(packed)
        except redis.RedisError:
            link.close()
            return None
        return link

    def _receive(self, call: Call[T], link: Link | None) -> T:
        if link is None:
            return self.run(call)
        try:
            reply = link.receive()
            self._check_not_left(link)
        except redis.RedisError as error:
            meaning = self._after(error, link, call.shard, call.script)
            if isinstance(meaning, LostError | NoScriptError):
                return self.run(call)
            raise meaning from error
        except BaseException:
            link.close()
            raise
        self._idle[call.shard].append(link)
        return call.read(reply)

    # -- links ---------------------------------------------------------------------------------

    def _take(self, shard: int, *, again: bool = False) -> Link:
        idle = self._idle.get(shard)
        if idle is None:
            idle = self._idle[shard] = deque()
        if again:
            while idle:
                idle.pop().close()
        try:
            return idle.pop()
        except IndexError:
            return self._connect(shard, again=again)

    def _connect(self, shard: int, *, again: bool) -> Link:
        if self._closed:
            raise closed(self.address.shown)
        if self._topology is None:
            return fake.FakeLink(self.address.path)
        try:
            endpoint = self._topology.locate(shard, again=again)
            options = connection_options(
                endpoint.kind,
                dict(endpoint.options),
                name=self._name,
                reply_timeout_s=REPLY_TIMEOUT_S,
            )
            return SocketLink(endpoint, options)
        except (redis.RedisError, OSError) as error:
            raise translate(error, "connect") from error

    # -- life ----------------------------------------------------------------------------------

    def greet(self) -> None:
        """Check that the server will do, and agree on the layout of the namespace."""
        schema.check(self.execute(0, "INFO"), self.address)
        self.shards = self.run(schema.hello(self.address))

    def forget_links(self) -> None:
        """Drop the links without hanging up: they belong to the process we were forked from."""
        self._idle = {}

    def close(self) -> None:
        """Hang up. Closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        for idle in self._idle.values():
            while idle:
                idle.pop().close()
        if self._topology is not None:
            self._topology.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def _forget_links() -> None:
    for engine in _engines:
        engine.forget_links()


os.register_at_fork(after_in_child=_forget_links)


def open_engine(
    url: str | None = None,
    *,
    namespace: str | None = None,
    patience_s: float | None = 10.0,
    name: str = "coordq",
) -> Engine:
    """Open a namespace: see `coordq.engine.address` for what `url` may be.

    patience_s: how long a call outlives a lost connection; None for ever.
    Raises InvalidURL, Unreachable, AccessDenied, ServerTooOld, ServerEvicts, SchemaMismatch.
    """
    engine = Engine(parse(url, namespace=namespace), patience_s=patience_s, name=name)
    try:
        engine.greet()
    except BaseException:
        engine.close()
        raise
    return engine
