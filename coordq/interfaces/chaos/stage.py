"""The stage: servers, wires, workers, supervisors, producers and tailers, all our own.

Everything is a process that the stage started, is ended by its pid, and dies with the stage.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import coordq
from coordq import clock, settings
from coordq.bus.group import Group
from coordq.bus.topic import mailbox
from coordq.engine import keys
from coordq.errors import CoordqError
from coordq.interfaces.chaos import leash
from coordq.interfaces.chaos.listeners import (
    ABSENT,
    PATIENT,
    RUSH,
    RUSH_MAX,
    STAND_INS,
    VISIBILITY_S,
)
from coordq.interfaces.chaos.load import LIMITS
from coordq.interfaces.chaos.order import Order
from coordq.interfaces.chaos.plant import plant
from coordq.interfaces.chaos.servers import Guarded, Redis, Single
from coordq.interfaces.chaos.settings import ChaosSettings
from coordq.interfaces.chaos.skew import Skew
from coordq.interfaces.chaos.wires import Wires

NAMESPACE: Final = "chaos"
BEATS: Final = 5
"""A lease is so many beats."""
CONCURRENCY: Final = 16
START_S: Final = 120.0
WAIT_S: Final = 0.1
DRAIN_S: Final = 4.0
CALL_S: Final = 2.0
_AGENT: Final = """
from pathlib import Path
from coordq.interfaces.chaos.handlers import recording_agent
from coordq.interfaces.chaos.listeners import listening_agents

agent = recording_agent(Path(__file__).parents[1])
ada, bob, dan = listening_agents(Path(__file__).parents[1])
"""
ABSENT_S: Final = 86_400.0
"""Longer than any run: who is absent does not become known anew."""
_HEARD_MS: Final = 5_000
"""A reader that was not heard for so long is gone, for all that is waited for."""


@dataclass(slots=True)
class Member:
    """A process that may be killed, and is started anew."""

    name: str
    kind: str
    """worker, supervisor, producer or tailer."""
    words: Callable[[], list[str]]
    env: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    down: bool = False
    """A fault has ended it, and will start it anew."""
    ended: bool = False
    """It is over for good."""
    falls: int = 0
    """How often it ended by itself."""

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Its process, which may be over."""
        assert self.process is not None, "it was not started"
        return self.process.pid

    def start(self) -> None:
        """Start it, the first time or anew."""
        self.process = leash.spawn(self.words(), output=self.log, env=self.env)
        self.down = False

    def tree(self) -> list[int]:
        """Its pids, the parent's first; none when it is over."""
        return leash.tree(self.pid) if self.running else []

    def kill(self) -> None:
        """SIGKILL to all of it."""
        if self.process is not None:
            leash.end(self.process)

    def end(self, patience_s: float) -> None:
        """End it for good."""
        self.ended = True
        if self.process is not None:
            leash.end(self.process, patience_s=patience_s)


class Stage:
    """A context manager; inside the block everything is up and at work."""

    def __init__(self, chosen: ChaosSettings, folder: Path) -> None:
        self.settings, self.folder = chosen, folder
        self.members: dict[str, Member] = {}
        self.skews: dict[str, Skew] = {}
        self.calm = True
        """Redis is well, as far as the faults go."""
        self._stack = ExitStack()
        self._env = settings.environment()
        self.redis: Redis
        self.wires: Wires
        self.client: coordq.Client

    def __enter__(self) -> Self:
        with self._stack:
            self._open()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self) -> None:
        folder, chosen = self.folder, self.settings
        self.redis = (Guarded if chosen.engine == "sentinel" else Single)(folder)
        self._stack.callback(self.redis.close)
        self.wires = Wires(folder)
        self._stack.callback(self.wires.close)
        self.client = self._stack.enter_context(
            coordq.connect(
                f"{self.redis.url}?shards={chosen.shards}", namespace=NAMESPACE, patience=CALL_S
            )
        )
        for name, limit in LIMITS.items():
            self.client.limits.set(name, **limit)
        self.client.bus.bound(RUSH, entries=RUSH_MAX, max_bytes=1024 * 1024)
        self._stack.callback(self._end_all)
        if chosen.bug:
            self._env["COORDQ_LUA"] = str(plant(chosen.bug, folder / "lua"))
        self._cast(self._env)
        for member in self.members.values():
            if member.kind != "producer":
                member.start()
        serving = self.settings.workers * self.settings.children
        self._await(lambda: self._serving() >= serving, "workers")
        group = Group(mailbox(ABSENT), visibility_s=VISIBILITY_S, deliveries=PATIENT)
        self.client.bus.add_group(group)
        self.client.agents.register(ABSENT, ttl=ABSENT_S)
        self.stand_in(STAND_INS[0])

    # -- the cast ------------------------------------------------------------------------------

    def _cast(self, env: dict[str, str]) -> None:
        agents = self.folder / "agents"
        agents.mkdir()
        (agents / "recorder.py").write_text(_AGENT)
        for shard in range(self.settings.shards):
            words = ["tailer", self.redis.url, NAMESPACE, str(shard)]
            words.append(str(self.folder / f"tail-{shard}.journal"))
            self._add(f"tailer-{shard}", "tailer", self._module(words), env)
        for name in self.settings.cast.targets("worker"):
            skew = self.skews[name] = Skew(self.folder, name)
            self._add(name, "worker", self._worker(name), skew.environment(env))
        for name in self.settings.cast.targets("supervisor"):
            self._add(name, "supervisor", self._supervisor(name), env)
        for number, name in enumerate(self.settings.cast.targets("producer")):
            skew = self.skews[name] = Skew(self.folder, name)
            self._add(name, "producer", self._producer(name, number), skew.environment(env))

    def _add(
        self, name: str, kind: str, words: Callable[[], list[str]], env: dict[str, str]
    ) -> None:
        self.members[name] = Member(name, kind, words, env, self.folder / f"{name}.log")

    def _wire(self, name: str) -> str:
        """The address of Redis for one process, over a wire of its own."""
        sentinel = self.settings.engine == "sentinel"
        return self.redis.wire_url(self.wires.open(name, self.redis.ports, sentinel=sentinel))

    def _module(self, words: list[str]) -> Callable[[], list[str]]:
        module = f"coordq.interfaces.chaos.{words[0]}"
        return lambda: [sys.executable, "-P", "-m", module, *words[1:]]

    def _coordq(self, *words: str) -> Callable[[], list[str]]:
        tail = ["--namespace", NAMESPACE, "--log-level", "warning"]
        return lambda: [sys.executable, "-P", "-m", "coordq", *words, *tail]

    def _worker(self, name: str) -> Callable[[], list[str]]:
        lease_s = self.settings.lease_s
        words = ["worker", str(self.folder / "agents" / "recorder.py"), "--name", name]
        words += ["--processes", str(self.settings.children), "--concurrency", str(CONCURRENCY)]
        words += ["--lease", f"{lease_s}s", "--beat", f"{lease_s / BEATS}s"]
        words += ["--drain-timeout", f"{DRAIN_S}s", "--url", self._wire(name)]
        return self._coordq(*words)

    def _supervisor(self, name: str) -> Callable[[], list[str]]:
        words = ["supervisor", "--name", name, "--audit-every", "5s", "--url", self._wire(name)]
        return self._coordq(*words)

    def _producer(self, name: str, number: int) -> Callable[[], list[str]]:
        chosen = self.settings
        share = chosen.tasks // chosen.producers + (number < chosen.tasks % chosen.producers)
        order = Order(
            url=self._wire(name),
            namespace=NAMESPACE,
            folder=str(self.folder),
            seed=chosen.seed,
            number=number,
            producers=chosen.producers,
            tasks=share,
            rate=share / chosen.lasting_s,
            lease_s=chosen.lease_s,
            durability=chosen.durability,
            flows=chosen.flows,
            messages=chosen.messages,
        )
        return order.to_words

    # -- the play ------------------------------------------------------------------------------

    def _await(self, ready: Callable[[], bool], whom: str) -> None:
        deadline = clock.monotonic() + START_S
        while not ready():
            self.keep()
            if clock.monotonic() > deadline:
                raise CoordqError(f"the {whom} of the stage did not start: see {self.folder}.")
            time.sleep(WAIT_S)

    def _serving(self) -> int:
        children = [child for view in self.client.work.workers() for child in view.info["children"]]
        return sum(child["state"] == "serving" for child in children)

    def start_producers(self) -> None:
        """Let the tasks come; return when they do. Raises CoordqError when they do not."""
        producers = self.of_kind("producer")
        for member in producers:
            member.start()
        self._await(lambda: all(self._enqueues(one) for one in producers), "producers")

    def _enqueues(self, producer: Member) -> bool:
        """Whether it has begun to, or is done."""
        journals = self.folder.glob(f"{producer.name}-*.journal")
        return producer.ended or any(path.stat().st_size for path in journals)

    def of_kind(self, kind: str) -> list[Member]:
        """All members of a kind."""
        return [member for member in self.members.values() if member.kind == kind]

    def keep(self) -> None:
        """Start those anew that have ended by themselves, and notice producers that are done."""
        for member in self.members.values():
            if member.process is None or member.running or member.down or member.ended:
                continue
            if member.kind == "producer" and member.process.returncode == 0:
                member.ended = True
            else:
                member.falls += 1
                member.start()

    @property
    def produced(self) -> bool:
        """Whether every producer has done its share."""
        return all(member.ended for member in self.of_kind("producer"))

    def leader(self) -> Member | None:
        """The supervisor that leads now; None when that cannot be said."""
        if not self.calm:
            return None
        key = keys.leader(keys.root(NAMESPACE, 0))
        with suppress(CoordqError):
            text: Any = self.client.engine.execute(0, "GET", key)
            return self.members.get((text or b"").decode().split(".")[0])
        return None

    def open_flows(self) -> int:
        """How many flows have not ended. Raises Unreachable."""
        engine = self.client.engine
        return sum(
            int(engine.execute(shard, "ZCARD", keys.flows_open(keys.root(NAMESPACE, shard))))
            for shard in range(engine.shards)
        )

    def messages(self) -> tuple[int, int]:
        """How many places have something for a group, or messages are held; how many have ended.

        What a process had for itself goes with it: it is not waited for when that was not heard of
        lately, nor counted among what has ended, for it would come and go. Raises Unreachable.
        """
        since_ms = clock.now_ms() - _HEARD_MS
        left = ended = 0
        for view in self.client.bus.groups():
            if not view.group.ephemeral:
                ended += view.figures["handled"] + view.figures["dead"]
            elif max(view.readers.values(), default=0) <= since_ms:
                continue
            left += view.places + view.held
        return left, ended

    def stand_in(self, name: str) -> None:
        """Let this agent act for the one that is absent. Raises CoordqError."""
        self.client.agents.stand_in(ABSENT, name, who="chaos")

    def alive(self) -> frozenset[int]:
        """All processes of workers."""
        return frozenset(pid for member in self.of_kind("worker") for pid in member.tree())

    def summon(self) -> subprocess.Popen[bytes]:
        """A former leader writes once more; `ghost.log` says what came of it."""
        words = self._module(["ghost", self.redis.url, NAMESPACE])()
        ghost = leash.spawn(words, output=self.folder / "ghost.log", env=self._env)
        self._stack.callback(leash.end, ghost)
        return ghost

    def falls(self) -> dict[str, int]:
        """Who ended by itself, and how often."""
        return {one.name: one.falls for one in self.members.values() if one.falls}

    def replies_lost(self) -> int:
        """How many replies were lost on purpose so far."""
        return sum(self.wires.lost(name) for name in self.settings.cast.targets("wire"))

    def dismiss(self) -> None:
        """End the fleet in good order; the tailers last, when they have read everything."""
        for kind in ("worker", "supervisor", "tailer"):
            for member in self.of_kind(kind):
                member.ended = True
                if member.process is not None and member.running:
                    member.process.terminate()
            for member in self.of_kind(kind):
                member.end(DRAIN_S * 2)

    def _end_all(self) -> None:
        for member in self.members.values():
            member.end(0.0)
