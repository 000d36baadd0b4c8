"""Group commit: steps that come together share a transaction, and one that fails takes none along."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from xrv_node.db import queries, trail
from xrv_node.db.store import Store

COUNT = 8


def crowd(store: Store, actions: list[Callable[[Session], Any]]) -> list[Any]:
    """Bring all actions while the first is in its transaction; what each returned or raised."""
    results: list[Any] = [None] * len(actions)
    entered, rest_is_waiting = threading.Event(), threading.Event()

    def bring(number: int) -> None:
        try:
            results[number] = store.together(actions[number])
        except Exception as error:
            results[number] = error

    def first(db: Session) -> None:
        entered.set()
        rest_is_waiting.wait(10)
        trail.record(db, "first")

    leader = threading.Thread(target=store.together, args=(first,))
    leader.start()
    assert entered.wait(10)
    threads = [threading.Thread(target=bring, args=(n,)) for n in range(len(actions))]
    for thread in threads:
        thread.start()
    while len(store._group._waiting) < len(actions):
        threading.Event().wait(0.01)
    rest_is_waiting.set()
    for thread in [leader, *threads]:
        thread.join()
    return results


def names(store: Store) -> list[str]:
    with store.read() as db:
        assert isinstance(trail.verify(db), int)
        return [e["event"] for e in queries.events(db)]


def recorder(name: str) -> Callable[[Session], str]:
    def action(db: Session) -> str:
        trail.record(db, name)
        return name

    return action


def test_steps_that_wait_together_are_committed_together(store: Store) -> None:
    commits: list[object] = []
    event.listen(store.engine, "commit", commits.append)
    results = crowd(store, [recorder(f"step.{n}") for n in range(COUNT)])
    assert results == [f"step.{n}" for n in range(COUNT)]
    assert sorted(names(store)) == sorted(["first", *results])
    assert len(commits) == 2


def test_a_step_that_fails_takes_none_along(store: Store) -> None:
    def fails(db: Session) -> None:
        trail.record(db, "never")
        raise ValueError("no")

    results = crowd(store, [recorder("a"), fails, recorder("b")])
    assert results[0] == "a"
    assert results[2] == "b"
    assert isinstance(results[1], ValueError)
    assert sorted(names(store)) == ["a", "b", "first"]


def test_a_step_alone_raises_what_it_raised(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        store.together(lambda _: 1 // 0)
    assert store.together(recorder("after")) == "after"
