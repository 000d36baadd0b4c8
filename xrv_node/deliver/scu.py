"""Send DICOM files to any AE: what ``xrv-node send`` and the demo do in a modality's place."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ

from xrv_node.deliver.association import note_rejection
from xrv_node.errors import DestinationError, XrvNodeError
from xrv_node.product import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from xrv_node.spool import is_uid

MAXIMUM_CONTEXTS = 128
"""Presentation context IDs are the odd numbers below 256 (PS3.8 9.3.2.2)."""
_PLAIN = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_OFFERED = {
    ExplicitVRLittleEndian: _PLAIN,
    ImplicitVRLittleEndian: _PLAIN,
    DeflatedExplicitVRLittleEndian: [DeflatedExplicitVRLittleEndian, *_PLAIN],
}
"""What a file's transfer syntax can be sent in; any other goes as it is or not at all."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to call."""

    ae_title: str
    host: str
    port: int


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
        When one is not there.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise XrvNodeError(f"{path}: there is no such file")
        files += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return files


def send(peer: Peer, files: Sequence[Path], *, calling_ae: str) -> Iterator[Sent]:
    """C-STORE each file as it is, over one association.

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
    association = _associate(peer, contexts, calling_ae)
    try:
        for path in files:
            yield _send(association, path)
    finally:
        if association.is_established:
            association.release()


def _associate(peer: Peer, contexts: Iterable[tuple[str, str]], calling_ae: str) -> Association:
    ae = AE(ae_title=calling_ae)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.connection_timeout = 10
    for sop_class, syntax in sorted(contexts)[:MAXIMUM_CONTEXTS]:
        # One context a transfer syntax of the files: the peer picks one of each context's list.
        ae.add_requested_context(sop_class, _OFFERED.get(UID(syntax), [UID(syntax)]))
    refused: list[A_ASSOCIATE_RJ] = []
    association = ae.associate(
        peer.host,
        peer.port,
        ae_title=peer.ae_title,
        max_pdu=0,
        evt_handlers=[(evt.EVT_PDU_RECV, note_rejection, [refused])],
    )
    if not association.is_established:
        why = "refused the association" if refused else "cannot be reached"
        raise DestinationError(f"{peer.ae_title} at {peer.host}:{peer.port} {why}")
    return association


def _send(association: Association, path: Path) -> Sent:
    dataset = _read(path, pixels=True)
    if dataset is None:
        return Sent(path, False, "not a DICOM file")
    if not association.is_established:
        return Sent(path, False, "the association ended")
    try:
        status = association.send_c_store(dataset).get("Status")
    except (ValueError, RuntimeError, AttributeError) as error:
        return Sent(path, False, f"cannot be sent: {error}")
    if status is None:
        return Sent(path, False, "no answer")
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
