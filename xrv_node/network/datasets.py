"""Data sets of messages, in the transfer syntax of their presentation context."""

from __future__ import annotations

from io import BytesIO

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import dsutils


def encode(dataset: Dataset, transfer_syntax: str) -> bytes:
    """Write a data set.

    Raises
    ------
    ValueError
        When it cannot be encoded.
    """
    syntax = UID(transfer_syntax)
    encoded: bytes | None = dsutils.encode(
        dataset, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated
    )
    if encoded is None:
        raise ValueError("the object cannot be encoded")
    return encoded


def decode(encoded: bytes, transfer_syntax: str) -> Dataset:
    """Read a data set; its values are parsed when they are looked at.

    Raises
    ------
    ValueError
        When it is none.
    """
    syntax = UID(transfer_syntax)
    try:
        dataset: Dataset = dsutils.decode(BytesIO(encoded), syntax.is_implicit_VR, syntax.is_little_endian)
    except Exception as error:  # bytes from outside: pydicom raises whatever they make it raise
        raise ValueError("a data set that cannot be read") from error
    return dataset
