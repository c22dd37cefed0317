"""Tells orchestrators over HTTP how a worker is: GET /healthz and GET /readyz.

| | 200 | 503 |
| --- | --- | --- |
| /healthz | Redis answered within a lease, all children live and move | else: restart it |
| /readyz | it is healthy, claims, and at least one child serves | else: not yet, or no more |

The body says why, as JSON.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

REQUEST_S: Final = 5.0
_REASONS: Final = {
    200: "OK",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}

Facts = Callable[[], dict[str, Any]]


class Health:
    """A server for the two paths; `facts` has `healthy` and `ready`."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen; returns the port, which is new for `port` 0. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, host, port)
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
                writer.write(self._answer(request))
                await writer.drain()
        except (OSError, ValueError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    def _answer(self, request: bytes) -> bytes:
        method, _, rest = request.decode("latin-1").partition(" ")
        path = rest.split(" ", 1)[0].partition("?")[0]
        facts: dict[str, Any] = {}
        status = 404
        if method not in {"GET", "HEAD"}:
            status = 405
        elif path in {"/healthz", "/readyz"}:
            facts = self._facts()
            status = 200 if facts["healthy" if path == "/healthz" else "ready"] else 503
        body = json.dumps(facts or {"error": _REASONS[status]}).encode() + b"\n"
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + (b"" if method == "HEAD" else body)
