"""What the tour stands on: a Redis, a client, and a real worker for the agents of each chapter.

A chapter writes its agents in `AGENTS`, as they would stand in a file of your own. The fixture
`worker` runs `coordq worker agents.py` on them, and `agents` is that file as a module, for
producers that have the code.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import coordq
from coordq import Client
from tests.waiting import wait_until


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function on an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True


class Shell:
    """Runs `coordq ...` as a shell would."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "COORDQ_URL": url, "COLUMNS": "100"}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command that goes on."""
        return subprocess.Popen(
            [sys.executable, "-m", "coordq", *words],
            env=self.environment,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def __call__(self, *words: str, code: int = 0) -> str:
        """What a command prints; fails when it does not end with `code`."""
        process = self.start(*words)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == code, said
        return said.strip()


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder that holds the chapter's agents."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "agents.py").write_text(getattr(request.module, "AGENTS", ""))
    return folder


@pytest.fixture(scope="module")
def url(redis_url: str) -> str:
    """A Redis, and a namespace for this chapter."""
    return f"{redis_url}?ns=tour-{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def shell(url: str, folder: Path) -> Shell:
    """`shell("ls", "--json")`."""
    return Shell(url, folder)


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    """A client, as `coordq.connect()` gives it."""
    with coordq.connect(url) as client:
        yield client


@pytest.fixture(scope="module")
def worker(client: Client, shell: Shell) -> Iterator[subprocess.Popen[str]]:
    """A running worker for the chapter's agents, ended with TERM when the chapter ends."""
    with shell.start("worker", "agents.py", "--drain-timeout", "5s") as process:
        try:
            wait_until(lambda: client.work.workers() or process.poll() is not None)
            assert process.poll() is None, process.communicate()[0]
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=60)


@pytest.fixture(scope="module")
def agents(folder: Path) -> Any:
    """The chapter's agents, imported as a producer would import them."""
    spec = importlib.util.spec_from_file_location("tour_agents", folder / "agents.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
