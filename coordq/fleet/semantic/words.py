"""The words of a text, as the lexical embedder and the guards see them."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@lru_cache(maxsize=64)  # as below, and the text is compared with phrases as well
def folded(text: str) -> str:
    """Without differences of case, width and composition."""
    return unicodedata.normalize("NFKC", text).casefold()


@lru_cache(maxsize=64)  # the embedder and each guard ask for those of the same text
def words(text: str) -> tuple[str, ...]:
    """The words and numbers of a text, folded, in order; an apostrophe joins: `don't`."""
    return tuple(_WORD.findall(folded(text).replace("\u2019", "'")))


LIGHT: Final = frozenset(
    words(
        "a about after all also am an and any are as at be because been before but by can "
        "could did do does for from get give had has have he her him his how i if in into "
        "is it its just let like make may me my need of on one or our out over please shall "
        "she should so some than that the their them then there these they this to too up "
        "us want was we were what when where which who whose why will with within would you "
        "your"
    )
)
"""Words that say little of what a text is about. Few: a word that is missing here costs less
than one that should not be here."""
