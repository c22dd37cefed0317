"""The debate is a session of real agents, in processes of their own; one dies and is replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordq.errors import InvalidOption
from coordq.interfaces.demo.corpus import Corpus, Passage, read
from coordq.interfaces.demo.debate import run_debate
from coordq.interfaces.demo.debaters import NAMES, argue, conviction, leading

TEXTS = {
    "asyncio.md": "A task waits for another task by awaiting it, and nothing else is blocked.",
    "threading.md": "A thread waits for another thread by joining it, which may block for ever.",
    "queue.md": "Threads and tasks wait for each other at a queue, whichever of them is faster.",
    "other.md": "Cucumbers are eaten raw, pickled or in soup, as everybody knows who eats them.",
}
QUESTION = "How do threads and tasks wait for another?"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder of four short texts."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text + "\n\nShort.\n")
    return folder


def test_a_corpus_is_passages_and_where_they_stand(corpus: Path) -> None:
    """Paragraphs of texts, docstrings of Python; what is too short to argue with is left out."""
    (corpus / "code.py").write_text(f'"""{"A module that waits for something. " * 2}"""\n')

    passages = read(corpus)

    assert {passage.subject for passage in passages} == {
        *(name.removesuffix(".md") for name in TEXTS),
        "code",
    }
    assert Passage("queue", "queue.md", TEXTS["queue.md"]) in passages


def test_what_speaks_of_a_question_comes_first(corpus: Path) -> None:
    """And what shares no word with it does not come at all."""
    found = Corpus(read(corpus)).ask(QUESTION)

    assert found[0][1].subject in {"queue", "threading"}
    assert "other" not in {passage.subject for _, passage in found}


def test_nobody_says_what_was_said_before(corpus: Path) -> None:
    """When all is said, they have nothing to add."""
    texts = Corpus(read(corpus))
    said: list[dict[str, Any]] = []

    for name in NAMES:
        said.append(argue(texts, name, QUESTION, said) | {"by": name})

    claims = [one["claim"] for one in said if one["stance"] != "pass"]
    assert len(claims) == len(set(claims)) > 1
    assert said[-1]["stance"] == "pass"


def test_a_position_leads_by_what_is_said_for_it_and_against_it() -> None:
    """And one's own words weigh most in what one is convinced of."""
    said = [
        {"stance": "for", "position": "a", "by": "finder", "where": "x", "claim": "1"},
        {"stance": "for", "position": "b", "by": "sceptic", "where": "y", "claim": "2"},
        {"stance": "for", "position": "b", "by": "advocate", "where": "y", "claim": "3"},
    ]

    assert leading(said) == "b"
    assert leading([*said, said[1] | {"stance": "against"}, said[1] | {"stance": "against"}]) == "a"
    assert conviction("finder", said)["position"] == "a"
    assert conviction("archivist", said) == {"position": "b", "evidence": ["y: 2", "y: 3"]}


def test_a_corpus_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Before anything is started."""
    with pytest.raises(InvalidOption, match="there is no corpus"):
        run_debate(corpus=tmp_path / "nowhere")


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.live
def test_five_agents_debate_and_one_of_them_is_replaced(
    corpus: Path, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """All turns are spoken once and in order, those of the dead one by its stand-in."""
    code = run_debate(QUESTION, corpus=corpus, rounds=2, url=redis_url, json=True)

    report = json.loads(capsys.readouterr().out)
    assert code == 0
    assert report["ok"]
    assert len(report["stood_in"]) == 1, "its turn of the second round"
    agents = [name for opinion in report["votes"]["opinions"] for name in opinion["agents"]]
    assert sorted(agents) == sorted(NAMES)
