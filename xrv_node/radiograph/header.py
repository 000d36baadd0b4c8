"""DICOM bytes to a dataset, with the limits that bytes from outside need.

Imports pydicom alone, so that intake can look at a header without paying for the pixel libraries."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset, read_partial
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from xrv_node import verbatim
from xrv_node.errors import ImageError
from xrv_node.radiograph import mending, pixel_element
from xrv_node.radiograph.elements import HEAD, PIXELS, Elements, Source
from xrv_node.radiograph.extent import Encoding
from xrv_node.radiograph.header_limits import LOOKED_AT, MAX_BYTES, Frugal, Limits, PixelsAt, Sieve, trim
from xrv_node.radiograph.inflated import Inflated
from xrv_node.radiograph.mending import Survey
from xrv_node.reasons import Reason, of_system

MAX_FILE_BYTES = 1 << 30
"""Larger files are refused unread: 200 million pixels of 16 bits (``image.MAX_PIXELS``) are 400 MB."""
MAX_INFLATED_HEADER = 16 << 20
"""Bytes of a deflated object that are inflated to reach the end of its header; headers of radiographs have
some kilobytes."""
MAX_INFLATED_OBJECT = MAX_FILE_BYTES
_FLOORS = (4 << 20, 64 << 20)
"""Bytes of a header, and of an object, that may come of a deflated file however small it is: an image of
3000 x 2500 pixels has 15 MB, and if it is black it deflates to nothing."""

_DEFLATED = frozenset({DeflatedExplicitVRLittleEndian, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
"""The last two are JPIP Referenced Deflate and JPIP HTJ2K Referenced Deflate: their pixels are elsewhere."""
_IDENTIFYING = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "Rows")
"""One of these must be there before bytes without the ``DICM`` prefix are believed to be DICOM."""
_FILING = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
"""Without these an object has no place (PS3.3 C.7.2.1, C.7.3.1, C.12.1)."""


def read_header(path: Path, limits: Limits = LOOKED_AT) -> Dataset:
    """Read the attributes of a DICOM file up to its pixel data.

    Parameters
    ----------
    path
        A DICOM file (PS3.10), or a bare data set as old devices write it, without preamble and meta
        information.
    limits
        Of each attribute.

    Returns
    -------
    pydicom.Dataset
        The data set with ``file_meta`` and without Pixel Data, Float Pixel Data and Double Float Pixel Data.
        Values are parsed when they are asked for, so that a damaged one raises only then. Attributes that are
        larger than the limits are not there (`header_limits.passed_over`).

    Raises
    ------
    ImageError
        If the file cannot be read, is not DICOM, or its header goes beyond ``MAX_INFLATED_HEADER`` or what
        `header_limits` has of it as a whole.
    """
    return _read(path, with_pixels=False, limits=limits)


def read_object(path: Path) -> Dataset:
    """Read a whole DICOM file, pixel data included and still encoded.

    Parameters
    ----------
    path
        As for `read_header`.

    Returns
    -------
    pydicom.Dataset
        As `read_header`'s, with Pixel Data as they are (`pixel_element`) and what is behind native ones; the
        bytes of patient and study are remembered (`verbatim`).

    Raises
    ------
    ImageError
        As `read_header`, and if the file has more than ``MAX_FILE_BYTES``.
    """
    dataset = _read(path, with_pixels=True)
    verbatim.remember(dataset)
    return dataset


@contextmanager
def data_set(path: Path) -> Iterator[Source]:
    """Open a file as it is read: inflated and mended where it has to be.

    Parameters
    ----------
    path
        A file that `read_header` reads.

    Yields
    ------
    io.BufferedReader or io.BytesIO
        At the first byte of the data set, behind the meta information. An inflated one is in memory as far as
        it was read, a mended one as a whole.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """
    with path.open("rb") as file:
        start = 132 if is_dicom(file.read(132)) else 0
        source = _mended(file, mending.survey(file, start), with_pixels=True)
        source.seek(start)
        if _read_meta(source).get("TransferSyntaxUID") in _DEFLATED:
            source = io.BufferedReader(Inflated(source, _FLOORS[True], MAX_INFLATED_OBJECT))
            source = _mended(source, mending.survey_dataset(source), with_pixels=True)
            source.seek(0)
        yield source


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


def _read(path: Path, *, with_pixels: bool, limits: Limits = LOOKED_AT) -> Dataset:
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
                dataset = _read_deflated(source, limits, with_pixels=with_pixels)
                dataset.file_meta = meta
                pixels = dataset.pixels_at
                dataset.pixels_at = pixels and replace(pixels, offset=None)
            else:
                raw = io.FileIO(str(path)) if source is file else source
                dataset = _read_plain(raw, limits, with_pixels=with_pixels)
                if source is not file:
                    dataset.pixels_at = _pixels_behind(file, found.end)
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
    return mending.mended(file, found.edits, -1 if with_pixels else min(found.end, MAX_BYTES))


def _check_whole(dataset: Dataset, found: Survey, needed: tuple[str, ...]) -> None:
    """Say where the header cannot be followed, if what is needed is missing for that."""
    if found.lost and any(keyword not in dataset for keyword in needed):
        tag, offset = found.lost.tag, found.lost.offset
        raise ImageError(Reason("header-lost", tag=f"({tag >> 16:04X},{tag & 0xFFFF:04X})", offset=offset))


def _read_meta(file: BinaryIO) -> FileMetaDataset:
    """Read group 0002, which is explicit little endian always (PS3.10 7.1)."""
    meta = read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
    return FileMetaDataset(meta)


def _read_plain(raw: io.FileIO | Source, limits: Limits, *, with_pixels: bool) -> Dataset:
    raw.seek(0)
    with Frugal(raw) as file:
        sieve = _sieve(file, limits)
        dataset = read_partial(file, sieve, force=True)
        return _settled(dataset, sieve, with_pixels=with_pixels)


def _read_deflated(file: Source, limits: Limits, *, with_pixels: bool) -> Dataset:
    most = MAX_INFLATED_OBJECT if with_pixels else MAX_INFLATED_HEADER
    inflated: Source = io.BufferedReader(Inflated(file, _FLOORS[with_pixels], most))
    found = mending.survey_dataset(inflated)
    inflated = _mended(inflated, found, with_pixels=with_pixels)
    inflated.seek(0)
    with Frugal(inflated) as frugal:
        sieve = _sieve(frugal, limits)
        dataset = read_dataset(frugal, False, True, stop_when=sieve)
        _settled(dataset, sieve, with_pixels=with_pixels)
    _check_whole(dataset, found, () if with_pixels else _FILING)
    return dataset


def _pixels_behind(file: Source, end: int) -> PixelsAt | None:
    """What begins where the header of a mended file ends, in the file as it is."""
    elements = Elements(file)
    raw = elements.bytes_at(end, HEAD)
    if len(raw) < HEAD:
        return None
    head = elements.explicit(end, raw) or elements.implicit(end, raw)
    return (
        PixelsAt(head.tag, head.vr.decode() or "OW", head.value, head.length) if head.tag in PIXELS else None
    )


def _sieve(file: Frugal, limits: Limits) -> Sieve:
    file.left_reads = limits.reads or file.left_reads
    return Sieve(file, limits)


def _settled(dataset: Dataset, sieve: Sieve, *, with_pixels: bool) -> Dataset:
    """Go on where the reader was stopped, take out what is too much, and add the pixel data."""
    implicit, little = dataset.original_encoding
    raw = next((e for e in dataset.values() if isinstance(e, RawDataElement)), None)
    # what the reader has found, whatever the transfer syntax says
    encoding = Encoding(bool(implicit if raw is None else raw.is_implicit_VR), little is not False)
    sieve.go_on(dataset, encoding)
    pixels = pixel_element.read(sieve.file, encoding) if with_pixels else None
    if pixels is not None and not pixels.is_undefined_length:
        sieve.behind(dataset, encoding)  # some writers do not sort
    trim(dataset, sieve.over, encoding, sieve.limits)
    dataset.pixels_at = sieve.pixels
    if pixels is not None:
        dataset[pixels.tag] = pixels
    return dataset
