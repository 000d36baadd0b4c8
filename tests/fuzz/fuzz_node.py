"""What the harnesses share: a node's rooms without its network, and what must hold after each input."""

from __future__ import annotations

import shutil
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, NoReturn

import structlog

from xrv_node import log
from xrv_node.db.store import Store
from xrv_node.settings import LogSection
from xrv_node.spool import Spool

MOST_EVENTS = 5_000
"""Inputs after which the database begins anew: its growth is no growth of the node."""


class Found(BaseException):
    """Something that must not happen. No handler of the node's catches it."""


def tell_faults() -> None:
    """Log nothing, but turn what the node would log as a fault of its own into an exception."""

    def judge(_logger: Any, method: str, event: MutableMapping[str, Any]) -> NoReturn:
        if method in ("error", "exception", "critical"):
            raise Found(event["event"]) from sys.exc_info()[1]
        raise structlog.DropEvent

    log.configure(LogSection(), "fuzz")  # the libraries' own messages are left out, as in a node
    structlog.configure(processors=[judge])


class Rooms:
    """A database and a spool in a directory, which is best in memory."""

    def __init__(self, directory: Path) -> None:
        self.spool = Spool(directory)
        self._template, self._database = directory / "template.sqlite", directory / "audit.sqlite"
        made = Store(f"sqlite:///{self._template}")
        made.migrate()
        made.close()
        self.inputs = 0
        self._open()

    def check(self, *, kept: bool | None = None) -> None:
        """After an input: no draft is left, and a file only of what was kept; it is taken away.

        Parameters
        ----------
        kept
            Whether the input's object was acknowledged; None where it may hold several.
        """
        if any(self.spool.drafts.glob("*")):
            raise Found("a draft is left in the spool")
        folder = self.spool.root / "spool" / "inputs"
        files = [path for path in folder.rglob("*") if path.is_file()]
        if kept is not None and bool(files) != kept:
            raise Found(f"{len(files)} files in the spool; the object was {'kept' if kept else 'refused'}")
        shutil.rmtree(folder, ignore_errors=True)
        self.inputs += 1
        if self.inputs % MOST_EVENTS == 0:
            self.store.close()
            self._open()

    def close(self) -> None:
        """Close the database."""
        self.store.close()

    def _open(self) -> None:
        for path in self._database.parent.glob(f"{self._database.name}*"):
            path.unlink()
        shutil.copy(self._template, self._database)
        self.store = Store(f"sqlite:///{self._database}")
