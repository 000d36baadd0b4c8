"""PNG and JPEG pictures: what people have at hand, and what public data sets are made of."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from xrv_node.errors import ImageError
from xrv_node.radiograph.codestream import PNG_SIGNATURE, claim, has_end
from xrv_node.radiograph.header import MAX_FILE_BYTES
from xrv_node.radiograph.image import RGB_WEIGHTS, Radiograph, check_size, luminance
from xrv_node.reasons import Reason, of_system

_AS_STORED = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
"""Keeps 16 bits and grey; drops alpha and turns the image as its EXIF orientation says."""
_WHITE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}


def decode(path: Path) -> Radiograph:
    """Decode a PNG or JPEG picture.

    Parameters
    ----------
    path
        The file. Colour becomes grey, alpha is dropped, an EXIF orientation is applied.

    Returns
    -------
    Radiograph
        Without header; the range is that of the sample type, 0 to 255 or 0 to 65535.

    Raises
    ------
    ImageError
        If the file is damaged, truncated or too large.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ImageError(Reason("file-too-large", most=MAX_FILE_BYTES >> 20))
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(Reason("file-unreadable", why=of_system(error))) from error
    kind = "PNG" if data.startswith(PNG_SIGNATURE) else "JPEG"
    size = claim(data)
    if size is None:
        raise ImageError(Reason("picture-without-size", kind=kind))
    check_size(size.rows, size.columns)
    # the decoder paints what is missing grey and says nothing
    if not (_png_is_whole(data) if kind == "PNG" else has_end(data)):
        raise ImageError(Reason("picture-damaged", kind=kind))
    try:
        pixels: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), _AS_STORED)
    except cv2.error as error:
        raise ImageError(Reason("picture-undecodable", kind=kind)) from error
    if pixels is None or (high := _WHITE.get(pixels.dtype)) is None:
        raise ImageError(Reason("picture-undecodable", kind=kind))
    if pixels.ndim == 3:
        blue, green, red = (pixels[..., channel] for channel in range(3))
        if np.array_equal(red, green) and np.array_equal(red, blue):
            return Radiograph(np.ascontiguousarray(red), 0.0, high)
        return Radiograph(luminance(pixels, RGB_WEIGHTS[::-1]), 0.0, high)
    return Radiograph(pixels, 0.0, high)


def _png_is_whole(data: bytes) -> bool:
    """Walk the chunks (ISO/IEC 15948 5.3: length, type, data, CRC) up to IEND."""
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        kind_and_data, checksum = data[position + 4 : end - 4], data[end - 4 : end]
        if len(checksum) != 4 or zlib.crc32(kind_and_data) != int.from_bytes(checksum, "big"):
            return False
        if kind_and_data.startswith(b"IEND"):
            return True
        position = end
    return False
