"""Fixtures for the embedded server: a directory that is left clean, and programs that misbehave."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.embedded_kit import processes_of
from tests.waiting import wait_until


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A directory for a server. Whatever still runs for it at the end of the test is ended."""
    path = tmp_path / "home"
    yield path
    for pid in processes_of(path):
        with contextlib.suppress(ProcessLookupError):  # it was about to end anyway
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not processes_of(path), what="no process left behind")


@pytest.fixture
def fake_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make the embedded server use a shell script: what it does, and which version it claims."""

    def write(does: str, *, version: str = "7.0.15") -> Path:
        script = tmp_path / "fake-redis-server"
        claim = f'if [ "$1" = --version ]; then echo "Redis server v={version} sha=0"; exit; fi'
        script.write_text(f"#!/bin/sh\n{claim}\n{does}\n")
        script.chmod(0o755)
        monkeypatch.setenv("COORDQ_REDIS_SERVER", str(script))
        return script

    return write
