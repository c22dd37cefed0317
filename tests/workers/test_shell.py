"""Commands run only when they are allowed, say what they do, and never outlive their task."""

import asyncio
import os
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from coordq import Context, Reject
from tests.waiting import wait_until
from tests.workers.conftest import Notebook, worker_module

shell = worker_module("shell")


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", textwrap.dedent(code)]


def run(ctx: Context, command: list[str], **options: Any) -> Any:
    return asyncio.run(shell.run(ctx, command, **options))


def test_a_command_gives_its_output_and_figures(ctx: Context, notebook: Notebook) -> None:
    """What it says goes to the task's log as it comes, and the end of it into the result."""
    done = run(ctx, python("import sys; print('one'); print('two', file=sys.stderr)"))

    assert (done.exit_code, done.lines) == (0, 2)
    assert sorted(done.tail.split("\n")) == ["one", "two"]
    assert sorted(notebook.lines) == ["err: two", "one"]
    assert done.seconds > 0


def test_lines_reach_the_log_while_the_command_runs(ctx: Context, notebook: Notebook) -> None:
    """Whoever watches a long build wants to see it now, not at the end."""
    code = "import time; print('early'); time.sleep(600)"

    asyncio.run(cancelled_when(lambda: "early" in notebook.lines, shell.run(ctx, python(code))))


def test_a_failure_says_how_it_ended_and_its_last_words(ctx: Context) -> None:
    """The message is what a person sees in the dead letter, without looking at the log."""
    with pytest.raises(shell.CommandFailed, match=r"exit code 3: the disk is full"):
        run(ctx, python("import sys; print('the disk is full'); sys.exit(3)"))


def test_a_command_that_is_killed_says_by_what(ctx: Context) -> None:
    """The out-of-memory killer is told apart from an exit code."""
    with pytest.raises(shell.CommandFailed, match="SIGKILL"):
        run(ctx, python("import os; os.kill(os.getpid(), 9)"))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/no/such/program"], "cannot be started"),
        (["/"], "cannot be started"),
    ],
)
def test_a_program_that_does_not_exist_is_rejected(
    ctx: Context, command: list[str], said: str
) -> None:
    """Trying again would not install it."""
    with pytest.raises(Reject, match=said):
        run(ctx, command)


def test_a_folder_that_does_not_exist_is_rejected(ctx: Context) -> None:
    """The message says that it is the folder that is missing, not the program."""
    with pytest.raises(Reject, match="no folder '/no/such/folder'"):
        run(ctx, python(""), cwd="/no/such/folder")


def test_a_command_runs_in_the_folder_it_is_given(ctx: Context, tmp_path: Path) -> None:
    """`cwd` is what a build needs most."""
    done = run(ctx, python("import os; print(os.getcwd())"), cwd=str(tmp_path))

    assert done.tail == str(tmp_path.resolve())


@pytest.mark.parametrize(
    ("entries", "command", "fine"),
    [
        (["uname"], ["uname", "-a"], True),
        (["uname"], ["uname2"], False),
        (["git log"], ["git", "log", "-1"], True),
        (["git log"], ["git", "push"], False),
        (["git log"], ["git"], False),
        (["git log"], ["git log"], False),
        (["make"], ["/usr/bin/make"], False),
        (["/usr/bin/make"], ["/usr/bin/make"], True),
        (["'my tool'"], ["my tool"], True),
        ([""], ["sh"], False),
        ([], ["sh"], False),
        (["uname"], [], False),
        (["uname"], [""], False),
        (["uname"], ["uname", "a\0b"], False),
    ],
)
def test_only_what_is_listed_is_allowed(
    entries: list[str], command: list[str], *, fine: bool
) -> None:
    """Entries are compared word by word from the start, so that nothing is allowed by accident."""
    allowed = shell.Allowed(entries)

    if fine:
        allowed.check(command)
    else:
        with pytest.raises(Reject):
            allowed.check(command)


def test_nothing_is_allowed_by_default(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker started without thinking about it must not be a way into the machine."""
    monkeypatch.delenv("COORDQ_SHELL_ALLOW", raising=False)
    task = next(iter(shell.shell_agent(name="bare").handlers.values())).fn

    with pytest.raises(Reject, match="COORDQ_SHELL_ALLOW is empty"):
        asyncio.run(task(ctx, ["uname"]))


def test_the_list_comes_from_the_environment(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries are separated by commas, words inside an entry by spaces."""
    monkeypatch.setenv("COORDQ_SHELL_ALLOW", f"uname, {sys.executable} -u")
    task = next(iter(shell.shell_agent(name="listed").handlers.values())).fn

    assert asyncio.run(task(ctx, python("print('ran')"))).tail == "ran"


def test_no_shell_is_involved(ctx: Context) -> None:
    """Nothing in an argument is expanded, so nothing in it can become another command."""
    done = run(ctx, ["echo", "$HOME; uname", "*"])

    assert done.tail == "$HOME; uname *"


def test_coordqs_settings_are_kept_from_the_command(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """COORDQ_URL may hold the password of the Redis."""
    monkeypatch.setenv("COORDQ_URL", "redis://:secret@nowhere")

    done = run(ctx, python("import os; print('COORDQ_URL' in os.environ)"))

    assert done.tail == "False"


def test_a_command_that_never_stops_talking_is_bounded(ctx: Context, notebook: Notebook) -> None:
    """Neither a million lines nor one endless line may fill the worker or Redis."""
    done = run(ctx, python("print('x' * 5_000_000); [print(n) for n in range(5000)]"))

    assert done.lines == 5001
    assert done.tail.endswith("4998\n4999")
    assert len(notebook.lines) == shell.LOGGED_MAX + 1
    assert len(notebook.lines[0]) == shell.LINE_MAX


def test_bytes_that_are_no_text_are_marked(ctx: Context) -> None:
    """A log line is text, whatever the command writes."""
    done = run(ctx, python(r"import sys; sys.stdout.buffer.write(b'a\xff\nb')"))

    assert done.tail == "a\ufffd\nb"


STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, {what})
if os.fork() == 0:
    signal.signal(signal.SIGTERM, {what})
os.write(1, b"%d\\n" % os.getpid())
time.sleep(600)
"""


@pytest.mark.parametrize("what", ["signal.SIG_DFL", "signal.SIG_IGN"])
def test_cancelling_ends_the_whole_process_group(
    ctx: Context, notebook: Notebook, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Also the command's own children, and also when they do not listen to SIGTERM."""
    monkeypatch.setattr(shell, "GRACE_S", 2.0)  # also for the end of it to be noticed
    command = python(STUBBORN.format(what=what))

    asyncio.run(cancelled_when(lambda: len(notebook.lines) == 2, shell.run(ctx, command)))

    pids = [int(line) for line in notebook.lines]
    wait_until(lambda: not any(alive(pid) for pid in pids), what="the group to be gone")


def test_a_process_left_behind_does_not_hold_the_task(ctx: Context, notebook: Notebook) -> None:
    """A daemon that inherits the output keeps it open; the task ends, and the daemon with it."""
    code = """
    import os, time
    said, say = os.pipe()
    if os.fork() == 0:
        print(os.getpid()); os.write(say, b"!"); time.sleep(600)
    os.read(said, 1)
    """

    done = run(ctx, python(code))

    assert done.exit_code == 0
    pid = int(notebook.lines[0])
    wait_until(lambda: not alive(pid), what="the daemon to be gone")


async def cancelled_when(condition: Callable[[], bool], work: Awaitable[Any]) -> None:
    running = asyncio.ensure_future(work)
    async with asyncio.timeout(60):
        while not condition():
            assert not running.done()
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_two_shells_may_stand_side_by_side() -> None:
    """With a list of its own, each has a task name of its own."""
    build = shell.shell_agent(["make test"], name="build")

    assert set(build.handlers) == {"build"}
    assert set(shell.agent.handlers) == {"shell"}
