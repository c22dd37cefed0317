"""The fleet: workers, and everything at a glance."""

from __future__ import annotations

import click

from coordq.interfaces.cli.confirm import confirm, yes_option
from coordq.interfaces.cli.group import Command, Group
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import on_terminal, say, show_facts, show_json, show_table
from coordq.interfaces.words import count


@click.group("workers", cls=Group, invoke_without_command=True)
@common
@click.pass_context
def workers_command(ctx: click.Context, session: Session) -> None:
    """See, drain and stop workers; alone it lists them."""
    if ctx.invoked_subcommand is None:
        _list(session)


@workers_command.command("ls")
@common
def workers_ls(session: Session) -> None:
    """List live workers."""
    _list(session)


@workers_command.command("drain")
@click.argument("name")
@common
def workers_drain(session: Session, *, name: str) -> None:
    """Tell a worker to take nothing new, finish what runs, and end."""
    _tell(session, name, "drain", "finishes what runs, then ends")


@workers_command.command("stop")
@click.argument("name")
@yes_option
@common
def workers_stop(session: Session, *, name: str, yes: bool) -> None:
    """Tell a worker to cancel what runs, give it back, and end."""
    confirm(f"Stop worker {name!r} and interrupt what it runs?", yes=yes)
    _tell(session, name, "stop", "gives back what runs, then ends")


@workers_command.command("dump")
@click.argument("name")
@common
def workers_dump(session: Session, *, name: str) -> None:
    """Tell a worker to write the stacks of all its threads to its stderr."""
    _tell(session, name, "dump", "writes its stacks to its stderr")


def _tell(session: Session, name: str, order: str, words: str) -> None:
    with session.connect() as client:
        client.work.tell_worker(name, order)
    if session.json:
        show_json({"worker": name, "told": order})
    else:
        say(f"worker {name} was told: it {words}")


def _list(session: Session) -> None:
    from coordq.interfaces.rates_view import worker_notes
    from coordq.interfaces.show import WORKER_COLUMNS, worker_rows

    with session.connect() as client:
        workers = client.work.workers()
        notes = worker_notes(client.fleet.status())
    if session.json:
        known = {name: {"health": health} for name, (health, _) in notes.items()}
        show_json([{**worker.to_json(), **known.get(worker.name, {})} for worker in workers])
    else:
        show_table(WORKER_COLUMNS, worker_rows(workers, notes), empty="No worker is alive.")


@click.command("stats", cls=Command)
@common
def stats_command(session: Session) -> None:
    """Show queues, counters and workers at a glance."""
    with session.connect() as client:
        overview = client.work.stats()
        fleet = client.fleet.status()
        namespace = client.namespace
    if session.json:
        rates = {key: fact for key, fact in fleet.rates.items() if key != "workers"}
        show_json({"namespace": namespace, **overview.to_json(), "rates": rates})
        return
    from coordq.interfaces.rates_view import NOBODY, rate_lines
    from coordq.interfaces.show import QUEUE_COLUMNS, queue_rows

    names = (
        "ready",
        "scheduled",
        "enqueued",
        "succeeded",
        "failed",
        "cancelled",
        "retried",
        "lapsed",
    )
    sums = {name: sum(getattr(queue, name) for queue in overview.queues) for name in names}
    sums |= {"running": overview.running, "dead letters": overview.dead}
    sums["workers"] = len(overview.workers)
    measured = "; ".join(rate_lines(fleet.rates)) or NOBODY
    facts = [(name, count(sums[name])) for name in sums]
    show_facts([("namespace", namespace), *facts, ("rates", measured)])
    if on_terminal() and overview.queues:
        say("")
        show_table(QUEUE_COLUMNS, queue_rows(overview.queues))
