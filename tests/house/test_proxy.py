"""The lossy wire itself: a fault injector that does nothing would prove everything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.proxy import LossyProxy, frame_end
from tests.servers import Server
from tests.waiting import wait_until

pytestmark = pytest.mark.live


@pytest.fixture
def client(proxy: LossyProxy) -> Iterator[redis.Redis]:
    """A client behind the proxy that never retries by itself."""
    once = Retry(NoBackoff(), 0)
    with redis.Redis.from_url(proxy.url, retry=once, protocol=2) as client:
        yield client


def test_bytes_pass_unchanged(client: redis.Redis, namespace: str) -> None:
    """Left alone, the proxy cannot be told from the server, also with a large value."""
    value = bytes(range(256)) * 4096
    client.set(namespace, value)

    assert client.get(namespace) == value


def test_a_dropped_reply_was_carried_out(
    client: redis.Redis, proxy: LossyProxy, namespace: str
) -> None:
    """The command had its effect, and the client learnt nothing but a lost connection."""
    proxy.drop_reply(namespace.encode())

    with pytest.raises(redis.ConnectionError):
        client.incr(namespace)
    assert client.get(namespace) == b"1"
    assert proxy.dropped == 1


def test_in_a_pipeline_only_later_replies_are_lost(
    client: redis.Redis, proxy: LossyProxy, redis_server: Server, namespace: str
) -> None:
    """All commands of the pipeline were sent, so all are carried out; one reply cuts the rest."""
    proxy.drop_reply(b"second")

    pipeline = client.pipeline(transaction=False)
    pipeline.set(namespace, "first")
    pipeline.append(namespace, "second")
    with pytest.raises(redis.ConnectionError):
        pipeline.execute()
    assert redis_server.ask("GET", namespace) == b"firstsecond"


def test_a_noscript_answer_is_passed_on(
    client: redis.Redis, proxy: LossyProxy, namespace: str
) -> None:
    """A script the server does not know yet did nothing, so the loss waits for the real call."""
    script = client.register_script(f"-- {namespace}\nreturn redis.call('INCR', KEYS[1])")
    proxy.drop_reply(b"EVALSHA")

    with pytest.raises(redis.ConnectionError):
        script(keys=[namespace])
    assert client.get(namespace) == b"1"
    assert proxy.dropped == 1


def test_a_dropped_request_never_arrives(
    client: redis.Redis, proxy: LossyProxy, namespace: str
) -> None:
    """The other half of not knowing: the same error, and no effect."""
    proxy.drop_request(namespace.encode())

    with pytest.raises(redis.ConnectionError):
        client.incr(namespace)
    assert client.get(namespace) is None


def test_cut_breaks_a_command_that_waits(
    client: redis.Redis, proxy: LossyProxy, redis_server: Server, namespace: str
) -> None:
    """A blocked reader notices at once that its connection is gone."""
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(client.blpop, [namespace], timeout=30)
        wait_until(
            lambda: b"cmd=blpop" in redis_server.ask("CLIENT", "LIST"), what="the reader to block"
        )
        proxy.cut()

        with pytest.raises(redis.ConnectionError):
            waiting.result(60)


def test_refuse_and_accept_again(client: redis.Redis, proxy: LossyProxy) -> None:
    """A server that is away and comes back under the same address."""
    proxy.refuse()
    with pytest.raises(redis.ConnectionError):
        client.ping()

    proxy.accept()
    assert client.ping()


def test_delay_holds_replies_back(client: redis.Redis, proxy: LossyProxy) -> None:
    """A slow wire is slow by at least what was asked."""
    client.ping()
    proxy.delay(0.2)
    start = time.monotonic()
    client.ping()

    assert time.monotonic() - start >= 0.2


@pytest.mark.parametrize(
    "frame",
    [
        b"+OK\r\n",
        b":1\r\n",
        b"$-1\r\n",
        b"$0\r\n\r\n",
        b"$5\r\na\r\nbc\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*2\r\n$1\r\na\r\n*1\r\n:3\r\n",
        b"%1\r\n+a\r\n*2\r\n:1\r\n:2\r\n",
        b"~1\r\n_\r\n",
        b"=7\r\ntxt:abc\r\n",
        b">2\r\n+message\r\n#t\r\n",
    ],
)
def test_a_frame_ends_where_it_ends(frame: bytes) -> None:
    """No part of a value passes for the whole, and the next value is not swallowed."""
    assert frame_end(frame + b"+next\r\n") == len(frame)
    assert [frame_end(frame[:cut]) for cut in range(1, len(frame))] == [None] * (len(frame) - 1)
