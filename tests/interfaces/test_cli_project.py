"""From nothing to a running project: init, worker, dev."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coordq.client.client import Client
from coordq.clock import monotonic
from coordq.fleet.election import Listed, standing
from tests.interfaces.conftest import Shell
from tests.waiting import wait_until

HELLO = """
from coordq import Agent

agent = Agent("hello")


@agent.task
async def hello() -> str:
    return "{}"
"""
COORDQ = [sys.executable, "-m", "coordq"]


def _take_terminal() -> None:
    """Make stdin the terminal that Ctrl-C comes from."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Screen:
    """A command on a terminal of its own: what it shows, and keys to press."""

    def __init__(
        self, words: list[str], environment: dict[str, str], *, columns: int = 100
    ) -> None:
        self.shown = ""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self._terminal = ours
        self.process = subprocess.Popen(
            [*COORDQ, *words],
            env={**os.environ, **environment, "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - nothing else runs in this process
        )
        os.close(theirs)

    def read(self, *, within: float = 0.05) -> str:
        """Everything it has shown so far."""
        while select.select([self._terminal], [], [], within)[0]:
            try:
                data = os.read(self._terminal, 65536)
            except OSError:  # it has ended
                break
            if not data:
                break
            self.shown += data.decode(errors="replace")
        return self.shown

    def wait_for(self, text: str) -> None:
        """Return when it has shown `text`."""
        wait_until(lambda: text in self.read(), what=f"{text!r} in {self.shown!r}")

    def press(self, key: str) -> None:
        os.write(self._terminal, key.encode())

    def ended(self) -> int:
        """Its exit code, once it has ended."""
        deadline = monotonic() + 60
        while self.process.poll() is None:
            self.read()
            assert monotonic() < deadline, self.shown
        self.read()
        return self.process.returncode

    def close(self) -> None:
        """End it if it has not."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._terminal)


@pytest.fixture
def screen(shell: Shell) -> Iterator[Callable[..., Screen]]:
    """`screen("top")`: the command on a terminal."""
    screens: list[Screen] = []

    def start(*words: str, columns: int = 100, **environment: str) -> Screen:
        screens.append(Screen(list(words), {**shell.environment, **environment}, columns=columns))
        return screens[-1]

    yield start
    for one in screens:
        one.close()


@contextmanager
def running(words: list[str], shell: Shell, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A command that runs for as long as the block, and is then ended as by `kill`."""
    process = subprocess.Popen(
        [*COORDQ, *words],
        env={**os.environ, **shell.environment},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


def test_init_makes_a_project_that_says_how_to_run_it(shell: Shell, tmp_path: Path) -> None:
    """The ready-made workers, and a README."""
    result = shell("init", str(tmp_path / "shop"))

    assert result.exit_code == 0
    assert (tmp_path / "shop" / "workers" / "echo.py").is_file()
    assert "coordq dev" in (tmp_path / "shop" / "README.md").read_text()
    assert "coordq dev" in result.stdout


def test_init_makes_a_fleet_file_that_is_right(shell: Shell, tmp_path: Path) -> None:
    """Whatever the folder is called."""
    shell("init", str(tmp_path / "my shop: new"))
    seen = shell.json("fleet", "up", str(tmp_path / "my shop: new" / "fleet.toml"), "--check")

    assert seen["name"] == "my-shop--new"
    assert [group["name"] for group in seen["groups"]] == ["default", "supervisor"]


def test_init_overwrites_nothing(shell: Shell, tmp_path: Path) -> None:
    """A second run, or a folder that has a README, is refused whole."""
    (tmp_path / "README.md").write_text("mine")
    result = shell("init", str(tmp_path))

    assert result.exit_code == 5
    assert "already there" in result.stderr
    assert (tmp_path / "README.md").read_text() == "mine"
    assert not (tmp_path / "workers").exists()


def test_init_into_a_file_is_refused(shell: Shell, tmp_path: Path) -> None:
    """And so is a place that cannot be written."""
    (tmp_path / "file").write_text("")

    assert shell("init", str(tmp_path / "file")).exit_code == 2
    assert shell("init", "/proc/nowhere").exit_code == 2


def test_a_worker_from_the_shell_does_the_work(shell: Shell, tmp_path: Path) -> None:
    """enqueue, worker --burst, result: the first five minutes of every user."""
    shell("init", str(tmp_path))
    task_id = shell.line("enqueue", "echo", "text=hi")
    done = subprocess.run(
        [*COORDQ, "worker", "--burst", "--lease", "6s", "--label", "a=b", "--zone", "rack-1"],
        env={**os.environ, **shell.environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert shell.line("result", task_id) == "hi"


def test_a_worker_without_targets_is_a_usage_error(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless there is a ./workers."""
    monkeypatch.chdir(tmp_path)
    result = shell("worker")

    assert result.exit_code == 2
    assert "no ./workers here" in result.stderr


def test_a_worker_whose_targets_do_not_load_fails(shell: Shell, tmp_path: Path) -> None:
    """Exit 1 and a sentence, so that a supervisor gives up and says why."""
    (tmp_path / "bad.py").write_text("import no_such_module\n")
    done = subprocess.run(
        [*COORDQ, "worker", "bad.py"],
        env={**os.environ, **shell.environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 1
    assert "no_such_module" in done.stderr
    assert "Traceback" not in done.stderr


def test_dev_runs_everything_and_ends_everything(
    shell: Shell, client: Client, tmp_path: Path
) -> None:
    """One command, one Ctrl-C, nothing left behind."""
    shell("init", str(tmp_path))
    with running(["dev"], shell, tmp_path) as process:
        (worker,) = wait_until(client.work.workers, what="dev's worker")
        (supervisor,) = wait_until(lambda: supervisors(client), what="its supervisor")
        assert shell.line("enqueue", "echo", "text=hi", "--wait", "--wait-timeout", "60s") == "hi"
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 130

    assert (client.work.workers(), supervisors(client)) == ([], ())
    for info in (worker.info, supervisor.info):
        with pytest.raises(ProcessLookupError):
            os.kill(info["pid"], 0)


def supervisors(client: Client) -> tuple[Listed, ...]:
    """Those that are there."""
    return client.engine.run(standing()).supervisors


def test_dev_reloads_what_is_saved(shell: Shell, tmp_path: Path) -> None:
    """The point of it: save, enqueue, see."""
    source = tmp_path / "workers" / "hello.py"
    source.parent.mkdir()
    source.write_text(HELLO.format("old"))
    with running(["dev"], shell, tmp_path):
        assert shell.line("enqueue", "hello", "--wait", "--wait-timeout", "60s") == "old"
        source.write_text(HELLO.format("new"))
        wait_until(
            lambda: shell("enqueue", "hello", "--wait-timeout", "20s").stdout == "new\n", within=120
        )


def test_dev_waits_for_a_file_to_be_mended(shell: Shell, client: Client, tmp_path: Path) -> None:
    """A typo is said, and is gone with the next save; TERM ends it all."""
    source = tmp_path / "hello.py"
    source.write_text("from coordq import Agnet\n")
    with running(["dev", "hello.py"], shell, tmp_path) as process:
        said = process.stdout
        assert said is not None
        wait_until(lambda: "Agnet" in said.readline())
        source.write_text(HELLO.format("hello"))
        wait_until(lambda: any(w.info["agents"] for w in client.work.workers()))
        process.terminate()
        assert process.wait(60) == 130

    assert client.work.workers() == []


def test_dev_does_not_wait_for_a_file_that_is_not_there(shell: Shell) -> None:
    """That is a slip on the command line, not in the file."""
    result = shell("dev", "no_such.py")

    assert result.exit_code == 2
    assert "'no_such.py'" in result.stderr


def test_dev_shows_a_live_view(
    screen: Callable[..., Screen], shell: Shell, client: Client, tmp_path: Path
) -> None:
    """Board below, the worker's words above; q ends it."""
    shell("init", str(tmp_path))
    view = screen("dev", str(tmp_path / "workers"))
    wait_until(client.work.workers, what="dev's worker")
    shell.line("enqueue", "echo", "text=hi", "--wait")
    view.wait_for("ended:")
    view.wait_for("started: pid")
    view.press("q")

    assert view.ended() == 0
    assert client.work.workers() == []


def test_top_is_live_on_a_terminal(screen: Callable[..., Screen], client: Client) -> None:
    """What changes is seen, and q gives the terminal back."""
    client.work.enqueue("echo", {}, queue="mail")
    view = screen("top", "--interval", "100ms")
    view.wait_for("mail")
    client.work.enqueue("echo", {}, queue="parcels")
    view.wait_for("parcels")
    view.press("q")

    assert view.ended() == 0


def test_ctrl_c_ends_top(screen: Callable[..., Screen], client: Client) -> None:
    """With the exit code of an interrupt, and the cursor back."""
    client.work.enqueue("echo", {}, queue="mail")
    view = screen("top")
    view.wait_for("mail")
    view.press("\x03")

    assert view.ended() == 130
    assert "Traceback" not in view.shown
    assert "\x1b[?25h" in view.shown


@pytest.mark.parametrize(
    ("answer", "left", "code"), [("y\n", 0, 0), ("n\n", 1, 1), ("\x03", 1, 130)]
)
def test_a_person_is_asked(
    screen: Callable[..., Screen], client: Client, answer: str, left: int, code: int
) -> None:
    """Only a yes does it."""
    client.work.enqueue("echo", {}, queue="mail")
    view = screen("queue", "purge", "mail")
    view.wait_for("Cancel the 1 waiting tasks")
    view.press(answer)

    assert view.ended() == code
    assert client.work.queue("mail").ready == left


def test_a_table_on_a_terminal_is_coloured_unless_asked_not_to(
    screen: Callable[..., Screen], dead_letter: Callable[..., str]
) -> None:
    """NO_COLOR is honoured, and ids are never cut."""
    task_id = dead_letter()
    coloured, plain = screen("ls"), screen("ls", columns=40, NO_COLOR="1")

    assert (coloured.ended(), plain.ended()) == (0, 0)
    assert "\x1b[31m" in coloured.shown
    assert "\x1b[31m" not in plain.shown
    assert task_id in plain.shown
    assert task_id in coloured.shown


def test_json_on_a_terminal_is_still_json(screen: Callable[..., Screen], client: Client) -> None:
    """Set out for reading, but one document."""
    client.work.enqueue("echo", {"text": "\x9b31m"})
    view = screen("ls", "--json")

    assert view.ended() == 0
    assert json.loads(view.shown)[0]["args"] == {"text": "\x9b31m"}


def test_the_demo_is_wired(shell: Shell, tmp_path: Path) -> None:
    """Its options reach it: the refusal is the demo's own."""
    result = shell("demo", "--path", str(tmp_path))

    assert result.exit_code == 2
    assert "no Python file" in result.stderr
