"""Whatever the bytes are, the reader answers with an image or with one clear sentence."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)
from radiograph_files import image, ramp, write

from xrv_node.errors import ImageError
from xrv_node.radiograph import header as header_module
from xrv_node.radiograph.codestream import claim
from xrv_node.radiograph.header import read_header
from xrv_node.radiograph.read import read


def refusal(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        read(path)
    message = str(caught.value)
    assert message.endswith(".")
    assert "SYNTHETIC" not in message
    return message


def outcome(reader: Callable[[Path], Any], path: Path) -> Any:
    """What the reader returns; None where it refuses the file as it should: with one sentence and no name."""
    try:
        return reader(path)
    except ImageError as error:
        message = str(error)
    assert message.endswith(".")
    assert "SYNTHETIC" not in message
    return None


def compressed(frame: bytes, syntax: str, path: Path, **attributes: object) -> Path:
    dataset = image(ramp(8), **attributes)
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return write(dataset, path, syntax)


@pytest.mark.parametrize("value", [0, 700])
def test_an_image_of_one_value_shows_nothing(value: int, tmp_path: Path) -> None:
    pixels = np.full((300, 200), value, np.uint16)
    with pytest.raises(ImageError, match="shows nothing"):
        read(write(image(pixels, 12), tmp_path / "blank.dcm"))
    pixels[151, 101] += 9  # none of the pixels that a coarse look sees
    assert read(write(image(pixels, 12), tmp_path / "dot.dcm")).pixels.shape == (300, 200)


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"Rows": 0}, "The image has no pixels: 0 rows and 16 columns."),
        ({"Columns": 0}, "The image has no pixels"),
        ({"Rows": None}, "The image has no pixels"),
        ({"Rows": 65535, "Columns": 65535}, "The image is too large: 65535 x 65535"),
        ({"Rows": 17}, "The pixel data are truncated: 256 of 272 bytes are there."),
        ({"PixelData": None}, "The object has no pixel data"),
        ({"NumberOfFrames": 2}, "The image has 2 frames; a radiograph has one."),
        ({"SamplesPerPixel": 3}, "Photometric Interpretation 'MONOCHROME2' with 3 samples a pixel"),
        ({"PhotometricInterpretation": "CMYK"}, "Photometric Interpretation 'CMYK'"),
        ({"PhotometricInterpretation": "NAME^ANNA"}, "Photometric Interpretation '?' with 1 samples"),
        ({"BitsAllocated": 12}, "Bits Allocated 12 with Bits Stored 8 is not supported."),
        ({"BitsAllocated": 64, "BitsStored": 64}, "Bits Allocated 64"),
        ({"BitsStored": 9}, "Bits Allocated 8 with Bits Stored 9 is not supported."),
        ({"BitsAllocated": None}, "Bits Allocated 0"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "The colour palette is missing or damaged."),
    ],
)
def test_names_what_is_wrong(tmp_path: Path, attributes: dict[str, object], sentence: str) -> None:
    assert sentence in refusal(write(image(ramp(8), **attributes), tmp_path / "image.dcm"))


def test_names_the_transfer_syntax(tmp_path: Path) -> None:
    frame = b"\x00" * 64
    unknown = compressed(frame, "1.2.840.113619.5.2", tmp_path / "unknown.dcm")
    assert "'1.2.840.113619.5.2'" in refusal(unknown)
    video = compressed(frame, "1.2.840.10008.1.2.4.102", tmp_path / "video.dcm")
    assert "MPEG-4" in refusal(video)
    assert "not JPEG Baseline" in refusal(compressed(frame, JPEGBaseline8Bit, tmp_path / "jpeg.dcm"))
    rle = compressed(b"\x01\x00\x00\x00\x40\x00\x00\x00" + bytes(60), RLELossless, tmp_path / "rle.dcm")
    assert "cannot be decoded as RLE Lossless" in refusal(rle)


def test_what_is_not_there_and_what_is_no_image(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "missing.dcm")
    assert "cannot be read" in refusal(tmp_path)
    for name, data in {
        "empty": b"",
        "text": b"Dear colleague, please find enclosed the images.\n" * 20,
        "html": b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>" * 5,
        "zeros": bytes(4096),
        "ones": b"\xff" * 4096,
        "gif": b"GIF89a" + bytes(300),
        "tiff": b"II*\x00" + bytes(300),
        "prefix only": bytes(128) + b"DICM",
    }.items():
        (tmp_path / "file").write_bytes(data)
        assert refusal(tmp_path / "file"), name


def test_truncated_codestreams(tmp_path: Path) -> None:
    pixels = ramp(8)
    for suffix in (".jpg", ".jp2"):
        _, encoded = cv2.imencode(suffix, np.kron(pixels, np.ones((8, 8), np.uint8)))
        frame = encoded.tobytes()
        syntax = JPEGBaseline8Bit if suffix == ".jpg" else "1.2.840.10008.1.2.4.91"
        size = {"Rows": 128, "Columns": 128}
        assert read(compressed(frame, syntax, tmp_path / "whole.dcm", **size)).rows == 128
        broken = compressed(frame[: len(frame) * 2 // 3], syntax, tmp_path / "broken.dcm", **size)
        assert "truncated" in refusal(broken)


def test_a_jp2_file_in_place_of_its_codestream(tmp_path: Path) -> None:
    """Some devices write one. A box of length 0 in it sends pydicom's reader of boxes round and round."""
    pixels = np.kron(ramp(8), np.ones((4, 4), np.uint8))
    options = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]
    frame = bytearray(cv2.imencode(".jp2", pixels, options)[1].tobytes())
    assert frame.startswith(b"\x00\x00\x00\x0cjP  ")
    for length in (frame[12:16], bytes(4)):
        frame[12:16] = length
        path = compressed(bytes(frame), "1.2.840.10008.1.2.4.90", tmp_path / "image.dcm", Rows=64, Columns=64)
        assert np.array_equal(read(path).pixels, pixels)


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.99])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_truncated_pictures(tmp_path: Path, suffix: str, keep: float) -> None:
    path = tmp_path / f"image{suffix}"
    cv2.imwrite(str(path), np.kron(ramp(8), np.ones((8, 8), np.uint8)))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    assert "damaged" in refusal(path)


def test_pictures_that_claim_too_much(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    path = tmp_path / "bomb.png"
    size = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(100_000)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + size + pixels + chunk(b"IEND", b""))
    assert "too large" in refusal(path)
    _, encoded = cv2.imencode(".jpg", ramp(8))
    data = bytearray(encoded.tobytes())
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert "too large" in refusal(path)


def test_deflate_bombs_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_module, "MAX_INFLATED_HEADER", 1 << 20)
    monkeypatch.setattr(header_module, "MAX_INFLATED_OBJECT", 4 << 20)
    dataset = image(ramp(8), ImageComments="x")
    dataset.add_new(0x00290010, "LO", "TEST")
    dataset.add_new(0x00291001, "OB", bytes(8 << 20))
    path = write(dataset, tmp_path / "bomb.dcm", DeflatedExplicitVRLittleEndian)
    assert path.stat().st_size < 20_000
    assert "inflates to more than 4 MiB" in refusal(path)
    with pytest.raises(ImageError, match="inflates to more than 1 MiB"):
        read_header(path)


def test_files_beyond_the_limit_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(image(ramp(8)), tmp_path / "image.dcm")
    monkeypatch.setattr(header_module, "MAX_FILE_BYTES", 1 << 8)
    assert "larger than" in refusal(path)


def test_a_deeply_nested_header_is_refused(tmp_path: Path) -> None:
    """Sequences in sequences, a few bytes each: the parser recurses."""
    depth = 5000
    item = struct.pack("<HH2s2xI", 0x0040, 0xA730, b"SQ", 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    path = write(image(ramp(8)), tmp_path / "image.dcm")
    path.write_bytes(path.read_bytes() + item * depth)
    for reader in (read, read_header):
        outcome(reader, path)


@cache
def originals() -> dict[str, bytes]:
    """Small whole files of every kind that the reader knows."""
    pixels = np.kron(ramp(8), np.ones((4, 4), np.uint8))
    files = {}
    for name, dataset, syntax in (
        ("explicit", image(ramp(12), 12, WindowCenter="2000", WindowWidth="3000"), ExplicitVRLittleEndian),
        ("implicit", image(pixels, PixelPaddingValue=0), ImplicitVRLittleEndian),
        ("deflated", image(pixels), DeflatedExplicitVRLittleEndian),
    ):
        files[name] = written(dataset, syntax)
    for name, suffix, syntax in (
        ("jpeg", ".jpg", JPEGBaseline8Bit),
        ("jpeg 2000", ".jp2", "1.2.840.10008.1.2.4.90"),
    ):
        dataset = image(pixels)
        dataset.PixelData = encapsulate([cv2.imencode(suffix, pixels)[1].tobytes()])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        files[name] = written(dataset, syntax)
    for suffix in (".png", ".jpg"):
        files[suffix] = cv2.imencode(suffix, pixels)[1].tobytes()
    bare = image(pixels)
    buffer = io.BytesIO()
    bare.save_as(buffer, implicit_vr=True, little_endian=True)
    files["bare"] = buffer.getvalue()
    return files


def written(dataset: object, syntax: str) -> bytes:
    buffer = io.BytesIO()
    write(dataset, buffer, syntax)
    return buffer.getvalue()


DAMAGE = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255))


@settings(
    max_examples=600,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    st.sampled_from(["explicit", "implicit", "deflated", "jpeg", "jpeg 2000", ".png", ".jpg", "bare"]),
    st.lists(DAMAGE, max_size=12),
    st.one_of(st.none(), st.floats(0, 1)),
)
def test_damaged_bytes_raise_nothing_else(
    tmp_path: Path, name: str, flips: list[tuple[float, int]], keep: float | None
) -> None:
    data = bytearray(originals()[name])
    for where, value in flips:
        data[int(where * len(data))] = value
    path = tmp_path / "damaged"
    path.write_bytes(data if keep is None else data[: int(keep * len(data))])
    radiograph = outcome(read, path)
    if radiograph is not None:
        assert radiograph.pixels.ndim == 2
        assert np.isfinite(radiograph.pixels).all()
        assert radiograph.low < radiograph.high
    outcome(read_header, path)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.sampled_from([b"\xff\xd8", b"\xff\x4f\xff\x51", b"\x89PNG\r\n\x1a\n", b"\x00\x00\x00\x0cjP  ", b""]),
    st.binary(),
)
def test_any_bytes_have_a_claim_or_none(start: bytes, rest: bytes) -> None:
    found = claim(start + rest)
    assert found is None or found.precision >= 0
