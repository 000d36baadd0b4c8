"""A folder as destination: one file an object, ``<path>/<StudyInstanceUID>/<kind>-<SOPInstanceUID>.dcm``."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from stat import S_IMODE

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from xrv_node import durable, verbatim
from xrv_node.deliver.attempt import Attempt, Outcome
from xrv_node.errors import DestinationError
from xrv_node.reasons import Reason, of_system
from xrv_node.report.envelope import to_bytes
from xrv_node.settings.destinations import FolderDestination
from xrv_node.values import StoredResult

CHUNK = 1 << 20


class FolderSender:
    """Copies results below a directory, each whole or not at all."""

    def __init__(self, destination: FolderDestination, calling_ae: str) -> None:
        self._path = destination.path
        self._deflate = destination.deflate

    def send(self, results: Sequence[StoredResult]) -> Iterator[Attempt]:
        """Copy each; a file that is there already is replaced by the same bytes."""
        for result in results:
            place = _place(self._path, result)
            if place.parent.is_symlink():
                yield Attempt(
                    result, Outcome.REJECTED, Reason("folder-leads-elsewhere", file=str(place.parent))
                )
                continue
            try:
                mode = self._rights(place.parent)
                durable.write(place, _content(result.path, deflated=self._deflate), mode=mode)
            except (InvalidDicomError, zlib.error) as error:
                yield Attempt(result, Outcome.TRANSIENT, Reason("own-file", error=type(error).__name__))
            except OSError as error:
                reason = Reason("file-trouble", file=str(self._path), why=of_system(error))
                yield Attempt(result, Outcome.TRANSIENT, reason)
            else:
                yield Attempt(result, Outcome.DELIVERED)

    def _rights(self, directory: Path) -> int:
        """Make a study's directory; it and its files are as open as the folder is: others take them away."""
        self._path.mkdir(parents=True, exist_ok=True)
        mode = S_IMODE(self._path.stat().st_mode)
        if not directory.exists():
            directory.mkdir()
            directory.chmod(mode)
        return mode & 0o666

    def close(self) -> None:
        """Nothing is held open."""

    def answers(self) -> bool:
        """Whether the folder takes files."""
        try:
            self.check()
        except DestinationError:
            return False
        return True

    def check(self) -> list[str]:
        """Say that the folder takes files.

        Raises
        ------
        DestinationError
            When it does not.
        """
        try:
            self._path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DestinationError(f"{self._path}: {error.strerror}; make it or correct `path`") from error
        if not os.access(self._path, os.W_OK):
            raise DestinationError(f"{self._path}: not writable for this user; change its owner or mode")
        return [f"{self._path} takes files"]


def _place(root: Path, result: StoredResult) -> Path:
    # The spool's directory is named after the study, and was checked when it was made.
    return root / result.path.parent.name / f"{result.kind}-{result.sop_instance_uid}.dcm"


def _content(path: Path, *, deflated: bool) -> Iterator[bytes]:
    """The file as it is; one that is deflated is inflated unless asked for, for few programs read those."""
    if not deflated and read_file_meta_info(path).TransferSyntaxUID.is_deflated:
        yield to_bytes(verbatim.read(path))
        return
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
