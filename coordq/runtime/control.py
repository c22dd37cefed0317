"""Small talk between a worker's parent and a child: one JSON object a line, over a socket pair.

The socket is also how each learns of the other's death: the kernel closes it, whatever happened. A
child that reads the end has lost its parent and must give back what it holds.

| parent says | means |
| --- | --- |
| `{"do": "start", "settings": {...}, ...}` | the first line: who you are and what to do |
| `{"do": "cancel", "member": ..., "reason": ...}` | stop this handler; "lost": it is not ours |
| `{"do": "drain"}` | claim nothing more, finish what runs, exit |
| `{"do": "stop"}` | cancel what runs, give it back, exit |
| `{"do": "ping", "id": ...}` | somebody asks whether your loop turns |
| `{"do": "check", "round": n}` | burst: say whether you are idle |

| child says | means |
| --- | --- |
| `{"say": "ready", "agents": [...], "cards": [...], "queues": [...]}` | the targets are loaded |
| `{"say": "broken", "message": ...}` | they cannot be loaded; exits |
| `{"say": "pong", "id": ...}` | it does |
| `{"say": "retiring", "reason": ...}` | it drains and exits; start another |
| `{"say": "idle", "round": n}` | burst: it has nothing, and a claim brought nothing |
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any, Final

LINE_MAX: Final = 4 * 1024 * 1024
"""Bytes: a child with thousands of task names still fits."""

Message = dict[str, Any]


def parse(line: bytes) -> Message | None:
    """The message in a line; None when it is not one."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def pack(message: Message) -> bytes:
    """A message as a line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def receive(sock: socket.socket) -> Message | None:
    """The next message, waited for without a loop; None at the end. For a child's first line."""
    line = bytearray()
    while not line.endswith(b"\n"):
        # one byte at a time: what follows the line belongs to the loop's reader
        byte = sock.recv(1)
        if not byte or len(line) > LINE_MAX:
            return None
        line += byte
    return parse(bytes(line))


def send(sock: socket.socket, message: Message) -> None:
    """Say something without a loop. Silent when nobody listens any more."""
    try:
        sock.sendall(pack(message))
    except OSError:
        return


class Control:
    """One end of the line, on a running loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, sock: socket.socket) -> Control:
        """Take over a connected socket."""
        sock.setblocking(False)  # noqa: FBT003 - the name says what it is
        return cls(*await asyncio.open_unix_connection(sock=sock, limit=LINE_MAX))

    def say(self, message: Message) -> None:
        """Send a message. Silent when nobody listens any more: the end is seen by `messages`."""
        if not self._writer.is_closing():
            self._writer.write(pack(message))

    async def messages(self) -> AsyncIterator[Message]:
        """What the other end says, until it is gone."""
        while True:
            try:
                line = await self._reader.readline()
            except (OSError, ValueError):  # ValueError: a line longer than LINE_MAX
                return
            if not line.endswith(b"\n"):
                return
            if (message := parse(line)) is not None:
                yield message

    async def flush(self, timeout_s: float = 1.0) -> None:
        """Wait until what was said is on its way, but not for ever."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._writer.drain()
        except (OSError, TimeoutError):
            return

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
