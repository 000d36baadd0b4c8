"""The frames of a stored file: as they are stored, without compression, or each as an image of its own."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom import DataElement, Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.filereader import read_dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ImplicitVRLittleEndian

from xrv_node.attributes import number
from xrv_node.errors import ImageError
from xrv_node.radiograph import frame as coded
from xrv_node.radiograph import pixel_element
from xrv_node.radiograph.elements import HEAD, PIXELS, SEQUENCE_END, UNDEFINED
from xrv_node.radiograph.header import data_set, read_header, transfer_syntax
from xrv_node.radiograph.header_limits import pixels_at
from xrv_node.radiograph.layout import layout
from xrv_node.radiograph.lookup import photometric
from xrv_node.radiograph.syntaxes import NATIVE
from xrv_node.reasons import Reason
from xrv_node.web.dicomweb.body import CHUNK, Body, BrokenOffError, of_bytes, of_file

PIXEL_DATA = 0x7FE00010
_KEPT = 512
"""Files whose frames are remembered: a viewer asks for those of one file one by one."""
_MOST_FRAMES = 1 << 20
_CELLS = (1, 2, 4, 8)
"""Bytes of a sample."""

at_once = threading.BoundedSemaphore(max(os.cpu_count() or 1, 2))
"""Of images that are decoded: each takes several times its pixels."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Where the frames of a file lie. Holds nothing of what is in them."""

    path: Path
    syntax: UID
    count: int
    tag: int
    at: int
    """Where the value of the pixel data begins: in the file, or in what is inflated from it."""
    in_file: bool
    length: int
    """Of the value; `UNDEFINED` for what is in fragments."""
    bits: int
    """Of a frame that is not compressed."""
    word: int
    """Bytes of a sample, for their order."""
    offsets: tuple[bytes, bytes] | None
    """The extended offset table and its lengths (PS3.3 C.7.6.3.1.8)."""

    @property
    def native(self) -> bool:
        """Whether the frames lie there uncompressed."""
        return self.length != UNDEFINED and self.syntax in NATIVE

    @property
    def frame_size(self) -> int:
        """Bytes of a frame that is not compressed, to the next whole one."""
        return (self.bits + 7) // 8

    @property
    def as_is(self) -> bool:
        """Whether the pixel data in the file are, byte for byte, those of Explicit VR Little Endian."""
        return (
            self.native and self.in_file and self.syntax != ExplicitVRBigEndian
        )  # fmt: skip


@lru_cache(_KEPT)
def locate(path: Path, _sha256: str) -> Frames:
    """Find the frames of a file.

    Parameters
    ----------
    path
        A stored file.
    _sha256
        Its digest: what is remembered is that of the same bytes.

    Raises
    ------
    ImageError
        If it cannot be read, or has no pixel data.
    """
    header = read_header(path)
    pixels = pixels_at(header)
    if pixels is None:
        raise ImageError(Reason("no-pixel-data"))
    allocated = int(number(header, "BitsAllocated") or 0)
    syntax = transfer_syntax(header) or ImplicitVRLittleEndian
    tables = header.get("ExtendedOffsetTable"), header.get("ExtendedOffsetTableLengths")
    return Frames(
        path,
        syntax,
        min(max(int(number(header, "NumberOfFrames") or 1), 1), _MOST_FRAMES),
        pixels.tag,
        _inside(path) if pixels.offset is None else pixels.offset,
        pixels.offset is not None,
        pixels.length,
        _samples(header) * allocated,
        max(allocated // 8 if allocated // 8 in _CELLS else 1, 2 if pixels.vr == "OW" else 1),
        tables if isinstance(tables[0], bytes) and isinstance(tables[1], bytes) else None,
    )


def _inside(path: Path) -> int:
    """Where the value of the pixel data begins in a deflated file, as ``header.data_set`` opens it."""
    with data_set(path) as file:
        read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag in PIXELS)
        return file.tell() + HEAD


def stored(frames: Frames, index: int) -> bytes:
    """Return a compressed frame as it is stored.

    Parameters
    ----------
    index
        From 0.

    Raises
    ------
    ImageError
        If it is not where the offset table says, or where it was.
    """
    if frames.count == 1:
        data = pixel_element.frame(_one(frames, 0)).data
    else:
        try:
            with _value(frames) as file:
                file.seek(frames.at)
                data = get_frame(file, index, number_of_frames=frames.count, extended_offsets=frames.offsets)
        except Exception as error:  # offsets and lengths from outside
            raise ImageError(Reason("fragments-damaged")) from error
    if not data:
        raise ImageError(Reason("no-pixel-data"))
    return data


def native(frames: Frames, index: int, media_type: str) -> Body:
    """Return a frame without compression, little endian, a sample in as many bits as its header says.

    Parameters
    ----------
    index
        From 0.
    media_type
        Of the body.

    Raises
    ------
    ImageError
        If it cannot be decoded, or the file ends before it.
    """
    if not frames.native:
        return of_bytes(media_type, decoded(frames, index)[0].tobytes())
    first = index * frames.bits
    if (first + frames.bits + 7) // 8 > frames.length or not frames.bits:
        expected = (frames.count * frames.bits + 7) // 8
        raise ImageError(Reason("pixels-truncated", there=frames.length, expected=expected))
    if frames.as_is and first % 8 == frames.bits % 8 == 0:
        return of_file(media_type, frames.path, frames.frame_size, frames.at + first // 8)
    with _value(frames) as file:
        data = _bits(file, frames.at, first, frames.bits)
    return of_bytes(media_type, swapped(data, frames.word) if _is_big(frames) else data)


def value(frames: Frames) -> Iterator[bytes]:
    """Yield uncompressed pixel data as a whole, little endian; BrokenOffError where they end too early."""
    left = frames.length
    try:
        with _value(frames) as file:
            file.seek(frames.at)
            while left:
                piece = file.read(min(CHUNK, left))
                if not piece:
                    raise BrokenOffError("the pixel data end too early")
                left -= len(piece)
                yield swapped(piece, frames.word) if _is_big(frames) else piece
    except (OSError, ImageError) as error:
        raise BrokenOffError(type(error).__name__) from error


def decoded(frames: Frames, index: int) -> tuple[NDArray[np.integer], coded.Decoded]:
    """Decode a frame.

    Returns
    -------
    ndarray, Decoded
        The samples in a container as large as the header says, or larger where they need it, little endian;
        and what the decoder says of them.

    Raises
    ------
    ImageError
        If it cannot be decoded.
    """
    dataset = image(frames, index)
    said = layout(dataset)
    with at_once:
        found = coded.decode(dataset, said)
    samples, bits = found.samples, found.stored
    if bits.lossy and bits.high_bit == bits.bits_stored - 1:
        samples = np.clip(samples, bits.low, bits.high)  # a mask would turn what rings over white into black
    allocated = said.stored.bits_allocated // 8
    size = max(allocated if allocated in _CELLS else 1, samples.dtype.itemsize)
    return np.ascontiguousarray(samples, f"<{samples.dtype.kind}{size}"), found


def image(frames: Frames, index: int) -> Dataset:
    """Return one frame as an image of its own, still encoded: what ``radiograph.dicom.decode`` takes.

    Raises
    ------
    ImageError
        If it is not there.
    """
    if frames.count == 1:
        return _one(frames, 0)
    if frames.native:
        value = b"".join(native(frames, index, "").chunks())
        value = swapped(value, frames.word) if _is_big(frames) else value
        return _one(frames, len(value), value)
    return _one(frames, UNDEFINED, _fragment(stored(frames, index)))


def swapped(data: bytes, word: int) -> bytes:
    """The same samples in the other order of bytes; what is left over at the end stays."""
    whole = len(data) - len(data) % word
    return np.frombuffer(data[:whole], f"u{word}").byteswap().tobytes() + data[whole:] if word > 1 else data


def _one(frames: Frames, length: int, value: bytes | None = None) -> Dataset:
    """The header, with the pixel data of one frame; without a value those of the file."""
    header = read_header(frames.path)
    header.pop("NumberOfFrames", None)
    if value is None:
        length = frames.length
        with _value(frames) as file:
            file.seek(frames.at)
            value = file.read() if length == UNDEFINED else file.read(length)
    element = DataElement(PIXEL_DATA, "OW", value)
    element.is_undefined_length = length == UNDEFINED
    header[PIXEL_DATA] = element
    return header


@contextmanager
def _value(frames: Frames) -> Iterator[BinaryIO]:
    """What holds the pixel data."""
    if frames.in_file:
        with frames.path.open("rb") as file:
            yield file
    else:
        with data_set(frames.path) as source:
            yield source


def _bits(file: BinaryIO, at: int, first: int, count: int) -> bytes:
    """Read bits of the value at a place, the lowest of a byte first (PS3.5 8.1.1), and 0 behind them."""
    file.seek(at + first // 8)
    data = file.read((first % 8 + count + 7) // 8)
    if count % 8 == first % 8 == 0:
        return data
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    return np.packbits(bits[first % 8 : first % 8 + count], bitorder="little").tobytes()


def _samples(header: Dataset) -> int:
    """Samples of a frame where it is not compressed (YBR_FULL_422: PS3.3 C.7.6.3.1.2)."""
    rows, columns = (int(number(header, keyword) or 0) for keyword in ("Rows", "Columns"))
    subsampled = photometric(header) == "YBR_FULL_422"
    return rows * columns * (2 if subsampled else int(number(header, "SamplesPerPixel") or 1))


def _fragment(data: bytes) -> bytes:
    end = struct.pack("<HHL", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0)
    return encapsulate([data], has_bot=False) + end


def _is_big(frames: Frames) -> bool:
    return frames.syntax == ExplicitVRBigEndian
