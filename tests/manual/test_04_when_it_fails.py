"""Chapter 4. Retries, and where tasks go that cannot be done."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordq import Client, State
from coordq.errors import TaskFailed
from tests.waiting import wait_until

AGENTS = '''
from pathlib import Path

from coordq import Agent, Backoff, Context, Reject, Retry, Snooze

agent = Agent("tryer")


class PaymentRefused(Exception):
    pass


@agent.task(max_attempts=3, backoff=Backoff.fixed(0.05))
async def third_time_lucky(ctx: Context) -> int:
    if ctx.attempt < 3:
        raise ConnectionError("the site is down")
    return ctx.attempt


@agent.task(max_attempts=2, backoff=Backoff.fixed(0.05))
async def hopeless() -> None:
    raise ConnectionError("the site is gone")


@agent.task(give_up_on=PaymentRefused)
async def charge() -> None:
    raise PaymentRefused("card expired")


@agent.task
async def read(path: str) -> str:
    """Signals say what should happen next. They are answers, not failures."""
    file = Path(path)
    if not file.name.endswith(".txt"):
        raise Reject("only text files")
    if not file.exists():
        raise Snooze(0.1)
    return file.read_text()


@agent.task(max_attempts=2)
async def polite(ctx: Context) -> int:
    if ctx.attempt == 1:
        raise Retry(after=0.05, reason="the site asked us to wait")
    return ctx.attempt
'''
pytestmark = pytest.mark.usefixtures("worker")


def test_a_failure_is_tried_again(client: Client) -> None:
    """Any exception costs an attempt; the backoff says how long to wait. Three by default."""
    assert client.work.run("third_time_lucky", wait_for=60) == 3


def test_after_the_last_attempt_it_is_a_dead_letter(client: Client) -> None:
    """A dead letter keeps its arguments and its last error until somebody decides about it."""
    handle = client.work.enqueue("hopeless")
    with pytest.raises(TaskFailed):
        handle.result(timeout=60)
    task = handle.get()

    assert (task.state, task.attempt, task.reason) == (State.FAILED, 2, "exception")
    assert handle.id in [dead.id for dead in client.work.dead()]


def test_some_errors_are_not_worth_a_retry(client: Client) -> None:
    """`give_up_on` names exceptions that waiting does not cure; `retry_on` is its opposite."""
    handle = client.work.enqueue("charge")

    with pytest.raises(TaskFailed, match="card expired"):
        handle.result(timeout=60)
    assert handle.get().attempt == 1


def test_reject_says_never(client: Client) -> None:
    """A dead letter at once, with the handler's reason."""
    with pytest.raises(TaskFailed, match="only text files") as caught:
        client.work.run("read", {"path": "photo.jpg"}, wait_for=60)
    assert caught.value.reason.startswith("rejected")


def test_snooze_says_not_now(client: Client, tmp_path: Path) -> None:
    """Come back later; costs no attempt, so it may be said any number of times."""
    file = tmp_path / "letter.txt"
    handle = client.work.enqueue("read", {"path": str(file)})
    wait_until(lambda: "snoozed" in kinds(client, handle.id))
    file.write_text("dear reader")

    assert handle.result(timeout=60) == "dear reader"
    assert handle.get().attempt == 1


def test_retry_says_when(client: Client) -> None:
    """A site that answers "429, come back in a minute" knows better than any backoff."""
    assert client.work.run("polite", wait_for=60) == 2


def test_dead_letters_can_be_revived(client: Client) -> None:
    """Once the cause is mended: attempts start again from zero."""
    handle = client.work.enqueue("third_time_lucky", max_attempts=1)
    with pytest.raises(TaskFailed):
        handle.result(timeout=60)
    assert client.work.revive(handle.id) == 1

    wait_until(lambda: kinds(client, handle.id).count("failed") == 2)


def kinds(client: Client, task_id: str) -> list[str]:
    """What happened to a task, in order."""
    return [event.kind for event in client.work.events() if event.subject == task_id]
