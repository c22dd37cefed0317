"""A master that is copied, and a Sentinel that promotes the copy: how writes are lost.

Replication is asynchronous. `cut` stops it in an instant and for certain, so that a test can say
which writes a failover loses: freezing the replica would not do, what was sent to it already lies
in its socket.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import redis

from tests.servers import HOST, Server, Started
from tests.waiting import wait_until

FOLLOWER = "follower"
COPIED = {
    "user": f"{FOLLOWER} on >{FOLLOWER} ~* &* +@all",
    "masteruser": FOLLOWER,
    "masterauth": FOLLOWER,
    "repl_diskless_sync_delay": "0",
}
"""Replication has a user of its own, who can be locked out."""


def cut(master: Server) -> None:
    """From now on nothing that `master` writes reaches a replica, until `mend`."""
    master.ask("ACL", "SETUSER", FOLLOWER, "off")
    master.ask("CLIENT", "KILL", "TYPE", "replica")
    wait_until(lambda: follower_count(master) == 0, what="replication to stop")


def mend(master: Server) -> None:
    """Let replicas follow again, and wait until one does."""
    master.ask("ACL", "SETUSER", FOLLOWER, "on")
    wait_until(lambda: follower_count(master), what="replication to go on")


def follower_count(master: Server) -> int:
    """How many replicas a master has that follow it now."""
    role = master.ask("ROLE")
    return len(role[2]) if role[0] == b"master" else 0


def is_master(server: Server) -> bool:
    """Whether a server takes writes. One that changes its role hangs up on who asks."""
    try:
        return server.is_running and server.ask("ROLE")[0] == b"master"
    except redis.ConnectionError:
        return False


class Pair(Started):
    """A master and its replica; nobody promotes by himself."""

    def __init__(self, binary: Path | None = None, /, **settings: str) -> None:
        self.master = Server(binary, **COPIED | settings)
        self.replica = Server(self.master.binary, **COPIED | settings)

    def start(self) -> Self:
        """Start both and wait until the replica is up to date."""
        self.master.start()
        self.replica.settings["replicaof"] = f"{HOST} {self.master.port}"
        self.replica.start()
        wait_until(lambda: follower_count(self.master) == 1, what="the replica to follow")
        return self

    def close(self) -> None:
        """Stop both."""
        for server in (self.replica, self.master):
            server.close()


class Sentinel(Server):
    """A Sentinel alone (quorum 1) that watches `master` under the name `mymaster`."""

    name = "mymaster"

    def __init__(self, master: Server, *, down_after_ms: int) -> None:
        super().__init__(master.binary)
        self._master = master
        self._down_after_ms = down_after_ms

    def _arguments(self, port: int) -> list[str]:
        conf = self.folder / "sentinel.conf"
        if not conf.exists():  # it writes what it learns into its conf, and reads it at a restart
            lines = [
                f"port {port}",
                f"bind {HOST}",
                f"dir {self.folder}",
                f"logfile {self.folder / 'log'}",
                f"sentinel monitor {self.name} {HOST} {self._master.port} 1",
                f"sentinel down-after-milliseconds {self.name} {self._down_after_ms}",
                f"sentinel failover-timeout {self.name} 4000",
            ]
            conf.write_text("\n".join(lines) + "\n")
        return [str(conf), "--sentinel"]


class Guarded(Pair):
    """A pair and a Sentinel that promotes the replica when the master is gone for so long."""

    def __init__(
        self, binary: Path | None = None, /, *, down_after_ms: int = 1000, **settings: str
    ) -> None:
        super().__init__(binary, **settings)
        self.sentinel: Sentinel | None = None
        self._down_after_ms = down_after_ms

    @property
    def url(self) -> str:
        assert self.sentinel is not None, "not started"
        return f"redis+sentinel://{self.sentinel.address}/{Sentinel.name}"

    def start(self) -> Self:
        """Start the three and wait until the Sentinel has seen an up-to-date replica."""
        super().start()
        self.sentinel = Sentinel(self.master, down_after_ms=self._down_after_ms).start()
        wait_until(self._is_known, what="the Sentinel to see the replica")
        return self

    def current_master(self) -> tuple[str, int]:
        """Whom the Sentinel names as master now: (host, port)."""
        assert self.sentinel is not None, "not started"
        host, port = self.sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", Sentinel.name)
        return host.decode(), int(port)

    def fail_over(self) -> None:
        """Kill the master (SIGKILL) and wait until its replica has its place.

        A Sentinel that was stopped for two seconds does nothing for half a minute.
        """
        self.master.kill9()
        wait_until(lambda: is_master(self.replica), within=120, what="the promotion")

    def close(self) -> None:
        """Stop the three."""
        if self.sentinel is not None:
            self.sentinel.close()
        super().close()

    def _is_known(self) -> bool:
        assert self.sentinel is not None
        replicas = self.sentinel.ask("SENTINEL", "REPLICAS", Sentinel.name)
        return any(b"slave" in facts and b"ok" in facts for facts in replicas)
