"""The demo tells the truth: from the events, with an exit code, and leaves nothing running."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from coordq.errors import CoordqError, InvalidOption
from coordq.ids import created_ms, new_id
from coordq.interfaces.demo import fleet, run
from coordq.interfaces.demo.ledger import Ledger
from coordq.interfaces.demo.run import run_demo
from coordq.interfaces.demo.sources import sources
from coordq.work.events import Event
from tests.waiting import wait_until

ROOT = Path(run.__file__).resolve().parents[3]


def ledger_of(*stories: list[tuple[str, int]], lost: int = 0) -> tuple[Ledger, int]:
    """A ledger that was told one story a task: kinds of events, with ms after its own enqueue.

    And when the first was enqueued: the ids may be of different milliseconds on a busy machine.
    """
    ids = [new_id() for _ in range(len(stories) + lost)]
    ledger = Ledger(frozenset(ids))
    for one, story in zip(ids, stories, strict=False):
        for version, (kind, ms) in enumerate(story, start=1):
            at = f"{created_ms(one) + ms}-0"
            event = Event(at, 0, one, kind, version, 0, "default", "audit_file", "")
            ledger.note(event)
            ledger.note(event)
    return ledger, created_ms(ids[0])


def test_an_event_that_is_read_twice_counts_once() -> None:
    """The whole stream is read once more at the end, so every event is seen at least twice."""
    ledger, _ = ledger_of([("ready", 0), ("running", 5), ("succeeded", 9)])

    told = ledger.delivery()

    assert (told["succeeded"], told["started_again"], told["executed_twice"]) == (1, 0, 0)


def test_work_of_a_dead_child_is_started_again_but_executed_once() -> None:
    """Recovery means to start twice; what must not happen is that two outcomes are committed."""
    story = [("ready", 0), ("running", 5), ("crashed", 130), ("running", 150), ("succeeded", 600)]
    ledger, zero = ledger_of(story, [("ready", 0), ("running", 5), ("succeeded", 9)])

    told = ledger.delivery(zero + 100)

    assert (told["taken_back"], told["recovered"], told["started_again"]) == (1, 1, 1)
    assert (told["back_in_line_s"], told["recovered_s"]) == (0.03, 0.5)
    assert (told["lost"], told["executed_twice"]) == (0, 0)


def test_claims_that_never_reached_a_handler_are_recovered_too() -> None:
    """The dead child held them as well; they only cost no strike, so the event is another one."""
    story = [("ready", 0), ("running", 5), ("released", 130), ("running", 150), ("failed", 600)]
    ledger, zero = ledger_of(story)

    told = ledger.delivery(zero + 100)

    assert (told["recovered"], told["dead_letters"]) == (1, 1)


def test_two_committed_outcomes_are_found() -> None:
    """The fault that the demo exists to rule out has to be visible if it happens."""
    ledger, _ = ledger_of([("ready", 0), ("running", 5), ("succeeded", 9), ("succeeded", 12)])

    assert ledger.delivery()["executed_twice"] == 1


def test_a_task_that_did_not_end_is_lost() -> None:
    """Whatever the reason is: nobody got its result."""
    ledger, _ = ledger_of([("ready", 0), ("running", 5), ("succeeded", 9)], lost=2)

    told = ledger.delivery()

    assert (told["tasks"], told["succeeded"], told["lost"]) == (3, 1, 2)


def test_a_demo_in_which_nothing_ended_still_has_an_account() -> None:
    """Without a single finish there is no latency, and no error either."""
    ledger, _ = ledger_of(lost=3)

    told = ledger.delivery()

    assert (told["lost"], told["latency_p50_s"], told["recovered_s"]) == (3, None, None)


def test_what_was_left_out_has_ended_too() -> None:
    """A file that is not complex is not looked at closely: that is no loss, and no work either."""
    ledger, _ = ledger_of([("waiting", 0), ("skipped", 50)], [("running", 5), ("succeeded", 9)])

    told = ledger.delivery()

    assert (told["skipped"], told["succeeded"], told["lost"]) == (1, 1, 0)
    assert told["latency_p99_s"] == 0.009


def test_latency_is_from_enqueue_to_end() -> None:
    """In milliseconds of Redis, given in seconds."""
    ledger, _ = ledger_of(*([("running", 1), ("succeeded", 1000 + 10 * n)] for n in range(100)))

    told = ledger.delivery()

    assert told["latency_p50_s"] == 1.49
    assert told["latency_p99_s"] == 1.98


# The tree


def test_the_standard_library_is_the_default() -> None:
    """About 1,700 real files that every machine has; installed packages are not among them."""
    found = sources(None)

    assert len(found) > 500
    assert not [file for file in found if "site-packages" in file.parts]
    assert Path(os.__file__).resolve() in found


def test_packages_caches_and_hidden_folders_are_left_out(tmp_path: Path) -> None:
    """An audit of a project is not an audit of its virtual environment."""
    kept = [tmp_path / "a.py", tmp_path / "pkg" / "b.py"]
    others = [".venv/x.py", "lib/site-packages/x.py", "node_modules/x.py", "pkg/notes.txt"]
    for file in [*kept, *(tmp_path / other for other in others)]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")

    assert sources(tmp_path) == kept
    assert sources(tmp_path, 1) == kept[:1]
    assert sources(kept[0]) == kept[:1]


def test_a_place_without_sources_is_refused(tmp_path: Path) -> None:
    """Before anything is started."""
    for place in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InvalidOption):
            run_demo(place)


# The whole


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small project: 40 files that parse, two that do not."""
    folder = tmp_path / "tree"
    folder.mkdir()
    for number in range(40):
        body = "".join(f"def f{n}(a):\n    return a and {n}\n" for n in range(number))
        (folder / f"m{number:02}.py").write_text(f'"""Module."""\nimport os\n{body}')
    (folder / "bad_syntax.py").write_text("def f(:\n")
    (folder / "bad_bytes.py").write_bytes(b"x = '\xff'\n")
    return folder


def start(tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    """`coordq demo` as a user starts it, with a temporary folder of its own."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "coordq", "demo", *words],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_behind(tmp_path: Path) -> list[str]:
    """Files of the demo that still are there, and processes that have its folder in their words."""
    temporary = tmp_path / "tmp"
    words = map(words_of, Path("/proc").glob("[0-9]*/cmdline"))
    return [str(path) for path in temporary.iterdir()] + [
        line for line in words if str(temporary) in line
    ]


def words_of(process: Path) -> str:
    """Its command line; nothing when it has just ended."""
    try:
        return process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


@pytest.mark.chaos
def test_the_demo_loses_nothing(tmp_path: Path, tree: Path) -> None:
    """The main job, small: figures, dead letters with their reasons, a kill, and a clean exit."""
    process = start(tmp_path, "--path", str(tree), "--processes", "2", "--json")

    out, err = process.communicate(timeout=240)

    report: dict[str, Any] = json.loads(out)
    told = report["delivery"]
    assert (process.returncode, err) == (0, "")
    assert (report["ok"], told["killed"]) == (True, True)
    assert report["flow"]["state"] == "succeeded"
    assert (told["tasks"], told["dead_letters"]) == (3 * 42 + 2, 2)
    assert (told["succeeded"], told["skipped"]) == (40 + 2 + 2, 40 + 42)
    assert (told["lost"], told["executed_twice"]) == (0, 0)
    assert told["recovered"] == told["taken_back"]
    assert report["totals"]["functions"] == sum(range(40))
    assert (report["totals"]["files"], report["totals"]["unparsed"]) == (42, 2)
    assert report["totals"]["top"][0]["complexity_max"] == 2
    assert ["does not decode" in one for one in report["dead_letters"]] == [True, False]
    wait_until(lambda: left_behind(tmp_path) == [], what="everything to be gone")


@pytest.mark.chaos
def test_without_a_terminal_the_demo_speaks_in_lines(tmp_path: Path, tree: Path) -> None:
    """In a pipe or a CI log there is no bar and no colour, and the account is complete."""
    process = start(tmp_path, "--path", str(tree), "--processes", "2")

    out, _ = process.communicate(timeout=240)

    assert process.returncode == 0
    assert "\x1b" not in out
    assert "128 of 128 tasks" in out
    assert "bad_syntax.py:1 does not parse" in out
    assert "✓ audit_tally" in out
    assert "delivery: 128 tasks, 44 succeeded, 82 skipped, 2 dead letters" in out
    assert "0 lost" in out


@pytest.mark.chaos
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_takes_its_processes_along(tmp_path: Path, number: int) -> None:
    """Redis, the worker and its children: whoever presses Ctrl-C wants all of it to end."""
    process = start(tmp_path, "--processes", "2")
    assert process.stdout is not None
    while " of " not in process.stdout.readline():
        assert process.poll() is None

    process.send_signal(number)
    out, err = process.communicate(timeout=120)

    assert process.returncode == 130
    assert "interrupted" in out
    assert "Traceback" not in err
    wait_until(lambda: left_behind(tmp_path) == [], what="everything to be gone")


def test_tasks_that_nobody_does_are_lost_and_fail_the_demo(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0 would be worth nothing if the demo could not fail."""
    text = """
    from coordq import Agent
    agent = Agent("lazy")

    @agent.task
    async def something_else() -> None: ...
    """
    (tmp_path / "audit.py").write_text(textwrap.dedent(text))
    monkeypatch.setattr(fleet, "builtin_workers", lambda: tmp_path)
    monkeypatch.setattr(run, "STALL_S", 1.0)

    code = run_demo(tree, processes=1, kill=False)

    assert code == 1
    assert "128 lost" in capfd.readouterr().out


def test_a_worker_that_does_not_start_is_explained(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the worker said is what helps; that it did not start can be seen anyway."""
    (tmp_path / "audit.py").write_text("import nothing_of_this_name\n")
    monkeypatch.setattr(fleet, "builtin_workers", lambda: tmp_path)

    with pytest.raises(CoordqError, match="nothing_of_this_name"):
        run_demo(tree, processes=1)
