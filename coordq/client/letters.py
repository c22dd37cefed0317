"""What a mailbox can hold: letters about tasks that ended, or about flows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from coordq.engine.call import Call
from coordq.errors import WaitTimeout
from coordq.work import look
from coordq.work.task import Task

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Letters(Generic[T]):
    """One kind of letter."""

    noun: str
    """What it is about."""
    watch: Callable[[Sequence[str], str], Call[Any]]
    """Of some ids of one shard and a mailbox: what has ended, None for what the mailbox will hear
    of. The reply raises NotFound."""
    read: Callable[[bytes], tuple[str, T]]
    """The id that a letter is about, and what it says."""
    at_once: int = 500
    """Ids in one call, at most."""

    def too_late(self, subject: str, timeout: float) -> WaitTimeout:
        """The error for a wait that ran out."""
        ask = f"coordq why {subject}" if self.noun == "task" else f"coordq flow show {subject}"
        return WaitTimeout(
            f"{self.noun.capitalize()} {subject} did not end within {timeout:g} s; it goes on. "
            f"Ask `{ask}`.",
            id=subject,
        )


TASKS: Final[Letters[Task]] = Letters(
    "task", lambda ids, mailbox: look.watch(ids, mailbox=mailbox), look.read_letter
)
