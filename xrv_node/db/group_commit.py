"""Group commit: threads that write at the same time share a transaction, and so one wait for the disk.

Nobody waits for company: who comes while a transaction is being committed is in the next one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.orm import Session

T = TypeVar("T")


@dataclass
class _Step:
    """What one thread brings, and what became of it."""

    action: Callable[[Session], Any]
    done: bool = False
    result: Any = None
    error: Exception | None = None


class GroupCommit:
    """Transactions that threads share.

    Parameters
    ----------
    begin
        Opens a transaction that is committed at its end and rolled back on an exception.
    """

    def __init__(self, begin: Callable[[], AbstractContextManager[Session]]) -> None:
        self._begin = begin
        self._turn = threading.Lock()
        self._waiting: deque[_Step] = deque()

    def run(self, action: Callable[[Session], T]) -> T:
        """Run `action`, which may be run again when a step beside it fails, and return what it returns.

        Raises
        ------
        Exception
            What `action` or the commit raised.
        """
        step = _Step(action)
        self._waiting.append(step)
        with self._turn:
            if not step.done:  # whoever had the turn before may have taken it along
                self._commit([self._waiting.popleft() for _ in range(len(self._waiting))])
        if step.error is not None:
            raise step.error
        result: T = step.result
        return result

    def _commit(self, steps: Sequence[_Step]) -> None:
        try:
            with self._begin() as db:
                for step in steps:
                    step.result = step.action(db)
        except Exception as error:
            if len(steps) > 1:  # everything was rolled back: each alone, so that one takes none along
                for step in steps:
                    self._commit([step])
                return
            steps[0].error = error
        for step in steps:
            step.done = True
