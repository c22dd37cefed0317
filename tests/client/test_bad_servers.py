"""Bad addresses, and servers that work should not be trusted to."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

import coordq
from coordq import Client, CoordqError
from coordq.engine import keys
from coordq.errors import (
    AccessDenied,
    ForeignData,
    RedisFull,
    ServerEvicts,
    ServerTooOld,
    Unreachable,
)
from tests.client.hands import succeed, take, take_one
from tests.servers import HOST, Server, free_port

ADDRESSES = {
    "no scheme": ("localhost:6379", "invalid-url", "start it with one of"),
    "another protocol": ("http://localhost", "invalid-url", "start it with one of"),
    "words": ("my redis", "invalid-url", "start it with one of"),
    "port as a word": ("redis://localhost:port", "invalid-url", "port"),
    "port out of range": ("redis://localhost:99999", "invalid-url", "not a Redis address"),
    "half an IPv6 address": ("redis://[::1", "invalid-url", "IPv6"),
    "cluster without hosts": ("redis+cluster://", "invalid-url", "names no host"),
    "Sentinel without a name": ("redis+sentinel://localhost", "invalid-url", "master's name"),
    "Sentinel with a bad port": ("redis+sentinel://h:x/main", "invalid-url", "not a Redis address"),
    "unknown parameter": ("redis://localhost?colour=red", "invalid-url", "colour"),
    "number": (5, "invalid-url", "not a Redis address"),
    "bytes": (b"redis://localhost", "invalid-url", "not a Redis address"),
    "embedded with a parameter": ("embedded://x?colour=red", "invalid-url", "'colour'"),
    "too many shards": ("redis://localhost?shards=5000", "invalid-url", "1 to 1024"),
    "negative shards": ("redis://localhost?shards=-1", "invalid-url", "1 to 1024"),
    "shards as a word": ("redis://localhost?shards=many", "invalid-url", "1 to 1024"),
    "namespace with capitals": ("redis://localhost?ns=Main", "invalid-name", "namespace name"),
    "namespace with a brace": ("redis://localhost?ns=a}", "invalid-name", "namespace name"),
    "namespace too long": (f"redis://localhost?ns={'x' * 33}", "invalid-name", "1 to 32"),
}
every_address = pytest.mark.parametrize(
    ("address", "code", "words"), ADDRESSES.values(), ids=ADDRESSES
)


@every_address
def test_a_bad_address_is_refused(address: str, code: str, words: str) -> None:
    """Before anything is looked up or connected to."""
    with pytest.raises(CoordqError) as caught:
        coordq.connect(address, patience=0)
    assert caught.value.code == code
    assert words in str(caught.value)


@every_address
async def test_a_bad_address_is_refused_async(address: str, code: str, words: str) -> None:
    """The async client says the same."""
    with pytest.raises(CoordqError) as caught:
        await coordq.connect_async(address, patience=0)
    assert caught.value.code == code
    assert words in str(caught.value)


@pytest.mark.parametrize("given", [5, "", "UPPER", "a b", "-x", b"main"])
def test_a_bad_namespace_is_refused(redis_url: str, given: object) -> None:
    """A namespace ends up in every key: only what is safe there may pass."""
    if given == "":  # not given
        return
    with pytest.raises(CoordqError) as caught:
        coordq.connect(redis_url, namespace=given)  # type: ignore[arg-type]
    assert caught.value.code == "invalid-name"


def test_a_server_that_is_not_there_is_unreachable() -> None:
    """After `patience` seconds, with the address in the message."""
    port = free_port()
    with pytest.raises(Unreachable, match=str(port)) as caught:
        coordq.connect(f"redis://{HOST}:{port}", patience=0.1)
    assert isinstance(caught.value, ConnectionError)


async def test_a_server_that_is_not_there_is_unreachable_async() -> None:
    """The same on the event loop."""
    with pytest.raises(Unreachable):
        await coordq.connect_async(f"redis://{HOST}:{free_port()}", patience=0.1)


def test_a_client_that_hung_up_says_so(url: str) -> None:
    """It does not connect again behind one's back."""
    client = coordq.connect(url)
    client.close()

    with pytest.raises(Unreachable, match="was closed"):
        client.work.enqueue("job")


async def test_an_async_client_that_hung_up_says_so(url: str) -> None:
    """The same on the event loop."""
    client = await coordq.connect_async(url)
    await client.close()

    with pytest.raises(Unreachable, match="was closed"):
        await client.work.enqueue("job")


def test_a_password_is_not_shown() -> None:
    """Messages end up in logs."""
    with pytest.raises(Unreachable) as caught:
        coordq.connect(f"redis://user:hunter2@{HOST}:{free_port()}", patience=0.1)
    assert "hunter2" not in str(caught.value) + repr(caught.value.facts)


def test_a_wrong_password_is_access_denied(new_server: Callable[..., Server]) -> None:
    """Not "unreachable", and not retried: waiting does not help."""
    server = new_server()
    server.config(requirepass="right")
    with pytest.raises(AccessDenied):
        coordq.connect(f"redis://:wrong@{HOST}:{server.port}", patience=5)


def test_a_server_that_evicts_is_refused(new_server: Callable[..., Server]) -> None:
    """A Redis that deletes keys when full would lose tasks in silence."""
    server = new_server(maxmemory="50mb", maxmemory_policy="allkeys-lru")
    with pytest.raises(ServerEvicts, match="noeviction"):
        coordq.connect(server.url)


@pytest.fixture
def antique() -> Iterator[str]:
    """A server that says of itself what a Redis 5 says."""
    info = b"redis_version:5.0.14\r\nredis_mode:standalone\r\n"
    replies = {b"INFO": b"$%d\r\n%s\r\n" % (len(info), info)}

    def serve() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with closing(connection):
            while data := connection.recv(4096):
                verbs = re.findall(rb"\*\d+\r\n\$\d+\r\n(\w+)\r\n", data)
                connection.sendall(b"".join(replies.get(verb, b"+OK\r\n") for verb in verbs))

    listener = socket.create_server((HOST, 0))
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with closing(listener):
        yield f"redis://{HOST}:{listener.getsockname()[1]}"
    thread.join(10)


def test_a_server_that_is_too_old_is_refused(antique: str) -> None:
    """At connect, with both versions, and not by a strange script error later."""
    with pytest.raises(ServerTooOld, match=r"5\.0\.14"):
        coordq.connect(antique, patience=60)


def test_a_server_that_forgot_the_scripts_is_taught_again(client: Client) -> None:
    """SCRIPT FLUSH, a restart or a failover between two calls goes unnoticed."""
    client.work.enqueue("job")
    client.engine.execute(0, "SCRIPT", "FLUSH")
    client.work.enqueue("job")

    assert client.work.queue("default").ready == 2


async def test_a_server_that_forgot_the_scripts_is_taught_again_async(
    client: Client, url: str
) -> None:
    """The async client teaches as well."""
    async with coordq.connect_async(url) as aclient:
        await aclient.work.enqueue("job")
        client.engine.execute(0, "SCRIPT", "FLUSH")
        await aclient.work.enqueue_many([("job", {})] * 10)

    assert client.work.queue("default").ready == 11


def test_a_full_server_refuses_new_work_only(new_server: Callable[..., Server]) -> None:
    """RedisFull for producers; what runs can still be finished, which makes room."""
    server = new_server(maxmemory="100mb")
    with coordq.connect(server.url) as client:
        client.work.enqueue_many([("job", {"n": n}) for n in range(10)])
        held = take(client, want=5)
        server.config(maxmemory="1")

        with pytest.raises(RedisFull, match="maxmemory"):
            client.work.enqueue("job")
        assert client.work.queue("default").ready == 5
        for one in held:
            succeed(client, one, "done")
        assert client.work.result(held[0].id, timeout=60) == "done"


BROKEN: dict[str, tuple[str, Callable[[Client], object]]] = {
    "line": ("line", lambda client: client.work.enqueue("job")),
    "heads": ("heads", take),
    "queue": ("queue", lambda client: client.work.enqueue("job")),
    "events": ("events", lambda client: list(client.work.events())),
    "due": ("due", lambda client: client.work.enqueue("job", delay=5)),
    "lease": ("lease", take),
    "dead": ("dead", lambda client: client.work.dead()),
}


@pytest.mark.parametrize("which", BROKEN)
def test_a_key_of_the_wrong_type_is_foreign_data(client: Client, which: str) -> None:
    """A stranger's value under one of our names: said clearly, and the stranger's value stays."""
    root = keys.root(client.namespace, 0)
    handle = client.work.enqueue("job")
    name, use = BROKEN[which]
    key = {
        "line": keys.line(root, "default", "2job"),
        "heads": keys.heads(root, "default"),
        "queue": keys.queue(root, "default"),
    }.get(name) or getattr(keys, name)(root)
    client.engine.execute(0, "DEL", key)
    client.engine.execute(0, "SET", key, "a stranger's")

    with pytest.raises(ForeignData):
        use(client)
    assert client.engine.execute(0, "GET", key) == b"a stranger's"
    assert client.engine.execute(0, "EXISTS", keys.task(root, handle.id)) == 1


@pytest.mark.parametrize(
    "blob", [b"", b"\x00\xff", b"q1", b"hello\nworld\n{}", b"{}" * 100, b"z9 \n"]
)
def test_a_foreign_record_stops_nothing(client: Client, blob: bytes) -> None:
    """Whatever stands where a task's record should be: looks say so, work goes on behind it."""
    stranger = client.work.enqueue("job").id
    client.engine.execute(0, "SET", keys.task(keys.root(client.namespace, 0), stranger), blob)
    healthy = client.work.enqueue("job")

    with pytest.raises(CoordqError) as caught:
        client.work.get(stranger)
    assert caught.value.code == "foreign-data"
    for verb in (client.work.cancel, client.work.retry):
        with pytest.raises(CoordqError):
            verb(stranger)
    assert take_one(client).id == healthy.id
    assert client.work.purge_dead(stranger) == 1
