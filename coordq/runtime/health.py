"""Tells orchestrators over HTTP how a worker or supervisor is: GET /healthz and GET /readyz.

| | 200 | 503 |
| --- | --- | --- |
| /healthz | Redis answered within a lease, all children live and move | else: restart it |
| /readyz | it is healthy, claims, and at least one child serves | else: not yet, or no more |

The body says why, as JSON. There may be further pages, which are asked for when they are wanted.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from coordq.errors import CoordqError, InvalidOption

REQUEST_S: Final = 5.0
_REASONS: Final = {
    200: "OK",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}

Facts = Callable[[], dict[str, Any]]
Page = Callable[[dict[str, list[str]]], Awaitable[dict[str, Any]]]
"""From the query's parameters to what is shown; a CoordqError is shown with 503."""


class Health:
    """A server for the two paths, whose `facts` have `healthy` and `ready`, and for `pages`."""

    def __init__(self, facts: Facts, pages: Mapping[str, Page] | None = None) -> None:
        self._facts = facts
        self._pages = pages or {}
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen; returns the port, which is new for `port` 0. Raises InvalidOption."""
        try:
            self._server = await asyncio.start_server(self._serve, host, port)
        except OSError as error:
            raise InvalidOption(
                f"Health checks cannot be served at {host}:{port}: {error.strerror or error}.",
                option="health_port",
            ) from error
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_S):
                request = await reader.readuntil(b"\r\n")
                while (await reader.readuntil(b"\r\n")) != b"\r\n":
                    pass
                writer.write(await self._answer(request))
                await writer.drain()
        except (OSError, ValueError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: bytes) -> bytes:
        method, _, rest = request.decode("latin-1").partition(" ")
        path, _, query = rest.split(" ", 1)[0].partition("?")
        if method in {"GET", "HEAD"}:
            status, facts = await self._look(path, query)
        else:
            status, facts = 405, {}
        body = json.dumps(facts or {"error": _REASONS[status]}).encode() + b"\n"
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + (b"" if method == "HEAD" else body)

    async def _look(self, path: str, query: str) -> tuple[int, dict[str, Any]]:
        if path in {"/healthz", "/readyz"}:
            facts = self._facts()
            return 200 if facts["healthy" if path == "/healthz" else "ready"] else 503, facts
        page = self._pages.get(path)
        if page is None:
            return 404, {}
        try:
            return 200, await page(parse_qs(query))
        except CoordqError as error:
            return 503, {"error": str(error), "code": error.code}
