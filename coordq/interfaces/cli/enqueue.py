"""`coordq enqueue`: one task from the command line, or a file of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.pairs import read_arguments
from coordq.interfaces.cli.params import MOMENT, PAIR, SPAN, WAITS
from coordq.interfaces.cli.session import Function, Session, common
from coordq.interfaces.cli.wishes import to_options
from coordq.interfaces.table import say, show_json
from coordq.interfaces.words import as_text

_EXAMPLES = """\b
Examples:
  coordq enqueue echo text=hi --wait
  coordq enqueue crawl url=https://example.org depth=2 tags:='["a"]' body=@page.html
  coordq enqueue crawl --file urls.jsonl --queue slow --priority low
"""

_OPTIONS: Final[tuple[Callable[[Any], Any], ...]] = (
    click.option("--queue", "-q", metavar="NAME", help="default unless said otherwise."),
    click.option("--priority", type=click.Choice(["critical", "high", "normal", "low"])),
    click.option("--delay", type=SPAN, help="Not before so long from now."),
    click.option("--at", type=MOMENT, help="Not before this moment."),
    click.option("--unique", metavar="KEY", help="No second task with this key while one lives."),
    click.option("--unique-for", type=SPAN, help="... or for so long."),
    click.option(
        "--on-duplicate",
        type=click.Choice(["return", "reject"]),
        help="When the key is held: return the holder's id, or fail.",
    ),
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
    click.option("--wait-for-room", type=SPAN, help="How long --on-full wait waits; 30s."),
    click.option("--id", metavar="ID", help="The task's id, to enqueue it once only."),
    click.option("--header", multiple=True, type=PAIR, help="Travels with the task; repeatable."),
)


def _task_options(function: Function) -> Function:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command("enqueue", cls=Command, epilog=_EXAMPLES)
@click.argument("name", required=False)
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--args", metavar="JSON", help="All arguments as an object; @file reads one.")
@click.option("--wait", is_flag=True, help="Wait for the result and print it.")
@click.option("--wait-timeout", type=SPAN, help="How long to wait.")
@click.option(
    "--file", metavar="FILE", help="JSON lines, - for stdin: {name, args, options}; args if NAME."
)
@click.option(
    "--skip-bad", is_flag=True, help="With --file: leave bad lines out, enqueue the others."
)
@_task_options
@common
def enqueue_command(
    session: Session,
    *,
    name: str | None,
    pairs: tuple[str, ...],
    args: str | None,
    wait: bool,
    wait_timeout: float | None,
    file: str | None,
    skip_bad: bool,
    **chosen: Any,
) -> None:
    """Enqueue the task NAME and print its id, or with --wait its result.

    KEY=VALUE: a number, true, false, null, quoted text, an object or an array is taken as JSON, all
    else as text. KEY:=VALUE is always JSON. KEY=@FILE is what the file holds.
    """
    options = to_options(chosen)
    if file is not None:
        if pairs or args is not None or wait or wait_timeout or "id" in options:
            raise click.UsageError("--file takes its arguments from the file, and does not wait.")
        from coordq.interfaces.cli.bulk import enqueue_file

        enqueue_file(session, file, name=name, options=options, skip_bad=skip_bad)
        return
    if name is None:
        raise click.UsageError("Missing argument 'NAME': which task?")
    if skip_bad:
        raise click.UsageError("--skip-bad belongs to --file.")
    given = read_arguments(pairs, args)
    _enqueue_one(
        session, name, given, options, wait=wait or wait_timeout is not None, limit=wait_timeout
    )


def _enqueue_one(
    session: Session,
    name: str,
    args: dict[str, Any],
    options: dict[str, Any],
    *,
    wait: bool,
    limit: float | None,
) -> None:
    with session.connect() as client:
        handle = client.work.enqueue(name, args, **options)
        answer: dict[str, Any] = {"id": handle.id, "created": handle.created}
        if wait:
            answer["result"] = handle.result(limit)
    if session.json:
        show_json(answer)
    elif wait:
        say(as_text(answer["result"]))
    else:
        if not handle.created:
            say("coordq: a task with this key or id is already there; this is its id.", err=True)
        say(handle.id)
