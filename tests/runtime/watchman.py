"""Real supervisors for tests: one process each, on a real Redis, watched through its own words."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from coordq.runtime.supervisor.settings import SupervisorSettings
from tests.runtime.tree import Tree

_RUN = """
import json, sys
from coordq.runtime.supervisor.settings import SupervisorSettings
from coordq.runtime.supervisor.start import run_supervisor
sys.exit(run_supervisor(SupervisorSettings(**json.loads(sys.argv[1]))))
"""
LEADS = "leads with epoch"


class Watchman(Tree):
    """One supervisor. Use it as a context manager, which waits until it leads or stands by."""

    says_when_ready = "with epoch"

    def __init__(self, folder: Path, url: str, namespace: str, **settings: Any) -> None:
        super().__init__(folder)
        self.settings = SupervisorSettings(url=url, namespace=namespace, **settings)

    def command(self) -> list[str]:
        """What to run."""
        return [sys.executable, "-c", _RUN, json.dumps(self.settings.to_dict())]

    @property
    def name(self) -> str:
        """What it is called in Redis."""
        found = re.search(r"supervisor (\S+) started: pid", self.log())
        assert found is not None, self.log()
        return found[1]

    def epochs(self) -> list[int]:
        """Under which epochs it has led, in order."""
        return [
            int(epoch) for epoch in re.findall(rf"{self.name} leads with epoch (\d+)", self.log())
        ]

    def wait_until_it_leads(self, *, terms: int = 1, within: float = 60) -> int:
        """Wait until it has been elected so often; the epoch of the last time."""
        self.wait_for(f"{self.name} {LEADS}", times=terms, within=within)
        return self.epochs()[-1]
