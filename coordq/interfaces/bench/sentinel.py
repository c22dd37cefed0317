"""A master, its replicas and three Sentinels of a crew, perhaps on two sides of a network."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from coordq.engine.redis_binary import find_binary
from coordq.interfaces.bench.crew import Crew, Member, wait_until
from coordq.interfaces.bench.raw import RawClient

MASTER: Final = "bench"
QUORUM: Final = 2
DOWN_AFTER_MS: Final = 2000
TIMEOUT_MS: Final = 6000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server runs."""

    host: str = "127.0.0.1"
    """Its address for the others."""
    seen_at: str = "127.0.0.1"
    """Its address for us."""
    prefix: tuple[str, ...] = ()
    """Words that take a program there, such as `ip netns exec a`."""


HERE: Final = Place()


class Node:
    """One server, or one Sentinel."""

    def __init__(self, crew: Crew, name: str, place: Place, port: int, conf: Sequence[str]) -> None:
        self.name = name
        self.place = place
        self.port = port
        binds = dict.fromkeys((place.host, place.seen_at))
        folder = crew.folder / f"{name}-data"
        folder.mkdir()
        lines = [f"port {port}", f"bind {' '.join(binds)}", f"dir {folder}", "protected-mode no"]
        path = crew.write(f"{name}.conf", "\n".join([*lines, *conf, ""]))
        words = ["--sentinel"] if name.startswith("sentinel") else []
        command = [str(find_binary().path), str(path), *words]
        self.member: Member = crew.start(name, command, prefix=place.prefix)
        wait_until(lambda: self.ask("PING"), f"{name} answers")

    @property
    def address(self) -> str:
        """For the others."""
        return f"{self.place.host}:{self.port}"

    def ask(self, *words: str | float) -> Any:
        """One command on a connection of its own; None when it does not answer."""
        with suppress(ConnectionError):
            client = RawClient(self.port, self.place.seen_at)
            try:
                return client.command(*words)
            finally:
                client.close()
        return None

    def info(self) -> str:
        """What it says of replication."""
        return (self.ask("INFO", "replication") or b"").decode()


class Guarded:
    """What `redis+sentinel://` is about. Ended by its crew."""

    def __init__(
        self,
        crew: Crew,
        *,
        master: Place = HERE,
        replicas: Sequence[Place] = (HERE,),
        watchers: Sequence[Place] = (HERE, HERE, HERE),
        conf: Sequence[str] = (),
    ) -> None:
        ports = iter(free_ports(1 + len(replicas) + len(watchers)))
        quick = ['save ""', "repl-diskless-sync-delay 0", *conf]
        self.master = Node(crew, "redis-1", master, next(ports), quick)
        quick.append(f"replicaof {master.host} {self.master.port}")
        self.replicas = [
            Node(crew, f"redis-{at}", place, next(ports), quick)
            for at, place in enumerate(replicas, start=2)
        ]
        for replica in self.replicas:
            wait_until(lambda one=replica: "link_status:up" in one.info(), "a replica follows")  # type: ignore[misc]
        self.sentinels = [
            Node(crew, f"sentinel-{at}", place, next(ports), self._watch(place))
            for at, place in enumerate(watchers, start=1)
        ]
        wait_until(self._is_known, "the Sentinels know each other and the replica")

    def url(self, nearest: Place = HERE) -> str:
        """For a client at that place: the Sentinels beside it come first."""
        order = sorted(self.sentinels, key=lambda one: one.place != nearest)
        return f"redis+sentinel://{','.join(one.address for one in order)}/{MASTER}"

    def promoted(self) -> Node | None:
        """The replica that is a master now."""
        return next((one for one in self.replicas if "role:master" in one.info()), None)

    def _watch(self, place: Place) -> list[str]:
        return [
            f"sentinel announce-ip {place.host}",
            f"sentinel monitor {MASTER} {self.master.place.host} {self.master.port} {QUORUM}",
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {MASTER} {TIMEOUT_MS}",
        ]

    def _is_known(self) -> bool:
        for one in self.sentinels:
            others = one.ask("SENTINEL", "SENTINELS", MASTER) or []
            replicas = one.ask("SENTINEL", "REPLICAS", MASTER) or []
            if len(others) + 1 < len(self.sentinels) or len(replicas) < len(self.replicas):
                return False
        return True


def free_ports(amount: int) -> list[int]:
    """Ports that nobody on loopback listens on now."""
    probes = [socket.socket() for _ in range(amount)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
