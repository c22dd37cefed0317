"""Where a shard lives right now.

A shard is one Redis Cluster slot, so all coordq must know of a cluster is one node per shard. The
answer is kept until a connection breaks or a node says MOVED; then it is asked for again. All of it
is blocking code: the async engine calls it in a thread, and only when something has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final, Protocol

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.crc import key_slot
from redis.retry import Retry
from redis.sentinel import Sentinel

from coordq.clock import monotonic
from coordq.engine import keys
from coordq.engine.address import Address

CONNECT_TIMEOUT_S = 3.0
CONFIRM_S: Final = 1.0
"""How old the sentinels' word on the master may be when its reply is believed."""
SENTINELS_REST_S: Final = 10.0
"""How long sentinels that did not answer are left alone."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server, as redis-py connections take it."""

    kind: str
    """tcp, ssl or unix: which class of connection."""
    options: Mapping[str, Any]


class Topology(Protocol):
    """Finds the server of a shard."""

    def locate(self, shard: int, *, again: bool = False) -> Endpoint:
        """The endpoint of `shard`; with `again`, as it is now, not as it was known."""

    def close(self) -> None:
        """Let go of what was held to keep the server there."""


def _once() -> Retry:
    """Of their own redis-py's clients try a dead host for seconds: patience is ours to have."""
    return Retry(NoBackoff(), 0)


class Plain:
    """One server that never moves."""

    def __init__(self, address: Address) -> None:
        options = parse_url(address.url)
        given = options.pop("connection_class", None)
        kind = {
            redis.UnixDomainSocketConnection: "unix",
            redis.SSLConnection: "ssl",
        }.get(given, "tcp")
        self._endpoint = Endpoint(kind, options)

    def locate(self, shard: int, *, again: bool = False) -> Endpoint:
        """The server."""
        return self._endpoint

    def close(self) -> None:
        """Nothing is held."""


class Embedded:
    """The private server of this machine; started again when it has died."""

    def __init__(self, address: Address) -> None:
        from coordq.engine import embedded

        path = Path(address.path).expanduser() if address.path else None
        self._ensure = embedded.ensure
        self._attachment = embedded.attach(path)

    def locate(self, shard: int, *, again: bool = False) -> Endpoint:
        """The server's socket."""
        if again:
            self._ensure(self._attachment)
        return Endpoint("unix", {"path": str(self._attachment.socket)})

    def close(self) -> None:
        """Let the server stop, if nobody else uses it."""
        self._attachment.close()


class Sentinels:
    """The master of a service, as its sentinels say."""

    def __init__(self, address: Address) -> None:
        self._service = address.service
        self._options = dict(address.options)
        self._kind = "ssl" if self._options.pop("ssl", False) else "tcp"
        # not as options of the connection: of these redis-py hands a sentinel only `socket_...`
        patience = {
            "socket_timeout": CONNECT_TIMEOUT_S,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "retry": _once(),
        }
        self._sentinel = Sentinel(list(address.hosts), sentinel_kwargs=patience)
        self._known: Endpoint | None = None
        self._lock = Lock()
        self._ask_at = 0.0
        self._asking = Lock()

    @property
    def must_ask(self) -> bool:
        """Whether `replaced` is going to ask the sentinels."""
        return monotonic() >= self._ask_at

    def replaced(self, endpoint: Endpoint) -> bool:
        """Whether the sentinels name another master than `endpoint`; asked once a second at most.

        A master that was frozen, and has been replaced meanwhile, goes on as if nothing was until a
        sentinel gets round to it: some ten seconds. What it takes in that time is lost. While no
        sentinel answers, nobody is replaced.
        """
        with self._asking:
            if self.must_ask:
                rest_s = CONFIRM_S
                try:
                    self.locate(0, again=True)
                except redis.RedisError:
                    rest_s = SENTINELS_REST_S
                self._ask_at = monotonic() + rest_s
        return self._known != endpoint

    def locate(self, shard: int, *, again: bool = False) -> Endpoint:
        """The master."""
        with self._lock:
            if self._known is None or again:
                host, port = self._ask()
                self._known = Endpoint(self._kind, {**self._options, "host": host, "port": port})
            return self._known

    def _ask(self) -> tuple[str, int]:
        """By the command that names the promoted one first; redis-py's own asks for another list.

        Who answered is asked first the next time.
        """
        sentinels, failures = self._sentinel.sentinels, []
        for at, client in enumerate(sentinels):
            try:
                found = client.sentinel_get_master_addr_by_name(self._service)
            except redis.RedisError as error:
                failures.append(str(error))
                continue
            if isinstance(found, tuple):
                sentinels[0], sentinels[at] = client, sentinels[0]
                return _host(found[0]), int(found[1])
            failures.append("a sentinel does not know it")
        raise redis.ConnectionError(f"No master found for {self._service!r}: {'; '.join(failures)}")

    def close(self) -> None:
        """Close the connections to the sentinels."""
        for client in self._sentinel.sentinels:
            client.close()


class Cluster:
    """The primary that serves a shard's slot, as the nodes of the cluster say."""

    def __init__(self, address: Address) -> None:
        self._namespace = address.namespace
        self._options = dict(address.options)
        self._kind = "ssl" if self._options.pop("ssl", False) else "tcp"
        self._nodes: list[tuple[str, int]] = list(dict.fromkeys(address.hosts))
        self._slots: list[tuple[int, int, tuple[str, int]]] = []
        self._lock = Lock()

    def locate(self, shard: int, *, again: bool = False) -> Endpoint:
        """The primary of the shard's slot."""
        slot = key_slot(keys.root(self._namespace, shard).encode())
        with self._lock:
            if again or not self._slots:
                self._refresh()
            for first, last, (host, port) in self._slots:
                if first <= slot <= last:
                    return Endpoint(self._kind, {**self._options, "host": host, "port": port})
        raise redis.ConnectionError(f"no node of the cluster serves slot {slot}")

    def _refresh(self) -> None:
        """Ask the nodes in turn, each time beginning with another.

        One that is cut off from the others answers as well, with what was true before.
        """
        failures: list[str] = []
        for host, port in self._nodes:
            client = redis.Redis(
                host=host,
                port=port,
                protocol=2,
                socket_timeout=CONNECT_TIMEOUT_S,
                socket_connect_timeout=CONNECT_TIMEOUT_S,
                retry=_once(),
                **({**self._options, "ssl": True} if self._kind == "ssl" else self._options),
            )
            try:
                slots, known = _read_slots(_raw(client)("CLUSTER SLOTS"), host)
            except redis.RedisError as error:
                failures.append(f"{host}:{port}: {error}")
            else:
                self._slots = slots
                asked = self._nodes[: len(failures) + 1]
                rest = self._nodes[len(failures) + 1 :]
                self._nodes = list(dict.fromkeys([*rest, *(set(known) - set(asked)), *asked]))
                return
            finally:
                client.close()
        raise redis.ConnectionError("; ".join(failures))

    def close(self) -> None:
        """Nothing is held."""


def _raw(client: redis.Redis) -> Callable[[str], Any]:
    client.response_callbacks.clear()
    return client.execute_command


def _read_slots(
    reply: Any, asked: str
) -> tuple[list[tuple[int, int, tuple[str, int]]], list[tuple[str, int]]]:
    """Slots with their primaries, and all nodes, from CLUSTER SLOTS.

    A node that does not know its own name is the one that was asked.
    """
    slots: list[tuple[int, int, tuple[str, int]]] = []
    nodes: list[tuple[str, int]] = []
    for first, last, *rows in reply:
        found = [(_host(row[0]) or asked, int(row[1])) for row in rows]
        slots.append((int(first), int(last), found[0]))
        nodes += found
    return slots, nodes


def _host(name: bytes | str | None) -> str:
    return name.decode() if isinstance(name, bytes) else name or ""


def topology(address: Address) -> Topology:
    """The topology of an address. Raises EmbeddedFailed when its server cannot be started."""
    kinds: dict[str, Callable[[Address], Topology]] = {
        "plain": Plain,
        "embedded": Embedded,
        "sentinel": Sentinels,
        "cluster": Cluster,
    }
    return kinds[address.kind](address)
