"""Topics are matched in Lua and in Python: the same answer, whatever is asked."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordq.engine.connection import Engine
from coordq.engine.scripts import lua_root
from coordq.topics import matches
from tests.bus.office import Office

pytestmark = pytest.mark.live
word = st.sampled_from(("a", "b", "ab", "a-b", "A_1"))
topic = st.lists(word, min_size=1, max_size=5).map(".".join)
pattern = st.builds(
    lambda words, last: ".".join([*words, *last]),
    st.lists(st.one_of(word, st.just("*")), max_size=4),
    st.lists(st.sampled_from(("a", "*", "**")), min_size=1, max_size=1),
)
PAIRS = (
    ("**", "a", True),
    ("a.**", "a", True),
    ("a.**", "a.b.c", True),
    ("a.**", "ab", False),
    ("*", "a.b", False),
    ("*.*", "a.b", True),
    ("a.*", "a", False),
    ("a.b", "a.b.c", False),
    ("*.b.**", "a.b", True),
)


def in_lua(engine: Engine, wanted: str, published: str) -> bool:
    """What lib/topic says."""
    text = lua_root().joinpath("lib", "topic.lua").read_text(encoding="utf-8")
    source = f"{text}\nreturn topic_matches(ARGV[1], ARGV[2]) and 1 or 0"
    return bool(engine.execute(0, "EVAL", source, 0, wanted, published))


@pytest.mark.parametrize(("wanted", "published", "fits"), PAIRS)
def test_what_a_pattern_means(engine: Engine, wanted: str, published: str, *, fits: bool) -> None:
    """The cases that people ask about."""
    assert matches(wanted, published) is fits
    assert in_lua(engine, wanted, published) is fits


def test_the_twins_agree(office: Office) -> None:
    """On whatever there can be."""

    @settings(max_examples=400)
    @given(pattern, topic)
    def agree(wanted: str, published: str) -> None:
        assert in_lua(office.engine, wanted, published) is matches(wanted, published)

    agree()
