"""What may be said of a task on the command line, when it is enqueued or scheduled."""

from __future__ import annotations

import click

from coordq.interfaces.cli.group import options
from coordq.interfaces.cli.params import MOMENT, PAIR, SPAN, WAITS

run_options = options(
    click.option("--queue", "-q", metavar="NAME", help="default unless said otherwise."),
    click.option("--priority", type=click.Choice(["critical", "high", "normal", "low"])),
    click.option("--max-attempts", type=int, metavar="N", help="3 unless said otherwise."),
    click.option("--backoff", type=WAITS, help="Waits between attempts: 1s,10s,5m."),
    click.option("--timeout", type=SPAN, help="Of one run."),
    click.option("--expires", type=SPAN, help="A dead letter if not started within this time."),
    click.option("--total-timeout", type=SPAN, help="From now to the end, all attempts together."),
    click.option("--result-ttl", type=SPAN, help="How long the result is kept; 10m."),
    click.option("--role", metavar="NAME", help="Only agents of this role may take it."),
    click.option(
        "--capability", multiple=True, metavar="NAME", help="Only agents that can this; repeatable."
    ),
    click.option(
        "--on-full",
        type=click.Choice(["wait", "refuse", "shed", "force"]),
        help="When the queue is at its high mark.",
    ),
    click.option("--tenant", metavar="NAME", help="Whose share of the queue it takes."),
    click.option(
        "--limit", multiple=True, metavar="NAME[:KEY]", help="What it counts against; repeatable."
    ),
    click.option("--cost", type=float, metavar="UNITS", help="What it takes from budgets; 1."),
    click.option("--header", multiple=True, type=PAIR, help="Travels with the task; repeatable."),
)
"""Options of how a task is run, as `wishes.to_options` reads them."""
once_options = options(
    click.option("--delay", type=SPAN, help="Not before so long from now."),
    click.option("--at", type=MOMENT, help="Not before this moment."),
    click.option(
        "--after", multiple=True, metavar="ID", help="When this task has succeeded; repeatable."
    ),
    click.option("--unique", metavar="KEY", help="No second task with this key while one lives."),
    click.option("--unique-for", type=SPAN, help="... or for so long."),
    click.option(
        "--on-duplicate",
        type=click.Choice(["return", "reject", "throttle", "replace", "debounce", "keep-last"]),
        help="When the key is held: return the holder's id, fail, or renew its arguments.",
    ),
    click.option("--wait-for-room", type=SPAN, help="How long --on-full wait waits; 30s."),
    click.option("--id", metavar="ID", help="The task's id, to enqueue it once only."),
    click.option(
        "--durability",
        type=click.Choice(["primary", "replica"]),
        help="replica: fail when no replica of the Redis confirms the task.",
    ),
    click.option("--force", is_flag=True, default=None, help="Also while the fleet is read-only."),
)
"""Options that make sense for one task only, not for a schedule."""
