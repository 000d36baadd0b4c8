"""The beginning of a DICOM file that comes in pieces: preamble and meta information (PS3.10 7.1)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.filereader import read_dataset

from xrv_node.attributes import text
from xrv_node.errors import RefusedError
from xrv_node.radiograph.elements import META
from xrv_node.radiograph.header import is_dicom
from xrv_node.reasons import Reason
from xrv_node.receive.statuses import CANNOT_UNDERSTAND
from xrv_node.web.dicomweb.multipart_in import Piece

MOST_BYTES = 1 << 16
"""In which the data set must have begun; the meta information of a file has some hundred."""
_START = 132
"""Bytes of preamble and prefix."""


@dataclass(frozen=True, slots=True)
class FileHead:
    """What a file says of itself, and what follows."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    """All as they are there; empty where one is not."""
    dataset: Iterator[Piece]
    """The encoded data set, read once."""


def read(pieces: Iterator[Piece]) -> FileHead:
    """Read a file up to its data set.

    Raises
    ------
    RefusedError
        0xC000 where it does not begin as a DICOM file.
    """
    head = bytearray()
    for piece in pieces:
        head += piece
        if len(head) >= MOST_BYTES:
            break
    meta, end = _meta(bytes(head[:MOST_BYTES]))
    return FileHead(
        sop_class_uid=text(meta, "MediaStorageSOPClassUID"),
        sop_instance_uid=text(meta, "MediaStorageSOPInstanceUID"),
        transfer_syntax_uid=text(meta, "TransferSyntaxUID"),
        dataset=_rest(memoryview(head)[end:], pieces),
    )


def _meta(head: bytes) -> tuple[Dataset, int]:
    """Group 0002 and where it ends."""
    file = io.BytesIO(head)
    file.seek(_START if is_dicom(head) else 0)  # some libraries write no preamble unless told to
    try:
        # explicit VR little endian always
        meta = read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag.group != META)
    except Exception as error:  # the parser meets bytes from outside and has no error class of its own
        raise RefusedError(CANNOT_UNDERSTAND, Reason("no-file-meta")) from error
    end = file.tell()
    if not meta or end >= len(head):
        raise RefusedError(CANNOT_UNDERSTAND, Reason("no-file-meta"))
    return meta, end


def _rest(begun: memoryview, pieces: Iterator[Piece]) -> Iterator[Piece]:
    yield begun
    yield from pieces
