"""The loader: finds, joins and checks the Lua, and refuses a wrong call by name."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from coordq.engine import scripts
from coordq.engine.call import Call
from coordq.engine.scripts import load
from coordq.engine.wire import Packer
from coordq.errors import InvalidArguments, ScriptMissing, ScriptMisuse


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for Lua of our own."""
    monkeypatch.setattr(scripts, "lua_root", lambda: tmp_path)
    load.cache_clear()
    yield_to = tmp_path
    (tmp_path / "room").mkdir()
    (tmp_path / "lib").mkdir()
    return yield_to


@pytest.fixture(autouse=True)
def _fresh() -> None:
    """Nothing is remembered from another folder."""
    load.cache_clear()


HEADER = """--[[
room/verb: does something.

KEYS[1]  root   prefix
ARGV[1]  first  the first
ARGV[2]  second the second

Returns  nothing
]]
"""


def test_a_script_is_read_with_its_header(folder: Path) -> None:
    """The header does not travel; its arguments are known."""
    (folder / "room/verb.lua").write_text(HEADER + "return ARGV[1] .. ARGV[2]\n")

    script = load("room/verb")

    assert script.source == "return ARGV[1] .. ARGV[2]\n"
    assert script.sha == hashlib.sha1(script.source.encode()).hexdigest()  # noqa: S324
    assert script.args == ("ARGV[1] first the first", "ARGV[2] second the second")
    assert not script.open_ended


def test_a_wrong_number_of_arguments_is_refused_by_name(folder: Path) -> None:
    """Whoever calls it wrongly reads what is missing."""
    (folder / "room/verb.lua").write_text(HEADER + "return 1\n")
    script = load("room/verb")

    script.check(2)
    with pytest.raises(ScriptMisuse, match=r"without: ARGV\[2\] second the second"):
        script.check(1)
    with pytest.raises(ScriptMisuse, match="takes 2 arguments and was called with 3"):
        script.check(3)


def test_an_open_end_takes_any_number(folder: Path) -> None:
    """Members, ids, groups."""
    text = HEADER.replace("ARGV[2]  second", "ARGV[2...]     ")
    (folder / "room/verb.lua").write_text(text + "return 1\n")
    script = load("room/verb")

    assert (len(script.args), script.open_ended) == (1, True)
    script.check(1)
    script.check(100)


def test_includes_are_joined_once_and_in_order(folder: Path) -> None:
    """Two pieces that need a third share it."""
    (folder / "lib/c.lua").write_text("--[[\nlib/c: c.\n]]\nlocal c = 1\n")
    (folder / "lib/a.lua").write_text("--[[\nlib/a: a.\n]]\n--- @include lib/c\nlocal a = c\n")
    (folder / "lib/b.lua").write_text("--[[\nlib/b: b.\n]]\n--- @include lib/c\nlocal b = c\n")
    (folder / "room/verb.lua").write_text(
        HEADER + "--- @include lib/a\n--- @include lib/b\nreturn a + b\n"
    )

    source = load("room/verb").source

    assert [line for line in source.split("\n") if line] == [
        "local c = 1",
        "local a = c",
        "local b = c",
        "return a + b",
    ]


def test_pieces_that_include_each_other_come_to_an_end(folder: Path) -> None:
    """A circle is cut, not followed."""
    (folder / "lib/a.lua").write_text("--[[\na\n]]\n--- @include lib/b\nlocal a = 1\n")
    (folder / "lib/b.lua").write_text("--[[\nb\n]]\n--- @include lib/a\nlocal b = 1\n")
    (folder / "room/verb.lua").write_text(HEADER + "--- @include lib/a\nreturn 1\n")

    assert load("room/verb").source.count("local a = 1") == 1


@pytest.mark.parametrize("name", ["room/nothing", "nothing/verb", "room/../../secret"])
def test_a_missing_script_says_so(folder: Path, name: str) -> None:
    """The installation is broken; the message says what to do."""
    assert folder.is_dir()
    with pytest.raises(ScriptMissing):
        load(name)


def test_a_missing_piece_says_so(folder: Path) -> None:
    """By its own name."""
    (folder / "room/verb.lua").write_text(HEADER + "--- @include lib/nothing\n")

    with pytest.raises(ScriptMissing, match=r"lua/lib/nothing\.lua"):
        load("room/verb")


def test_a_script_without_a_header_is_refused(folder: Path) -> None:
    """It could not be checked."""
    (folder / "room/verb.lua").write_text("return 1\n")

    with pytest.raises(ScriptMissing, match="header"):
        load("room/verb")


def test_all_scripts_are_found_and_the_pieces_are_none() -> None:
    """What `coordq doctor` checks."""
    names = scripts.names()

    assert {"engine/hello", "work/claim", "work/finish"} <= set(names)
    assert not any(name.startswith("lib/") for name in names)
    assert len({load(name).sha for name in names}) == len(names)


def test_a_call_is_packed_as_evalsha_and_whole_as_eval() -> None:
    """The first carries 40 bytes for the script, the second all of it."""
    call: Call[None] = Call("work/leave", 3, ("w1",), lambda _: None)
    packer = Packer("ns")

    assert packer.pack(call).startswith(b"*5\r\n$7\r\nEVALSHA\r\n$40\r\n")
    assert b"cq:{ns.3}:" in packer.pack(call)
    assert packer.pack_whole(call).startswith(b"*5\r\n$4\r\nEVAL\r\n")


def test_half_a_surrogate_pair_is_refused_when_packed() -> None:
    """It is not Unicode, and cannot be sent."""
    call: Call[None] = Call("work/leave", 0, ("\ud800",), lambda _: None)

    with pytest.raises(InvalidArguments):
        Packer("ns").pack(call)
    with pytest.raises(InvalidArguments):
        Packer("ns").pack_whole(call)


def test_the_scripts_may_come_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy with a bug planted in it is tried without touching the product."""
    copy = tmp_path / "lua"
    shutil.copytree(Path(__file__).parents[2] / "lua", copy)
    (copy / "work/leave.lua").write_text(HEADER + "return 'from elsewhere'\n")
    monkeypatch.setenv("COORDQ_LUA", str(copy))
    monkeypatch.setattr(scripts, "lua_root", scripts.lua_root.__wrapped__)

    assert load("work/leave").source == "return 'from elsewhere'\n"


def test_a_folder_without_scripts_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name of the setting, before anything is sent."""
    monkeypatch.setenv("COORDQ_LUA", str(tmp_path))
    monkeypatch.setattr(scripts, "lua_root", scripts.lua_root.__wrapped__)

    with pytest.raises(ScriptMissing, match="COORDQ_LUA"):
        load("work/leave")
