"""Commands that run something for a while: worker, demo, bench."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from coordq.interfaces.cli.group import Command, options
from coordq.interfaces.cli.params import PAIR, QUEUES, SPAN, TETHER
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.cli.targets import chosen_targets

_EXAMPLES = """\b
Examples:
  coordq worker ./workers --processes 4
  coordq worker app.tasks:agent --queues critical:5,default --reload
"""

_FIELDS: Final = {
    "label": "labels",
    "beat": "beat_s",
    "lease": "lease_s",
    "max_rss": "max_rss_mb",
    "drain_timeout": "drain_timeout_s",
    "stall_after": "stall_after_s",
}
"""Variables are named after flags, settings after units."""

worker_options = options(
    click.option("--processes", "-p", type=int, default=1, show_default=True, help="Children."),
    click.option(
        "--concurrency", "-c", type=int, default=16, show_default=True, help="Tasks a child holds."
    ),
    click.option("--threads", type=int, default=0, help="For sync handlers; 0: as --concurrency."),
    click.option(
        "--queues", "-q", type=QUEUES, default=(), help="a,b:3; by default all that the tasks name."
    ),
    click.option("--name", default="", help="Shown in lists; by default the host's."),
    click.option("--zone", default="", help="What fails together: a host, rack or site."),
    click.option("--label", multiple=True, type=PAIR, help="Repeatable."),
    click.option("--beat", type=SPAN, default=2.0, help="Between heartbeats; 2s."),
    click.option("--lease", type=SPAN, default=0.0, help="How long claims last; five beats."),
    click.option("--burst", "-b", is_flag=True, help="End when nothing can start now."),
    click.option("--reload", is_flag=True, help="Start the children anew when a file changes."),
    click.option("--max-tasks", type=int, default=0, metavar="N", help="Renew a child after N."),
    click.option("--max-rss", type=float, default=0.0, metavar="MB", help="... or above this."),
    click.option("--drain-timeout", type=SPAN, default=30.0, help="After TERM; 30s."),
    click.option("--health-port", type=click.IntRange(0, 65535), help="For /healthz; 0: any."),
    click.option("--health-host", default="127.0.0.1", show_default=True),
    click.option("--stall-after", type=SPAN, default=10.0, help="A blocked loop; 10s."),
    click.option("--stall-policy", type=click.Choice(["report", "kill"]), default="report"),
    click.option("--log-format", type=click.Choice(["text", "json"]), default="text"),
    click.option(
        "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info"
    ),
    click.option("--tether", type=TETHER, default=(), hidden=True, allow_from_autoenv=False),
)
"""The options of a worker."""


@click.command("worker", cls=Command, epilog=_EXAMPLES)
@click.argument("targets", nargs=-1, envvar="COORDQ_WORKER_TARGETS")
@worker_options
@common
def worker_command(session: Session, *, targets: tuple[str, ...], **settings: Any) -> None:
    """Run a worker on TARGETS: files, folders or modules, each perhaps with :object.

    By default ./workers. The first TERM or Ctrl-C drains, the second gives back what still runs.
    """
    from coordq.runtime.start import run_worker
    from coordq.runtime.worker import WorkerSettings

    named = {_FIELDS.get(name, name): value for name, value in settings.items()}
    named["labels"] = dict(named["labels"])
    chosen = WorkerSettings(
        chosen_targets(targets), url=session.url, namespace=session.namespace, **named
    )
    raise click.exceptions.Exit(run_worker(chosen))


@click.command("demo", cls=Command)
@click.argument("show", type=click.Choice(["audit", "debate"]), default="audit")
@click.option(
    "--path",
    type=click.Path(path_type=Path),
    help="Sources, or texts; the standard library unless said.",
)
@click.option("--processes", type=click.IntRange(1, 64), default=4, show_default=True)
@click.option("--kill/--no-kill", default=True, help="Whether a child is killed halfway.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The most files to take.")
@click.option("--question", metavar="TEXT", help="What is debated.")
@click.option("--rounds", type=click.IntRange(1, 20), default=3, show_default=True)
@common
def demo_command(
    session: Session,
    *,
    show: str,
    path: Path | None,
    processes: int,
    kill: bool,
    limit: int | None,
    question: str | None,
    rounds: int,
) -> None:
    """Audit a source tree with a fleet, kill a worker on the way, and count what was lost.

    `coordq demo debate`: five agents debate a question in a session, over the texts under --path;
    the process of one is killed, and another agent stands in for it. Uses a private Redis in a
    temporary folder unless --url names one.
    """
    if show == "debate":
        from coordq.interfaces.demo.debate import QUESTION, run_debate

        raise click.exceptions.Exit(
            run_debate(
                question or QUESTION,
                corpus=path,
                rounds=rounds,
                kill=kill,
                json=session.json,
                url=session.url,
            )
        )
    from coordq.interfaces.demo.run import run_demo

    code = run_demo(
        path, processes=processes, kill=kill, limit=limit, json=session.json, url=session.url
    )
    raise click.exceptions.Exit(code)


@click.command(
    "bench",
    cls=Command,
    context_settings={
        "ignore_unknown_options": True,
        "allow_extra_args": True,
        "help_option_names": [],
    },
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench_command(arguments: tuple[str, ...]) -> None:
    """Measure coordq and the Redis under it; -h lists the arguments."""
    from coordq.interfaces.bench import main

    raise click.exceptions.Exit(main(arguments))
