"""fakeredis behind the same doors as a real server, for users' unit tests."""

from __future__ import annotations

from functools import cache
from typing import Any

from coordq.errors import InvalidURL


@cache
def server(name: str) -> Any:
    """The fake server of that name: `fake://a` and `fake://b` share nothing."""
    try:
        import fakeredis
    except ImportError as error:
        raise InvalidURL(
            f"fake://{name} needs the package fakeredis: pip install 'coordq[fake]'."
        ) from error
    return fakeredis.FakeServer()


def unpack(packed: bytes) -> list[list[bytes]]:
    """The words of each packed command."""
    commands, at = [], 0
    while at < len(packed):
        end = packed.index(b"\r\n", at)
        amount, at = int(packed[at + 1 : end]), end + 2
        words: list[bytes] = []
        for _ in range(amount):
            end = packed.index(b"\r\n", at)
            length = int(packed[at + 1 : end])
            words.append(packed[end + 2 : end + 2 + length])
            at = end + 4 + length
        commands.append(words)
    return commands


class FakeLink:
    """A sync Link to a fake server."""

    def __init__(self, name: str) -> None:
        shared = server(name)
        import fakeredis

        self._client = fakeredis.FakeRedis(server=shared, protocol=2)
        self._client.response_callbacks.clear()
        self._sent: list[list[bytes]] = []

    def send(self, packed: bytes) -> None:
        """Keep the request until its reply is asked for."""
        self._sent += unpack(packed)

    def receive(self, timeout_s: float | None = None) -> Any:
        """Run the oldest request."""
        name, *args = self._sent.pop(0)
        if name == b"INFO":
            return b"redis_version:7.0.0\r\nmaxmemory:0\r\n"
        return self._client.execute_command(name.decode(), *args)

    def close(self) -> None:
        """Forget what was sent."""
        self._sent.clear()


class AsyncFakeLink:
    """An async Link to a fake server."""

    def __init__(self, name: str) -> None:
        shared = server(name)
        import fakeredis

        self._client = fakeredis.FakeAsyncRedis(server=shared, protocol=2)
        self._client.response_callbacks.clear()
        self._sent: list[list[bytes]] = []

    async def send(self, packed: bytes) -> None:
        """Keep the request until its reply is asked for."""
        self._sent += unpack(packed)

    async def receive(self, timeout_s: float | None = None) -> Any:
        """Run the oldest request."""
        name, *args = self._sent.pop(0)
        if name == b"INFO":
            return b"redis_version:7.0.0\r\nmaxmemory:0\r\n"
        return await self._client.execute_command(name.decode(), *args)

    async def close(self) -> None:
        """Forget what was sent."""
        self._sent.clear()
        await self._client.aclose()
