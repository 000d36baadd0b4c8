"""Bytes of a file, or of one compressed frame, into the reader of radiographs.

The first byte of an input is 0 for a whole file, else it chooses the transfer syntax of a DICOM object whose
one frame the rest is, and whose size is what the frame claims, where that is small.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fuzz_node import Found
from made import radiograph
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from xrv_node.errors import ImageError
from xrv_node.radiograph.codestream import claim
from xrv_node.radiograph.read import read

SYNTAXES = (
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
    HTJ2KLossless,
    RLELossless,
)
SIDE = 32
MOST_PIXELS = 1 << 16
"""Larger images are left out: their time goes into pixels and not into finding anything."""


def entry(directory: Path) -> Callable[[bytes], None]:
    """Make the function that takes one input."""
    path = directory / "input"

    def run(data: bytes) -> None:
        whole = content(data)
        if whole is None:
            return
        path.write_bytes(whole)
        try:
            image = read(path)
        except ImageError as error:
            if not str(error).endswith(".") or "zebrafinch" in str(error).casefold():
                raise Found(f"an error that says too much or too little: {error}") from error
            return
        if image.pixels.ndim != 2 or not np.isfinite(image.pixels).all() or not image.low < image.high:
            raise Found("pixels that no network can take")

    return run


def content(data: bytes) -> bytes | None:
    """The file that an input means; None where it would be large."""
    if not data or data[0] == 0:
        size = claim(data[1:])
        return None if size and size.rows * size.columns > MOST_PIXELS else data[1:]
    syntax, frame = SYNTAXES[(data[0] - 1) % len(SYNTAXES)], data[1:].ljust(2, b"\0")
    rows, columns = SIDE, SIDE
    if syntax != RLELossless and (size := claim(frame)) is not None:
        if not 0 < size.rows * size.columns <= MOST_PIXELS or size.components not in (1, 3):
            return None
        rows, columns = size.rows & 0xFFFF, size.columns & 0xFFFF
    before, after = _around(syntax, size.components if syntax != RLELossless and size else 1)
    where = b"\x28\0\x10\0US\2\0", b"\x28\0\x11\0US\2\0"
    for tag, value in zip(where, (rows, columns), strict=True):
        at = before.index(tag) + len(tag)
        before = before[:at] + struct.pack("<H", value) + before[at + 2 :]
    return before + encapsulate([frame]) + after


@cache
def _around(syntax: str, components: int) -> tuple[bytes, bytes]:
    """A file before and after its fragments."""
    made = radiograph(
        Rows=SIDE, Columns=SIDE, BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=encapsulate([b"HERE"]),
        SamplesPerPixel=components, PhotometricInterpretation="RGB" if components == 3 else "MONOCHROME2",
        PlanarConfiguration=0,
    )  # fmt: skip
    before, _, after = _file(made, syntax).partition(encapsulate([b"HERE"]))
    return before, after


def _file(made: Dataset, syntax: str) -> bytes:
    made.file_meta.TransferSyntaxUID = syntax
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = made.file_meta.TransferSyntaxUID.is_compressed
    buffer = BytesIO()
    dcmwrite(buffer, made, enforce_file_format=True)
    return buffer.getvalue()


def seeds() -> dict[str, bytes]:
    """The inputs to begin with, by name."""
    pixels = (np.add.outer(np.arange(SIDE), np.arange(SIDE)) * 4).astype(np.uint8)
    small: Any = {"Rows": SIDE, "Columns": SIDE, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    plain = _file(radiograph(PixelData=pixels.tobytes(), **small), "1.2.840.10008.1.2.1")
    pictures = {suffix: cv2.imencode(suffix, pixels)[1].tobytes() for suffix in (".jpg", ".png", ".jp2")}
    found = {
        "file": b"\0" + plain,
        "file_windowed": b"\0"
        + _file(
            radiograph(
                PixelData=pixels.tobytes(), WindowCenter="60", WindowWidth="50", RescaleSlope="2",
                RescaleIntercept="-5", PixelPaddingValue=0, PhotometricInterpretation="MONOCHROME1", **small,
            ),
            "1.2.840.10008.1.2.1",
        ),
        "picture_png": b"\0" + pictures[".png"],
        "picture_jpeg": b"\0" + pictures[".jpg"],
        "jpeg": b"\1" + pictures[".jpg"],
        "jp2": b"\4" + pictures[".jp2"],
    }  # fmt: skip
    for number, syntax in enumerate(SYNTAXES, 1):
        if syntax in (JPEG2000Lossless, JPEGLSLossless, RLELossless):
            made = dcmread(BytesIO(plain))
            made.compress(syntax, generate_instance_uid=False)
            fragments = made.PixelData
            found[syntax.keyword] = bytes((number,)) + fragments[16:]
    return found
