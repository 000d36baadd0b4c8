"""Send DICOM files to any AE: what ``xrv-node send`` and the demo do in a modality's place."""

from __future__ import annotations

import ssl
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from xrv_node import reasons
from xrv_node.deliver.association import NotNowError, open_peer, store
from xrv_node.deliver.way import Way
from xrv_node.errors import DestinationError, XrvNodeError
from xrv_node.folders import below
from xrv_node.network.outgoing import Association
from xrv_node.network.terms import Peer
from xrv_node.network.wire import BrokenOffError
from xrv_node.reasons import Reason
from xrv_node.spool import is_uid

__all__ = ["Peer", "Sent", "files_in", "send", "send_by_sender"]

MAXIMUM_CONTEXTS = 128
"""Presentation context IDs are the odd numbers below 256 (PS3.8 9.3.2.2)."""
_PLAIN = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_OFFERED = {
    ExplicitVRLittleEndian: _PLAIN,
    ImplicitVRLittleEndian: _PLAIN,
    DeflatedExplicitVRLittleEndian: [DeflatedExplicitVRLittleEndian, *_PLAIN],
}
"""What a file's transfer syntax can be sent in; any other goes as it is or not at all."""

_BY_OPTIONS = {
    "our-title-unknown": "send-calling-unknown",
    "its-title-unknown": "send-called-unknown",
    "certificate-does-not-hold": "send-certificate-does-not-hold",
    "handshake-failed": "send-handshake-failed",
    "wire-hung-up": "send-hung-up",
    "wire-closed": "send-hung-up",
    "wire-broke": "send-hung-up",
}
"""What a destination's keys remedy, as the options of ``xrv-node send`` do."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one file."""

    path: Path
    good: bool
    says: str


def files_in(paths: Sequence[Path]) -> list[Path]:
    """The files named, and those below the folders named, in order.

    Raises
    ------
    XrvNodeError
        When one is not there, a folder cannot be listed, or a link leads nowhere.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise XrvNodeError(f"{path}: there is no such file")
        files += [path / name for name in below(path, _not_looked_into)] if path.is_dir() else [path]
    return files


def _not_looked_into(path: Path, why: Reason) -> None:
    raise XrvNodeError(f"{path}: {why}")


def send(
    peer: Peer, files: Sequence[Path], *, calling_ae: str, context: ssl.SSLContext | None = None
) -> Iterator[Sent]:
    """C-STORE each file as it is, over one association; over TLS where a context is given.

    Yields
    ------
    Sent
        For each file, in order: the peer's status, or why it was not sent.

    Raises
    ------
    DestinationError
        When no association can be had.
    """
    contexts = {_context(d) for f in files if (d := _read(f, pixels=False)) is not None}
    if not contexts:
        for path in files:
            yield Sent(path, False, "not a DICOM file")
        return
    association = _associate(peer, contexts, calling_ae, context)
    try:
        for path in files:
            yield _send(association, path)
    finally:
        association.release()


def send_by_sender(way: Way, calling_ae: str, files: Sequence[Path], *, as_sender: bool) -> Iterator[Sent]:
    """C-STORE files for a person, who has the options of ``xrv-node send`` to mend what is wrong with.

    Parameters
    ----------
    as_sender
        Call for each file from its Source Application Entity Title (0002,0016), where it has one: one
        association a title.

    Yields
    ------
    Sent
        As :func:`send`.

    Raises
    ------
    DestinationError
        As :func:`send`, with the options to change.
    """
    titled: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        titled[(_source(path) if as_sender else "") or calling_ae].append(path)
    try:
        for title, its in titled.items():
            yield from send(way.peer, its, calling_ae=title, context=way.context)
    except DestinationError as error:
        raise DestinationError(_by_options(reasons.of(error))) from error


def _source(path: Path) -> str:
    dataset = _read(path, pixels=False)
    return "" if dataset is None else str(dataset.file_meta.get("SourceApplicationEntityTitle", "")).strip()


def _by_options(reason: Reason) -> Reason:
    values = {n: _by_options(v) if isinstance(v, Reason) else v for n, v in reason.values.items()}
    return Reason(_BY_OPTIONS.get(reason.key, reason.key), **values)


def _associate(
    peer: Peer, contexts: Iterable[tuple[str, str]], calling_ae: str, context: ssl.SSLContext | None
) -> Association:
    # One context a transfer syntax of the files: the peer picks one of each context's list.
    offered = [(uid, _OFFERED.get(UID(s), [UID(s)])) for uid, s in sorted(contexts)[:MAXIMUM_CONTEXTS]]
    try:
        return open_peer(peer, calling_ae, offered, context=context)
    except NotNowError as error:
        raise DestinationError(reasons.of(error)) from error


def _send(association: Association, path: Path) -> Sent:
    dataset = _read(path, pixels=False)
    if dataset is None:
        return Sent(path, False, "not a DICOM file")
    try:
        status = store(association, path, str(dataset.SOPClassUID), str(dataset.SOPInstanceUID))
    except BrokenOffError as error:
        return Sent(path, False, f"the association ended: {reasons.of(error)}")
    except (OSError, ValueError, RuntimeError, AttributeError, InvalidDicomError, zlib.error) as error:
        return Sent(path, False, f"cannot be sent: {error}")
    if status is None:
        return Sent(path, False, "an answer without a status")
    good = status == 0 or 0xB000 <= status <= 0xBFFF
    return Sent(path, good, f"0x{status:04X}")


def _read(path: Path, *, pixels: bool) -> Dataset | None:
    try:
        dataset = dcmread(path, stop_before_pixels=not pixels)
    except (
        InvalidDicomError,
        OSError,
        ValueError,
        AttributeError,
        NotImplementedError,
        EOFError,
        zlib.error,
    ):
        return None
    return dataset if is_uid(str(dataset.get("SOPClassUID", ""))) else None


def _context(dataset: Dataset) -> tuple[str, str]:
    return str(dataset.SOPClassUID), str(dataset.file_meta.TransferSyntaxUID)
