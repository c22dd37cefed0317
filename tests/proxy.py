"""A wire that can be told to lose things, between a client and a real server.

The worst failure a queue can meet is not a refused connection: it is a command that was carried
out and whose reply never came. `drop_reply` makes exactly that, for one chosen command.

Commands and replies are told apart by their RESP frames, so that in a pipeline the right reply
is lost. Not for connections that subscribe: their replies do not pair with commands.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeVar

from tests.waiting import wait_until

HOST = "127.0.0.1"
CHUNK = 65_536
T = TypeVar("T")

Loss = Literal["reply", "request"]


def frame_end(data: bytes | bytearray, start: int = 0) -> int | None:
    """Where the RESP value that starts at `start` ends, or None while it is incomplete."""
    line_end = data.find(b"\r\n", start)
    if line_end < 0:
        return None
    kind, head = data[start : start + 1], bytes(data[start + 1 : line_end])
    end = line_end + 2
    if kind in b"$=!":  # a length, then that many bytes
        end += int(head) + 2 if int(head) >= 0 else 0
        return end if end <= len(data) else None
    if kind in b"*~>%|":  # a count, then that many values; maps count pairs
        return _values_end(data, end, count=int(head) * (2 if kind in b"%|" else 1))
    return end


def _values_end(data: bytes | bytearray, start: int, *, count: int) -> int | None:
    end: int | None = start
    for _ in range(count):
        if end is None:
            return None
        end = frame_end(data, end)
    return end


@dataclass(slots=True)
class _Rule:
    """Lose the reply to, or the request itself of, the next `times` commands with `match`."""

    loss: Loss
    match: bytes
    times: int


@dataclass(slots=True, eq=False)
class _Link:
    """One client's connection, and which replies still to come are going to be lost."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    awaited: deque[_Rule | None] = field(default_factory=deque)

    def close(self) -> None:
        self.client.transport.abort()
        self.server.transport.abort()


class LossyProxy:
    """Forwards bytes to the server on `port` until told otherwise. A context manager.

    Runs on a thread of its own; all methods may be called from the test's thread and have taken
    effect when they return.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = 0
        self.dropped = 0
        self._delay_s = (0.0, 0.0)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._rules: list[_Rule] = []
        self._links: set[_Link] = set()
        self._listener: socket.socket | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    # ------------------------------------------------------------ trouble

    def drop_reply(self, match: bytes, *, times: int = 1) -> None:
        """Let the next command that contains `match` be carried out, lose its reply, and cut.

        A NOSCRIPT answer is passed on: nothing was carried out, so nothing was lost.
        """
        self._do(self._add(_Rule("reply", match, times)))

    def drop_request(self, match: bytes, *, times: int = 1) -> None:
        """Cut the connection before the next command that contains `match` reaches the server."""
        self._do(self._add(_Rule("request", match, times)))

    def cut(self) -> None:
        """Break every open connection. New ones are taken."""
        self._do(self._cut())

    def refuse(self) -> None:
        """Break every connection and refuse new ones, like a server that is down."""
        self._do(self._refuse())

    def accept(self) -> None:
        """Take connections again, on the same port."""
        self._do(self._listen())

    def delay(self, seconds: float, most: float | None = None) -> None:
        """Hold every reply back for `seconds`, or for that to `most`, by chance; 0 ends it."""
        self._delay_s = (seconds, most or seconds)

    def stall(self) -> None:
        """Hold all replies back until `flow`; connections stay open, requests go through."""
        self._do(self._halt())

    def flow(self) -> None:
        """Let the replies through that were held back."""
        self._do(self._go_on())

    def wait_dropped(self, count: int = 1, *, within: float = 60) -> None:
        """Wait until at least `count` replies or requests were lost since the start."""
        wait_until(lambda: self.dropped >= count, within=within, what=f"{count} losses")

    # ------------------------------------------------------------ life

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self.flow()
        self._do(self._refuse())
        self._do(self._settle())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _add(self, rule: _Rule) -> None:
        self._rules.append(rule)

    async def _halt(self) -> None:
        self._flowing.clear()

    async def _go_on(self) -> None:
        self._flowing.set()

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server((HOST, self.port))
            self._listener.settimeout(0)
            self.port = self._listener.getsockname()[1]
            self._loop.add_reader(self._listener, self._take, self._listener)

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        await self._cut()

    def _take(self, listener: socket.socket) -> None:
        """Accept here and now: asyncio's own server loses whom it accepts while it is closed."""
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            client.settimeout(0)
            task = self._loop.create_task(self._serve(client))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _cut(self) -> None:
        for link in list(self._links):
            link.close()

    async def _settle(self) -> None:
        """Let every connection's task end before the loop does, also of those just taken."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                while rest := asyncio.all_tasks() - {asyncio.current_task()}:
                    await self._cut()
                    await asyncio.wait(rest, timeout=0.1)

    # ------------------------------------------------------------ the wire

    async def _serve(self, client: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=client)
        try:
            back, forth = await asyncio.open_connection(HOST, self._target)
        except OSError:
            writer.close()
            return
        link = _Link(client=writer, server=forth)
        self._links.add(link)
        if self._listener is None:  # it came just before we were told to refuse
            link.close()
        ways = [asyncio.create_task(self._requests(link, reader))]
        ways.append(asyncio.create_task(self._replies(link, back)))
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        link.close()
        await asyncio.wait(ways)
        for end in (writer, forth):
            with contextlib.suppress(OSError):
                await end.wait_closed()
        self._links.discard(link)

    async def _requests(self, link: _Link, reader: asyncio.StreamReader) -> None:
        async for frame in _frames(reader):
            rule = self._matching(frame)
            if rule is not None and rule.loss == "request":
                self._count(rule)
                return
            link.awaited.append(rule)
            link.server.write(frame)
            with contextlib.suppress(OSError):
                await link.server.drain()

    async def _replies(self, link: _Link, reader: asyncio.StreamReader) -> None:
        async for frame in _frames(reader):
            rule = link.awaited.popleft() if link.awaited and frame[:1] not in b">|" else None
            if rule is not None and rule.times > 0 and not frame.startswith(b"-NOSCRIPT"):
                self._count(rule)
                return
            if self._delay_s[1]:
                await asyncio.sleep(random.uniform(*self._delay_s))
            await self._flowing.wait()
            link.client.write(frame)
            with contextlib.suppress(OSError):
                await link.client.drain()

    def _matching(self, frame: bytes) -> _Rule | None:
        return next((rule for rule in self._rules if rule.times > 0 and rule.match in frame), None)

    def _count(self, rule: _Rule) -> None:
        rule.times -= 1
        self.dropped += 1


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The RESP values that arrive on `reader`, whole, until the connection ends."""
    data = bytearray()
    while True:
        while (end := frame_end(data) if data else None) is not None:
            yield bytes(data[:end])
            del data[:end]
        try:
            chunk = await reader.read(CHUNK)
        except OSError:
            return
        if not chunk:
            return
        data += chunk
