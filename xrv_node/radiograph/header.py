"""DICOM bytes to a dataset, with the limits that bytes from outside need.

Imports pydicom alone, so that intake can look at a header without paying for the pixel libraries."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from xrv_node import verbatim
from xrv_node.errors import ImageError
from xrv_node.radiograph import mending
from xrv_node.radiograph.elements import PIXELS, Source
from xrv_node.radiograph.mending import Survey
from xrv_node.reasons import Reason, of_system

MAX_FILE_BYTES = 1 << 30
"""Larger files are refused unread: 200 million pixels of 16 bits (``image.MAX_PIXELS``) are 400 MB."""
MAX_INFLATED_HEADER = 16 << 20
"""Bytes of a deflated object that are inflated to reach the end of its header; headers of radiographs have
some kilobytes, and deflate expands up to 1032 times (zlib's technical notes)."""
MAX_INFLATED_OBJECT = MAX_FILE_BYTES
MAX_HEADER_BYTES = 64 << 20
"""Bytes that are read of a header; a long value of its own (`_LONG_VALUE`) is passed over and not counted."""
MAX_HEADER_READS = 500_000
"""Pieces that a header is read in: one or two for an element or item, of which 8 bytes take some 400 in
memory; a multi-frame object has some 50 elements a frame."""

_LONG_VALUE = 1 << 20
"""Bytes of a value that is read only when it is asked for, as a document's or a raw measurement's."""
_CHUNK = 1 << 16
_DEFLATED = frozenset({DeflatedExplicitVRLittleEndian, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
"""The last two are JPIP Referenced Deflate and JPIP HTJ2K Referenced Deflate: their pixels are elsewhere."""
_IDENTIFYING = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "Rows")
"""One of these must be there before bytes without the ``DICM`` prefix are believed to be DICOM."""
_FILING = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
"""Without these an object has no place (PS3.3 C.7.2.1, C.7.3.1, C.12.1)."""


def read_header(path: Path) -> Dataset:
    """Read the attributes of a DICOM file up to its pixel data.

    Parameters
    ----------
    path
        A DICOM file (PS3.10), or a bare data set as old devices write it, without preamble and meta
        information.

    Returns
    -------
    pydicom.Dataset
        The data set with ``file_meta`` and without Pixel Data, Float Pixel Data and Double Float Pixel Data.
        Values are parsed when they are asked for, so that a damaged one raises only then.

    Raises
    ------
    ImageError
        If the file cannot be read, is not DICOM, or its header goes beyond ``MAX_HEADER_BYTES``,
        ``MAX_HEADER_READS`` or ``MAX_INFLATED_HEADER``.
    """
    return _read(path, with_pixels=False)


def read_object(path: Path) -> Dataset:
    """Read a whole DICOM file, pixel data included and still encoded.

    Parameters
    ----------
    path
        As for `read_header`.

    Returns
    -------
    pydicom.Dataset
        The data set with ``file_meta``; the bytes of patient and study are remembered (`verbatim`).

    Raises
    ------
    ImageError
        As `read_header`, and if the file has more than ``MAX_FILE_BYTES``.
    """
    dataset = _read(path, with_pixels=True)
    verbatim.remember(dataset)
    return dataset


def transfer_syntax(dataset: Dataset) -> UID | None:
    """Return the transfer syntax of a data set that `read_header` or `read_object` returned.

    Parameters
    ----------
    dataset
        With ``file_meta``, whose Transfer Syntax UID may be missing.

    Returns
    -------
    pydicom.uid.UID or None
        None where the file does not say.
    """
    value = dataset.file_meta.get("TransferSyntaxUID")
    return UID(str(value)) if value else None


def is_dicom(start: bytes) -> bool:
    """Tell from its first 132 bytes whether a file carries the DICOM prefix (PS3.10 7.1)."""
    return start[128:132] == b"DICM"


def _read(path: Path, *, with_pixels: bool) -> Dataset:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ImageError(Reason("file-too-large", most=MAX_FILE_BYTES >> 20))
        with path.open("rb") as file:
            has_prefix = is_dicom(file.read(132))
            found = mending.survey(file, 132 if has_prefix else 0)
            source = _mended(file, found, with_pixels=with_pixels)
            source.seek(132 if has_prefix else 0)
            meta = _read_meta(source)
            if meta.get("TransferSyntaxUID") in _DEFLATED:
                dataset = _read_deflated(source, with_pixels=with_pixels)
                dataset.file_meta = meta
            elif with_pixels:
                source.seek(0)
                dataset = dcmread(source, force=True)
            elif source is not file:
                source.seek(0)
                dataset = dcmread(_Frugal(source), force=True, stop_before_pixels=True)
            else:
                with _Frugal(io.FileIO(str(path))) as frugal:
                    dataset = dcmread(frugal, force=True, stop_before_pixels=True, defer_size=_LONG_VALUE)
    except ImageError:
        raise
    except Exception as error:  # the parser meets bytes from outside and has no error class of its own
        # pydicom raises OSError for a data set that breaks off, too: the system's own have a number
        if isinstance(error, OSError) and error.errno is not None:
            raise ImageError(Reason("file-unreadable", why=of_system(error))) from error
        raise ImageError(Reason("not-parsable")) from error
    _check_whole(dataset, found, ("PixelData",) if with_pixels else _FILING)
    if not has_prefix and not any(keyword in dataset for keyword in _IDENTIFYING):
        raise ImageError(Reason("not-dicom"))
    return dataset


def _mended(file: Source, found: Survey, *, with_pixels: bool) -> Source:
    """The file itself where it is as it should be; without its pixel data, unless they are asked for."""
    if not found.edits:
        return file
    return mending.mended(file, found.edits, -1 if with_pixels else min(found.end, MAX_HEADER_BYTES))


def _check_whole(dataset: Dataset, found: Survey, needed: tuple[str, ...]) -> None:
    """Say where the header cannot be followed, if what is needed is missing for that."""
    if found.lost and any(keyword not in dataset for keyword in needed):
        tag, offset = found.lost.tag, found.lost.offset
        raise ImageError(Reason("header-lost", tag=f"({tag >> 16:04X},{tag & 0xFFFF:04X})", offset=offset))


def _read_meta(file: BinaryIO) -> FileMetaDataset:
    """Read group 0002, which is explicit little endian always (PS3.10 7.1)."""
    meta = read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
    return FileMetaDataset(meta)


def _read_deflated(file: BinaryIO, *, with_pixels: bool) -> Dataset:
    limit = MAX_INFLATED_OBJECT if with_pixels else MAX_INFLATED_HEADER
    # PS3.5 A.5: raw deflate, without a zlib header; a file that breaks off yields what came before the break
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    data = bytearray()
    while len(data) < limit and not inflater.eof and (piece := file.read(_CHUNK)):
        data += inflater.decompress(piece, limit - len(data))
    met_pixels = False

    def at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal met_pixels
        met_pixels = tag in PIXELS
        return met_pixels and not with_pixels

    inflated: Source = io.BytesIO(data)
    found = mending.survey_dataset(inflated)
    inflated = _mended(inflated, found, with_pixels=True)
    inflated.seek(0)
    source = inflated if with_pixels else _Frugal(inflated)
    dataset = read_dataset(source, False, True, stop_when=at_pixels)
    _check_whole(dataset, found, () if with_pixels else _FILING)
    if len(data) == limit and not (inflater.eof or (met_pixels and not with_pixels)):
        raise ImageError(Reason("inflates-too-much", most=limit >> 20))
    return dataset


class _Frugal(io.BufferedReader):
    """A file of which a parser may read so much and no more: pydicom believes all lengths and counts."""

    _bytes, _reads = MAX_HEADER_BYTES, MAX_HEADER_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as a file does.

        Raises
        ------
        ImageError
            When it was read too much or too often.
        """
        self._reads -= 1
        self._bytes -= MAX_HEADER_BYTES + 1 if size is None or size < 0 else size
        if self._reads < 0 or self._bytes < 0:
            raise ImageError(Reason("header-too-large", most=MAX_HEADER_BYTES >> 20))
        return super().read(size)
