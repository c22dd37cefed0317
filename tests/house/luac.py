"""Which globals a piece of Lua 5.1 touches, read from its bytecode: exact where a regex guesses."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

GETGLOBAL, SETGLOBAL = 5, 7
NUMBER, STRING, BOOLEAN = 3, 4, 1
HEADER_BYTES = 12
INT, SIZE_T, INSTRUCTION, DOUBLE = 4, 8, 4, 8


@dataclass(frozen=True, slots=True)
class Touch:
    """One reading or setting of a global."""

    name: str
    sets: bool
    line: int


def globals_of(source: str) -> list[Touch]:
    """Every global that `source` reads or sets. Raises lupa's LuaError when it is not Lua."""
    from lupa import lua51

    runtime: Any = lua51.LuaRuntime(encoding=None)
    dump = runtime.eval(b"function(text) return string.dump(assert(loadstring(text))) end")
    return _Reader(dump(source.encode())).touches()


class _Reader:
    """Walks the functions of one dump, in the order in which Lua 5.1 writes them."""

    def __init__(self, dump: bytes) -> None:
        self._dump = dump
        self._at = HEADER_BYTES

    def touches(self) -> list[Touch]:
        """The touches of one function and of those inside it."""
        self._string()  # the name of the source
        self._skip(2 * INT + 4)  # where it is defined; upvalues, parameters, varargs, stack
        code = [self._int() for _ in range(self._int())]
        constants = [self._constant() for _ in range(self._int())]
        inner = [touch for _ in range(self._int()) for touch in self.touches()]
        lines = [self._int() for _ in range(self._int())]
        for _ in range(self._int()):  # names of locals, with their span
            self._string()
            self._skip(2 * INT)
        for _ in range(self._int()):  # names of upvalues
            self._string()
        own = [
            Touch(str(constants[word >> 14]), word & 0x3F == SETGLOBAL, line)
            for word, line in zip(code, lines, strict=True)
            if word & 0x3F in {GETGLOBAL, SETGLOBAL}
        ]
        return own + inner

    def _constant(self) -> str | None:
        kind = self._bytes(1)[0]
        if kind == STRING:
            return self._string()
        self._skip({BOOLEAN: 1, NUMBER: DOUBLE}.get(kind, 0))
        return None

    def _string(self) -> str:
        (size,) = struct.unpack("<Q", self._bytes(SIZE_T))
        return self._bytes(size)[:-1].decode(errors="replace")

    def _int(self) -> int:
        (value,) = struct.unpack("<I", self._bytes(INT))
        return int(value)

    def _bytes(self, count: int) -> bytes:
        self._skip(count)
        return self._dump[self._at - count : self._at]

    def _skip(self, count: int) -> None:
        self._at += count
