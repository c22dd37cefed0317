"""Redis Clusters on loopback, whose primaries can be lost and whose slots can be moved."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from coordq.engine import keys
from tests.replicas import COPIED, follower_count, is_master
from tests.servers import HOST, Server, Started
from tests.waiting import wait_until

SLOTS = 16_384
PAGE = 100


class Cluster(Started):
    """Primaries that share the 16,384 slots, three by default, each perhaps with a replica.

    With replicas, a primary that is silent for `node_timeout_ms` is replaced by its own: then at
    least three primaries are needed, because a majority has to agree.
    """

    def __init__(
        self,
        binary: Path | None = None,
        /,
        *,
        primaries: int = 3,
        replicas: bool = False,
        node_timeout_ms: int = 5000,
    ) -> None:
        settings = {
            **COPIED,
            "cluster_enabled": "yes",
            "cluster_announce_ip": HOST,
            "cluster_config_file": "nodes.conf",
            "cluster_node_timeout": str(node_timeout_ms),
            "cluster_replica_validity_factor": "0",  # also one that was cut off may take over
        }
        self.primaries = [Server(binary, **settings) for _ in range(primaries)]
        self.replicas = [Server(binary, **settings) for _ in range(primaries if replicas else 0)]

    @property
    def nodes(self) -> list[Server]:
        """All of them, primaries first."""
        return self.primaries + self.replicas

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(node.address for node in self.nodes)

    def start(self) -> Self:
        """Start the nodes, deal out the slots, and wait until each node knows about all."""
        for epoch, node in enumerate(self.nodes, start=1):
            node.start()
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        first, *others = self.nodes
        for node in others:
            first.ask("CLUSTER", "MEET", HOST, node.port)
        share = SLOTS / len(self.primaries)
        for at, node in enumerate(self.primaries):
            node.ask("CLUSTER", "ADDSLOTS", *range(round(share * at), round(share * (at + 1))))
        wait_until(self._is_ready, what="the cluster to be ok on every node")
        self._attach_replicas()
        return self

    def close(self) -> None:
        """Stop the nodes."""
        for node in self.nodes:
            node.close()

    def _attach_replicas(self) -> None:
        for primary, replica in zip(self.primaries, self.replicas, strict=False):
            replica.ask("CLUSTER", "REPLICATE", primary.ask("CLUSTER", "MYID"))
        for primary in self.primaries if self.replicas else ():
            wait_until(lambda p=primary: follower_count(p) == 1, what="a replica")  # type: ignore[misc]
        if self.replicas:
            wait_until(self._is_told, what="every node to know the replicas")

    def _is_ready(self) -> bool:
        return all(
            b"cluster_state:ok" in node.ask("CLUSTER", "INFO")
            and len(node.ask("CLUSTER", "SLOTS")) == len(self.primaries)
            and len(node.ask("CLUSTER", "NODES").splitlines()) == len(self.nodes)
            for node in self.nodes
        )

    def _is_told(self) -> bool:
        """Only a replica that the others know to be one gets their votes."""
        rows = [row for node in self.nodes for row in node.ask("CLUSTER", "SLOTS")]
        return all(len(row) == 4 for row in rows)  # first, last, primary, replica

    # ------------------------------------------------------------ slots

    def slot_of(self, namespace: str, shard: int = 0) -> int:
        """In which slot a shard lives."""
        return int(self.nodes[0].ask("CLUSTER", "KEYSLOT", keys.root(namespace, shard)))

    def primary_of(self, slot: int) -> Server:
        """Who serves a slot, as the nodes that run say; waits until one says so of itself."""
        owner = wait_until(lambda: self._owner(slot), what=f"an owner of slot {slot}")
        assert owner is not None
        return owner

    def _owner(self, slot: int) -> Server | None:
        for node in self.nodes:
            if is_master(node):
                mine = node.ask("CLUSTER", "MYID")
                for first, last, primary, *_ in node.ask("CLUSTER", "SLOTS"):
                    if first <= slot <= last and primary[2] == mine:
                        return node
        return None

    def move(self, slot: int, target: Server) -> None:
        """Move a slot with its keys, as `redis-cli --cluster reshard` does."""
        with Move(self, slot, target) as move:
            move.send_keys()


class Move:
    """A slot on its way to another node: begun when the block begins, done when it ends."""

    def __init__(self, cluster: Cluster, slot: int, target: Server) -> None:
        self.slot = slot
        self.source = cluster.primary_of(slot)
        self.target = target
        self._cluster = cluster

    def __enter__(self) -> Self:
        old, new = self.source.ask("CLUSTER", "MYID"), self.target.ask("CLUSTER", "MYID")
        self.target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", old)
        self.source.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", new)
        return self

    def send_keys(self, most: int | None = None) -> int:
        """Send the slot's keys, or `most` of them; how many went."""
        sent = 0
        while most is None or sent < most:
            amount = PAGE if most is None else min(PAGE, most - sent)
            found = self.source.ask("CLUSTER", "GETKEYSINSLOT", self.slot, amount)
            if not found:
                break
            self.source.ask("MIGRATE", HOST, self.target.port, "", 0, 5000, "KEYS", *found)
            sent += len(found)
        return sent

    def __exit__(self, *_: object) -> None:
        self.send_keys()
        new = self.target.ask("CLUSTER", "MYID")
        for node in (self.target, self.source, *self._cluster.primaries):
            node.ask("CLUSTER", "SETSLOT", self.slot, "NODE", new)
