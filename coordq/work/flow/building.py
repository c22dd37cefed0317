"""What a flow knows about its steps while it is built; `build.py` is what people see of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from coordq.work.flow.orders import Asked, Orders
from coordq.work.flow.refusal import refuse
from coordq.work.flow.reserved import EXPAND
from coordq.work.flow.step import Member, Step, Value
from coordq.work.flow.ties import Tying, Wanted, check_key, check_owner

EDGE_WORDS: Final = (
    "after",
    "of",
    "on",
    "if_failed",
    "when",
    "unless",
    "need",
    "first",
    "cancel_losers",
)
"""Options that say when a task may start, not how it is run."""


class Building:
    """Steps by key, in the order in which they came."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name = name
        self._orders = Orders(name, options)
        self._members: dict[Step, Member] = {}
        self._keys: dict[str, Step] = {}
        self._turns: dict[str, int] = {}
        self._maps: set[str] = set()
        self._numbered: set[str] = set()
        """What the keys of tasks of maps begin with; those of one over a result come later."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all steps."""
        return tuple(self._keys)

    @property
    def members(self) -> Mapping[Step, Member]:
        """All that is known about the steps; for `include` and for plans."""
        return self._members

    def is_expander(self, step: Step) -> bool:
        """Whether a step stands for the tasks of a map over a result."""
        member = self._members.get(step)
        return member is not None and member.each is not None

    def __getitem__(self, key: str) -> Step:
        """The step with this key. Raises InvalidFlow."""
        if key not in self._keys:
            refuse(self.name, str(key), "there is no such step")
        return self._keys[key]

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[Step]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return f"<Flow {self.name}: {len(self)} step{'' if len(self) == 1 else 's'}>"

    # -- keys ----------------------------------------------------------------------------------

    def _label(self, key: str | None, task: Any) -> str:
        """What a step is called while it is made: its key, or what that will begin with."""
        return self._orders.name_of(task) if key is None else check_key(self.name, key)

    def _free(self, name: str, taken: Callable[[str], bool] | None = None) -> str:
        """`name`, or `name.2` and so on when that is taken; `name-2` beside a map of that name."""
        is_taken = taken or self._keys.__contains__
        found, turn = name, self._turns.get(name, 1)
        while is_taken(found):
            turn += 1
            found = f"{name}.{turn}"
            if self._promised(found) is not None:
                found = f"{name}-{turn}"
        self._turns[name] = turn
        return found

    def _map_key(self, key: str | None, task: Any, *, node: bool = False) -> str:
        """What the keys of a map begin with, and that of its node if it has one.

        Raises InvalidFlow when those of another map do.
        """
        if key is None:
            key = self._free(
                self._label(None, task),
                lambda name: (
                    name in self._maps or (node and (name in self._keys or name in self._numbered))
                ),
            )
        if check_key(self.name, key) in self._maps:
            refuse(self.name, key, "there is a map with this key already")
        self._maps.add(key)
        return key

    def _promised(self, key: str) -> str | None:
        """The map over a result that will make a task of this key, if one may."""
        head = _head_of(key)
        made = self._keys.get(head) if head is not None else None
        return head if made is not None and made.name == EXPAND else None

    # -- steps ---------------------------------------------------------------------------------

    def _add(
        self,
        asked: Asked,
        key: str | None,
        wanted: Wanted,
        *,
        kind: str = "task",
        more: Mapping[str, Value] | None = None,
    ) -> Step:
        """Make a step. more: inputs that its node has besides its arguments."""
        key = self._free(asked.name) if key is None else check_key(self.name, key)
        step = Step(self, key, asked.name, kind)  # type: ignore[arg-type] # a Flow has the rest
        tying = Tying(self, key, wanted)  # type: ignore[arg-type]
        ties = tying.tie(
            {**asked.inputs, **{f"{name} of each": v for name, v in (more or {}).items()}}
        )
        made = Member(step, asked.template, asked.args, asked.inputs, asked.delay_ms, ties)
        made.want, made.early = tying.want, wanted.first is not None
        made.cancel_losers = wanted.cancel_losers
        self._take(made)
        return step

    def _take(self, member: Member) -> None:
        key = member.step.key
        if key in self._keys:
            refuse(self.name, key, "there is a step with this key already")
        promised = self._promised(key)
        if promised is not None:
            refuse(self.name, key, f"a task of the map {promised!r} will have this key")
        if member.step.name == EXPAND and key in self._numbered:
            refuse(
                self.name, key, f"this map will have tasks {key}.0, {key}.1, ...: a step has one"
            )
        head = _head_of(key)
        if head is not None:
            self._numbered.add(head)
        if member.each is not None:
            self._maps.add(key)
        self._keys[key] = member.step
        self._members[member.step] = member

    def _wait(
        self,
        key: str,
        name: str,
        kind: str,
        args: Any,
        options: dict[str, Any],
        *,
        signal: str = "",
    ) -> Step:
        """Make a node that no handler runs."""
        wanted = take_wanted(options)
        check_key(self.name, key)
        template, delay_ms = self._orders.template(key, name, options)
        asked = Asked(name, template, delay_ms, self._orders.dump(name, args), {})
        step = self._add(asked, key, wanted, kind=kind)
        self._members[step].signal = signal
        return step

    # -- fallbacks -----------------------------------------------------------------------------

    def _fall_back(self, step: Step, fallback: Any, args: Any) -> None:
        """Let others stand in for a step, one after the other."""
        before = step
        for part in listed(fallback, tuples=False):
            after = part if isinstance(part, Step) else self._alternative(step, before, part, args)
            self._stand_in(before, after)
            before = after

    def _alternative(self, step: Step, before: Step, part: Any, args: Any) -> Step:
        task, own_args, options = self._part(part)
        options = dict(options)
        key = options.pop("key", None) or self._free(f"{step.key}.fallback")
        for word in EDGE_WORDS:
            if word in options:
                refuse(self.name, key, f"a fallback has no {word}=: it runs when another failed")
        given = args if own_args is None else own_args
        asked = self._orders.ask(key, task, given, options, error_of=before)
        made = Step(self, check_key(self.name, key), asked.name)  # type: ignore[arg-type]
        self._take(Member(made, asked.template, asked.args, asked.inputs, asked.delay_ms))
        return made

    def _stand_in(self, step: Step, alternative: Step) -> None:
        check_owner(self, step.key, alternative)  # type: ignore[arg-type]
        member, other = self._members[step], self._members[alternative]
        if other.stands_for is not None:
            refuse(self.name, alternative.key, f"it stands in for {other.stands_for.key!r} already")
        if other.hears or other.each is not None:
            refuse(self.name, alternative.key, "neither a callback nor a map can be a fallback")
        member.fallback, other.stands_for = alternative, step

    def _part(self, part: Any) -> tuple[Any, Any, Mapping[str, Any]]:
        """A task, (task, args) or (task, args, options), taken apart."""
        match part:
            case (task,) | (task, None) | (task, None, None):
                return task, None, {}
            case (task, Mapping() as args):
                return task, args, {}
            case (task, (Mapping() | None) as args, Mapping() as options):
                return task, args, options
            case tuple() | list():
                refuse(
                    self.name,
                    "",
                    f"{part!r:.80}: give a task, (task, args), or (task, args, options)",
                )
        return part, None, {}


def take_wanted(options: dict[str, Any]) -> Wanted:
    """Take out of some options those that are about edges."""
    return Wanted(**{word: options.pop(word) for word in EDGE_WORDS if word in options})


def listed(value: Any, *, tuples: bool = True) -> Iterable[Any]:
    """One or several: a list, or a tuple where that is no pair, is several."""
    several = (list, tuple) if tuples or value == () else (list,)
    return value if isinstance(value, several) else (value,)


def _head_of(key: str) -> str | None:
    """What a key has before a number, as those of a map's tasks have; None without one."""
    head, _, number = key.rpartition(".")
    return head if head and number.isdecimal() and str(int(number)) == number else None
