"""A stored object in Explicit VR Little Endian, which DICOMweb means by default (PS3.18 8.7.3)."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from xrv_node.errors import ImageError
from xrv_node.radiograph.elements import HEAD, PIXELS, UNDEFINED
from xrv_node.radiograph.extent import Encoding, StrayError, walk
from xrv_node.radiograph.header import MAX_INFLATED_OBJECT, data_set, read_header
from xrv_node.reasons import Reason
from xrv_node.web.dicomweb import frames as located
from xrv_node.web.dicomweb.body import CHUNK, Body, BrokenOffError
from xrv_node.web.dicomweb.explicit import encoded
from xrv_node.web.dicomweb.frames import Frames, swapped

_MEDIA_TYPE = f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
_SIGNATURES = 0xFFFAFFFA
_MOST_FRAGMENTS = 1 << 20
_TABLES = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")


def recoded(path: Path, sha256: str, syntax: str) -> Body:
    """Return a stored object in Explicit VR Little Endian.

    Parameters
    ----------
    path
        Its file.
    sha256
        The file's digest.
    syntax
        The transfer syntax that it is stored in.

    Returns
    -------
    Body
        Inflated, or its pixel data decoded, a frame at a time. Of decoded ones signatures are left out, which
        would be none any more.

    Raises
    ------
    ImageError
        If the header cannot be read, or its first frame not be decoded. Its chunks raise BrokenOffError where
        a later one cannot.
    """
    header = read_header(path)
    try:
        prefix = _prefix(header.file_meta)
    except Exception as error:  # bytes from outside: the parser has no error class of its own
        raise ImageError(Reason("not-parsable")) from error
    if syntax == DeflatedExplicitVRLittleEndian:
        return Body(_MEDIA_TYPE, lambda: _inflated(path, prefix))
    try:
        frames = located.locate(path, sha256)
    except ImageError:
        frames = None
    if frames is None or frames.native:
        return Body(_MEDIA_TYPE, lambda: _rewritten(path, prefix, syntax, frames))
    return _decoded(path, prefix, syntax, frames)


def _prefix(meta: FileMetaDataset) -> bytes:
    """Preamble and meta information (PS3.10 7.1) of the object as it is sent."""
    changed = FileMetaDataset(meta)
    changed.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, changed)
    return bytes(128) + b"DICM" + buffer.getvalue()


def _inflated(path: Path, prefix: bytes) -> Iterator[bytes]:
    yield prefix
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    left = MAX_INFLATED_OBJECT
    try:
        with path.open("rb") as file:
            file.seek(132)
            read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
            while not inflater.eof:
                data = inflater.unconsumed_tail or file.read(CHUNK)
                piece = inflater.decompress(data, CHUNK)
                left -= len(piece)
                if left < 0 or not (data or piece):
                    raise BrokenOffError("the deflated data set has no end")
                yield piece
    except (OSError, zlib.error) as error:
        raise BrokenOffError(type(error).__name__) from error


def whole_header(path: Path, syntax: str) -> Dataset:
    """All of a header, also what is too large to be looked at elsewhere.

    Raises
    ------
    Exception
        The parser's, which has no error class of its own.
    """
    with data_set(path) as file:
        return _read(file, syntax)


def _read(file: io.BufferedReader | io.BytesIO, syntax: str) -> Dataset:
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    return read_dataset(file, implicit, little, stop_when=lambda tag, _vr, _length: tag in PIXELS)


def _rewritten(path: Path, prefix: bytes, syntax: str, frames: Frames | None) -> Iterator[bytes]:
    """The header anew, the pixel data as they lie there, or in the other order of bytes."""
    try:
        with data_set(path) as file:
            yield prefix + encoded(_read(file, syntax))
            if frames is None:
                return
            yield _head(frames.tag, frames.word, frames.length)
            file.read(8 if syntax == ImplicitVRLittleEndian else HEAD)
            left = frames.length
            while left:
                piece = file.read(min(CHUNK, left))
                if not piece:
                    raise BrokenOffError("the pixel data end too early")
                left -= len(piece)
                yield swapped(piece, frames.word) if syntax == ExplicitVRBigEndian else piece
            yield encoded(_read(file, syntax))
    except BrokenOffError:
        raise
    except Exception as error:  # as above
        raise BrokenOffError(type(error).__name__) from error


def _decoded(path: Path, prefix: bytes, syntax: str, frames: Frames) -> Body:
    samples, found = located.decoded(frames, 0)
    try:
        header, behind = _around(path, syntax)
        for keyword in _TABLES:
            header.pop(keyword, None)
        if samples.ndim == 3:
            header.PlanarConfiguration = 0
            full = "YBR_FULL" if found.photometric == "YBR_FULL_422" else found.photometric
            header.PhotometricInterpretation = full
        header.BitsAllocated = samples.dtype.itemsize * 8
        header.BitsStored, header.HighBit = found.stored.bits_stored, found.stored.high_bit
        header.PixelRepresentation = int(found.stored.signed)
        start = prefix + encoded(header)
    except Exception as error:  # as above
        raise ImageError(Reason("not-parsable")) from error
    length = samples.nbytes * frames.count
    length += length % 2
    if length >= UNDEFINED:
        raise ImageError(Reason("too-many-pixels", size=f"{length} bytes", most="4 GiB"))
    first = samples.tobytes()
    head = _head(frames.tag, samples.dtype.itemsize, length)
    size = len(start) + len(head) + length + len(behind)
    return Body(_MEDIA_TYPE, lambda: _frames(start + head, first, frames, behind), size)


def _around(path: Path, syntax: str) -> tuple[Dataset, bytes]:
    """The header, and what is behind compressed pixel data, as it is sent."""
    with data_set(path) as file:
        header = _read(file, syntax)
        file.read(HEAD)
        try:
            walk(file, UNDEFINED, "OB", Encoding(implicit=False, little=True), _MOST_FRAGMENTS)
        except StrayError:  # it has no end
            return header, b""
        behind = _read(file, syntax)
    behind.pop(_SIGNATURES, None)
    return header, encoded(behind)


def _frames(start: bytes, first: bytes, frames: Frames, behind: bytes) -> Iterator[bytes]:
    yield start
    yield first
    try:
        for index in range(1, frames.count):
            data = located.decoded(frames, index)[0].tobytes()
            if len(data) != len(first):
                raise BrokenOffError("a frame is unlike the first")
            yield data
    except ImageError as error:
        raise BrokenOffError(str(error)) from error
    yield bytes(len(first) * frames.count % 2) + behind


def _head(tag: int, word: int, length: int) -> bytes:
    """The beginning of the pixel data's element; Float Pixel Data and Double Float have VRs of their own."""
    vr = {0x7FE00008: b"OF", 0x7FE00009: b"OD"}.get(tag, b"OB" if word == 1 else b"OW")
    return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, length)
