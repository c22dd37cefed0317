"""The servers that tests run on: they answer, they can be broken, and they never stay behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.clusters import Cluster
from tests.replicas import Guarded
from tests.servers import Server
from tests.waiting import wait_until, wait_until_async

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.live
def test_a_server_keeps_its_address_and_data_over_a_kill(new_server: Callable[..., Server]) -> None:
    """A test can kill -9 a server with an append-only file and find everything again."""
    server = new_server(appendonly="yes", appendfsync="always")
    address = server.address
    server.ask("SET", "k", "v")
    server.kill9()
    assert not server.is_running

    server.start()
    assert server.address == address
    assert server.ask("GET", "k") == b"v"


@pytest.mark.live
def test_a_paused_server_takes_connections_and_stays_silent(
    new_server: Callable[..., Server],
) -> None:
    """What a hung machine looks like from outside; afterwards it goes on as if nothing was."""
    server = new_server()
    server.pause()
    with (
        redis.Redis(port=server.port, socket_timeout=0.2, retry=Retry(NoBackoff(), 0)) as client,
        pytest.raises(redis.TimeoutError),
    ):
        client.ping()

    server.resume()
    assert server.ask("PING") == b"PONG"


@pytest.mark.live
def test_settings_reach_the_server(new_server: Callable[..., Server]) -> None:
    """At the start from redis.conf, later through CONFIG SET."""
    server = new_server(maxmemory="20mb")
    server.config(maxmemory_policy="noeviction", maxmemory="30mb")

    assert server.ask("CONFIG", "GET", "maxmemory") == [b"maxmemory", b"31457280"]


@pytest.mark.live
def test_the_cluster_serves_every_slot(cluster: Cluster) -> None:
    """Three primaries, 16,384 slots, and a client finds the right one by itself."""
    with redis.RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port) as client:
        for n in range(20):
            client.set(f"slot-{n}", n)

    assert sum(node.ask("DBSIZE") for node in cluster.nodes) >= 20


@pytest.mark.live
def test_the_sentinel_names_the_master(guarded: Guarded) -> None:
    """The quorum of one knows who is in charge."""
    assert guarded.current_master() == ("127.0.0.1", guarded.master.port)


@pytest.mark.live
@pytest.mark.chaos
def test_no_server_outlives_a_killed_run(server_binary: Path) -> None:
    """Even SIGKILL of the test run leaves no server behind (Linux)."""
    if sys.platform != "linux":
        pytest.skip("the leash is a Linux call")
    program = (
        "import pathlib, sys; from tests.servers import Server; "
        "print(Server(pathlib.Path(sys.argv[1])).start().pid, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, server_binary],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        run.send_signal(signal.SIGKILL)

    wait_until(lambda: not is_alive(pid), what="the server to be gone")


def test_waiting_in_vain_says_for_what() -> None:
    """A deadline that passes names its condition, or nobody learns why."""
    with pytest.raises(AssertionError, match="the moon"):
        wait_until(lambda: False, within=0.02, what="the moon")


def test_waiting_on_a_loop_takes_coroutines() -> None:
    """Async tests wait with the same words."""
    import asyncio

    async def pid() -> int:
        return os.getpid()

    assert asyncio.run(wait_until_async(pid)) == os.getpid()


def is_alive(pid: int) -> bool:
    """Whether the process still runs: in a container nobody may ever collect a dead orphan."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
