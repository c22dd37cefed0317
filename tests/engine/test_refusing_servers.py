"""Servers that answer and take no writes: too few replicas, or a file they cannot write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from coordq.engine.connection import open_engine
from coordq.errors import ReadOnly
from coordq.work.enqueue import enqueue
from tests.servers import Server
from tests.waiting import wait_until
from tests.work.desk import Desk, order

pytestmark = pytest.mark.live

Make = Callable[..., Server]


@pytest.fixture
def make(each_binary: Path) -> Iterator[Make]:
    """A server of 6.2, and of what is on PATH: they say no in different words inside a script."""
    with ExitStack() as stack:

        def made(**settings: str) -> Server:
            server = Server(each_binary, **settings)
            stack.callback(server.close)
            return server

        yield made


def test_a_primary_that_nobody_copies_may_refuse_writes(make: Make, namespace: str) -> None:
    """min-replicas-to-write: the call is repeated for a while, then it is said in its words."""
    server = make().start()
    with open_engine(server.url, namespace=namespace, patience_s=0.3) as engine:
        desk = Desk(engine)
        desk.put()
        held = desk.take()
        server.config(min_replicas_to_write="1")
        for refused in (lambda: engine.run(enqueue(order())), lambda: desk.end(held)):
            with pytest.raises(ReadOnly, match="NOREPLICAS"):
                refused()
        server.config(min_replicas_to_write="0")

        assert desk.end(held) == "ok", "nothing was half done"
        desk.audit()


def test_a_server_that_cannot_save_refuses_writes(make: Make, namespace: str) -> None:
    """MISCONF: a full disk, say. When it can save again, it goes on."""
    server = make(save="3600 1", dbfilename="taken")
    server.start()
    in_the_way = server.folder / "taken"
    in_the_way.mkdir()
    with open_engine(server.url, namespace=namespace, patience_s=0.3) as engine:
        desk = Desk(engine)
        desk.put()
        held = desk.take()
        server.ask("BGSAVE")
        wait_until(lambda: _saved(server) == b"err", what="the failure to save")
        with pytest.raises(ReadOnly, match="MISCONF"):
            desk.end(held)
        in_the_way.rmdir()
        server.ask("BGSAVE")
        wait_until(lambda: _saved(server) == b"ok", what="a save")

        assert desk.end(held) == "ok"


def _saved(server: Server) -> bytes:
    info: bytes = server.ask("INFO", "persistence")
    return info.partition(b"rdb_last_bgsave_status:")[2].partition(b"\r\n")[0]
