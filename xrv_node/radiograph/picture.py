"""PNG and JPEG pictures: what people have at hand, and what public data sets are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrv_node.errors import ImageError
from xrv_node.radiograph import exif, jpeg, png
from xrv_node.radiograph.codestream import PNG_SIGNATURE, ImageClaim, claim
from xrv_node.radiograph.header import MAX_FILE_BYTES
from xrv_node.radiograph.image import RGB_WEIGHTS, Pixels, Radiograph, check_size, luminance
from xrv_node.reasons import Reason, of_system

_LITTLE = {8: 16, 16: 1 << 14}
"""By the bits of a sample, how few grey levels make one wonder: 4 bits of 8, 14 of 16."""


def decode(path: Path, max_value: float | None = None) -> Radiograph:
    """Decode a PNG or JPEG picture.

    Parameters
    ----------
    path
        The file. Colour becomes grey, alpha is dropped, an EXIF orientation is applied.
    max_value
        The value that would be white, where that is not the largest of the sample type.

    Returns
    -------
    Radiograph
        Without header; the range is from 0 to `max_value`, or to 255 or 65535 (of a JPEG: its precision).
        With a caution where only a small part of that range is used.

    Raises
    ------
    ImageError
        If the file is damaged, truncated or too large, or has values above `max_value`.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ImageError(Reason("file-too-large", most=MAX_FILE_BYTES >> 20))
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(Reason("file-unreadable", why=of_system(error))) from error
    is_png = data.startswith(PNG_SIGNATURE)
    kind = "PNG" if is_png else "JPEG"
    size = claim(data)
    if size is None:
        raise ImageError(Reason("picture-without-size", kind=kind))
    check_size(size.rows, size.columns)
    try:
        pixels, high = _png(data) if is_png else _jpeg(data, size)
    except ValueError as error:
        raise ImageError(Reason("picture-damaged", kind=kind)) from error
    except Exception as error:  # each decoder has errors of its own
        raise ImageError(Reason("picture-undecodable", kind=kind)) from error
    return _ranged(_grey(pixels), high, max_value)


def _png(data: bytes) -> tuple[NDArray[Any], int]:
    from imagecodecs import PngError, png_decode

    bare = png.bare(data)
    try:
        pixels: NDArray[Any] = _interlaced(bare.picture) if bare.is_interlaced else png_decode(bare.picture)
    except (PngError, UnicodeDecodeError) as error:  # its own message may be no text
        raise ValueError("the picture's data are damaged") from error
    if pixels.ndim == 3:
        pixels = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]  # without alpha
    return exif.upright(pixels, bare.exif), int(np.iinfo(pixels.dtype).max)


def _interlaced(data: bytes) -> NDArray[Any]:
    """Decode what imagecodecs decodes with a remark on standard error."""
    import cv2

    pixels: NDArray[Any] | None = cv2.imdecode(
        np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
    )
    if pixels is None:
        raise ValueError("the picture's data are damaged")
    return pixels if pixels.ndim == 2 else pixels[..., ::-1]


def _jpeg(data: bytes, size: ImageClaim) -> tuple[NDArray[Any], int]:
    from imagecodecs import jpeg8_decode

    if size.components == 1:
        pixels = jpeg.whole(data, jpeg8_decode)
    elif size.components == 3:
        pixels = jpeg.whole(data, jpeg8_decode, lambda codes: jpeg8_decode(codes, outcolorspace="GRAYSCALE"))
    else:
        pixels = jpeg.whole(data, jpeg8_decode)
        # cyan, magenta, yellow and black, inverted as Adobe writes them
        inks = pixels.astype(np.uint32)
        pixels = (inks[..., :3] * inks[..., 3:] // 255).astype(np.uint8)
    return exif.upright(pixels, jpeg.exif(data)), (1 << size.precision) - 1


def _grey(pixels: NDArray[Any]) -> Pixels:
    if pixels.ndim == 2:
        return np.ascontiguousarray(pixels)
    red, green, blue = (pixels[..., channel] for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return np.ascontiguousarray(red)
    return luminance(pixels, RGB_WEIGHTS)


def _ranged(pixels: Pixels, high: int, max_value: float | None) -> Radiograph:
    lowest, highest = float(pixels.min()), float(pixels.max())
    most = high if max_value is None else max_value
    if highest > most:  # a lossless JPEG may hold more than the precision that its frame says
        raise ImageError(Reason("above-max-value", largest=f"{highest:g}", most=f"{most:g}"))
    if max_value is not None:
        return Radiograph(pixels, 0.0, float(max_value))
    bits = high.bit_length()
    if highest - lowest >= _LITTLE.get(bits, 0):
        return Radiograph(pixels, 0.0, float(high))
    share = f"{100 * (highest - lowest) / high:.2g}"
    caution = Reason("small-part-of-range", share=share, bits=bits, largest=f"{highest:g}")
    return Radiograph(pixels, 0.0, float(high), cautions=(caution,))
