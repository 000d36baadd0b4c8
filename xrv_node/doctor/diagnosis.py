"""What a check is given, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from xrv_node import role_locks
from xrv_node.db.store import Store
from xrv_node.errors import ConfigError
from xrv_node.settings import Settings


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one look found."""

    check: str
    state: State
    says: str
    remedy: str = ""
    studies: tuple[str, ...] = ()
    """All that it is about, where it is about studies: Study Instance UIDs."""


@dataclass(frozen=True, slots=True)
class Examined:
    """The node that is looked at."""

    settings: Settings
    store: Store
    fix: bool
    files: Callable[[int, int], None] | None = None
    """Told how many files of how many were read; where it is missing, none are read."""

    @property
    def serving(self) -> bool:
        """Whether it runs here."""
        return role_locks.is_serving(self.settings.data_dir)

    @property
    def has_record(self) -> bool:
        """Whether there is a database of this program's schema; ``record.database`` says if not, and why."""
        try:
            self.store.require_current()
        except ConfigError:
            return False
        return True


Found = Iterator[tuple[State, str, str]]
"""What a check yields: how bad it is, what is, and the remedy; the remedy is empty where nothing is wrong."""

OfStudies = Iterator[tuple[State, str, str] | tuple[State, str, str, tuple[str, ...]]]
"""The same, with the studies where it is about some."""
