"""What tasks wait for that is not a task: a person's answer, and a signal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from coordq.amounts import is_number
from coordq.engine.call import Call
from coordq.errors import Conflict, ForeignData, InvalidInput, PayloadTooLarge, TaskNotFound
from coordq.ids import new_id, shard_of
from coordq.names import check_name
from coordq.work.look import check_id
from coordq.work.task import BY_LETTER

VALUE_MAX: Final = 64 * 1024
"""Bytes of JSON that go with an approval or a signal: each task that it wakes gets a copy."""
NAME_MAX: Final = 100
NOTE_MAX: Final = 1_000
KEEP_MAX_S: Final = 30 * 86_400


def answer(
    task_id: str,
    *,
    approved: bool,
    by: str,
    note: str = "",
    value: Any = None,
    key: str = "",
    nonce: str = "",
) -> Call[None]:
    """Answer a task that waits for an approval: a handler, or a node of a flow.

    by: who says so. note: what they say about it. value: JSON that goes with an approval; the node
    succeeds with it, the handler's wait returns it.
    key: which of a handler's approvals is meant; "" for the one that it waits for now.
    nonce: what tells a repeated call from a second answer; "" for a new one.

    Raises TaskNotFound, InvalidInput, PayloadTooLarge. The reply raises TaskNotFound, ForeignData,
    and Conflict when the task waits for no approval, or for another one.
    """
    check_id(task_id)
    args = (
        task_id,
        "approve" if approved else "reject",
        _text("key", key, 2 * NAME_MAX),
        _text("by", by, NAME_MAX) or "somebody",
        _text("note", note, NOTE_MAX),
        dump_value(value),
        nonce or new_id(),
    )

    def read(reply: Any) -> None:
        match reply[0]:
            case b"ok":
                return
            case b"other":
                raise Conflict(
                    f"Task {task_id} waits for the approval {reply[1].decode()!r} now, not for "
                    f"{key!r}: look at it again.",
                    id=task_id,
                    key=reply[1].decode(),
                )
            case b"state":
                state = BY_LETTER[reply[1].decode()].value
                other = "it waits for something else" if state == "suspended" else f"it is {state}"
                raise Conflict(
                    f"Task {task_id} waits for no approval: {other}. Nothing was changed.",
                    id=task_id,
                    state=state,
                )
            case b"foreign":
                raise ForeignData(f"The record of task {task_id} was not written by coordq.")
            case _:
                raise TaskNotFound(f"There is no task {task_id}.", id=task_id)

    return Call("work/answer", shard_of(task_id), args, read)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a page of a signal did."""

    woken: int
    """How many tasks go on by it."""
    more: bool
    """Others wait still: signal again with the same nonce."""


def signal(
    shard: int,
    name: str,
    value: Any = None,
    *,
    keep: float | timedelta = 0,
    nonce: str,
) -> Call[Heard]:
    """Tell the tasks of a shard that wait for `name`, up to 100 in a call.

    value: JSON, what they get. keep: for how many seconds (or a timedelta) those who wait later
    find it as well. nonce: the same for all pages and shards of one signal.

    Raises InvalidName, InvalidInput, PayloadTooLarge.
    """
    seconds = keep.total_seconds() if isinstance(keep, timedelta) else keep
    if not is_number(seconds):
        raise InvalidInput(f"keep = {keep!r}: give seconds or a timedelta.")
    if not 0 <= seconds <= KEEP_MAX_S:
        raise InvalidInput(f"keep = {keep!r}: a signal is kept for 0 to {KEEP_MAX_S:,} seconds.")
    args = (check_name("signal", name), dump_value(value), round(seconds * 1000), nonce)
    return Call("work/signal", shard, args, lambda reply: Heard(reply[0], reply[1] == 1))


def dump_value(value: Any) -> bytes:
    """What goes with an answer or a signal, as JSON. Raises InvalidInput, PayloadTooLarge."""
    from pydantic_core import to_json

    from coordq.work.hints import Unfit, check_json, first_line

    try:
        check_json(value, exact=True)
        body = to_json(value)
    except (Unfit, TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"The value cannot be sent as JSON: {first_line(error)}.") from error
    if len(body) > VALUE_MAX:
        raise PayloadTooLarge(
            f"The value takes {len(body):,} bytes as JSON; {VALUE_MAX:,} are allowed. Store the "
            "data elsewhere and send where it is.",
            size=len(body),
        )
    return body


def _text(name: str, text: object, most: int) -> str:
    """`text` on one line. Raises InvalidInput."""
    if not isinstance(text, str) or len(text) > most:
        raise InvalidInput(f"{name} = {text!r:.80}: use text of at most {most:,} characters.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{name} holds half a surrogate pair, which is not Unicode.") from error
    return " ".join(text.split())
