"""Whether a file of the spool is the one that was written: disks and people change files, and tell nobody."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import BinaryIO

_META = 144
"""Where the elements of group 0002 begin behind its length (PS3.10 7.1): preamble, prefix, (0002,0000)."""


def is_result(path: Path, sha256: str) -> bool:
    """Whether a file that the node made is as it was.

    Parameters
    ----------
    sha256
        Of the whole file, in hexadecimal digits, as its row has it.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    with path.open("rb") as file:
        return _digest(file) == sha256


def is_input(path: Path, sha256: str, transfer_syntax_uid: str) -> bool:
    """Whether a received object is as it came.

    Parameters
    ----------
    sha256
        Of its data set, which is all that the sender gave, as its row has it.
    transfer_syntax_uid
        By which the data set is read; it stands before it.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    uid = transfer_syntax_uid.encode()
    uid += b"\0" * (len(uid) % 2)
    with path.open("rb") as file:
        start = file.read(_META)
        if len(start) < _META or start[128:132] != b"DICM":
            return False
        meta = file.read(int.from_bytes(start[-4:], "little"))
        # Transfer Syntax UID (0002,0010)
        return b"\2\0\x10\0UI" + struct.pack("<H", len(uid)) + uid in meta and _digest(file) == sha256


def _digest(file: BinaryIO) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
