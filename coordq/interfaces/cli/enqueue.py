"""`coordq enqueue`: one task from the command line, or a file of them."""

from __future__ import annotations

from typing import Any

import click

from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.pairs import read_arguments
from coordq.interfaces.cli.params import SPAN
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.cli.task_options import once_options, run_options
from coordq.interfaces.cli.wishes import to_options
from coordq.interfaces.table import say, show_json
from coordq.interfaces.words import as_text

_EXAMPLES = """\b
Examples:
  coordq enqueue echo text=hi --wait
  coordq enqueue crawl url=https://example.org depth=2 tags:='["a"]' body=@page.html
  coordq enqueue crawl --file urls.jsonl --queue slow --priority low
"""


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
@run_options
@once_options
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
