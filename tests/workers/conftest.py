"""The files of workers/, loaded as a worker loads them, and a context to call their tasks with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from coordq import Context
from coordq.ids import new_id
from coordq.runtime.loader import APP, builtin_workers, load
from coordq.work.claim import Claim
from coordq.work.progress import Progress
from coordq.work.spec import Spec


class Notebook:
    """A reporter that keeps what a handler says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def progress(self, claim: Any, progress: Progress, /) -> None:
        """Pass over progress: no built-in worker is tested for it."""

    def log(self, _claim: Any, line: str, /) -> None:
        """Keep the line."""
        self.lines.append(line)


def worker_module(name: str) -> ModuleType:
    """The module that a worker makes of workers/<name>.py."""
    file = str((builtin_workers() / f"{name}.py").resolve())
    load([file])
    return next(  # other tests of this process may have loaded files of the same name
        module
        for full, module in list(sys.modules.items())
        if full.startswith(APP) and module.__file__ == file
    )


@pytest.fixture
def notebook() -> Notebook:
    """What the handler under test logs."""
    return Notebook()


@pytest.fixture
def ctx(notebook: Notebook) -> Context:
    """The context of a first attempt without a time limit."""
    return make_context(notebook)


@pytest.fixture
def worker() -> Callable[[str], ModuleType]:
    """The loader of one file of workers/."""
    return worker_module


def make_context(notebook: Notebook, **options: Any) -> Context:
    """A context whose log is `notebook`."""
    task_id = new_id()
    claim = Claim(
        id=task_id,
        fence=1,
        version=2,
        attempt=1,
        strikes=0,
        spec=Spec(queue="default", name="test"),
        args=b"{}",
        member=f"{task_id}|1",
    )
    return Context(claim, reporter=notebook, **options)
