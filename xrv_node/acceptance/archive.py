"""An archive of our own that receives what a node sends: one file an object, and when it came."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Protocol

from pydicom import Dataset, dcmread
from pynetdicom.events import Event

from xrv_node.deliver import scp
from xrv_node.deliver.scp import CANNOT_UNDERSTAND, SUCCESS
from xrv_node.result_kinds import kind_of
from xrv_node.spool import is_uid


@dataclass(frozen=True, slots=True, eq=False)
class Came:
    """One object that was found, or came."""

    dataset: Dataset
    """With file meta information."""
    at: float
    """When, on the clock of ``time.monotonic``."""


class Archive(Protocol):
    """Where results are looked for."""

    @property
    def name(self) -> str:
        """As a person would name it."""

    def came(self, studies: Collection[str]) -> list[Came]:
        """What has come since the last look, of these studies or of any.

        Raises
        ------
        DestinationError
            It does not answer.
        """


@dataclass
class Receiver:
    """Results as they come in."""

    name: str
    port: int
    directory: Path
    _came: list[tuple[Path, float]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def came(self, studies: Collection[str]) -> list[Came]:
        """What has come since the last look."""
        with self._lock:
            new, self._came = self._came, []
        return [Came(dcmread(path), at) for path, at in new]

    @property
    def files(self) -> list[Path]:
        """All that it holds."""
        return sorted(self.directory.rglob("*.dcm"))

    def keep(self, event: Event) -> int:
        """Answer a C-STORE."""
        try:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            study, instance = str(dataset.StudyInstanceUID), str(dataset.SOPInstanceUID)
            kind = kind_of(dataset) or "object"
        except Exception:  # the decoder has no error class of its own; the sender is told
            return CANNOT_UNDERSTAND
        if not (is_uid(study) and is_uid(instance)):
            return CANNOT_UNDERSTAND
        place = self.directory / study
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"{kind}-{instance}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        with self._lock:
            self._came.append((path, monotonic()))
        return SUCCESS


@contextmanager
def receiving(directory: Path, ae_title: str, host: str = "127.0.0.1", port: int = 0) -> Iterator[Receiver]:
    """Take results of every kind until the end of the block.

    Parameters
    ----------
    directory
        For the files; made when it is not there.
    ae_title
        That the node's destination names; others are refused.
    port
        To listen on; 0 for any that is free.

    Raises
    ------
    ConfigError
        Nothing can listen there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    receiver = Receiver("", 0, directory)
    with scp.listening(ae_title, host, port, receiver.keep) as receiver.port:
        receiver.name = f"{ae_title}@{host}:{receiver.port}"
        yield receiver
