"""`coordq dev`: everything one needs while writing agents, in one terminal.

The embedded Redis is held by the connection of the live view. The worker is a process in a session
of its own, so that Ctrl-C reaches only us and we can end it in good order.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, Final

import click

from coordq import settings
from coordq.errors import CoordqError, InvalidInput
from coordq.interfaces.cli.failure import INTERRUPTED
from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.params import QUEUES
from coordq.interfaces.cli.run import chosen_targets
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import on_terminal, say
from coordq.interfaces.words import printable

if TYPE_CHECKING:
    from rich.console import Console

    from coordq.client.client import Client

LOOK_EVERY_S: Final = 1.0
DRAIN_S: Final = 5.0
"""While developing nobody wants to wait longer for what still runs."""


@click.command("dev", cls=Command)
@click.argument("targets", nargs=-1)
@click.option("--processes", "-p", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option("--queues", "-q", type=QUEUES, default=(), help="a,b:3; by default all.")
@common
def dev_command(
    session: Session,
    *,
    targets: tuple[str, ...],
    processes: int,
    queues: tuple[tuple[str, int], ...],
) -> None:
    """Run a Redis, a worker that reloads, and a live view, until Ctrl-C.

    TARGETS are as for coordq worker; by default ./workers, else the agents that come with coordq.
    """
    places = _targets(targets)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with session.connect() as client:
        command = _command(places, processes=processes, queues=queues)
        with _worker(command, session=session, client=client) as process:
            say(f"coordq dev: {', '.join(places)} on {client.engine.address.shown}", err=True)
            say("Try: coordq enqueue echo text=hi --wait      Ctrl-C ends it all.", err=True)
            code = _watch(process, client)
    raise click.exceptions.Exit(code)


def _targets(targets: tuple[str, ...]) -> tuple[str, ...]:
    """What to run. Raises InvalidInput for what is not there: waiting would not bring it."""
    from coordq.runtime.loader import builtin_workers, watched

    if not targets and not Path("workers").is_dir():
        return (str(builtin_workers()),)
    chosen = chosen_targets(targets)
    for target in chosen:
        if not watched([target]):
            raise InvalidInput(f"There is no file, folder or module {target!r} to run.")
    return chosen


def _interrupt(number: int, _frame: object) -> None:
    """Take a TERM, or the end of the terminal, for Ctrl-C: the worker must not be left behind."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _command(
    targets: tuple[str, ...], *, processes: int, queues: tuple[tuple[str, int], ...]
) -> list[str]:
    """The worker's command line."""
    words = [sys.executable, "-P", "-m", "coordq", "worker", *targets, "--reload"]
    words += ["--processes", str(processes), "--drain-timeout", f"{DRAIN_S:g}s"]
    if queues:
        words += ["--queues", ",".join(f"{name}:{weight}" for name, weight in queues)]
    return words


@contextmanager
def _worker(
    command: list[str], *, session: Session, client: Client
) -> Iterator[subprocess.Popen[str]]:
    """A worker process that ends with the block: drained if it can be, killed if it must be."""
    process = subprocess.Popen(
        command,
        env=_environment(session, client),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)


def _environment(session: Session, client: Client) -> dict[str, str]:
    """Ours, with the Redis we use."""
    chosen = {"COORDQ_NAMESPACE": client.namespace}
    if session.url:
        chosen["COORDQ_URL"] = session.url
    return settings.environment(**chosen)


def _end(process: subprocess.Popen[str]) -> None:
    for number, patience_s in ((signal.SIGTERM, DRAIN_S + 1), (signal.SIGTERM, 3.0)):
        with suppress(ProcessLookupError):
            process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
            return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _watch(process: subprocess.Popen[str], client: Client) -> int:
    """Show the worker's words, and on a terminal the board, until either ends. The exit code."""
    assert process.stderr is not None
    try:
        if on_terminal():
            _watch_board(process, process.stderr, client)
        else:
            for line in process.stderr:
                say(printable(line.rstrip("\n"), keep="\t"), err=True)
    except KeyboardInterrupt:
        return INTERRUPTED
    code = process.poll()
    if code:
        raise CoordqError(f"The worker ended with exit code {code}.")
    return 0


def _watch_board(process: subprocess.Popen[str], words: IO[str], client: Client) -> None:
    from rich.live import Live

    from coordq.interfaces.live import QUIT, Board, console, keys_pressed

    board, screen = Board(client), console()
    listener = Thread(target=_relay, args=(words, screen), daemon=True)
    with keys_pressed() as key, Live(board.draw(), console=screen, auto_refresh=False) as live:
        listener.start()
        while process.poll() is None and key(LOOK_EVERY_S) not in QUIT:
            live.update(board.draw(), refresh=True)
    if process.poll() is not None:
        listener.join(1.0)


def _relay(words: IO[str], screen: Console) -> None:
    """Print a worker's lines above the board."""
    for line in words:
        screen.print(printable(line.rstrip("\n"), keep="\t"), markup=False, soft_wrap=True)
