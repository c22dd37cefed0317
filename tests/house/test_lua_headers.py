"""The Lua is the protocol: a client in another language is written from these files alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from coordq.engine import scripts
from tests.house.luac import globals_of

LUA = Path(__file__).resolve().parents[2] / "lua"
LIBRARY = sorted((LUA / "lib").glob("*.lua"))

# What Redis 6.2, Redis 7 and 8, Valkey and fakeredis all offer; the others lack cmsgpack, bit,
# struct and redis.sha1hex somewhere.
DIALECT = {
    *("KEYS", "ARGV", "redis", "cjson", "string", "table", "math"),
    *("assert", "error", "ipairs", "next", "pairs", "pcall", "select", "tonumber", "tostring"),
    *("type", "unpack"),
}
NOT_EVERYWHERE = r"redis\.(sha1hex|setresp|breakpoint|debug|acl_check_cmd|register_function)"

every_script = pytest.mark.parametrize("name", scripts.names())


def test_there_is_something_to_check() -> None:
    """An empty folder passes every rule."""
    assert "work/claim" in scripts.names()


@every_script
def test_a_script_says_what_it_is(name: str) -> None:
    """Its header: the name, a sentence, KEYS, ARGV in order, and what it returns."""
    header = scripts.load(name).header
    numbers = [int(number) for number in re.findall(r"^ARGV\[(\d+)", header, re.MULTILINE)]

    assert re.match(rf"{name}: \S.*[^\s:]$", header.splitlines()[0])
    assert re.search(r"^KEYS\[1\]\s+root\s+\S", header, re.MULTILINE)
    assert re.search(r"^Returns  \S", header, re.MULTILINE)
    assert numbers == list(range(1, len(numbers) + 1))


@every_script
def test_a_script_uses_what_its_header_names_and_nothing_else(name: str) -> None:
    """A slot that only the header knows, or only the body, is a mistake in one of them."""
    script = scripts.load(name)
    code = without_comments(script.source)
    used = {int(slot) for slot in re.findall(r"\bARGV\[(\d+)\]", code)}
    rest = {int(slot) for slot in re.findall(r"\bunpack\(ARGV, (\d+)", code)}
    counted_through = re.search(r"\bARGV\[[a-z]", code) is not None
    fixed = set(range(1, len(script.args) + 1))

    assert counted_through or fixed - used - rest == set(), "in the header, not in the body"
    assert script.open_ended or used <= fixed, "in the body, not in the header"
    assert set(re.findall(r"\bKEYS\[(\w+)\]", code)) <= {"1"}


@every_script
def test_a_script_keeps_to_the_common_dialect(name: str) -> None:
    """No global is set, and none is read that some server does not have."""
    source = scripts.load(name).source
    touches = globals_of(source)

    assert [touch for touch in touches if touch.sets] == []
    assert [touch for touch in touches if touch.name not in DIALECT] == []
    assert re.findall(NOT_EVERYWHERE, source) == []


@every_script
def test_a_script_builds_every_key_from_its_root(name: str) -> None:
    """A key outside the root is in another slot: a Cluster would refuse the call."""
    code = without_comments(scripts.load(name).source)

    # of XGROUP, XINFO and XREADGROUP the key comes after a word
    words = r"(?!(?:CREATE|DESTROY|DELCONSUMER|CONSUMERS|GROUPS?)')"
    assert re.findall(rf"redis\.p?call\('[A-Z]+',\s*'{words}", code) == []
    assert re.findall(r"['\"]cq:", code) == []


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.stem)
def test_a_shared_piece_says_what_it_is(path: Path) -> None:
    """Pieces have a header as well: their name and a sentence."""
    first, second = path.read_text().splitlines()[:2]

    assert first == "--[["
    assert second.startswith(f"lib/{path.stem}: ")


def test_the_reader_of_bytecode_sees_globals() -> None:
    """The checker itself: a leak in a nested function is found, with its line."""
    touches = globals_of("local a = 1\nlocal function f()\n  leak = a + tonumber('1')\nend\nf()")

    assert {(touch.name, touch.sets, touch.line) for touch in touches} == {
        ("leak", True, 3),
        ("tonumber", False, 3),
    }


def without_comments(lua: str) -> str:
    """`lua` without its comments; our strings hold no `--`."""
    return re.sub(r"--[^\n]*", "", re.sub(r"--\[\[.*?\]\]", "", lua, flags=re.DOTALL))
