"""What members print reaches the terminal, each line marked with whose it is."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Literal

import pytest

from coordq.runtime.spawner.relay import LINE_MAX, Relay

Capture = pytest.CaptureFixture[str]


def relayed(*pieces: bytes, form: Literal["text", "json"] = "text") -> None:
    """Pass pieces through a relay, the writer gone after the last."""
    reading, writing = os.pipe()

    async def write() -> None:
        relay = Relay(reading, mark="web.1", form=form)
        for piece in pieces:
            await asyncio.to_thread(os.write, writing, piece)
            await asyncio.sleep(0)
        os.close(writing)
        relay.close()

    asyncio.run(write())


def write_all(fd: int, text: bytes) -> None:
    """A write that a signal interrupts writes less."""
    while text:
        text = text[os.write(fd, text) :]


def test_each_line_is_marked(capfd: Capture) -> None:
    """Also one that came in pieces, and a last one without an end."""
    relayed(b"one\ntw", b"o\n\nla", b"st")

    assert capfd.readouterr().err == "web.1 | one\nweb.1 | two\nweb.1 | \nweb.1 | last\n"


def test_a_line_without_end_is_passed_on_in_pieces(capfd: Capture) -> None:
    """Nobody's memory is filled by a handler that prints no newline."""
    relayed(*[b"x" * 50_000] * 3)
    lines = capfd.readouterr().err.splitlines()

    assert "".join(line.removeprefix("web.1 | ") for line in lines) == "x" * 150_000
    assert max(map(len, lines)) < LINE_MAX + 65_536 + 20


def test_a_wake_up_for_nothing_is_no_end(capfd: Capture) -> None:
    """A pipe that is not read any more would hold up its writers as soon as it is full."""
    reading, writing = os.pipe()

    async def write() -> None:
        relay = Relay(reading, mark="web.1", form="text")
        relay._on_readable()
        await asyncio.to_thread(write_all, writing, b"x\n" * 100_000)
        os.close(writing)
        relay.close()

    asyncio.run(write())
    assert capfd.readouterr().err.count("web.1 | x\n") == 100_000


def test_among_json_everything_is_json(capfd: Capture) -> None:
    """Objects as they are; what a handler prints becomes one, also when it is no text."""
    relayed(b'{"level": "info"}\nsaid by a handler\n\xff\n', form="json")
    entries = [json.loads(line) for line in capfd.readouterr().err.splitlines()]

    assert entries == [
        {"level": "info"},
        {"worker": "web.1", "message": "said by a handler"},
        {"worker": "web.1", "message": "\\xff"},
    ]


def test_a_terminal_that_is_gone_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipe is emptied even so, or members would be held up at their next print."""
    reading, writing = os.pipe()
    closed = os.fdopen(os.dup(2), "w")
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)

    async def write() -> None:
        relay = Relay(reading, mark="web.1", form="text")
        await asyncio.to_thread(write_all, writing, b"x\n" * 200_000)
        os.close(writing)
        relay.close()

    asyncio.run(write())
