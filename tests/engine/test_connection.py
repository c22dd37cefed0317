"""The sync engine: threads, forks, windows, and a Redis that goes away and comes back."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from coordq.engine.call import Call, blocking
from coordq.engine.connection import Engine, open_engine
from coordq.errors import QueueFull, ReadOnly, ScriptMisuse, Unreachable
from coordq.work.enqueue import enqueue, enqueue_many
from coordq.work.queue import configure
from tests.proxy import LossyProxy
from tests.servers import Server
from tests.waiting import wait_until
from tests.work.desk import Desk, bulk, order


@pytest.fixture
def engine(redis_url: str, namespace: str) -> Iterator[Engine]:
    """On the shared server."""
    with open_engine(redis_url, namespace=namespace, name=namespace) as engine:
        yield engine


def connections(engine: Engine) -> int:
    """How many connections of this engine's name the server sees."""
    clients: bytes = engine.execute(0, "CLIENT", "LIST")
    return clients.count(f"name={engine.namespace} ".encode())


def test_one_thread_uses_one_connection(engine: Engine) -> None:
    """Over and over again."""
    for _ in range(20):
        engine.execute(0, "PING")

    assert connections(engine) == 1


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.0004, 0.001, 0.0019])
def test_the_shortest_wait_has_an_end(engine: Engine, seconds: float) -> None:
    """Redis 6.2 blocks for ever when it is told a millisecond, or less."""
    assert engine.execute(0, "BLPOP", "nothing", blocking(seconds)) is None


def test_threads_share_an_engine(engine: Engine) -> None:
    """Each call has a connection of its own while it lasts; no reply goes to another."""
    barrier = threading.Barrier(8)

    def talk(number: int) -> bool:
        barrier.wait(60)
        texts = [f"{number}-{n}".encode() for n in range(200)]
        return all(engine.execute(0, "ECHO", text) == text for text in texts)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(talk, range(8)))
    assert 1 <= connections(engine) <= 8


def test_a_window_of_calls_keeps_order(engine: Engine) -> None:
    """The next is on its way before the last is answered."""
    desk = Desk(engine)
    batches = [bulk(20) for _ in range(7)]

    receipts = engine.run_many(enqueue_many(batch, on_full="wait") for batch in batches)

    assert [r.id for each in receipts for r in each] == [o.id for batch in batches for o in batch]
    assert desk.queue().ready == 140
    assert connections(engine) <= 2


def test_a_refusal_in_a_window_leaves_no_reply_behind(engine: Engine) -> None:
    """What was on its way behind it is not mistaken for the answer to the next call."""
    engine.run(configure(0, "default", high=3))
    batches = [bulk(2) for _ in range(5)]

    with pytest.raises(QueueFull):
        engine.run_many([enqueue_many(batch, on_full="refuse") for batch in batches])

    for n in range(5):
        assert engine.execute(0, "ECHO", f"{n}") == f"{n}".encode()


def test_calls_that_cannot_be_made_end_a_window_cleanly(engine: Engine) -> None:
    """The generator of calls may raise half-way."""

    def calls() -> Iterator[Call[Any]]:
        yield enqueue(order())
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        engine.run_many(calls())

    assert engine.execute(0, "ECHO", "fine") == b"fine"


def test_an_error_keeps_the_connection(engine: Engine) -> None:
    """An answer is an answer: only silence costs a connection."""
    engine.execute(0, "PING")
    for _ in range(5):
        with pytest.raises(ScriptMisuse):
            engine.execute(0, "NO-SUCH-COMMAND")

    assert connections(engine) == 1


def test_a_forked_child_gets_connections_of_its_own(engine: Engine) -> None:
    """Two processes on one socket would read each other's replies."""
    mine = engine.execute(0, "CLIENT", "ID")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, str(engine.execute(0, "CLIENT", "ID")).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = int(os.read(reader, 100))
    os.close(reader)
    os.close(writer)

    assert theirs != mine
    assert engine.execute(0, "CLIENT", "ID") == mine


def test_a_child_that_closes_the_engine_leaves_its_parent_alone(engine: Engine) -> None:
    """Hanging up in the one must not hang up in the other."""
    mine = engine.execute(0, "CLIENT", "ID")
    child = os.fork()
    if child == 0:
        engine.execute(0, "PING")
        engine.close()
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)

    assert engine.execute(0, "CLIENT", "ID") == mine


def test_closing_hangs_up(redis_url: str, redis_server: Server, namespace: str) -> None:
    """And may be done twice."""
    engine = open_engine(redis_url, namespace=namespace, name=namespace)
    engine.execute(0, "PING")
    engine.close()
    engine.close()

    name = f"name={namespace} ".encode()
    wait_until(lambda: name not in redis_server.ask("CLIENT", "LIST"), what="the connection to end")


def test_an_engine_that_is_forgotten_is_collected(redis_url: str, namespace: str) -> None:
    """The list of engines for forks must not keep them alive."""
    engine = open_engine(redis_url, namespace=namespace)
    engine.close()
    gone = weakref.ref(engine)
    del engine
    gc.collect()

    assert gone() is None


# -- trouble -----------------------------------------------------------------------------------


def test_a_broken_connection_is_replaced(proxy: LossyProxy, namespace: str) -> None:
    """Idle ones break as well, when a firewall forgets them: all are replaced, nothing is said."""
    with open_engine(proxy.url, namespace=namespace) as engine:
        for _ in range(3):
            proxy.cut()
            assert engine.execute(0, "PING") == b"PONG"


def test_a_redis_that_is_down_is_unreachable_after_the_patience(
    proxy: LossyProxy, namespace: str
) -> None:
    """Not before, and in words."""
    with open_engine(proxy.url, namespace=namespace, patience_s=0.3) as engine:
        proxy.refuse()
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"did not answer within 0\.3 s"):
            engine.execute(0, "PING")
        assert time.monotonic() - began >= 0.25
        proxy.accept()
        assert engine.execute(0, "PING") == b"PONG"


def test_a_redis_that_comes_back_in_time_is_no_error(proxy: LossyProxy, namespace: str) -> None:
    """The call was on its way all the time."""
    with (
        open_engine(proxy.url, namespace=namespace, patience_s=60) as engine,
        ThreadPoolExecutor(1) as pool,
    ):
        proxy.refuse()
        answer = pool.submit(engine.run, enqueue(order()))
        proxy.accept()
        assert answer.result(60).created


def test_work_survives_a_kill_of_the_server(
    new_server: Callable[..., Server], namespace: str
) -> None:
    """Killed and restarted with its append-only file: tasks are there, scripts are sent again."""
    server = new_server(appendonly="yes", appendfsync="always")
    with open_engine(server.url, namespace=namespace, patience_s=60) as engine:
        desk = Desk(engine)
        ids = [desk.put() for _ in range(10)]
        held = desk.take()
        server.kill9()
        server.start()

        assert desk.end(held) == "ok"
        assert [each.id for each in desk.claim(20).claims] == ids[1:]
        desk.audit()


def test_a_replica_is_read_only_after_the_patience(
    new_server: Callable[..., Server], namespace: str
) -> None:
    """It answers, but takes no writes: a failover may be under way, so it is given a while."""
    server = new_server()
    with open_engine(server.url, namespace=namespace, patience_s=0.2) as engine:
        server.ask("REPLICAOF", "127.0.0.1", "1")
        server.config(replica_serve_stale_data="yes")
        with pytest.raises(ReadOnly):
            engine.run(enqueue(order()))
        server.ask("REPLICAOF", "NO", "ONE")
        assert engine.run(enqueue(order())).created


def test_a_server_that_hangs_is_given_up(new_server: Callable[..., Server], namespace: str) -> None:
    """A frozen server keeps its sockets open: only the reply timeout tells."""
    server = new_server()
    url = f"{server.url}?socket_timeout=0.2&socket_connect_timeout=0.2"
    with open_engine(url, namespace=namespace, patience_s=60) as engine:
        engine.patience_s = 0.3
        server.pause()
        try:
            with pytest.raises(Unreachable):
                engine.execute(0, "PING")
        finally:
            server.resume()
        engine.patience_s = 60
        assert engine.execute(0, "PING") == b"PONG"


def test_a_late_reply_is_not_taken_for_the_next_one(
    new_server: Callable[..., Server], namespace: str
) -> None:
    """The connection it was to come on is gone."""
    server = new_server()
    url = f"{server.url}?socket_timeout=0.2"
    with open_engine(url, namespace=namespace, patience_s=60) as engine:
        engine.patience_s = 0.1
        server.pause()
        with pytest.raises(Unreachable):
            engine.execute(0, "ECHO", "late")
        server.resume()
        engine.patience_s = 60
        assert engine.execute(0, "ECHO", "next") == b"next"
