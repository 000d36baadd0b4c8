"""Radiographs of every depth and colour, and their encoders: the rows and columns of the matrix of transfer syntaxes."""

from __future__ import annotations

import base64
import shutil
import subprocess
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from made import radiograph
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import AE, _config

ROWS, COLUMNS = 49, 37
"""Odd both, and so is the length of 8 bit pixel data."""
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True)
class Sample:
    """A kind of image."""

    bits: int
    signed: bool = False
    photometric: str = "MONOCHROME2"


SAMPLES = {
    "8 bit": Sample(8),
    "10 bit": Sample(10),
    "12 bit": Sample(12),
    "14 bit": Sample(14),
    "16 bit": Sample(16),
    "signed 12 bit": Sample(12, signed=True),
    "signed 16 bit": Sample(16, signed=True),
    "inverted 8 bit": Sample(8, photometric="MONOCHROME1"),
    "inverted 12 bit": Sample(12, photometric="MONOCHROME1"),
    "palette": Sample(8, photometric="PALETTE COLOR"),
    "colour": Sample(8, photometric="RGB"),
    "luminance": Sample(8, photometric="YBR_FULL"),
}
GREY = [name for name, s in SAMPLES.items() if s.photometric.startswith("MONOCHROME")]
BYTES = ["8 bit", "inverted 8 bit"]


def waves(bits: int, rows: int = ROWS, columns: int = COLUMNS, channel: int = 0) -> NDArray[np.int64]:
    """A smooth image over the whole range of `bits`, not symmetric in any way."""
    y, x = np.mgrid[0:rows, 0:columns]
    values = 0.5 + 0.25 * np.sin(y / 9 + channel) + 0.25 * np.cos(x / 7 - channel)
    return (values * ((1 << bits) - 1)).round().astype(np.int64)


def source(name: str, number: int = 1) -> tuple[Dataset, NDArray[np.float64]]:
    """A frontal radiograph, uncompressed, and what is to be read from it: bright is dense, colour grey."""
    sample = SAMPLES[name]
    half = 1 << (sample.bits - 1)
    values = waves(sample.bits) - (half if sample.signed else 0)
    seen = values.astype(np.float64)
    if sample.photometric in ("RGB", "YBR_FULL"):
        values = np.stack([waves(8, channel=c) for c in range(3)], axis=-1)
        seen = values @ np.array(LUMA) if sample.photometric == "RGB" else values[..., 0].astype(np.float64)
    elif sample.photometric == "MONOCHROME1":
        seen = (1 << sample.bits) - 1 - seen
    dataset = radiograph(number, Rows=ROWS, Columns=COLUMNS, PhotometricInterpretation=sample.photometric)
    dataset.BitsStored, dataset.HighBit = sample.bits, sample.bits - 1
    dataset.BitsAllocated = 8 if sample.bits == 8 else 16
    dataset.PixelRepresentation = int(sample.signed)
    if values.ndim == 3:
        dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    if sample.photometric == "PALETTE COLOR":
        red, green, blue = ((np.arange(256) * factor) << 7 for factor in (1, 2, 0))
        for colour, table in (("Red", red), ("Green", green), ("Blue", blue)):
            setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
            dataset[f"{colour}PaletteColorLookupTableDescriptor"].VR = "US"
            setattr(dataset, f"{colour}PaletteColorLookupTableData", table.astype("<u2").tobytes())
        seen = LUMA[0] * red[values] + LUMA[1] * green[values]
    dataset.PixelData = values.astype(
        f"<{'i' if sample.signed else 'u'}{dataset.BitsAllocated // 8}"
    ).tobytes()
    dataset["PixelData"].VR = "OB" if sample.bits == 8 else "OW"
    return dataset, seen


def write(dataset: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a file in this transfer syntax, its pixel data as they are."""
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.save_as(
        path,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        enforce_file_format=True,
    )
    return path


def deflated(body: bytes) -> bytes:
    """A data set's bytes without a zlib header (PS3.5 A.5)."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


def body_of(path: Path) -> bytes:
    """A file's bytes behind its meta information, whose length is at its beginning (PS3.10 7.1)."""
    whole = path.read_bytes()
    return whole[144 + int.from_bytes(whole[140:144], "little") :]


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """Change the bytes of a file's data set."""
    body = body_of(path)
    path.write_bytes(path.read_bytes()[: -len(body)] + change(body))
    return path


def stored(port: int, path: Path) -> int:
    """C-STORE a file's bytes as they are, whatever they are, and its meta information says; the status."""
    meta = read_file_meta_info(path)
    ae = AE(ae_title="PACS")
    ae.add_requested_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
    made = ae.associate("127.0.0.1", port, ae_title="XRVNODE")
    with patch.object(_config, "STORE_SEND_CHUNKED_DATASET", new=True):
        status = made.send_c_store(path)
    made.release()
    return int(status.Status)


def tool(name: str) -> str:
    """A program of dcmtk's."""
    return shutil.which(name) or pytest.skip(f"{name} is not installed")


def run(*words: str | Path) -> str:
    """Run a program, and what it printed."""
    done = subprocess.run([str(w) for w in words], capture_output=True, timeout=60, check=False)
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    return printed.decode("utf-8", "replace")


@dataclass(frozen=True)
class Encoding:
    """A transfer syntax and an encoder for it."""

    syntax: UID
    encode: Callable[[Path, Path], object]
    takes: Collection[str] = tuple(SAMPLES)
    error: float = 0
    """By how many steps a decoded value may differ from the source's, of 256 for 8 bits and 4096 for 12."""


def dcmtk(program: str, *options: str) -> Callable[[Path, Path], object]:
    """An encoder of dcmtk's."""
    return lambda plain, coded: run(tool(program), *options, plain, coded)


def python(syntax: UID, **options: Any) -> Callable[[Path, Path], object]:
    """An encoder of pydicom's or of its plugins."""

    def encode(plain: Path, coded: Path) -> None:
        dataset = dcmread(plain)
        dataset.compress(syntax, generate_instance_uid=False, **options)
        dataset.save_as(coded)

    return encode


_NO_LUMINANCE = [n for n in SAMPLES if n != "luminance"]
"""dcmcjpeg and the encoder of JPEG 2000 turn colours as they see fit: not what YBR_FULL says."""
_UNSIGNED = [n for n, s in SAMPLES.items() if not s.signed and n != "palette"]
"""Near-lossless: dcmtk codes no signed values so, and an index into a palette is not near another."""
ENCODINGS = {
    "implicit": Encoding(ImplicitVRLittleEndian, dcmtk("dcmconv", "+ti")),
    "explicit": Encoding(ExplicitVRLittleEndian, dcmtk("dcmconv", "+te")),
    "big endian": Encoding(ExplicitVRBigEndian, dcmtk("dcmconv", "+tb")),
    "deflated": Encoding(DeflatedExplicitVRLittleEndian, dcmtk("dcmconv", "+td")),
    "RLE": Encoding(RLELossless, dcmtk("dcmcrle")),
    "RLE by pydicom": Encoding(RLELossless, python(RLELossless)),
    "JPEG baseline": Encoding(
        JPEGBaseline8Bit, dcmtk("dcmcjpeg", "+eb", "+q", "100", "+un"), [*BYTES, "colour"], 3
    ),
    "JPEG extended": Encoding(
        JPEGExtended12Bit,
        dcmtk("dcmcjpeg", "+ee", "+q", "100", "+un"),
        [*BYTES, "12 bit", "inverted 12 bit"],
        4,
    ),
    **{
        f"JPEG lossless, predictor {n}": Encoding(
            JPEGLossless, dcmtk("dcmcjpeg", "+el", "+tl", "+sv", str(n)), ["8 bit", "16 bit", "signed 12 bit"]
        )
        for n in range(1, 8)
    },
    "JPEG lossless SV1": Encoding(JPEGLosslessSV1, dcmtk("dcmcjpeg", "+e1", "+tl"), _NO_LUMINANCE),
    "JPEG-LS": Encoding(JPEGLSLossless, dcmtk("dcmcjpls", "+el")),
    "JPEG-LS by CharLS": Encoding(JPEGLSLossless, python(JPEGLSLossless), [*GREY, "palette", "colour"]),
    "JPEG-LS near lossless": Encoding(
        JPEGLSNearLossless, dcmtk("dcmcjpls", "+en", "+md", "2", "+un"), _UNSIGNED, 3
    ),
    "JPEG 2000 lossless": Encoding(JPEG2000Lossless, python(JPEG2000Lossless), _NO_LUMINANCE),
    "JPEG 2000": Encoding(JPEG2000, python(JPEG2000, j2k_psnr=[100]), GREY, 4),
}

HT_ROWS, HT_COLUMNS = 25, 19
_HT_LOSSLESS = base64.b64decode(
    b"/0//UQApQAAAAAATAAAAGQAAAAAAAAAAAAAAEwAAABkAAAAAAAAAAAABCwEB/1AACAACAAAAB/9SAAwAAgABAAIEBEAB/1wACiBweHh4"
    b"cHB4/2QAFgABT3BlbkpQSCBWZXIgMC45LjAu/5AACgAAAAABaQAB/5PAAXoAOHBddhMT2+KOBGVpL/o5Bcg0stNGaSC1NSgbImDq1q7V"
    b"VuMOsZEqpDHsCyqRO+r9ADBe2btGnnkYSheMgGGwAcAAutgAFvQACcBOx7YZC7+vz3FsW0EhJKTvz3Fsm4Hh46Ovz7EVQv7+DBe3f/wH"
    b"/4DjB9khngDoyNXVlRnMQgYZZNJ5zDPPAuYAp72e/1rL5voWvAACBKlYJ8YAwAF6hAAXpUAAtYAkpTioQpt5iUpxVyXb7BcpxV2VbJOW"
    b"pBQHVXLdXqJS3FXJdvlJSnFXNbvlp+Jq7SQvZp7Zf+SHBX/yQ4J/+SHqL/8kOC//JDguh9Kk/WGxAgAAEADBsA2DMGzCAEpRkiRKkihK"
    b"ZKUoUiJFUiRVJUmUJFEUBYNhGIZhGIZhu7ru7P1+vX6y/X69frL9fr1+svQ1IGgYZMJKFr8BIlARBECw0p2wVFc+qVOp9Xo7YFqCAf/Z"
)
_HT_LOSSY = base64.b64decode(
    b"/0//UQApQAAAAAATAAAAGQAAAAAAAAAAAAAAEwAAABkAAAAAAAAAAAABCwEB/1AACAACAAAAJv9SAAwAAgABAAIEBEAA/1wAESJ/hnAD"
    b"cANwRnfSd9J3Yf9kABYAAU9wZW5KUEggVmVyIDAuOS4wLv+QAAoAAAAAAPUAAf+TwAC9IHZD17XyOBMlaG9LSGiCFBtjBv9V0cJa1QA0"
    b"cqqzEcglEABSB9jhap8Ge/A2euVUheKPuRnHp2qDAQF7ZuyNPPRLnC8pgFGwAcABdPAAXSQAEYAoGxAsrLxcsgEAsLDKzyVbQAALq7xc"
    b"FMBKDBe3f/wHf8Bxg/lZngAgBogBYoAYIgYASJLEkDAgDAlDwpD8CGYhAAx3DQgvAADQvgD8AwDAAWtAAXQQAEgkESQhCUlIIhbv8AFz"
    b"fr9fr9fgC30AtrXWWmuthSGEEEII4R/sAPYAAe/YAAeywDRJrRJqMwH/cAQA/9k="
)
"""``waves(12, HT_ROWS, HT_COLUMNS)`` as ``ojph_compress`` of OpenJPH 0.9 wrote it: RPCL progression, two decompositions;
``-reversible true``, and ``false`` with its own step. No package of the node's encodes HTJ2K."""
HT = {HTJ2KLossless: (_HT_LOSSLESS, 0), HTJ2KLosslessRPCL: (_HT_LOSSLESS, 0), HTJ2K: (_HT_LOSSY, 1)}
"""By transfer syntax: the codestream, and by how many steps of 4096 it differs."""


def high_throughput(syntax: UID) -> tuple[Dataset, NDArray[np.float64], int]:
    """A radiograph in High-Throughput JPEG 2000, what it shows, and by how much that may differ."""
    codestream, error = HT[syntax]
    dataset = radiograph(Rows=HT_ROWS, Columns=HT_COLUMNS)
    dataset.file_meta.TransferSyntaxUID = syntax
    enclose(dataset, [codestream])
    return dataset, waves(12, HT_ROWS, HT_COLUMNS).astype(np.float64), error


def enclose(dataset: Dataset, frames: list[bytes], **how: Any) -> None:
    """Put codestreams in as compressed pixel data; `how` as pydicom's ``encapsulate`` takes it."""
    dataset.PixelData = encapsulate(frames, **how)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True


def _extended(dataset: Dataset, frame: bytes) -> None:
    packed, offsets, lengths = encapsulate_extended([frame])
    enclose(dataset, [frame])
    dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = (
        packed,
        offsets,
        lengths,
    )


def _changed(change: Callable[[bytes], bytes]) -> Callable[[Dataset, bytes], None]:
    def pack(dataset: Dataset, frame: bytes) -> None:
        enclose(dataset, [frame], has_bot=True)
        dataset.PixelData = change(dataset.PixelData)

    return pack


PACKINGS: dict[str, Callable[[Dataset, bytes], None]] = {
    "empty table": lambda ds, frame: enclose(ds, [frame], has_bot=False),
    "table": lambda ds, frame: enclose(ds, [frame], has_bot=True),
    "three": lambda ds, frame: enclose(ds, [frame], fragments_per_frame=3, has_bot=True),
    "padded": lambda ds, frame: enclose(ds, [frame + bytes(6)]),
    "extended table": _extended,
    # the one offset (bytes 8 to 12) is not 0, and beyond all data
    "wrong table": _changed(lambda packed: packed[:8] + b"\x10\0\0\0" + packed[12:]),
    "table beyond the data": _changed(lambda packed: packed[:8] + b"\0\0\0\x7f" + packed[12:]),
    "empty fragment": _changed(lambda packed: packed + b"\xfe\xff\0\xe0\0\0\0\0"),
}
"""How a frame can lie in compressed pixel data (PS3.5 A.4), as the standard has it and as devices do."""
