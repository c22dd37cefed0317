"""Results of parents, put into the arguments of a task before it runs.

`refs.py` says what stands in `$from`; here the records of those tasks are asked for and read, page
by page, without knowing who fetches them:

    plan = resolve(claim.args)
    wanted = next(plan)                    # ids whose records are needed
    wanted = plan.send({id: record})       # and so on; StopIteration carries the new arguments

A task that has failed and has an alternative is followed to it. So a plan asks as often as the
longest chain of alternatives is long, once more for the tasks of a map, and mostly just once. A
worker advances the plans of all that it has claimed together, with one request for each step.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Generator, Iterable, Mapping
from typing import Any, Final

from coordq.errors import InvalidArguments, TaskNotFound
from coordq.work.flow.refs import FROM, Outcome, fill, ids_in, listed_ids
from coordq.work.task import BY_LETTER, State

MARK: Final = b'"$from"'
"""What the bytes of arguments with inputs hold. Those of others may as well, deep inside."""
FOLLOWED_MAX: Final = 100
"""Alternatives of alternatives: more cannot be meant."""
_ALTERNATIVE: Final = re.compile(rb" k=([0-9a-v]{22})(?: |\Z)")

Records = Mapping[str, bytes | None]
Plan = Generator[Collection[str], Records, bytes]


class InputGone(InvalidArguments):
    """The record of a task whose result is an input is not there any more. Facts: id."""

    code = "input-gone"


def resolve(args: bytes) -> Plan:
    """Arguments with all inputs in place.

    Yields the ids of tasks, and is sent their records, None for those without. Raises InputGone,
    and InvalidArguments for a result that is not there or does not have the wanted part.
    """
    given = json.loads(args)
    if not isinstance(given, dict) or FROM not in given:
        return args
    try:
        found = yield from outcomes(ids_in(given))
        listed = [one for one in listed_ids(given, found) if one not in found]
        if listed:
            found |= yield from outcomes(listed)
    except TaskNotFound as error:
        raise InputGone(f"An input is gone: {error}", **error.facts) from error
    return _dump(fill(given, found))


def outcomes(
    ids: Iterable[str], *, stands: dict[str, str] | None = None
) -> Generator[Collection[str], Records, dict[str, Outcome]]:
    """How tasks ended, alternatives followed; the error stays that of the task itself.

    stands: is filled with the last alternative of each that has one. Raises TaskNotFound.
    """
    found: dict[str, Outcome] = {}
    open_ = {one: one for one in ids}
    for _ in range(FOLLOWED_MAX):
        if not open_:
            break
        records = yield set(open_.values())
        onward: dict[str, str] = {}
        for one, asked in open_.items():
            record = records.get(asked)
            if record is None:
                raise TaskNotFound(
                    f"There is no task {asked}: it was deleted, or its retention ran out.", id=asked
                )
            outcome, alternative = read_outcome(record)
            first = found.get(one)
            found[one] = _after(first, outcome) if first else outcome
            if alternative:
                onward[one] = alternative
        open_ = onward
        if stands is not None:
            stands |= onward
    return found


def read_outcome(record: bytes) -> tuple[Outcome, str]:
    """How a task ended, and the id of its alternative when that runs in its place, or "".

    Raises InvalidArguments for a record that coordq did not write.
    """
    try:
        life, spec, _, *rest = record.split(b"\n", 3)
        state = BY_LETTER[life[:1].decode()]
        body: Any = json.loads(rest[0]) if rest and state.ended else None
    except (ValueError, KeyError, IndexError) as error:
        raise InvalidArguments(f"The record {record[:60]!r} is not coordq's.") from error
    if state is State.SUCCEEDED:
        return Outcome(state.value, body), ""
    if state is not State.FAILED:
        return Outcome(state.value, error=body), ""
    alternative = _ALTERNATIVE.search(spec)
    return Outcome(state.value, error=body), alternative[1].decode() if alternative else ""


def _after(first: Outcome, alternative: Outcome) -> Outcome:
    return Outcome(alternative.state, alternative.result, first.error)


def _dump(args: dict[str, Any]) -> bytes:
    return json.dumps(args, ensure_ascii=False, separators=(",", ":")).encode()
