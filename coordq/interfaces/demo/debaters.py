"""Who debates: five agents that read the same corpus with different eyes, and one in reserve.

They speak one after the other, in a session. Each reads what was said so far, finds a passage that
nobody has quoted, and argues with it: for a position, or against the one that leads. In the end
each is asked what it is convinced of. None of them is a language model; what they say stands in
the corpus. They show how agents use coordq, not how agents think.

`coordq demo debate` runs them; a session of your own can invite them as well.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

from coordq import Agent, Context
from coordq.interfaces.demo.corpus import Corpus, Passage, read, words

NAMES: Final = ("finder", "practitioner", "sceptic", "archivist", "advocate")
UNDERSTUDY: Final = "understudy"
EYES: Final = {
    "finder": "",
    "practitioner": "example call return argument",
    "sceptic": "never unsafe warn deprecated error race block",
    "archivist": "module class object function",
    "advocate": "simple easy convenient high level",
}
"""What each looks for besides the question."""
RELEVANT: Final = 0.55
"""What fits the question worse than this share of the best is no argument."""
EYE_WEIGHT: Final = 2.0
OWN_WEIGHT: Final = 3
DOUBTS: Final = re.compile(r"\b(never|unsafe|deprecated|warning|cannot|must not|beware|slow)\b")


def debater(name: str) -> Agent:
    """An agent that takes part in debates. The archivist has somebody to stand in for it."""
    persona = {"role": "debater", "domain": EYES[name] or "anything"} if name in EYES else None
    deputies = (UNDERSTUDY,) if name == "archivist" else ()
    made = Agent(name, role="debater", persona=persona, stand_ins=deputies)

    @made.on(visibility=5)
    async def speak(ctx: Context) -> None:
        """Somebody has spoken: if it is our turn now, answer."""
        await take_turn(ctx)

    @made.on(kind="ask", visibility=5)
    async def vote(ctx: Context) -> dict[str, Any]:
        """What are we convinced of, by all that was said?"""
        return conviction(ctx.session.me, arguments(await ctx.session.transcript()))

    return made


async def take_turn(ctx: Context) -> None:
    """Say something, if it is this participant's turn."""
    session = ctx.session
    view = await session.get()
    if view.next != session.me or view.state != "open":
        return
    about = view.about
    await asyncio.sleep(float(about.get("pause", 0)))  # as long as thinking takes
    said = arguments(await session.transcript())
    corpus = await asyncio.to_thread(corpus_of, about["corpus"])
    argument = await asyncio.to_thread(argue, corpus, session.me, about["question"], said)
    await session.say(argument)


@cache
def corpus_of(path: str) -> Corpus:
    """The corpus, read once in each process."""
    return Corpus(read(Path(path)))


def arguments(turns: Iterable[Any]) -> list[dict[str, Any]]:
    """What was argued, and by whom; what the moderator says is none."""
    return [
        {**turn.body, "by": turn.speaker}
        for turn in turns
        if isinstance(turn.body, dict) and "stance" in turn.body
    ]


def leading(said: Iterable[dict[str, Any]]) -> str:
    """The position that most was said for, less what was said against it; "" before the first."""
    counts: Counter[str] = Counter()
    for one in said:
        counts[one["position"]] += 1 if one["stance"] == "for" else -1
    best = max(counts.items(), key=lambda each: (each[1], each[0]), default=("", 0))
    return best[0]


def argue(corpus: Corpus, name: str, question: str, said: list[dict[str, Any]]) -> dict[str, Any]:
    """What this one says next: a passage that was not quoted, and what it speaks for."""
    quoted = {one["claim"] for one in said}
    leader = leading(said)
    found = corpus.ask(question, most=300)
    enough = RELEVANT * found[0][0] if found else 0
    found = [one for one in found if one[0] >= enough and one[1].text not in quoted]
    for passage in seen_by(name, found):
        if name == "sceptic" and passage.subject == leader and DOUBTS.search(passage.text.lower()):
            return statement("against", passage)
        if name not in {"sceptic", "advocate"} or passage.subject != leader:
            return statement("for", passage)
    return {"stance": "pass", "position": leader, "claim": "I have nothing to add.", "where": ""}


def seen_by(name: str, found: list[tuple[float, Passage]]) -> list[Passage]:
    """Passages in the order in which they please this one."""
    eye = set(words(EYES.get(name, "")))

    def pleasing(each: tuple[float, Passage]) -> float:
        return each[0] + EYE_WEIGHT * len(eye.intersection(words(each[1].text)))

    return [passage for _, passage in sorted(found, key=pleasing, reverse=True)]


def statement(stance: str, passage: Passage) -> dict[str, Any]:
    """As it stands in the transcript."""
    return {
        "stance": stance,
        "position": passage.subject,
        "claim": passage.text,
        "where": passage.where,
    }


def conviction(name: str, said: list[dict[str, Any]]) -> dict[str, Any]:
    """The position that this one holds in the end, and what convinced it: its own words most."""
    counts: Counter[str] = Counter()
    for one in said:
        if one["stance"] != "pass":
            sign = 1 if one["stance"] == "for" else -1
            counts[one["position"]] += sign * (OWN_WEIGHT if one["by"] == name else 1)
    best = max(counts.items(), key=lambda each: (each[1], each[0]), default=("", 0))[0]
    evidence = [f"{one['where']}: {one['claim'][:160]}" for one in said if one["position"] == best]
    return {"position": best, "evidence": evidence[:3]}


finder, practitioner, sceptic, archivist, advocate = map(debater, NAMES)
understudy = debater(UNDERSTUDY)
