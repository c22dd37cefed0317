"""Whether tenants get their shares, by the order of grants, and what that costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from coordq.client.client import Client, connect
from coordq.ids import new_id
from coordq.interfaces.bench.desk import script_us, take, work_off
from coordq.interfaces.bench.measure import BULK, PAYLOAD, Figures
from coordq.interfaces.bench.server import Server
from coordq.work.enqueue import Order, enqueue_many
from coordq.work.options import DEFAULTS, template
from coordq.work.payload import dump_args

LARGE, SMALL, EACH = 100_000, 99, 10
ROUNDS = (SMALL + 1) * EACH
AT_ONCE = 20
TASKS = 10_000
TENANTS = (100, 10_000)


def fill(client: Client, tenants: Iterable[str | None], each: int) -> None:
    """So many tasks for each tenant, 500 a call; None: for nobody."""
    orders = []
    for tenant in tenants:
        made = template("noop", DEFAULTS.merge(tenant=tenant))
        for number in range(each):
            args = dump_args("noop", {"i": number, "payload": PAYLOAD})
            orders.append(Order(new_id(), made, args))
    for first in range(0, len(orders), BULK):
        client.engine.run(enqueue_many(orders[first : first + BULK], on_full="wait"))


def _shares(server: Server) -> Figures:
    """One tenant with very many tasks and 99 with ten: who had how many after ten rounds."""
    small = [f"small-{number}" for number in range(SMALL)]
    order: list[str] = []
    with connect(server.url) as client:
        fill(client, ["large"], LARGE)
        fill(client, small, EACH)
        while len(order) < 2 * ROUNDS:
            order += [one.spec.tenant for one in take(client, AT_ONCE)]
    server.flush()
    had = Counter(order[:ROUNDS])
    last = max(at for at, tenant in enumerate(order, 1) if tenant != "large")
    return {
        "fair: worst share of 99 small tenants, % off": max(
            abs(had[tenant] - EACH) / EACH * 100 for tenant in small
        ),
        f"fair: grants until all small ones are done, ideally {ROUNDS:,}": last,
    }


def _task_us(server: Server, tenants: list[str | None]) -> float:
    """Scripts' time for a task of one of these tenants: enqueued in bulk, claimed and finished."""
    with connect(server.url) as client:

        def work() -> None:
            fill(client, tenants, TASKS // len(tenants))
            assert len(work_off(client, AT_ONCE)) == TASKS, "some were lost"

        spent = script_us(server, work) / TASKS
    server.flush()
    return spent


def fair(server: Server) -> Figures:
    """Shares, and a task's cost without tenants, with a hundred and with ten thousand."""
    figures = _shares(server)
    plain = _task_us(server, [None])
    few, many = (_task_us(server, [f"t{n}" for n in range(amount)]) for amount in TENANTS)
    return figures | {
        "fair: scripts per task without a tenant, us": plain,
        f"fair: scripts per task, {TENANTS[0]:,} tenants, us": few,
        f"fair: scripts per task, {TENANTS[1]:,} tenants, us": many,
        "fair: scripts per task, 10,000 : 100 tenants": many / few,
    }
