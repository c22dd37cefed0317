"""A result that counts when a second agent agrees: `@agent.task(validate_by="reviewer")`.

The result is kept as a checkpoint, a task `validate` is made for an agent of that role, and the run
waits for it, holding no slot. When it is run again the handler is not called: what was kept is the
result, if the verdict is good, and else the attempt has failed, and the next one begins without a
checkpoint. The task's id follows from the result: the same one is judged once, however often its
run is broken off.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from coordq.errors import ResultRejected

if TYPE_CHECKING:
    from coordq.work.claim import Claim
    from coordq.work.context import Context

TASK: Final = "validate"
"""What the second agent is asked to do: `validate(task, args, result)` gives true, false, or
{"ok": ..., "note": ...}."""
MARK: Final = "$result"


def kept(claim: Claim) -> bytes | None:
    """The result, as JSON, that an earlier run has left to be judged; None when there is none."""
    state = getattr(getattr(claim, "memory", None), "state", None)
    if not isinstance(state, dict) or not isinstance(state.get(MARK), str):
        return None
    text: str = state[MARK]
    return text.encode()


async def judged(ctx: Context, claim: Claim, body: bytes, *, role: str) -> None:
    """Return when the second agent agrees with a result; ctx: one whose calls are awaited.

    Raises Suspended until there is a verdict, ResultRejected when it is bad, and what a wait for a
    task raises.
    """
    if kept(claim) is None:
        await ctx.checkpoint({MARK: body.decode()})
    key = f"{TASK}-{hashlib.sha256(body).hexdigest()[:16]}"
    question = {
        "task": ctx.name,
        "args": json.loads(claim.args),
        "result": json.loads(body),
    }
    task_id = await ctx.spawn(TASK, question, key=key, role=role)
    good, note = _verdict(await ctx.wait_for(task_id, key=key))
    if good:
        return
    await ctx.checkpoint(None)  # what led to a bad result is not gone on with
    raise ResultRejected(
        f"The result of task {ctx.task_id} did not count: {note or 'no reason was given'}, says "
        f"{task_id}, by an agent with the role {role!r}.",
        id=ctx.task_id,
        by=task_id,
        note=note,
    )


def _verdict(said: Any) -> tuple[bool, str]:
    """Whether that is a yes. What is no verdict is a no: a result must not count by mistake."""
    if isinstance(said, bool):
        return said, ""
    if isinstance(said, Mapping) and isinstance(said.get("ok"), bool):
        return said["ok"], str(said.get("note", ""))[:1000]
    return False, f"{said!r:.100} is no verdict"
