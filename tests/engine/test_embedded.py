"""The embedded server: one per directory, alive exactly as long as someone uses it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coordq.engine import guardian
from coordq.engine.embedded import attach, ensure
from coordq.errors import EmbeddedFailed
from tests.engine.embedded_kit import (
    FORK,
    HOLD_DEAF,
    Holder,
    guardian_of,
    is_gone,
    is_stopping,
    kill_server,
    processes_of,
    talk,
)
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("server_binary")]


# ------------------------------------------------------------------ sharing


def test_the_first_to_come_starts_a_server_that_answers(home: Path) -> None:
    """Nobody should have to install, configure or start anything."""
    with attach(home) as attachment, talk(attachment) as line:
        assert line.ping()
        assert line.info("server")["process_id"] == attachment.pid


def test_the_second_to_come_shares_the_server_of_the_first(home: Path) -> None:
    """A producer and a worker on one machine must see the same queue."""
    with attach(home) as first, attach(home) as second:
        assert (second.pid, second.socket) == (first.pid, first.socket)


def test_two_spellings_of_a_path_are_one_server(home: Path, tmp_path: Path) -> None:
    """A link to the directory must not lead to a second server on the same files."""
    with attach(home) as first:
        (tmp_path / "link").symlink_to(home)
        with attach(tmp_path / "link") as second:
            assert second.pid == first.pid


def test_directories_do_not_share(home: Path) -> None:
    """Two projects on one machine stay apart."""
    with attach(home / "a") as first, attach(home / "b") as second:
        assert first.pid != second.pid


def test_eight_processes_at_the_same_instant_get_one_server(home: Path) -> None:
    """A fleet that is started together must not race itself into two servers on one file."""
    holders = [Holder(home) for _ in range(8)]
    try:
        servers = {holder.server() for holder in holders}
        assert len(servers) == 1
        assert len(processes_of(home)) == 2
    finally:
        for holder in holders:
            holder.__exit__()


def test_the_server_outlives_a_killed_starter(home: Path) -> None:
    """Who came first may die first; the others must not notice."""
    with Holder(home) as starter:
        server = starter.server()
        with attach(home) as attachment, talk(attachment) as line:
            line.set("kept", "1")
            starter.process.kill()
            starter.process.wait()
            assert line.get("kept") == b"1"
            assert attachment.pid == server


# ------------------------------------------------------------------ leaving


def test_the_last_to_leave_stops_the_server_and_leaves_nothing_behind(home: Path) -> None:
    """No stray process, socket or lock: only the data, its version and the log."""
    attach(home).close()
    wait_until(lambda: is_gone(home), what="server and traces are gone")


def test_the_server_stops_when_its_last_user_is_killed(home: Path) -> None:
    """Nobody says goodbye at SIGKILL; the kernel does."""
    with Holder(home) as holder:
        holder.server()
    wait_until(lambda: is_gone(home), what="server and traces are gone")


def test_a_starter_that_is_deaf_to_signals_does_not_make_the_server_deaf(home: Path) -> None:
    """Daemons ignore or block signals, and what they start inherits that."""
    with Holder(home, HOLD_DEAF) as holder:
        holder.server()
    # one that does not hear TERM is killed, ten seconds after it was asked to go
    wait_until(lambda: is_gone(home), within=9, what="server and traces are gone")


def test_a_forgotten_attachment_keeps_nothing_alive(home: Path) -> None:
    """A client that was never closed is garbage like any other."""
    attach(home)
    wait_until(lambda: is_gone(home), what="server and traces are gone")


def test_a_forked_child_keeps_the_server_that_its_parent_closed(home: Path) -> None:
    """Worker children inherit the connection; it must not die under them."""
    with Holder(home, FORK) as holder:
        server = holder.server()
        assert holder.process.wait() == 0
        with attach(home) as attachment:
            assert attachment.pid == server
        assert holder.process.stdin is not None
        holder.process.stdin.close()
        holder.process.stdin = None
    wait_until(lambda: is_gone(home), what="server and traces are gone")


def test_one_command_after_another_meets_the_same_server(home: Path) -> None:
    """A shell loop of `coordq enqueue` must not start a server for each of its turns.

    Whoever is back within `LINGER_S`, that is: a machine that stood still meanwhile says nothing.
    """
    first, second, away_s = leave_and_come_back(home)
    while away_s >= guardian.LINGER_S:
        first, second, away_s = leave_and_come_back(home)

    assert second == first


def leave_and_come_back(home: Path) -> tuple[int, int, float]:
    """The servers before and after, and how long nobody may have been there."""
    with attach(home) as first:
        left_at = time.monotonic()
    with attach(home) as second:
        return first.pid, second.pid, time.monotonic() - left_at


def test_what_was_stored_is_there_when_the_server_is_started_again(home: Path) -> None:
    """Tasks wait for tomorrow."""
    with attach(home) as attachment, talk(attachment) as line:
        line.set("kept", "1")
    wait_until(lambda: is_gone(home), what="server and traces are gone")
    with attach(home) as again, talk(again) as line:
        assert line.get("kept") == b"1"


def test_a_stopping_server_and_a_new_user_do_not_miss_each_other(home: Path) -> None:
    """The last one leaves just as the next one comes: the next one must get a server that stays."""
    for _ in range(3):
        attach(home).close()
        wait_until(lambda: is_stopping(home) or is_gone(home), what="the server stops")
        with attach(home) as attachment, talk(attachment) as line:
            assert line.ping()
            assert attachment.pid in processes_of(home)


def test_closing_twice_is_fine_and_a_closed_attachment_starts_nothing(home: Path) -> None:
    """Cleaning up in two places is common; resurrecting a server by it would be a leak."""
    attachment = attach(home)
    attachment.close()
    attachment.close()
    with pytest.raises(EmbeddedFailed, match="was closed"):
        ensure(attachment)


# ------------------------------------------------------------------ dying


def test_a_killed_server_comes_back_at_the_same_socket_with_its_data(home: Path) -> None:
    """A `kill -9` of Redis costs nothing that was written out."""
    with attach(home) as attachment, talk(attachment) as line:
        dead, place = attachment.pid, attachment.socket
        line.config_set("appendfsync", "always")
        line.set("kept", "1")
        kill_server(attachment)
        ensure(attachment)
        assert attachment.pid != dead
        assert attachment.socket == place
        assert line.get("kept") == b"1"


def test_many_who_find_the_server_dead_start_one(home: Path) -> None:
    """Every client of a fleet notices at the same moment."""
    attachments = [attach(home) for _ in range(8)]
    kill_server(attachments[0])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ensure, attachments))
    assert len({attachment.pid for attachment in attachments}) == 1
    wait_until(lambda: len(processes_of(home)) == 2, what="the dead server's guardian is gone")
    for attachment in attachments:
        attachment.close()


def test_ensure_leaves_a_living_server_alone(home: Path) -> None:
    """A connection can be lost without the server having died."""
    with attach(home) as attachment:
        before = attachment.pid
        ensure(attachment)
        assert attachment.pid == before


def test_a_server_started_again_stops_with_its_last_user_too(home: Path) -> None:
    """The second server needs a guardian just as the first did."""
    with attach(home) as attachment:
        kill_server(attachment)
        ensure(attachment)
    wait_until(lambda: is_gone(home), what="server and traces are gone")


def test_a_server_killed_after_its_last_user_left_leaves_nothing_behind(home: Path) -> None:
    """There is nobody left to clean up but the guardian."""
    attachment = attach(home)
    attachment.close()
    with contextlib.suppress(ProcessLookupError):  # it stops by itself soon
        os.kill(attachment.pid, signal.SIGKILL)
    wait_until(lambda: is_gone(home), what="traces are gone")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_a_killed_guardian_takes_the_server_along_and_both_come_back(home: Path) -> None:
    """A server that nobody watches would stay for ever."""
    with attach(home) as attachment:
        alone = attachment.pid
        os.kill(guardian_of(home, alone), signal.SIGKILL)
        wait_until(lambda: alone not in processes_of(home), what="the server shut down")
        ensure(attachment)
        assert len(processes_of(home)) == 2
    wait_until(lambda: is_gone(home), what="server and traces are gone")


def test_a_removed_directory_does_not_keep_the_server_alive(home: Path) -> None:
    """`rm -rf` is how people uninstall."""
    with attach(home):
        home.rename(home.with_name("elsewhere"))
    wait_until(lambda: not processes_of(home), what="the server is gone")


def test_what_a_crashed_machine_left_behind_is_no_obstacle(home: Path) -> None:
    """Stale locks, a dead socket, and a pid that now belongs to a stranger: this very test."""
    home.mkdir(0o700)
    for name in (guardian.START, guardian.CLIENTS, guardian.SERVER):
        (home / name).write_text(f"{os.getpid()}\n")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(os.fspath(home / guardian.SOCKET))
    with attach(home) as attachment, talk(attachment) as line:
        assert line.ping()
        assert attachment.pid != os.getpid()


def test_a_half_written_last_command_does_not_stop_the_server(home: Path) -> None:
    """Power fails in the middle of a write; everything before it is good."""
    with attach(home) as attachment, talk(attachment) as line:
        line.config_set("appendfsync", "always")
        line.set("kept", "1")
        kill_server(attachment)
        [tail] = [*home.glob("appendonlydir/*.incr.aof"), *home.glob("appendonly.aof")]
        with tail.open("ab") as file:
            file.write(b"*3\r\n$3\r\nSET\r\n$4\r\nlo")
        ensure(attachment)
        assert line.get("kept") == b"1"
        assert line.get("lo") is None
