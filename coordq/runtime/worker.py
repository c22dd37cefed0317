"""How a worker is set up; `start.run_worker` runs one."""

from __future__ import annotations

import dataclasses
import os
import re
import socket
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from coordq.errors import InvalidOption
from coordq.names import check_name
from coordq.runtime.bounds import within

PROCESSES_MAX: Final = 256
CONCURRENCY_MAX: Final = 4096
LEASE_BEATS: Final = 5
ASKERS: Final = "abc"
"""A child claims under three names, `<worker>/<child>.<generation>:<asker>`: see `pump`."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Everything about one worker. Times are seconds unless the name says otherwise."""

    targets: tuple[str, ...]
    """Files, folders or modules, each perhaps with `:object`: what the children load."""
    url: str | None = None
    """Redis; None for COORDQ_URL or the embedded one."""
    namespace: str | None = None
    processes: int = 1
    """How many children."""
    concurrency: int = 16
    """How many tasks a child holds at once; 1 or 2 for handlers that compute rather than wait."""
    threads: int = 0
    """How many sync handlers a child runs at once; 0 for as many as `concurrency`."""
    queues: tuple[tuple[str, int], ...] = ()
    """(name, weight). Equal weights: in this order, strictly. Else each claim draws an order, in
    which a queue comes first as often as its weight says. Empty: `default` and what tasks name."""
    name: str = ""
    """Shown in lists; made unique by a suffix. Empty for the host's name."""
    zone: str = ""
    """Host, rack or site: what fails together."""
    labels: dict[str, str] = field(default_factory=dict)
    beat_s: float = 2.0
    lease_s: float = 0.0
    """How long claims last; at least three beats, five unless said otherwise."""
    burst: bool = False
    """Exit when nothing is ready or due and nothing runs. What is scheduled for later, or suspended
    until something comes, is not waited for: the next worker goes on with it."""
    reload: bool = False
    """Replace the children when a file of the targets changes."""
    max_tasks: int = 0
    """Replace a child after it has started so many; 0 for never."""
    max_rss_mb: float = 0.0
    """Replace a child that uses more memory; 0 for never."""
    drain_timeout_s: float = 30.0
    """How long running tasks may go on after the first TERM."""
    health_port: int | None = None
    """Serve /healthz and /readyz there; 0 for any free port."""
    health_host: str = "127.0.0.1"
    stall_after_s: float = 10.0
    """A child whose loop has not turned for so long is stalled."""
    stall_policy: Literal["report", "kill"] = "report"
    """kill: end a stalled child after twice that time."""
    log_format: Literal["text", "json"] = "text"
    log_level: str = "info"
    tether: tuple[int, ...] = ()
    """File descriptors of the spawner that started it, see `runtime.tether`; empty for nobody's."""

    def __post_init__(self) -> None:
        if self.lease_s == 0:
            object.__setattr__(self, "lease_s", self.beat_s * LEASE_BEATS)

    def check(self) -> None:
        """Raise InvalidOption or InvalidName for settings no worker can run with."""
        if not self.targets:
            raise InvalidOption(
                "Nothing to run: name a file, a folder or a module.", option="targets"
            )
        within("processes", self.processes, 1, PROCESSES_MAX)
        within("concurrency", self.concurrency, 1, CONCURRENCY_MAX)
        within("threads", self.threads, 0, CONCURRENCY_MAX)
        within("beat_s", self.beat_s, 0.05, 3600)
        within("lease_s", self.lease_s, self.beat_s * 3, 86_400)
        within("drain_timeout_s", self.drain_timeout_s, 0, 86_400)
        within("stall_after_s", self.stall_after_s, 0.5, 86_400)
        within("max_tasks", self.max_tasks, 0, 2**53)
        within("max_rss_mb", self.max_rss_mb, 0, 2**53)
        for queue, weight in self.queues:
            check_name("queue", queue)
            within(f"the weight of {queue}", weight, 1, 1000)
        if self.zone:
            check_name("zone", self.zone)
        if self.name:
            check_name("worker", self.name)
            if ":" in self.name:
                raise InvalidOption(f"A worker's name has no ':': {self.name!r}.", option="name")

    @property
    def lease_ms(self) -> int:
        """The lease in milliseconds."""
        return round(self.lease_s * 1000)

    @property
    def beat_ms(self) -> int:
        """The time between beats in milliseconds."""
        return round(self.beat_s * 1000)

    @property
    def tick_s(self) -> float:
        """How often a child shows that its loop turns."""
        return min(0.5, self.beat_s)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON: for handing over to a child."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> WorkerSettings:
        """What `to_dict` made, also after a passage through JSON."""
        queues = tuple((str(name), int(weight)) for name, weight in facts["queues"])
        lists = {"targets": tuple(facts["targets"]), "tether": tuple(facts.get("tether", ()))}
        return cls(**{**facts, **lists, "queues": queues})


def worker_name(settings: WorkerSettings) -> str:
    """A name that no other worker has, not even one of a former life of the same container."""
    return unique_name(settings.name, nameless="worker")


def unique_name(wanted: str, *, nameless: str = "supervisor") -> str:
    """A name for this process and no other: `wanted`, else the host's, else `nameless`."""
    host = wanted or re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:60] or nameless
    return f"{host.lstrip('.-') or nameless}.{os.getpid()}-{os.urandom(2).hex()}"
