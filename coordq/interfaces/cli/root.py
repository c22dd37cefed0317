"""The root of the command line: the table of commands, and what happens when one fails."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

import click

import coordq
from coordq.interfaces.cli.failure import report, wants_json
from coordq.interfaces.cli.group import Home, LazyGroup
from coordq.interfaces.cli.session import common

_TASKS, _FLOWS, _QUEUES, _FLEET, _AGENTS, _START, _SELF = (
    "Tasks",
    "Flows",
    "Queues and dead letters",
    "Workers and what they do",
    "Agents and what they say",
    "Getting started",
    "coordq itself",
)
HOMES: Final = {
    "enqueue": Home("enqueue", _TASKS, "Enqueue a task, or a file of them."),
    "ls": Home("look", _TASKS, "List tasks."),
    "show": Home("look", _TASKS, "Show everything about one task."),
    "result": Home("look", _TASKS, "Wait for a task and print its result."),
    "why": Home("look", _TASKS, "Say why a task is not running."),
    "logs": Home("look", _TASKS, "Print what a task has logged."),
    "cancel": Home("change", _TASKS, "Cancel tasks, or ask their workers to stop them."),
    "retry": Home("change", _TASKS, "Make failed, cancelled or scheduled tasks ready now."),
    "schedule": Home("schedule", _TASKS, "Enqueue tasks again and again: every so often, or cron."),
    "flow": Home("flow", _FLOWS, "Run tasks that depend on each other, and see how they stand."),
    "approve": Home("answer", _FLOWS, "Let a task go on that waits for an approval."),
    "reject": Home("answer", _FLOWS, "Refuse a task that waits for an approval."),
    "signal": Home("answer", _FLOWS, "Wake the tasks that wait for a signal."),
    "progress": Home("progress", _FLOWS, "Show how flows and running tasks get on, live."),
    "queue": Home("queues", _QUEUES, "See, pause, limit and purge queues."),
    "tenant": Home("tenant", _QUEUES, "See tenants, and set their shares."),
    "limit": Home("limit", _QUEUES, "Limit rates, concurrency and what is spent."),
    "dead": Home("dead", _QUEUES, "See, revive and purge dead letters."),
    "worker": Home("run", _FLEET, "Run a worker until it is told to stop."),
    "workers": Home("workers", _FLEET, "See, drain and stop workers."),
    "fleet": Home("fleet", _FLEET, "See who can be reached; run groups of workers."),
    "supervisor": Home("supervisor", _FLEET, "Watch the fleet; several may run, one leads."),
    "stats": Home("workers", _FLEET, "Show queues, counters and workers at a glance."),
    "top": Home("top", _FLEET, "Watch queues and workers live."),
    "events": Home("events", _FLEET, "Print what happened, and follow what happens."),
    "agents": Home("agents", _AGENTS, "Find agents, and say who stands in for whom."),
    "bus": Home("bus", _AGENTS, "Publish, ask and listen: messages between agents."),
    "session": Home("session_talk", _AGENTS, "Read and lead conversations between agents."),
    "route": Home("route", _AGENTS, "Find whom a text concerns."),
    "topology": Home("topology", _AGENTS, "Say who may talk to whom, and see it drawn."),
    "breaker": Home("breaker", _AGENTS, "See and change circuit breakers."),
    "advise": Home("advise", _AGENTS, "Say which strategy of agreement fits a fleet, and why."),
    "init": Home("project", _START, "Make a new project from the ready-made workers."),
    "dev": Home(
        "dev", _START, "Run all there is in one terminal: Redis, supervisor, worker, live view."
    ),
    "demo": Home("run", _START, "Audit a source tree with a fleet, and kill a worker on the way."),
    "doctor": Home("doctor", _SELF, "Check that work kept in this Redis is safe."),
    "audit": Home("audit", _SELF, "Compare every task with the books, and repair them."),
    "chaos": Home("chaos", _SELF, "Break a fleet on purpose, and check that nothing was lost."),
    "bench": Home("run", _SELF, "Measure coordq and the Redis under it."),
    "completion": Home("project", _SELF, "Print the completion script of a shell."),
    "version": Home("project", _SELF, "Print the versions of coordq and what it runs on."),
}


class Root(LazyGroup):
    """The group that every command hangs from; no traceback leaves it."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = "coordq",
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - click's signature
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002 - click's signature
        **extra: Any,
    ) -> Any:
        """Run with `args` (sys.argv unless given), and exit with the code of what happened."""
        words = list(sys.argv[1:] if args is None else args)
        extra.setdefault("auto_envvar_prefix", "COORDQ")
        try:
            code = super().main(
                words,
                prog_name=prog_name,
                complete_var=complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, a person gets a sentence
            code = report(error, as_json=wants_json(words))
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else 0)


@click.group(
    "coordq",
    cls=Root,
    homes=HOMES,
    no_args_is_help=True,
    epilog="Exit codes: 0 fine, 1 failed, 2 usage, 3 not found, 4 cannot reach Redis, 5 refused.",
)
@click.version_option(coordq.__version__, message="coordq %(version)s")
@common
def cli(_session: object) -> None:
    """A work queue for fleets of agents, on one Redis.

    Without --url or COORDQ_URL it keeps a private Redis on this machine.
    """
