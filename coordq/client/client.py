"""connect(): one object with a door for each room."""

from __future__ import annotations

from functools import partial
from typing import Self

from coordq.client.agents import Agents
from coordq.client.breakers import Breakers
from coordq.client.bus import Bus
from coordq.client.fleet import Fleet
from coordq.client.flows import Flows
from coordq.client.limits import Limits
from coordq.client.routing import Routing
from coordq.client.schedules import Schedules
from coordq.client.sessions import Sessions
from coordq.client.tenants import Tenants
from coordq.client.topology import TopologyDoor
from coordq.client.work import TaskHandle, Work
from coordq.engine.connection import Engine, open_engine


class Client:
    """A namespace, for code that blocks: scripts, Django, Flask. Thread-safe; usable after fork."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.work = Work(engine)
        self.agents = Agents(engine)
        self.topology = TopologyDoor(engine, self.agents.directory)
        self.routing = Routing(engine, self.agents.directory)
        self.bus = Bus(engine, self.routing, self.topology.view)
        self.fleet = Fleet(engine)
        self.breakers = Breakers(engine)
        self.flows = Flows(engine)
        self.limits = Limits(engine)
        self.schedules = Schedules(engine, partial(TaskHandle, self.work))
        self.sessions = Sessions(engine)
        self.tenants = Tenants(engine)

    @property
    def namespace(self) -> str:
        """Which part of the Redis this is."""
        return self.engine.namespace

    def close(self) -> None:
        """Hang up. An embedded server stops when its last client has."""
        self.breakers.flush()
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(
    url: str | None = None, *, namespace: str | None = None, patience: float | None = 10.0
) -> Client:
    """Connect to a Redis: the argument, COORDQ_URL, or the embedded server of this machine.

    url: embedded://[path], redis://, rediss://, unix://, redis+sentinel://h1,h2/name,
        redis+cluster://h1,h2 or fake://.
    namespace: which part of the Redis; also `?ns=` in the URL or COORDQ_NAMESPACE; "main".
    patience: seconds that a call outlives a lost connection before it raises Unreachable.

    Raises InvalidURL, Unreachable, AccessDenied, ServerTooOld, ServerEvicts, SchemaMismatch.
    """
    return Client(open_engine(url, namespace=namespace, patience_s=patience))
