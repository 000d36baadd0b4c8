"""The bytes of an owner's text file: unpacked, whatever it is packed in, and told from what is no text."""

from __future__ import annotations

import codecs
import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, cast

from xrv_node.errors import DatasetError

DAMAGE = (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, RuntimeError)
"""What is raised on a file that is cut short, of another encoding, or no table (pandas' own are ValueErrors);
RuntimeError is an archive with a password or of an unknown compression."""

_HEAD = 1 << 16
"""Bytes at the start that tell what a file is."""

_OTHERS: tuple[tuple[bytes, str], ...] = (
    (
        b"version https://git-lfs",
        "it is a pointer of Git LFS, not the file itself; run git lfs pull where it came from",
    ),
    (b"<!doctype html", "it is a web page, not the file; log in where it is obtained and download it again"),
    (b"<html", "it is a web page, not the file; log in where it is obtained and download it again"),
    (b"\xd0\xcf\x11\xe0", "it is a workbook of Excel; save it as CSV"),
    (b"pk\x03\x04", "it is an archive or a workbook; save the table as CSV"),
    (b"\x1f\x8b", "it is packed twice; unpack it"),
    (b"%pdf", "it is a PDF file"),
    (b"par1", "it is a Parquet file"),
    (b"\x89png", "it is a picture"),
    (b"\xff\xd8\xff", "it is a picture"),
)
"""How files begin that are often under a label file's name, in small letters; and what they are."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@contextmanager
def unpacked_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, in a gzip or zip archive or not, whatever its name ends in.

    Of a zip archive the member of the file's name is taken, else the only one; ``__MACOSX`` and names that
    begin with ``._`` are a Mac's notes.

    Raises
    ------
    DatasetError
        It is no text file, or the archive has several members and none of the name.
    """
    with ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        start = raw.read(4)
        raw.seek(0)
        file: IO[bytes] = raw
        if start[:2] == b"\x1f\x8b":
            file = cast(IO[bytes], stack.enter_context(gzip.open(raw)))
        elif start == b"PK\x03\x04":
            archive = stack.enter_context(zipfile.ZipFile(raw))
            file = stack.enter_context(archive.open(_member(path, archive)))
        yield file


def encodings(path: Path) -> tuple[str, ...]:
    """Return the encodings that a text file may be in, the first to be tried first.

    Byte order marks decide, then NULs beside letters (UTF-16 without a mark); else UTF-8, and Windows' where
    it is not.

    Raises
    ------
    DatasetError
        It is empty, or no text file.
    """
    with unpacked_bytes(path) as file:
        head = file.read(_HEAD)
    if what := foreign(head):
        raise DatasetError(f"{path} cannot be read as a table: {what}")
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return (encoding,)
    if head[:200].count(0) > len(head[:200]) // 3:
        return ("utf-16-le" if head[1:2] == b"\0" else "utf-16-be",)
    return "utf-8", "cp1252", "latin-1"


def foreign(head: bytes) -> str:
    """Return what a file is that begins like this, as a clause; empty if it may be a label file."""
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()[:64].lower()
    if not start:
        return "it is empty"
    if head[257:262] == b"ustar":
        return "it is a tar archive; unpack it"
    return next((what for beginning, what in _OTHERS if start.startswith(beginning)), "")


def _member(path: Path, archive: zipfile.ZipFile) -> str:
    names = [one.filename for one in archive.infolist() if not one.is_dir()]
    if any(name.startswith(("xl/", "ods", "content.xml")) for name in names):
        raise DatasetError(
            f"{path} cannot be read as a table: it is a workbook of a spreadsheet; save it as CSV"
        )
    own = [
        name
        for name in names
        if not name.startswith("__MACOSX/") and not name.rpartition("/")[2].startswith("._")
    ]
    wanted = path.name.lower().removesuffix(".zip")
    named = [name for name in own if name.rpartition("/")[2].lower() == wanted]
    if not named and len(own) == 1:
        named = own
    if not named:
        raise DatasetError(
            f"{path} cannot be read as a table: none of the {len(own)} files in it is called {wanted}"
        )
    return named[0]
