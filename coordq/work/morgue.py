"""Tasks that will not be tried again by themselves: revive them, or forget them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from coordq.engine.call import Call
from coordq.ids import shard_of
from coordq.work.task import BY_LETTER, State

RETRYABLE: Final = frozenset({State.FAILED, State.CANCELLED, State.SCHEDULED})


def requeue(ids: Sequence[str], *, states: frozenset[State] = RETRYABLE) -> Call[list[str]]:
    """Make up to 500 tasks of one shard ready again, attempts and strikes from zero.

    The reply says per id "ok", "missing", "foreign", or the state that does not allow it.
    """
    letters = "".join(sorted(state.letter for state in states))

    def read(reply: Any) -> list[str]:
        answers = [answer.decode() for answer in reply]
        return [BY_LETTER[answer].value if answer in BY_LETTER else answer for answer in answers]

    return Call("work/requeue", shard_of(ids[0]), (letters, *ids), read)


def forget(ids: Sequence[str]) -> Call[int]:
    """Delete ended tasks, up to 500 of one shard; the reply says how many were deleted."""
    return Call("work/forget", shard_of(ids[0]), tuple(ids), int)
