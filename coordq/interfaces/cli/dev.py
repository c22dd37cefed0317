"""`coordq dev`: everything one needs while writing agents, in one terminal.

The embedded Redis is held by the connection of the live view. Worker and supervisor are processes
in sessions of their own, so that Ctrl-C reaches only us and we can end them in good order.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final

import click

from coordq import settings
from coordq.errors import CoordqError, InvalidInput
from coordq.interfaces.cli.failure import INTERRUPTED
from coordq.interfaces.cli.group import Command
from coordq.interfaces.cli.params import QUEUES
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.cli.targets import chosen_targets
from coordq.interfaces.table import on_terminal, say
from coordq.interfaces.words import printable

if TYPE_CHECKING:
    from coordq.client.client import Client

Show = Callable[[str], None]

LOOK_EVERY_S: Final = 1.0
_SUPERVISOR: Final = ["supervisor"]
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
    """Run a Redis, a supervisor, a worker that reloads, and a live view, until Ctrl-C.

    TARGETS are as for coordq worker; by default ./workers, else the agents that come with coordq.
    """
    places = _targets(targets)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with session.connect() as client:
        environment = _environment(session, client)
        command = _worker(places, processes=processes, queues=queues)
        with (
            _running(_SUPERVISOR, environment) as supervisor,
            _running(command, environment) as worker,
        ):
            say(f"coordq dev: {', '.join(places)} on {client.engine.address.shown}", err=True)
            say("Try: coordq enqueue echo text=hi --wait      Ctrl-C ends it all.", err=True)
            code = _watch(worker, supervisor, client)
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


def _worker(
    targets: tuple[str, ...], *, processes: int, queues: tuple[tuple[str, int], ...]
) -> list[str]:
    """The worker's command line."""
    words = ["worker", *targets, "--reload"]
    words += ["--processes", str(processes), "--drain-timeout", f"{DRAIN_S:g}s"]
    if queues:
        words += ["--queues", ",".join(f"{name}:{weight}" for name, weight in queues)]
    return words


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A coordq process that ends with the block: in good order if it can, killed if it must be."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "coordq", *command],
        env=environment,
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


def _watch(worker: subprocess.Popen[str], supervisor: subprocess.Popen[str], client: Client) -> int:
    """Show their words, and on a terminal the board, until it or the worker ends. The exit code.

    A supervisor that ends is missed by its words only: work goes on without it.
    """
    try:
        if on_terminal():
            _watch_board(worker, supervisor, client)
        else:
            _listen(supervisor, _say)
            _relay(worker, _say)
    except KeyboardInterrupt:
        return INTERRUPTED
    code = worker.poll()
    if code:
        raise CoordqError(f"The worker ended with exit code {code}.")
    return 0


def _watch_board(
    worker: subprocess.Popen[str], supervisor: subprocess.Popen[str], client: Client
) -> None:
    from rich.live import Live

    from coordq.interfaces.live import QUIT, Board, console, keys_pressed

    board, screen = Board(client), console()
    above = partial(screen.print, markup=False, soft_wrap=True)
    with keys_pressed() as key, Live(board.draw(), console=screen, auto_refresh=False) as live:
        listeners = [_listen(process, above) for process in (worker, supervisor)]
        while worker.poll() is None and key(LOOK_EVERY_S) not in QUIT:
            live.update(board.draw(), refresh=True)
    if worker.poll() is not None:
        listeners[0].join(1.0)


def _listen(process: subprocess.Popen[str], show: Show) -> Thread:
    """Relay a process's lines from a thread."""
    listener = Thread(target=_relay, args=(process, show), daemon=True)
    listener.start()
    return listener


def _relay(process: subprocess.Popen[str], show: Show) -> None:
    """Show a process's lines until it ends."""
    assert process.stderr is not None
    for line in process.stderr:
        show(printable(line.rstrip("\n"), keep="\t"))


def _say(line: str) -> None:
    say(line, err=True)
