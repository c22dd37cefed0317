"""The wires: every process reaches Redis over one of its own, and each can be made to fail.

A program of its own, so that what passes does not wait for whoever makes the trouble. It takes
orders as lines of JSON on stdin and answers each with a line on stdout; it ends with its stdin.

A wire that is cut is a network that is cut: connections stay open, nothing passes either way, and
what was sent into it arrives when it heals, also from a sender that has given up since. That is how
a former leader's write, or a stale finish, comes late in real life.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, cast

HOST: Final = "127.0.0.1"
HELD_BYTES_MAX: Final = 8 * 1024 * 1024
_CALL: Final = b"EVALSHA"
"""Only replies to calls of scripts are lost: a blocking read that is lost proves nothing."""


@dataclass(slots=True, eq=False)
class Wire:
    """The way of one process to one server."""

    port: int
    """Of the server."""
    names: tuple[tuple[bytes, bytes], ...] = ()
    """What to replace in replies: a Sentinel's ports of servers by those of their wires."""
    held: bool = False
    delay_s: float = 0.0
    losing: int = 0
    """So many replies are still to be lost."""
    lost: int = 0
    links: set[Link] = field(default_factory=set)

    def hold(self) -> None:
        """Let nothing pass."""
        self.held = True

    def heal(self) -> None:
        """Let everything pass again, beginning with what was held back."""
        self.held, self.delay_s, self.losing = False, 0.0, 0
        for link in list(self.links):
            link.flush()

    def reset(self) -> None:
        """Break all connections."""
        for link in list(self.links):
            link.abort()


class _End(asyncio.Protocol):
    """One end of a link; tells the link what happens there."""

    def __init__(self, link: Link, *, near: bool) -> None:
        self._link, self._near = link, near

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        (self._link.opened if self._near else self._link.reached)(made)

    def data_received(self, data: bytes) -> None:
        (self._link.request if self._near else self._link.reply)(data)

    def connection_lost(self, exc: Exception | None) -> None:
        (self._link.left if self._near else self._link.abort)()

    def pause_writing(self) -> None:
        self._link.read_other(self._near, going=False)

    def resume_writing(self) -> None:
        self._link.read_other(self._near, going=True)


class Link:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._near: asyncio.Transport | None = None
        self._far: asyncio.Transport | None = None
        self._connecting = False
        self._gone = False
        """The client has hung up, while what it had sent was still on its way."""
        self._forth: list[bytes] = []
        self._back: deque[bytes] = deque()
        self._losing = False
        wire.links.add(self)

    # -- the client's end ----------------------------------------------------------------------

    def opened(self, near: asyncio.Transport) -> None:
        """A client has connected."""
        self._near = near
        if not self._wire.held:
            self._reach()

    def request(self, data: bytes) -> None:
        """The client has sent something."""
        wire = self._wire
        if wire.losing and _CALL in data:
            self._losing = True
            wire.losing -= 1
        if wire.held or self._far is None:
            self._forth.append(data)
            if sum(map(len, self._forth)) > HELD_BYTES_MAX:
                self.abort()
        else:
            self._far.write(data)

    def left(self) -> None:
        """The client has hung up. What it sent into a wire that is cut will still arrive."""
        self._gone = True
        if not (self._wire.held and self._forth):
            self.abort()

    # -- the server's end ----------------------------------------------------------------------

    def _reach(self) -> None:
        if self._connecting:
            return
        self._connecting = True
        task = asyncio.get_running_loop().create_task(self._connect())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: _End(self, near=False), HOST, self._wire.port
            )
        except OSError:
            self.abort()

    def reached(self, far: asyncio.Transport) -> None:
        """The server has taken the connection."""
        self._far = far
        self.flush()

    def reply(self, data: bytes) -> None:
        """The server has answered."""
        wire = self._wire
        if self._losing:
            self._losing = False
            if not data.startswith(b"-NOSCRIPT"):  # else nothing was carried out: nothing is lost
                wire.lost += 1
                self.abort()
                return
        for theirs, ours in wire.names:
            data = data.replace(theirs, ours)
        if wire.held or wire.delay_s or self._back:
            self._back.append(data)
            if not wire.held:
                asyncio.get_running_loop().call_later(wire.delay_s, self._answer)
        elif self._near is not None:
            self._near.write(data)

    def _answer(self) -> None:
        """Pass on the oldest reply that was held back, if somebody still waits for it."""
        if not self._back or self._wire.held or self._near is None:
            return
        data = self._back.popleft()
        if not self._near.is_closing():
            self._near.write(data)

    # -- both ----------------------------------------------------------------------------------

    def flush(self) -> None:
        """Pass on what was held back."""
        if self._wire.held:
            return
        if self._far is None:
            self._reach()
            return
        for data in self._forth:
            self._far.write(data)
        self._forth.clear()
        while self._back:
            self._answer()
        if self._gone:
            self._far.close()  # what was written is sent first
            self._wire.links.discard(self)

    def read_other(self, near: bool, *, going: bool) -> None:  # noqa: FBT001 - which end it is
        """Stop reading at one end while the other cannot take more."""
        other = self._far if near else self._near
        if other is not None and not other.is_closing():
            (other.resume_reading if going else other.pause_reading)()

    def abort(self) -> None:
        """Break both connections."""
        self._wire.links.discard(self)
        for transport in (self._near, self._far):
            if transport is not None:
                transport.abort()


_tasks: set[asyncio.Task[None]] = set()


class Board:
    """All wires of a stage, by the name of the process they belong to."""

    def __init__(self) -> None:
        self._wires: dict[str, list[Wire]] = {}

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out one order."""
        if order["do"] == "open":
            return {"ports": await self._open(order)}
        wires = self._wires[order["name"]]
        for wire in wires:
            match order["do"]:
                case "lose":
                    wire.losing += int(order["amount"])
                case "delay":
                    wire.delay_s = float(order["amount"])
                case "hold" | "heal" | "reset" as act:
                    getattr(wire, act)()
        return {"lost": sum(wire.lost for wire in wires)}

    async def _open(self, order: dict[str, Any]) -> list[int]:
        """Wires to some ports; on which ports they listen."""
        wires = [Wire(port) for port in order["ports"]]
        ports = [await _listen(wire) for wire in wires]
        if order["sentinel"]:
            wires[0].names = tuple(
                (_bulk(wire.port), _bulk(port))
                for wire, port in zip(wires[1:], ports[1:], strict=True)
            )
        self._wires[order["name"]] = wires
        return ports


def _bulk(port: int) -> bytes:
    """A port as a Sentinel names it in a reply."""
    return b"$%d\r\n%d\r\n" % (len(str(port)), port)


async def _listen(wire: Wire) -> int:
    """Take connections on a free port; the port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _End(Link(wire), near=True), HOST, 0)
    _servers.append(server)
    return int(server.sockets[0].getsockname()[1])


_servers: list[asyncio.Server] = []


async def serve() -> None:
    """Obey until stdin ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    board = Board()
    while line := await reader.readline():
        answer = await board.obey(json.loads(line))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def main() -> None:
    """The program."""
    factory = None
    with suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve())


if __name__ == "__main__":
    main()
