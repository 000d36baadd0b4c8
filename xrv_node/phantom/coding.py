"""Pixel data in the transfer syntaxes that radiographs arrive in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

Stored = NDArray[np.uint16] | NDArray[np.int16]
Encode = Callable[[NDArray[np.unsignedinteger], int], bytes]

QUALITY = 92
"""Of lossy JPEG: what archives use for radiographs, at about a tenth of the size."""

RATIO = 50
"""Peak signal-to-noise in dB that lossy JPEG 2000 keeps."""


@dataclass(frozen=True, slots=True)
class Syntax:
    """One way of coding pixels."""

    uid: UID
    bits: tuple[int, ...] = (8, 10, 12, 14, 16)
    """Bits Stored that it is written with here."""
    encode: Encode | None = None
    """Of pixels and their bits: the codestream; None where they stand as they are."""
    lossy: str = ""
    """The standard that loses something, as Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1)."""


def _jpeg(pixels: NDArray[np.unsignedinteger], bits: int) -> bytes:
    from imagecodecs import jpeg8_encode

    return bytes(jpeg8_encode(pixels, level=QUALITY, bitspersample=bits))


def _jpeg_lossless(pixels: NDArray[np.unsignedinteger], bits: int) -> bytes:
    from imagecodecs import jpeg8_encode

    return bytes(jpeg8_encode(pixels, lossless=True, bitspersample=bits))


def _jpeg_ls(pixels: NDArray[np.unsignedinteger], _: int) -> bytes:
    from imagecodecs import jpegls_encode

    return bytes(jpegls_encode(pixels, level=0))


def _jpeg_2000(pixels: NDArray[np.unsignedinteger], bits: int) -> bytes:
    from imagecodecs import jpeg2k_encode

    return bytes(jpeg2k_encode(pixels, level=RATIO, codecformat="j2k", bitspersample=bits))


def _jpeg_2000_lossless(pixels: NDArray[np.unsignedinteger], bits: int) -> bytes:
    from imagecodecs import jpeg2k_encode

    return bytes(jpeg2k_encode(pixels, level=0, reversible=True, codecformat="j2k", bitspersample=bits))


def _rle(pixels: NDArray[np.unsignedinteger], _: int) -> bytes:
    from imagecodecs import packbits_encode

    planes = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(*pixels.shape, 1).view(np.uint8)
    segments = [
        packbits_encode(np.ascontiguousarray(planes[..., byte]), axis=-1) for byte in range(planes.shape[-1])
    ]
    segments = [bytes(one) + bytes(len(one) % 2) for one in segments]
    starts = 64 + np.cumsum([0, *map(len, segments[:-1])])
    head = np.zeros(16, "<u4")  # PS3.5 G.5: how many segments, and where each starts
    head[: len(segments) + 1] = [len(segments), *starts]
    return head.tobytes() + b"".join(segments)


SYNTAXES: dict[str, Syntax] = {
    "explicit": Syntax(ExplicitVRLittleEndian),
    "implicit": Syntax(ImplicitVRLittleEndian),
    "big-endian": Syntax(ExplicitVRBigEndian),
    "deflated": Syntax(DeflatedExplicitVRLittleEndian),
    "rle": Syntax(RLELossless, encode=_rle),
    "jpeg": Syntax(JPEGBaseline8Bit, (8,), _jpeg, "ISO_10918_1"),
    "jpeg-extended": Syntax(JPEGExtended12Bit, (12,), _jpeg, "ISO_10918_1"),
    "jpeg-lossless": Syntax(JPEGLosslessSV1, encode=_jpeg_lossless),
    "jpeg-ls": Syntax(JPEGLSLossless, (8, 16), _jpeg_ls),
    "j2k": Syntax(JPEG2000, encode=_jpeg_2000, lossy="ISO_15444_1"),
    "j2k-lossless": Syntax(JPEG2000Lossless, encode=_jpeg_2000_lossless),
}
"""By the name that ``phantom make --syntax`` takes. The encoder of JPEG-LS here writes whole bytes only."""


def put(dataset: Dataset, values: Stored, bits: int, syntax: str) -> None:
    """Put stored values into a dataset, coded.

    Parameters
    ----------
    dataset
        With file meta information; Pixel Data, Bits Allocated and what belongs to lossy compression are set.
    values
        ``[rows, columns]``, of ``bits`` bits; int16 only where pixels stand as they are.
    syntax
        A key of `SYNTAXES` that allows as many bits.
    """
    chosen = SYNTAXES[syntax]
    dataset.file_meta.TransferSyntaxUID = chosen.uid
    dataset.BitsAllocated = 8 if bits <= 8 else 16
    narrow = values.astype(np.uint8) if bits <= 8 else values
    dataset.LossyImageCompression = "01" if chosen.lossy else "00"
    if chosen.encode is None:
        big = chosen.uid == ExplicitVRBigEndian
        data = narrow.astype(narrow.dtype.newbyteorder(">" if big else "<")).tobytes()
        dataset.PixelData = data + bytes(len(data) % 2)
        dataset["PixelData"].VR = "OW"
        return
    codestream = chosen.encode(np.ascontiguousarray(narrow), bits)
    dataset.PixelData = encapsulate([codestream])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    if chosen.lossy:
        dataset.LossyImageCompressionMethod = chosen.lossy
        dataset.LossyImageCompressionRatio = round(values.size * bits / 8 / len(codestream), 2)
