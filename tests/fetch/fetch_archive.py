"""An archive of our own by DIMSE, that a test can have answer otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from made import CR
from pydicom import Dataset
from pynetdicom import AE, evt

from xrv_node.deliver import query

UIDS = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
TOLD = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Modality", "PatientID")


@dataclass
class Archive:
    """What it has, and what it was asked for."""

    objects: list[Dataset]
    ignores: set[str] = field(default_factory=set)
    """Keys that it does not know: it answers as if they were not there."""
    asked: list[str] = field(default_factory=list)
    """SOP Instance UIDs, by C-GET."""
    gives: Callable[[evt.Event, Dataset | None], Any] | None = None
    """In place of the object: what C-GET yields."""
    port: int = 0

    def find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        uid = UIDS[asked.QueryRetrieveLevel]
        seen = set()
        for one in self.objects:
            if all(self._matches(asked, one, key.keyword) for key in asked) and one[uid].value not in seen:
                seen.add(one[uid].value)
                yield 0xFF00, self._answer(one, asked)

    def _matches(self, asked: Dataset, one: Dataset, keyword: str) -> bool:
        wanted = str(asked[keyword].value)
        if keyword in ("QueryRetrieveLevel", "SpecificCharacterSet", "StudyDate", *self.ignores):
            return True
        return wanted in ("", str(one.get(keyword, "")))

    def _answer(self, one: Dataset, asked: Dataset) -> Dataset:
        answer = Dataset()
        answer.QueryRetrieveLevel = asked.QueryRetrieveLevel
        for key in asked:
            if key.keyword in one:
                setattr(answer, key.keyword, one[key.keyword].value)
        return answer

    def get(self, event: evt.Event) -> Iterator[Any]:
        uid = str(event.identifier.SOPInstanceUID)
        self.asked.append(uid)
        found = next((one for one in self.objects if one.SOPInstanceUID == uid), None)
        if self.gives is not None:
            yield from self.gives(event, found)
            return
        yield 1
        yield 0xFF00, found

    @property
    def way(self) -> dict[str, Any]:
        """The section that leads to it."""
        return {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": self.port}


@contextmanager
def serving(archive: Archive, models: Sequence[str] = (query.FIND, query.GET)) -> Iterator[Archive]:
    """Let it answer."""
    ae = AE("PACS")
    for uid in models:
        ae.add_supported_context(uid)
    ae.add_supported_context(CR, scu_role=True, scp_role=True)
    handlers = [(evt.EVT_C_FIND, archive.find), (evt.EVT_C_GET, archive.get)]
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    archive.port = server.server_address[1]
    try:
        yield archive
    finally:
        server.shutdown()
