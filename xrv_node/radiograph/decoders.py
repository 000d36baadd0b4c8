"""The decoders of compressed pixels, one for each process, and what may be wrong with what they give."""

from __future__ import annotations

import struct
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrv_node.radiograph import jpeg
from xrv_node.radiograph.codestream import ImageClaim, Process, lossless_scan

PACKAGE = "imagecodecs"
"""One for all processes: the only one of those compared in docs/decoders.md that is right in each."""

_ADDING, _FULL = range(1, 5), 16
"""Predictors of JPEG Lossless that add and subtract only (table H.1), and its largest precision."""
_PADDING = 256
"""Bytes that a segment of RLE may hold more than the image has."""


def is_installed() -> bool:
    """Tell whether the decoders are there, without importing them."""
    return find_spec(PACKAGE) is not None


def name() -> str:
    """Return what the decoders are called, with their version."""
    try:
        return f"{PACKAGE} {version(PACKAGE)}"
    except PackageNotFoundError:
        return PACKAGE


def decode(codestream: bytes, claim: ImageClaim) -> NDArray[np.integer]:
    """Decode a JPEG, JPEG Lossless, JPEG-LS or JPEG 2000 codestream.

    Parameters
    ----------
    codestream
        From its first byte, without a JP2 file around it.
    claim
        What it says of itself.

    Returns
    -------
    numpy.ndarray
        ``[rows, columns]`` or ``[rows, columns, 3]`` of the smallest type that holds the precision: the
        codestream's own values, whatever a header says of them, colours as they are coded (JPEG 2000: RGB).

    Raises
    ------
    Exception
        The decoder's own, where the bytes are damaged; ValueError where it gives another image than is
        claimed.
    """
    samples = _DECODERS[claim.process](codestream, claim)
    shape = (claim.rows, claim.columns) + ((claim.components,) if claim.components > 1 else ())
    if samples.shape != shape or samples.dtype.itemsize > 2:
        raise ValueError(f"{samples.dtype} {samples.shape} in place of {shape}")
    return samples


def decode_rle(segments: bytes, rows: int, columns: int, samples: int, itemsize: int) -> NDArray[np.integer]:
    """Decode RLE segments (PS3.5 annex G).

    Parameters
    ----------
    segments
        The header of 64 bytes and what follows it.
    rows, columns, samples
        Size of the image.
    itemsize
        Bytes of a sample.

    Returns
    -------
    numpy.ndarray
        ``[rows, columns]`` or ``[rows, columns, samples]``, unsigned.

    Raises
    ------
    Exception
        The decoder's own, where a segment is damaged; ValueError where there are other segments than the
        image has, or less in one than it takes.
    """
    count, *offsets = struct.unpack_from("<16L", segments)
    if count != samples * itemsize:
        raise ValueError(f"{count} segments of {samples * itemsize}")
    ends = [*offsets[1:count], len(segments)]
    found = np.empty((rows * columns, samples, itemsize), np.uint8)
    for number, (start, end) in enumerate(zip(offsets[:count], ends, strict=True)):
        # the most significant bytes of the first sample come first (PS3.5 G.2)
        sample, byte = divmod(number, itemsize)
        found[:, sample, itemsize - 1 - byte] = _segment(segments[start:end], rows * columns)
    return found.view(f"<u{itemsize}").reshape((rows, columns) if samples == 1 else (rows, columns, samples))


def _segment(segment: bytes, length: int) -> NDArray[np.uint8]:
    from imagecodecs import packbits_decode

    # Into memory of the image's size: a segment asks for as much as it likes. Padding may read as a run.
    decoded = packbits_decode(segment, out=bytearray(length + _PADDING))
    if len(decoded) < length:
        raise ValueError(f"{len(decoded)} of {length} bytes")
    return np.frombuffer(decoded, np.uint8, length)


def _jpeg_lossless(codestream: bytes, claim: ImageClaim) -> NDArray[Any]:
    """Differences count modulo 65536 (ISO/IEC 10918-1 H.1.2.1, H.2.1): encoders come to 128 from 52 by -180.

    The first four predictors only add, so the bits above the precision are cut off at the end. The others
    halve, and what lies above comes down into the image: no two decoders agree on it. To see it, they are
    decoded at full precision, which moves all samples by as much as the first (H.1.2.1)."""
    precision_at, predictor = lossless_scan(codestream)
    if predictor in _ADDING or claim.precision == _FULL:
        samples = _jpeg(codestream, claim)
        if samples.dtype.itemsize * 8 != claim.precision and samples.max() >> claim.precision:
            samples &= samples.dtype.type((1 << claim.precision) - 1)
        return samples
    full = codestream[:precision_at] + bytes([_FULL]) + codestream[precision_at + 1 :]
    samples = _jpeg(full, claim) - np.uint16((1 << (_FULL - 1)) - (1 << (claim.precision - 1)))
    if samples.max() >> claim.precision:
        raise ValueError(f"differences reach over the range with predictor {predictor}")
    return samples.astype(np.uint8) if claim.precision <= 8 else samples


def _jpeg(codestream: bytes, claim: ImageClaim) -> NDArray[Any]:
    from imagecodecs import jpeg8_decode

    if claim.components != 3:
        return jpeg.whole(codestream, jpeg8_decode)
    return jpeg.whole(
        codestream,
        # The same colour space in and out: nothing is converted.
        lambda data: jpeg8_decode(data, colorspace="RGB", outcolorspace="RGB"),
        lambda data: jpeg8_decode(data, colorspace="YCBCR", outcolorspace="GRAYSCALE"),
    )


def _jpeg_ls(codestream: bytes, _claim: ImageClaim) -> NDArray[Any]:
    from imagecodecs import jpegls_decode

    samples: NDArray[Any] = jpegls_decode(codestream)
    return samples


def _jpeg_2000(codestream: bytes, _claim: ImageClaim) -> NDArray[Any]:
    from imagecodecs import jpeg2k_decode

    samples: NDArray[Any] = jpeg2k_decode(codestream)
    return samples


_DECODERS: dict[Process, Callable[[bytes, ImageClaim], NDArray[Any]]] = {
    Process.JPEG: _jpeg,
    Process.JPEG_LOSSLESS: _jpeg_lossless,
    Process.JPEG_LS: _jpeg_ls,
    Process.JPEG_2000: _jpeg_2000,
}
"""libjpeg-turbo, CharLS and OpenJPEG."""
