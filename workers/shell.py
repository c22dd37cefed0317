"""Run commands from an allow-list, with their output in the task's log.

    COORDQ_SHELL_ALLOW="git log,uname" coordq worker workers/shell.py
    coordq enqueue shell command='["git", "log", "-1", "--oneline"]' cwd=/src/app --wait

The allow-list has one entry per comma. An entry is the start of a command, word by word: `git log`
allows `git log -1`, not `git push`; `/usr/bin/make` allows only that path. Nothing is allowed by
default. There is no shell in between: no globbing, no pipes, no `;`. But mind what a program's own
arguments can do: an entry `python` allows everything that Python can do.

For a list of your own, or several kinds of shell side by side, write a file next to this one:

    from .shell import shell_agent
    agent = shell_agent(["make test", "make lint"], name="build")

The command gets its own process group and no terminal. When the task is cancelled, runs out of
time or its worker shuts down, the whole group gets SIGTERM and, five seconds later, SIGKILL. If the
worker itself is killed with SIGKILL nobody is left to do that and the command runs to its end.
A command that fails is not tried again unless the producer asks for it (`max_attempts=3`): coordq
cannot know whether running it twice does harm.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coordq import Agent, Context, Reject

GRACE_S: Final = 5.0
"""How long a process group has between SIGTERM and SIGKILL."""

LINGER_S: Final = 1.0
"""How long output is read after the command has ended, if a process it left behind holds it."""

LINE_MAX: Final = 2_000
"""Characters of one line that are kept; the rest of the line is dropped."""

LOGGED_MAX: Final = 2_000
"""Lines of one command that go to the task's log; what follows is only counted, and in `tail`."""

TAIL_LINES: Final = 40
"""Lines at the end of the output that are kept for the result."""


class CommandFailed(Exception):
    """The command ended with something other than 0. The message has the end of its output."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left: its exit code (0), how long it ran, how much it said, and the end."""

    exit_code: int
    seconds: float
    lines: int
    tail: str


class Allowed:
    """The allow-list: entries such as "uname" or "git log", compared word by word."""

    def __init__(self, entries: Iterable[str]) -> None:
        self.starts = tuple(words for entry in entries if (words := tuple(shlex.split(entry))))

    def check(self, command: Sequence[str]) -> None:
        """Raise Reject when `command` is not on the list, or cannot be a command at all."""
        if not command or not command[0]:
            raise Reject("the command is empty: give a list such as ['uname', '-a']")
        if any("\0" in word for word in command):
            raise Reject("the command has a NUL byte in it")
        if not any(tuple(command[: len(start)]) == start for start in self.starts):
            raise Reject(f"{command[0]!r} is not allowed here: {self}")

    def __str__(self) -> str:
        listed = ", ".join(map(shlex.join, self.starts))
        return f"allowed is {listed}" if listed else "COORDQ_SHELL_ALLOW is empty"


def shell_agent(allow: Iterable[str] | None = None, *, name: str = "shell") -> Agent:
    """Make an agent with one task, `name`, that runs the commands in `allow`.

    Without `allow` the list is read from COORDQ_SHELL_ALLOW, once, when the worker starts.
    """
    if allow is None:
        allow = os.environ.get("COORDQ_SHELL_ALLOW", "").split(",")
    allowed = Allowed(allow)
    made = Agent(name, role="shell", capabilities={"shell"})

    @made.task(name=name, timeout=600, max_attempts=1)
    async def shell(ctx: Context, command: list[str], cwd: str | None = None) -> Done:
        """Run `command` (a list: program and arguments) in `cwd`; its lines go to the log.

        Fails when it ends with something other than 0. Rejected when it is not allowed, or the
        program or `cwd` does not exist.
        """
        allowed.check(command)
        return await run(ctx, command, cwd)

    return made


async def run(ctx: Context, command: Sequence[str], cwd: str | None = None) -> Done:
    """Run `command` to its end. Raises CommandFailed when its exit code is not 0."""
    output = _Output(ctx)
    began = time.monotonic()
    transport = await _start(command, cwd, output)
    try:
        await output.exited.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(output.ended.wait(), LINGER_S)
    finally:
        await _end_group(transport.get_pid())
        with suppress(TimeoutError):
            await asyncio.wait_for(output.exited.wait(), GRACE_S)
        transport.close()
    code = transport.get_returncode()
    if code != 0:
        raise CommandFailed(f"{shlex.join(command)[:200]} {_ended(code)}{output.last_words()}")
    return Done(code, round(time.monotonic() - began, 3), output.lines, output.tail())


async def _start(
    command: Sequence[str], cwd: str | None, output: _Output
) -> asyncio.SubprocessTransport:
    """Start the command in a process group of its own."""
    if cwd is not None and not Path(cwd).is_dir():  # noqa: ASYNC240  a stat is not worth a thread
        raise Reject(f"there is no folder {cwd!r} to run in")
    try:
        transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: output,
            *command,
            cwd=cwd,
            env=_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise Reject(f"{command[0]!r} cannot be started: {error.strerror}") from error
    return transport


def _environment() -> dict[str, str]:
    """The worker's environment without coordq's settings: they may hold a password."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COORDQ_")}


async def _end_group(leader: int) -> None:
    """End what is left of the command's process group: first politely, then not."""
    if not _signal_group(leader, signal.SIGTERM):
        return
    deadline = time.monotonic() + GRACE_S
    try:
        # Nothing tells when the last member of a group has ended, so it has to be asked.
        while time.monotonic() < deadline and _signal_group(leader, 0):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    finally:
        _signal_group(leader, signal.SIGKILL)


def _signal_group(leader: int, number: int) -> bool:
    """Send a signal to a process group. False when nothing is left of it."""
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


class _Output(asyncio.SubprocessProtocol):
    """Cuts what a command says into lines, logs the first ones and keeps the last ones.

    A protocol, not streams: a process that the command leaves behind keeps its pipes open, and
    `Process.wait` would wait for those as well.
    """

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.lines = 0
        self.exited = asyncio.Event()
        self.ended = asyncio.Event()
        self._open = {1: b"", 2: b""}
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take what came on standard output (1) or standard error (2)."""
        *whole, rest = (self._open[fd] + data).split(b"\n")
        for line in whole:
            self._line(line, fd)
        self._open[fd] = rest[: 4 * LINE_MAX]  # a line without an end is cut, never collected

    def pipe_connection_lost(self, fd: int, _error: Exception | None) -> None:
        """Take the last line of a pipe, which may have no line end."""
        if rest := self._open.pop(fd, b""):
            self._line(rest, fd)
        if not self._open:
            self.ended.set()

    def process_exited(self) -> None:
        """The command itself has ended; there may be output still."""
        self.exited.set()

    def _line(self, raw: bytes, fd: int) -> None:
        line = raw.decode(errors="replace").rstrip("\r")[:LINE_MAX]
        self.lines += 1
        self._tail.append(line)
        if self.lines <= LOGGED_MAX:
            self.ctx.log(line if fd == 1 else f"err: {line}")
        elif self.lines == LOGGED_MAX + 1:
            self.ctx.log(f"... more than {LOGGED_MAX} lines; the rest is not logged")

    def tail(self) -> str:
        """The last lines of the output, standard output and standard error as they came."""
        return "\n".join(self._tail)

    def last_words(self) -> str:
        """The end of the output for an error message: at most three lines."""
        said = [line for line in self._tail if line.strip()][-3:]
        return ": " + " | ".join(line[:300] for line in said) if said else ""


agent = shell_agent()
