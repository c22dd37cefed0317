"""A server that answers what it is told to: for versions and states no binary here is in."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable
from typing import Self

from tests.proxy import frame_end

Answer = bytes | Callable[[list[bytes]], bytes]


def bulk(text: bytes) -> bytes:
    """A bulk string."""
    return b"$%d\r\n%s\r\n" % (len(text), text)


def words(frame: bytes) -> list[bytes]:
    """The words of a command."""
    return frame.split(b"\r\n")[2::2]


class Impostor:
    """Speaks just enough RESP. `answers` maps a command's first word to a reply; else +OK."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = {name.upper().encode(): answer for name, answer in answers.items()}
        self.heard: list[list[bytes]] = []
        impostor = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data = bytearray()
                while chunk := self.request.recv(65_536):
                    data += chunk
                    while data and (end := frame_end(data)) is not None:
                        said = words(bytes(data[:end]))
                        del data[:end]
                        impostor.heard.append(said)
                        self.request.sendall(impostor.answer(said))

        class Listener(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            allow_reuse_address = True

        self._listener = Listener(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.01,))

    def answer(self, said: list[bytes]) -> bytes:
        """What to say to a command."""
        answer = self.answers.get(said[0].upper(), b"+OK\r\n")
        return answer(said) if callable(answer) else answer

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.server_address[1]}/0"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join(5)
