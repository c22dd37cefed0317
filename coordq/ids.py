"""Sortable task ids that carry their shard; made here and nowhere else.

An id is 22 characters of base32hex (0-9, a-v), the alphabet that sorts like its values and that
Lua's `tonumber(text, 32)` reads:

    9 characters   milliseconds since 1970 (good until the year 3084)
    2 characters   shard, 0 to 1023
    9 characters   45 bits of chance, drawn anew every millisecond
    2 characters   counting up from 0, and on into the chance, so ids of a process sort by birth

A ULID or UUIDv7 would be longer by 4 to 14 characters in every key and every queue entry, and
could not say in which Redis Cluster slot its task lives.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from threading import Lock
from typing import Final

SHARDS_MAX: Final = 1024
_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuv"
_PAIRS: Final = [a + b for a in _ALPHABET for b in _ALPHABET]
_SHAPE: Final = re.compile(r"[0-9a-v]{22}\Z")
_PAIR: Final = len(_PAIRS)

_lock = Lock()
_last_ms = 0
_chance = 0
_low = 0
_stems: dict[int, str] = {}


def _encode(number: int, length: int) -> str:
    """`number` in base32hex, padded to `length`."""
    text = ""
    for _ in range((length + 1) // 2):
        number, pair = divmod(number, _PAIR)
        text = _PAIRS[pair] + text
    return text[-length:]


def _stem(shard: int) -> str:
    """All of an id but its last two characters."""
    stem = _stems[shard] = _encode(_last_ms, 9) + _PAIRS[shard] + _encode(_chance, 9)
    return stem


def new_id(shard: int = 0) -> str:
    """A new id on `shard`. Within a process, later ids sort after earlier ones.

    A clock that steps back does not break the order: the last millisecond is kept until time
    has caught up.
    """
    global _last_ms, _chance, _low  # noqa: PLW0603 - the generator is process-wide state
    now = time.time_ns() // 1_000_000
    with _lock:
        if now > _last_ms:
            _last_ms, _chance, _low = now, int.from_bytes(os.urandom(6), "big") >> 4, 0
            _stems.clear()
        elif _low == _PAIR - 1:
            _chance, _low = _chance + 1, 0
            _stems.clear()
        else:
            _low += 1
        return (_stems.get(shard) or _stem(shard)) + _PAIRS[_low]


def _forget() -> None:
    """Draw new chance in a forked child, so that it cannot repeat its parent's ids."""
    global _last_ms, _lock
    _last_ms, _lock = 0, Lock()


os.register_at_fork(after_in_child=_forget)


def child_id(parent: str, key: str, shard: int | None = None) -> str:
    """The id of what `parent` makes under `key`: always the same; on its shard, or on another.

    Its time is the parent's, so making it again, after a crash or a lost reply, makes no second
    one; what would be chance in another id follows from parent and key. A parent that is no id
    has no time: then shard has to be said.
    """
    seed = hashlib.blake2b(f"{parent}\0{key}".encode(), digest_size=8).digest()
    time = parent[:9] if is_id(parent) else "0" * 9
    where = parent[9:11] if shard is None else _PAIRS[shard]
    return time + where + _encode(int.from_bytes(seed, "big") >> 9, 11)


def is_id(text: str) -> bool:
    """Whether `text` has the shape of an id."""
    return _SHAPE.match(text) is not None


def shard_of(task_id: str) -> int:
    """The shard that `task_id` lives on."""
    return int(task_id[9:11], 32)


def created_ms(task_id: str) -> int:
    """When `task_id` was made, in milliseconds since 1970, by its maker's clock."""
    return int(task_id[:9], 32)
