"""Codestreams and fragments made here, also such as no library's encoder makes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import imagecodecs
import jpeg_ls
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import (
    JPEG2000,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from radiograph_files import image, write

ITEM, DELIMITER = struct.pack("<HHL", 0xFFFE, 0xE000, 0)[:4], struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
_LONG = 0xFFFFFFFF


def scene(bits: int, side: int = 64, noise: float = 0.01) -> NDArray[np.uint16]:
    """Something like a radiograph: a bright body, two dark fields, a white mark, noise; the whole range."""
    rows, columns = np.mgrid[0:side, 0:side] / (side - 1)
    picture = 0.8 - 0.2 * np.abs(columns - 0.5)
    for middle in (0.3, 0.7):
        picture -= 0.6 * np.exp(-(((columns - middle) / 0.13) ** 4) - ((rows - 0.45) / 0.3) ** 4)
    picture += np.random.default_rng(5).normal(0, noise, picture.shape)
    picture[: side // 8, : side // 8], picture[-2:] = 1, 0
    return np.rint(np.clip(picture, 0, 1) * ((1 << bits) - 1)).astype(np.uint16)


def narrow(pixels: NDArray[np.integer], bits: int) -> NDArray[np.integer]:
    """The same values in the smallest container."""
    return pixels.astype(f"{pixels.dtype.kind}{1 if bits <= 8 else 2}")


def codestream(pixels: NDArray[np.integer], bits: int, syntax: str) -> bytes:
    """What a library's encoder makes of them."""
    samples = narrow(pixels, bits)
    if syntax == JPEGLosslessSV1:
        return bytes(imagecodecs.jpeg8_encode(samples, lossless=True, bitspersample=max(bits, 2)))
    if syntax == JPEGExtended12Bit:
        return bytes(imagecodecs.jpeg8_encode(samples, level=100, bitspersample=bits))
    if syntax == JPEGLSLossless:
        size = {"rows": pixels.shape[0], "columns": pixels.shape[1], "samples_per_pixel": 1}
        depth = {"bits_allocated": samples.itemsize * 8, "bits_stored": bits}
        return bytes(jpeg_ls.encode_pixel_data(samples.tobytes(), **size, **depth))
    if syntax == HTJ2KLossless:
        return bytes(imagecodecs.htj2k_encode(samples))
    assert syntax in (JPEG2000Lossless, JPEG2000)
    options = {"level": 0, "reversible": True} if syntax == JPEG2000Lossless else {"level": 60}
    return bytes(imagecodecs.jpeg2k_encode(samples, codecformat="j2k", bitspersample=bits, **options))


def segments(pixels: NDArray[np.integer]) -> bytes:
    """RLE (PS3.5 annex G), every run a literal one."""
    size = pixels.dtype.itemsize
    planes = pixels.astype(f">u{size}").reshape(-1, 1).view(np.uint8).T
    coded = [b"".join(bytes([len(p) - 1]) + p for p in _pieces(plane.tobytes(), 128)) for plane in planes]
    coded = [one + bytes(len(one) % 2) for one in coded]
    offsets = [64 + sum(map(len, coded[:number])) for number in range(len(coded))]
    return struct.pack("<16L", len(coded), *offsets, *[0] * (15 - len(coded))) + b"".join(coded)


def _pieces(data: bytes, length: int) -> list[bytes]:
    return [data[start : start + length] for start in range(0, len(data), length)]


def lossless_jpeg(
    pixels: NDArray[np.integer], bits: int, predictor: int = 1, *, signed: bool = False
) -> bytes:
    """JPEG Lossless (ISO/IEC 10918-1 annex H) with one fixed code.

    With `signed` the encoder takes the samples of the upper half for negative numbers, as those of some devices
    do: then differences reach over the range, and only modulo the precision the samples come back.
    """
    values = pixels.astype(np.int64)
    if signed:
        values = np.where(values >> (bits - 1), values - (1 << bits), values)
    left, above = np.roll(values, 1, axis=1), np.roll(values, 1, axis=0)
    corner = np.roll(above, 1, axis=1)
    predicted = {
        1: left,
        2: above,
        3: corner,
        4: left + above - corner,
        5: left + ((above - corner) >> 1),
        6: above + ((left - corner) >> 1),
        7: (left + above) >> 1,
    }[predictor].copy()
    predicted[0], predicted[:, 0] = left[0], above[:, 0]
    predicted[0, 0] = 1 << (bits - 1)
    differences = ((values - predicted + 0x8000) & 0xFFFF) - 0x8000
    words = []
    for difference in differences.ravel().tolist():
        size = 16 if difference == -0x8000 else abs(difference).bit_length()
        words.append(f"{size:05b}")
        if 0 < size < 16:
            words.append(f"{difference if difference > 0 else difference + (1 << size) - 1:0{size}b}")
    coded = "".join(words)
    coded += "1" * (-len(coded) % 8)
    scan = int(coded, 2).to_bytes(len(coded) // 8, "big").replace(b"\xff", b"\xff\x00")
    table = bytes([0, 0, 0, 0, 17, *[0] * 11]) + bytes(range(17))
    rows, columns = pixels.shape
    return b"".join(
        [
            b"\xff\xd8\xff\xc3" + struct.pack(">HBHHB3B", 11, bits, rows, columns, 1, 1, 0x11, 0),
            b"\xff\xc4" + struct.pack(">HB", 3 + len(table), 0) + table,
            b"\xff\xda" + struct.pack(">HB5B", 8, 1, 1, 0, predictor, 0, 0),
            scan,
            b"\xff\xd9",
        ]
    )


def fragments(*pieces: bytes, table: bytes | None = b"", end: bytes = DELIMITER) -> bytes:
    """Items of these; None leaves the Basic Offset Table out."""
    items = [*([] if table is None else [table]), *(piece + bytes(len(piece) % 2) for piece in pieces)]
    return b"".join(ITEM + struct.pack("<L", len(item)) + item for item in items) + end


def raw(
    dataset: Dataset,
    value: bytes,
    path: Path,
    syntax: str,
    *,
    undefined: bool = True,
    vr: bytes = b"OB",
    length: int | None = None,
) -> Path:
    """Write an object whose Pixel Data are these bytes, whatever the transfer syntax allows."""
    del dataset.PixelData
    native = ImplicitVRLittleEndian if syntax == ImplicitVRLittleEndian else ExplicitVRLittleEndian
    write(dataset, path, native)
    data = path.read_bytes()
    if syntax != native:
        named = native.encode() + bytes(len(native) % 2)
        other = syntax.encode() + bytes(len(syntax) % 2)
        before, after = data.split(b"UI" + struct.pack("<H", len(named)) + named, 1)
        data = before + b"UI" + struct.pack("<H", len(other)) + other + after
        # (0002,0000) counts the bytes of the group
        grown = struct.unpack("<L", data[140:144])[0] + len(other) - len(named)
        data = data[:140] + struct.pack("<L", grown) + data[144:]
    said = struct.pack("<L", _LONG if undefined else len(value) if length is None else length)
    head = struct.pack("<HH", 0x7FE0, 0x0010)
    head += said if syntax == ImplicitVRLittleEndian else vr + b"\0\0" + said
    path.write_bytes(data + head + value)
    return path


def described(stored: int, allocated: int = 16, side: int = 64, **attributes: object) -> Dataset:
    """The header of an image that is said to have that depth."""
    return image(np.zeros((side, side), f"u{allocated // 8}"), stored, **attributes)


PLAIN: Sequence[str] = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
EXACT: Sequence[str] = (JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless)
CODED: Sequence[str] = (*EXACT, RLELossless)
