"""What two texts must share, besides lying close, before one's route is the other's.

Embedders hardly see a number, a "not", or which of two opposites stands there: "enable user 17"
lies close to "disable user 71". Each guard takes from a text what must be the same; a text that
differs in it is no hit of the cache, however close it lies. A guard that is too careful costs a
decision, one that is too careless sends a message to the wrong agent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, TypeAlias

from coordq.errors import InvalidOption
from coordq.fleet.semantic.words import folded, words

Signature: TypeAlias = tuple[tuple[str, ...], ...]
"""What each of the chosen guards takes from a text."""

_CODE: Final = re.compile(
    r"""
      `[^`]+`                                # quoted code
    | "[^"]+"                                # a quotation
    | \b\w+://\S+                            # an address
    | (?<![\w.+-])[\w.+-]++@[\w-]+(?:\.[\w-]+)+  # mail
    | (?:~|\.{0,2})(?:/[\w.@+-]+)+/?         # a path
    | (?<!\S)--?[a-zA-Z][\w-]*              # a flag
    | \b\w+(?:(?:\.|::|->)\w+)+\b(?:\(\))?   # a.b, A::b
    | \b\w+\(\)                              # call()
    | \b\w*[^\W_]_[^\W_]\w*\b                # snake_case
    | \b[a-z]+[A-Z]\w*\b | \b(?:[A-Z][a-z0-9]+){2,}\b   # camelCase, PascalCase
    | \#\w+ | @\w+ | \$\w+                   # tags and names
    """,
    re.VERBOSE,
)
_SIGN: Final = re.compile(r"""[`"@/#$_(.-]|::""")
_CODE_SIGN: Final = re.compile(r"""[`"@/#$_(]|::|->|\w\.\w|(?<!\S)--?[a-zA-Z]""")
_HUMP: Final = re.compile(r"[a-z0-9][A-Z]")
"""Without one of these there is no code; most texts have none, and looking for it costs most."""
_NOT: Final = re.compile(r"['\u2019]")
_DIGIT: Final = re.compile(r"\d")
_ID: Final = re.compile(r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[^\W\d_])\w+(?:-\w+)*+")
_NUMBER: Final = re.compile(r"(?<![\w.,])[-+]?\d+(?:[.,:]\d+)*%?")
_NO: Final = frozenset(
    words(
        "aren't barely can't cannot couldn't didn't doesn't don't except hadn't hardly "
        "hasn't haven't isn't neither never no nobody none nor not nothing nowhere "
        "shouldn't unless wasn't weren't without won't wouldn't cant dont wont isnt doesnt "
        "didnt non"
    )
)
_COUNTED: Final = {
    word: str(number)
    for number, word in enumerate(
        words("zero one two three four five six seven eight nine ten eleven twelve")
    )
    if word != "one"  # which is also "somebody"
} | {
    "first": "1st", "second": "2nd", "third": "3rd", "fourth": "4th", "fifth": "5th",
    "dozen": "12", "hundred": "100", "thousand": "1000",
}  # fmt: skip
_OPPOSITES: Final = """
accept/decline,reject,refuse add/remove,delete allow,permit/forbid,deny,block
always/never approve/disapprove arrive/depart attach/detach before/after
begin,start/end,finish,stop buy/sell cheap/expensive connect/disconnect
create/destroy,delete credit/debit encrypt/decrypt deploy/undeploy,rollback
upload/download early/late enable,activate/disable,deactivate enter/leave,exit
expand/collapse export/import fast,quick/slow fewer/more follow/unfollow full/empty
grant/revoke grow/shrink hide/show high/low higher/lower hire/fire in/out
include/exclude inbound,incoming/outbound,outgoing
increase,raise/decrease,reduce,lower inside/outside install/uninstall
internal/external join/leave large/small larger,bigger/smaller last,previous/next
left/right less/more load/unload lock/unlock long/short win,won/lose,lost
max,maximum/min,minimum merge/split mount/unmount mute/unmute new/old newest/oldest
on/off once/twice/thrice open/close pack/unpack pass/fail pause/resume
positive/negative private/public profit/loss promote/demote publish/unpublish
push/pull read/write send/receive register/unregister restore/delete rise/fall
save/discard subscribe/unsubscribe success/failure today/tomorrow/yesterday true/false
up/down with/without zip/unzip ascending/descending best/worst better/worse day/night
morning/afternoon/evening male/female north/south/east/west buyer/seller
sender/recipient monday/tuesday/wednesday/thursday/friday/saturday/sunday
january/february/march/april/may/june/july/august/september/october/november/december
"""
"""Words that exclude each other, by `/`; those that mean the same, by `,`."""
_DIRECTIONS: Final = {"from": "from", "to": "to", "into": "to", "out": "from", "towards": "to"}
_POLITE: Final = frozenset(words("a an the my our your his her their its this that these those"))
_ENDINGS: Final = ("ing", "ed", "es", "s", "d")


def _sided() -> dict[str, tuple[tuple[int, int], ...]]:
    """Each word that has an opposite: which lines it stands in, and on which side."""
    sides: dict[str, tuple[tuple[int, int], ...]] = {}
    for line, text in enumerate(_OPPOSITES.split()):
        for side, alike in enumerate(text.split("/")):
            for word in alike.split(","):
                sides[word] = (*sides.get(word, ()), (line, side))
    return sides


_SIDES: Final = _sided()


def numbers(text: str) -> tuple[str, ...]:
    """Numbers in their order, also those in words: "move 3 to 7" is not "move 7 to 3"."""
    found = words(text)
    few = _COUNTED.keys().isdisjoint(found)
    counted = () if few else tuple([_COUNTED[word] for word in found if word in _COUNTED])
    if not _DIGIT.search(text):
        return counted
    digits = [found.group().lstrip("+").replace(",", ".") for found in _NUMBER.finditer(text)]
    return (*digits, *counted)


def ids(text: str) -> tuple[str, ...]:
    """Words with letters and digits both, such as order numbers, versions and hashes."""
    plain = folded(text)
    if not _DIGIT.search(plain):
        return ()
    return tuple(found.group() for found in _ID.finditer(plain))


def code(text: str) -> tuple[str, ...]:
    """Quotations, addresses, paths, flags and names as programs write them; case counts."""
    signs = _SIGN.search(text) and _CODE_SIGN.search(text)
    if not signs and not _HUMP.search(text):
        return ()
    return tuple(sorted(found.group() for found in _CODE.finditer(text)))


def negation(text: str) -> tuple[str, ...]:
    """Whether an odd number of words say no: two of them cancel each other out."""
    found = words(text)
    if _NO.isdisjoint(found) and not _NOT.search(text):
        return ()
    count = sum([word in _NO or word.endswith("n't") for word in found])
    return ("no",) if count % 2 else ()


def opposites(text: str) -> tuple[str, ...]:
    """Which sides of known opposites it takes: to start and to stop, on and off, days, months."""
    found = {side for sides in map(_sides, words(text)) for side in sides}
    return tuple(f"{line}/{side}" for line, side in sorted(found))


def direction(text: str) -> tuple[str, ...]:
    """What comes from where and goes to whom: "from Ann to Bob" is not "from Bob to Ann"."""
    found = words(text)
    if _DIRECTIONS.keys().isdisjoint(found):
        return ()
    told = set()
    for at, word in enumerate(found):
        way = _DIRECTIONS.get(word)
        if way is None:
            continue
        rest = [other for other in found[at + 1 : at + 4] if other not in _POLITE]
        if rest:
            told.add(f"{way} {rest[0]}")
    both = {name.split()[0] for name in told} == {"from", "to"}
    return tuple(sorted(told)) if both else ()


@lru_cache(maxsize=8192)
def _sides(word: str) -> tuple[tuple[int, int], ...]:
    """Also of "started" and "stopping"."""
    if word in _SIDES:
        return _SIDES[word]
    for ending in _ENDINGS:
        stem = word.removesuffix(ending)
        if stem == word:
            continue
        for form in (stem, f"{stem}e", stem[:-1] if stem[-1:] == stem[-2:-1] else stem):
            if form in _SIDES:
                return _SIDES[form]
    return ()


def _sides_differ(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether they take different sides; a text that takes none contradicts nobody."""
    mine, theirs = _by_line(one), _by_line(other)
    return any(mine[line] != theirs[line] for line in mine.keys() & theirs.keys())


def _by_line(sides: tuple[str, ...]) -> dict[str, set[str]]:
    lines: dict[str, set[str]] = {}
    for told in sides:
        line, side = told.split("/")
        lines.setdefault(line, set()).add(side)
    return lines


GUARDS: Final[dict[str, Callable[[str], tuple[str, ...]]]] = {
    "numbers": numbers,
    "ids": ids,
    "code": code,
    "negation": negation,
    "opposites": opposites,
    "direction": direction,
}
"""By name; see the README for what each keeps apart."""
ALL: Final = tuple(GUARDS)


def check_guards(names: Iterable[str]) -> tuple[str, ...]:
    """The guards that are meant, in one order. Raises InvalidOption for a name nobody has."""
    wanted = {names} if isinstance(names, str) else set(names)
    for name in sorted(wanted - set(GUARDS)):
        raise InvalidOption(
            f"There is no guard {name!r}. Choose among {', '.join(GUARDS)}.", option="guards"
        )
    return tuple(name for name in GUARDS if name in wanted)


def signature(text: str, guards: Iterable[str] = ALL) -> Signature:
    """What must be the same in another text."""
    return tuple(GUARDS[name](text) for name in guards)


def differs(one: Signature, other: Signature, guards: Iterable[str] = ALL) -> str | None:
    """The first guard by which two texts differ; None when all agree."""
    for name, mine, theirs in zip(guards, one, other, strict=True):
        if mine != theirs and (name != "opposites" or _sides_differ(mine, theirs)):
            return name
    return None
