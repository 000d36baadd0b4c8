"""What a file is that is no picture and no DICOM object, by its first bytes."""

from __future__ import annotations

from dataclasses import dataclass

from xrv_node.reasons import Reason

FIRST = 512
"""Bytes that tell."""

_PREFIX, _PREFIX_AT = b"DICM", 128
"""Of a DICOM file (PS3.10 7.1); what stands before it may look like another file's start."""


@dataclass(frozen=True, slots=True)
class Known:
    """A kind of file."""

    why: Reason
    """Why it is not read."""
    may_be_image: bool
    """Whether a person may take it for one of the images; else it is passed over in a folder."""


def _image(name: str) -> Known:
    return Known(Reason("format-not-read", format=name), may_be_image=True)


def _archive(name: str) -> Known:
    return Known(Reason("archive-not-read", format=name), may_be_image=False)


def _data(name: str) -> Known:
    return Known(Reason("format-not-read", format=name), may_be_image=False)


_EMPTY = Known(Reason("file-empty"), may_be_image=False)
_TEXT = Known(Reason("text-not-image"), may_be_image=False)
_PAGE = Known(Reason("page-not-image"), may_be_image=False)
_POINTER = Known(Reason("pointer-not-image"), may_be_image=True)
_OF_A_MAC = Known(Reason("mac-file-not-image"), may_be_image=False)

_NIFTI = _image("NIfTI")
_STARTS: tuple[tuple[int, bytes, Known], ...] = (
    (0, b"II*\0", _image("TIFF")),
    (0, b"MM\0*", _image("TIFF")),
    (0, b"II+\0", _image("TIFF")),
    (0, b"MM\0+", _image("TIFF")),
    (0, b"GIF8", _image("GIF")),
    (0, b"BM", _image("BMP")),
    (0, b"\0\0\1\0", _image("ICO")),
    (8, b"WEBP", _image("WebP")),
    (4, b"ftypavif", _image("AVIF")),
    (4, b"ftyphei", _image("HEIC")),
    (4, b"ftypmif1", _image("HEIC")),
    (4, b"ftyp", _data("MP4")),
    (0, b"RIFF", _data("RIFF")),
    (0, b"MATLAB 5.0 MAT-file", _data("MATLAB")),
    (4, b"jP  \r\n\x87\n", _image("JPEG 2000")),
    (0, b"\xff\x4f\xff\x51", _image("JPEG 2000")),
    (4, b"JXL \r\n\x87\n", _image("JPEG XL")),
    (0, b"\xff\x0a", _image("JPEG XL")),
    (0, b"8BPS", _image("Photoshop")),
    (344, b"n+1\0", _NIFTI),
    (344, b"ni1\0", _NIFTI),
    (4, b"n+2\0\r\n\x1a\n", _NIFTI),
    (0, b"NRRD0", _image("NRRD")),
    (0, b"ObjectType = Image", _image("MetaImage")),
    (0, b"NDims = ", _image("MetaImage")),
    (0, b"P5", _image("PGM")),
    (0, b"\x93NUMPY", _data("NumPy")),
    (0, b"\x89HDF\r\n\x1a\n", _data("HDF5")),
    (0, b"%PDF", _data("PDF")),
    (0, b"SQLite format 3\0", _data("SQLite")),
    (0, b"\x80\x02", _data("pickle")),
    (0, b"\x80\x03", _data("pickle")),
    (0, b"\x80\x04", _data("pickle")),
    (0, b"\x80\x05", _data("pickle")),
    (0, b"PAR1", _data("Parquet")),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _data("Microsoft Office")),
    (0, b"PK\x03\x04", _archive("zip")),
    (0, b"PK\x05\x06", _archive("zip")),
    (0, b"\x1f\x8b", _archive("gzip")),
    (0, b"BZh", _archive("bzip2")),
    (0, b"\xfd7zXZ\0", _archive("xz")),
    (0, b"(\xb5/\xfd", _archive("Zstandard")),
    (0, b"7z\xbc\xaf\x27\x1c", _archive("7-Zip")),
    (0, b"Rar!\x1a\x07", _archive("RAR")),
    (257, b"ustar", _archive("tar")),
    (0, b"\0\x05\x16\x07", _OF_A_MAC),
    (0, b"version https://git-lfs", _POINTER),
)
"""Where each kind of file says what it is."""

_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body")
_MARKS_OF_TEXT = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
"""Byte order marks of UTF-8 and UTF-16."""
_NOT_IN_TEXT = frozenset(range(0x20)) - set(b"\t\n\r\f\x1b") | {0x7F}


def known(start: bytes) -> Known | None:
    """Tell what a file is that is not read.

    Parameters
    ----------
    start
        Its first `FIRST` bytes, or all of them.

    Returns
    -------
    Known or None
        None for what is DICOM, a picture that is read, or nothing that is known.
    """
    if not start:
        return _EMPTY
    if start[_PREFIX_AT:].startswith(_PREFIX):
        return None
    for at, signature, kind in _STARTS:
        if start.startswith(signature, at) and not (len(signature) == 2 and _is_text_with(start, signature)):
            return kind
    if start.startswith(_MARKS_OF_TEXT) or not _NOT_IN_TEXT.intersection(start):
        text = start.removeprefix(_MARKS_OF_TEXT[0]).lstrip().lower()
        return _PAGE if text.startswith(_PAGES) else _TEXT
    return None


def _is_text_with(start: bytes, signature: bytes) -> bool:
    """Whether two letters that some format begins with are those of a text."""
    return signature.isalnum() and not _NOT_IN_TEXT.intersection(start)
