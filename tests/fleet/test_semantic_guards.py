"""What keeps two texts apart that an embedder takes for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.fleet.semantic import guards
from coordq.fleet.semantic.guards import ALL, GUARDS, differs, signature
from coordq.fleet.semantic.routes import TEXT_MAX

APART = [
    ("numbers", "refund order 17", "refund order 71"),
    ("numbers", "move 3 boxes to rack 7", "move 7 boxes to rack 3"),
    ("numbers", "send two copies", "send three copies"),
    ("numbers", "raise it by 5%", "raise it by 5"),
    ("numbers", "meet at 10:30", "meet at 10:45"),
    ("numbers", "add 1.5 litres", "add 15 litres"),
    ("ids", "look at ticket AB-1207", "look at ticket AB-1270"),
    ("ids", "deploy v2", "deploy v3"),
    ("ids", "where is parcel x9f3", "where is parcel x9e3"),
    ("code", "rename user_id", "rename user_name"),
    ("code", "why does parse() fail", "why does print() fail"),
    ("code", "look at /var/log/a", "look at /var/log/b"),
    ("code", "fix userName", "fix userMail"),
    ("code", "write to ann@example.org", "write to bob@example.org"),
    ("code", 'say "yes" to them', 'say "maybe" to them'),
    ("code", "run it with --fast", "run it with --safe"),
    ("code", "tell @ann", "tell @bob"),
    ("negation", "delete my account", "do not delete my account"),
    ("negation", "it works", "it doesn\u2019t work"),
    ("negation", "tea with milk", "never tea, milk"),
    ("opposites", "enable the alarm", "disable the alarm"),
    ("opposites", "it was started", "it was stopped"),
    ("opposites", "turn the light on", "turn the light off"),
    ("opposites", "buy shares", "selling shares"),
    ("opposites", "come on Monday", "come on Friday"),
    ("opposites", "the report for May", "the report for June"),
    ("direction", "transfer from Ann to Bob", "transfer from Bob to Ann"),
    ("direction", "convert from the metre into the foot", "convert from the foot into the metre"),
]


@pytest.mark.parametrize(("guard", "one", "other"), APART)
def test_texts_that_mean_something_else_are_kept_apart(guard: str, one: str, other: str) -> None:
    """The guard that is named does it, also by itself, and whichever text came first."""
    for names in (ALL, (guard,)):
        mine, theirs = signature(one, names), signature(other, names)

        assert differs(mine, theirs, names) is not None
        assert differs(theirs, mine, names) is not None
    assert GUARDS[guard](one) != GUARDS[guard](other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I was charged twice this month", "this month I was charged twice"),
        ("please remove this comment", "Delete this comment!"),
        ("where is my parcel", "could you tell me where my parcel is?"),
        ("refund order 17, please", "Hi, order 17 should be refunded"),
        ("nobody can never sign in", "everybody can sign in"),
        ("deploy V2 now", "now deploy v2"),
        ("the invoice has an error in it", "the invoice is wrong"),
        ("begin the backup", "start the backup"),
    ],
)
def test_texts_that_mean_the_same_pass(one: str, other: str) -> None:
    """Else no paraphrase would ever be a hit."""
    assert differs(signature(one), signature(other)) is None


@given(st.text(max_size=200))
def test_a_text_agrees_with_itself(text: str) -> None:
    """Whatever it is made of; and its signature can be compared later."""
    assert differs(signature(text), signature(text)) is None


pieces = st.sampled_from(
    [
        "a",
        "B",
        "9",
        " ",
        ".",
        "-",
        "_",
        "/",
        ":",
        "@",
        "#",
        "$",
        "(",
        ")",
        ">",
        "`",
        '"',
        "\n",
        "\u00e9",
    ]
)


@given(st.lists(pieces, max_size=12).map("".join))
def test_what_looks_like_no_code_at_a_glance_is_none(text: str) -> None:
    """The glance saves most of what the guards cost; it must not hide anything."""
    assert guards.code(text) == tuple(sorted(one.group() for one in guards._CODE.finditer(text)))


@given(st.text(max_size=80), st.text(max_size=80))
def test_it_does_not_matter_which_text_came_first(one: str, other: str) -> None:
    """Or a cache would know a text or not by the order of the stream."""
    forth, back = (
        differs(signature(first), signature(second))
        for first, second in ((one, other), (other, one))
    )

    assert forth == back


@pytest.mark.parametrize("piece", ["a", "a-", "a_", "a.", "1", "/a", "@", "`", '"', "A1-", "--a "])
def test_a_hostile_text_costs_no_more_than_a_long_one(piece: str) -> None:
    """An expression that goes back and back would stand still here until the test is killed."""
    assert signature((piece * TEXT_MAX)[:TEXT_MAX] + "!")
