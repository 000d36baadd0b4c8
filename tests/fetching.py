"""What the tests of fetches share: a node that asks one archive."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from xrv_node.db import queries
from xrv_node.db.fetch_rows import FetchHistory
from xrv_node.db.rows import EventRow
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance
from xrv_node.fetch import ask, run
from xrv_node.fetch.ask import Wanted
from xrv_node.fetch.keys import Key
from xrv_node.fetch.work import Fetcher
from xrv_node.receive.peer_limits import Pace
from xrv_node.receive.receiver import Receiver
from xrv_node.settings import Settings
from xrv_node.spool import Spool


@dataclass
class Node:
    """A node with one archive, named pacs, whose fetches are done by the test itself."""

    store: Store
    directory: Path
    archive: dict[str, Any]
    tables: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        way = {"name": "pacs", "timeout_seconds": 20} | self.archive
        receive = {"min_free_mb": 0, "resume_free_mb": 0} | self.tables.get("receive", {})
        return Settings(
            **self.tables | {"node": {"data_dir": self.directory}, "archives": [way], "receive": receive}
        )

    @property
    def fetcher(self) -> Fetcher:
        receiver = Receiver(self.settings, self.store, Spool(self.directory))
        (section,) = self.settings.archives
        return Fetcher(section, receiver, Pace(0), "here/courier-0", threading.Event())

    def ask(self, *keys: Key, **wanted: Any) -> str:
        """Queue a fetch; its identifier."""
        request = Wanted(keys, "pacs", **wanted)
        return ask.request(self.settings, self.store, Spool(self.directory), request)

    def fetch(self, *keys: Key, **wanted: Any) -> FetchHistory:
        """Queue a fetch and do it, as far as it goes at once."""
        identifier = self.ask(*keys, **wanted)
        assert run.one(self.fetcher)
        return self.shown(identifier)

    def shown(self, identifier: str) -> FetchHistory:
        with self.store.read() as db:
            return ask.show(db, identifier)

    def instances(self) -> list[str]:
        """SOP Instance UIDs of what is here."""
        with self.store.read() as db:
            return sorted(db.scalars(select(Instance.sop_instance_uid)))

    def events(self, name: str) -> list[EventRow]:
        with self.store.read() as db:
            return list(queries.events(db, event=name))
