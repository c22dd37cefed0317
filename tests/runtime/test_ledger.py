"""What a child holds is readable after its death, and never misread while it writes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.ids import new_id
from coordq.runtime.ledger import SLOT_SIZE, Held, Ledger, Mark, Word
from tests.waiting import wait_until

FENCES = st.integers(min_value=0, max_value=2**53)
MEMBERS = st.builds(lambda fence: f"{new_id()}|{fence}", FENCES)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A ledger for four claims on two shards."""
    ledger = Ledger.create(slots=4, shards=2)
    yield ledger
    ledger.close()


@given(MEMBERS, st.sampled_from(Mark), st.integers(min_value=0, max_value=2**62))
def test_what_was_written_is_read(member: str, mark: Mark, deadline_ns: int) -> None:
    """A claim passes through a slot unchanged: it is what gets released after a crash."""
    ledger = Ledger.create(slots=2, shards=1)
    ledger.write(1, member.encode(), mark=mark, deadline_ns=deadline_ns)

    (held,) = ledger.held()
    ledger.close()

    assert (held.slot, held.member, held.mark, held.deadline_ns) == (1, member, mark, deadline_ns)


def test_a_cleared_slot_is_empty(ledger: Ledger) -> None:
    """After the acknowledged outcome nothing is given back."""
    ledger.write(0, f"{new_id()}|1".encode())

    ledger.clear(0)

    assert ledger.held() == []


def test_a_slot_that_moved_on_no_longer_holds_the_old_claim(ledger: Ledger) -> None:
    """A lost claim is only cancelled if its slot has not been given to another since."""
    ledger.write(0, f"{new_id()}|1".encode())
    (held,) = ledger.held()
    assert ledger.holds(held)

    ledger.write(0, f"{new_id()}|2".encode())

    assert not ledger.holds(held)


@given(st.integers(min_value=0, max_value=SLOT_SIZE - 1), MEMBERS, MEMBERS)
def test_a_half_written_slot_is_nothing(cut: int, before: str, after: str) -> None:
    """A child killed in the middle of a write leaves the old claim, the new one, or none."""
    ledger = Ledger.create(slots=1, shards=1)
    ledger.write(0, before.encode())
    old = os.pread(ledger.fd, SLOT_SIZE, _origin(ledger))
    ledger.write(0, after.encode())
    new = os.pread(ledger.fd, SLOT_SIZE, _origin(ledger))

    os.pwrite(ledger.fd, new[:cut] + old[cut:], _origin(ledger))
    read = {held.member for held in ledger.held()}
    ledger.close()

    assert read <= {before, after}


def test_a_reader_never_sees_a_mixture_while_another_process_writes() -> None:
    """The parent reads while the child writes, without a lock between them."""
    ledger = Ledger.create(slots=1, shards=1)
    seen: set[Held] = set()
    code = """
import sys
from coordq.runtime.ledger import Ledger
ledger = Ledger.attach(int(sys.argv[1]))
members = [(letter * 22 + "|" + digit * 16).encode() for letter, digit in zip("abcdef", "123456")]
while True:
    for at, member in enumerate(members):
        ledger.write(0, member, deadline_ns=at)
"""
    command = [sys.executable, "-c", code, str(ledger.fd)]
    with subprocess.Popen(command, pass_fds=(ledger.fd,)) as writer:
        try:
            wait_until(lambda: _read(ledger, seen) > 1, what="it to write while we read")
        finally:
            writer.kill()

    whole = {(letter * 22 + "|" + digit * 16, at) for at, (letter, digit) in _numbered()}
    assert {(held.member, held.deadline_ns) for held in seen} <= whole
    ledger.close()


def test_a_ledger_outlives_its_writer() -> None:
    """That is what it is for: the parent gives back what a killed child held."""
    ledger = Ledger.create(slots=1, shards=1)
    member = f"{new_id()}|77"
    code = """
import os, signal, sys
from coordq.runtime.ledger import Ledger, Word
ledger = Ledger.attach(int(sys.argv[1]))
ledger.put(Word.STARTED, 5)
ledger.write(0, sys.argv[2].encode())
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run(
        [sys.executable, "-c", code, str(ledger.fd), member], pass_fds=(ledger.fd,), check=False
    )

    assert [held.member for held in ledger.held()] == [member]
    assert ledger.get(Word.STARTED) == 5
    ledger.close()


def test_each_shard_is_confirmed_by_itself(ledger: Ledger) -> None:
    """One unreachable shard must not stop, or excuse, the others."""
    ledger.confirm(1, 123)

    assert [ledger.confirmed_ns(shard) for shard in range(2)] == [0, 123]


def test_a_file_that_is_no_ledger_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A wrong file descriptor must not be written to."""
    path = tmp_path_factory.mktemp("ledger") / "file"
    path.write_bytes(bytes(4096))
    fd = os.open(path, os.O_RDWR)

    with pytest.raises(ValueError, match="not a ledger"):
        Ledger.attach(fd)
    os.close(fd)


def _read(ledger: Ledger, seen: set[Held]) -> int:
    """Look very often; how many different claims were seen by now."""
    seen.update(held for _ in range(100_000) if (held := ledger.read(0)) is not None)
    return len(seen)


def _origin(ledger: Ledger) -> int:
    return os.fstat(ledger.fd).st_size - ledger.slots * SLOT_SIZE


def _numbered() -> Iterator[tuple[int, tuple[str, str]]]:
    return enumerate(zip("abcdef", "123456", strict=True))
