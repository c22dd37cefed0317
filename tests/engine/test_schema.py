"""What is asked of a server before any work is put into it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from coordq.engine import keys
from coordq.engine.aio import open_async_engine
from coordq.engine.connection import open_engine
from coordq.errors import (
    AccessDenied,
    CoordqError,
    ForeignData,
    SchemaMismatch,
    ServerEvicts,
    ServerTooOld,
    Unreachable,
)
from tests.engine.impostor import Impostor, bulk
from tests.servers import Server


def opening(url: str, **how: Any) -> CoordqError:
    """The error that opening ends in: the same for the sync and the async engine."""
    with pytest.raises(CoordqError) as caught:
        open_engine(url, **how).close()

    async def open_async() -> None:
        await (await open_async_engine(url, **how)).close()

    with pytest.raises(type(caught.value)):
        asyncio.run(open_async())
    return caught.value


@pytest.mark.parametrize("version", ["2.8.0", "5.0.14", "6.0.20", "6.1.9", "junk"])
def test_a_server_that_is_too_old_is_refused(version: str) -> None:
    """Its version and the one that is needed are named."""
    info = bulk(f"# Server\r\nredis_version:{version}\r\n".encode())
    with Impostor(info=info) as server:
        error = opening(server.url, patience_s=0.2)

    assert isinstance(error, ServerTooOld)
    assert version in str(error)
    assert "6.2" in str(error)


@pytest.mark.parametrize("version", ["6.2.0", "7.0.15", "8.2.1", "255.255.255", "10.0"])
def test_a_server_that_is_new_enough_is_taken(version: str) -> None:
    """Numbers are compared as numbers."""
    info = bulk(f"redis_version:{version}\r\n".encode())
    hello = b"*2\r\n$1\r\n1\r\n$1\r\n1\r\n"
    with Impostor(info=info, evalsha=hello) as server:
        open_engine(server.url).close()


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
def test_a_server_that_evicts_is_refused(
    new_server: Callable[..., Server], policy: str, namespace: str
) -> None:
    """It would delete tasks when full; the command that helps is named."""
    server = new_server(maxmemory="100mb", maxmemory_policy=policy)

    error = opening(server.url, namespace=namespace)

    assert isinstance(error, ServerEvicts)
    assert policy in str(error)
    assert "noeviction" in str(error)
    assert server.ask("DBSIZE") == 0


def test_a_server_without_a_limit_cannot_evict(
    new_server: Callable[..., Server], namespace: str
) -> None:
    """Whatever its policy says."""
    server = new_server(maxmemory_policy="allkeys-lru")

    open_engine(server.url, namespace=namespace).close()


def test_a_namespace_of_another_key_space_is_refused(redis_server: Server, namespace: str) -> None:
    """A newer coordq wrote it, in a way that this one would misread."""
    redis_server.ask("HSET", keys.meta(keys.root(namespace, 0)), "schema", "99", "shards", "1")

    error = opening(redis_server.url, namespace=namespace)

    assert isinstance(error, SchemaMismatch)
    assert error.schema == 99


def test_the_first_to_come_decides_the_number_of_shards(
    redis_server: Server, namespace: str
) -> None:
    """The others take it over, or are told."""
    with open_engine(f"{redis_server.url}?shards=4", namespace=namespace) as first:
        assert first.shards == 4
    with open_engine(redis_server.url, namespace=namespace) as second:
        assert second.shards == 4

    error = opening(f"{redis_server.url}?shards=2", namespace=namespace)
    assert isinstance(error, SchemaMismatch)
    assert error.shards == 4


@pytest.mark.parametrize(
    "fields", [("schema", "junk"), ("schema", "1", "shards", "0"), ("shards", "x")]
)
def test_a_layout_that_is_not_ours_is_refused(
    redis_server: Server, namespace: str, fields: tuple[str, ...]
) -> None:
    """By its own error, not a ValueError."""
    redis_server.ask("HSET", keys.meta(keys.root(namespace, 0)), *fields)

    assert isinstance(opening(redis_server.url, namespace=namespace), SchemaMismatch)


def test_a_layout_of_the_wrong_type_is_foreign(redis_server: Server, namespace: str) -> None:
    """Another program uses our names."""
    redis_server.ask("SET", keys.meta(keys.root(namespace, 0)), "junk")

    assert isinstance(opening(redis_server.url, namespace=namespace), ForeignData)


def test_a_wrong_password_is_said_at_once(new_server: Callable[..., Server]) -> None:
    """Waiting would not make it right. The password is not in the message."""
    server = new_server()
    server.config(requirepass="right-one")
    url = server.url.replace("redis://", "redis://:wr0ng@")

    error = opening(url, patience_s=60)

    assert isinstance(error, AccessDenied)
    assert "wr0ng" not in str(error)
    open_engine(server.url.replace("redis://", "redis://:right-one@")).close()


def test_a_user_without_rights_is_told_which_to_get(redis_server: Server, namespace: str) -> None:
    """An ACL that allows too little."""
    user = f"u-{namespace}"
    redis_server.ask("ACL", "SETUSER", user, "on", ">pw", "+ping", "+info", "+client", "~cq:*")

    error = opening(redis_server.url.replace("://", f"://{user}:pw@"), namespace=namespace)

    assert isinstance(error, AccessDenied)
    assert "Grant" in str(error)


def test_a_user_confined_to_our_keys_can_work(redis_server: Server, namespace: str) -> None:
    """`~cq:*` is all the keys there are."""
    user = f"v-{namespace}"
    redis_server.ask("ACL", "SETUSER", user, "on", ">pw", "+@all", "~cq:*")

    open_engine(redis_server.url.replace("://", f"://{user}:pw@"), namespace=namespace).close()


def test_nobody_at_the_address_is_unreachable() -> None:
    """After the patience, with the address and without the password."""
    error = opening("redis://:s3cret@127.0.0.1:1/0", patience_s=0.1)

    assert isinstance(error, Unreachable)
    assert "redis://:***@127.0.0.1:1/0" in str(error)


def test_another_kind_of_server_is_unreachable() -> None:
    """A web server, say: its answer is not misread, nor kept for the next call."""
    with Impostor(client=b"HTTP/1.1 400 Bad Request\r\n\r\n", info=b"HTTP/1.1 400\r\n") as server:
        assert isinstance(opening(server.url, patience_s=0.2), Unreachable)


def test_a_server_that_is_still_loading_is_waited_for(redis_server: Server) -> None:
    """It will be ready soon: no work is refused for that."""
    answers = iter([b"-LOADING Redis is loading the dataset in memory\r\n"] * 3)
    info = bulk(b"redis_version:7.0.0\r\n")
    hello = b"*2\r\n$1\r\n1\r\n$1\r\n1\r\n"
    with Impostor(info=lambda _: next(answers, info), evalsha=hello) as server:
        open_engine(server.url, patience_s=10).close()
        assert len([said for said in server.heard if said[0] == b"INFO"]) == 4
    assert redis_server.is_running
