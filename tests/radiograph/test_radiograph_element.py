"""Pixel Data that are not laid out as their transfer syntax says: read as what they are, and told."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from coded import CODED, DELIMITER, EXACT, ITEM, PLAIN, codestream, described, fragments, raw, scene, segments
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from radiograph_files import image, write

from xrv_node.errors import ImageError
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.read import read

PIXELS = scene(12)
NATIVE = PIXELS.astype("<u2").tobytes()
ENDS = {
    "none": b"",
    "zeros in its place": bytes(8),
    "more zeros": bytes(100),
    "cut short": DELIMITER[:5],
    "the next element": struct.pack("<HH2s2xL", 0xFFFC, 0xFFFC, b"OB", 4) + bytes(4),
}


def coded(syntax: str) -> bytes:
    return segments(PIXELS) if syntax == RLELossless else codestream(PIXELS, 16, syntax)


def keys(radiograph: Radiograph) -> list[str]:
    return [caution.key for caution in radiograph.cautions]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("syntax", CODED)
@pytest.mark.parametrize("parts", [1, 3])
def test_without_its_delimiter(end: str, syntax: str, parts: int, tmp_path: Path) -> None:
    data = coded(syntax)
    step = len(data) // parts // 2 * 2
    pieces = [data[n * step : (n + 1) * step if n + 1 < parts else None] for n in range(parts)]
    path = raw(described(12), fragments(*pieces, end=ENDS[end]), tmp_path / "image.dcm", syntax)
    radiograph = read(path)
    assert np.array_equal(radiograph.pixels, PIXELS)
    assert keys(radiograph) == ["delimiter-missing"]
    assert radiograph.header is not None
    assert "PixelData" not in radiograph.header


@pytest.mark.parametrize("syntax", CODED)
def test_what_is_cut_off_is_refused(syntax: str, tmp_path: Path) -> None:
    data = fragments(coded(syntax), end=b"")
    for keep in (0.3, 0.9, 0.99):
        with pytest.raises(ImageError, match=r"truncated|cannot be decoded"):
            read(raw(described(12), data[: int(len(data) * keep)], tmp_path / "image.dcm", syntax))


@pytest.mark.parametrize("syntax", CODED)
@pytest.mark.parametrize("table", [None, struct.pack("<L", 0), struct.pack("<2L", 0, 77), bytes(8)])
def test_offset_tables_that_are_missing_or_wrong(syntax: str, table: bytes | None, tmp_path: Path) -> None:
    data = coded(syntax)
    for pieces in ([data], [data[:300], data[300:]], [data[:300], data[300:600], data[600:]]):
        if table is not None and len(table) > 4 * len(pieces):
            continue  # more offsets than fragments: nothing tells them from pixels
        path = raw(described(12), fragments(*pieces, table=table), tmp_path / "image.dcm", syntax)
        assert np.array_equal(read(path).pixels, PIXELS)


@pytest.mark.parametrize("syntax", [*PLAIN, *CODED, JPEGBaseline8Bit])
@pytest.mark.parametrize("form", ["one", "items", "no table", "pieces", "items in a length", "no items"])
@pytest.mark.parametrize("end", [DELIMITER, b""])
def test_native_pixels_in_any_form(syntax: str, form: str, end: bytes, tmp_path: Path) -> None:
    value = {
        "one": NATIVE,
        "no items": NATIVE + end,
        "items": fragments(NATIVE, end=end),
        "no table": fragments(NATIVE, table=None, end=end),
        "pieces": fragments(NATIVE[:3000], NATIVE[3000:], end=end),
        "items in a length": fragments(NATIVE, end=end),
    }[form]
    undefined = form not in ("one", "items in a length")
    path = raw(described(12), value, tmp_path / "image.dcm", syntax, undefined=undefined, vr=b"OW")
    radiograph = read(path)
    assert np.array_equal(radiograph.pixels, PIXELS)
    told = keys(radiograph)
    assert ("pixels-not-as-syntax" in told) == (syntax not in PLAIN or form not in ("one", "no items"))


@pytest.mark.parametrize("syntax", [*PLAIN, *CODED, JPEGBaseline8Bit])
@pytest.mark.parametrize("found", CODED)
@pytest.mark.parametrize("form", ["items", "pieces", "items in a length", "bare", "bare without a length"])
def test_a_codestream_in_any_form(syntax: str, found: str, form: str, tmp_path: Path) -> None:
    data = coded(found)
    data += bytes(len(data) % 2)
    value = {
        "items": fragments(data),
        "pieces": fragments(data[:500], data[500:1000], data[1000:]),
        "items in a length": fragments(data),
        "bare": data,
        "bare without a length": data + DELIMITER,
    }[form]
    undefined = form not in ("bare", "items in a length")
    path = raw(described(12), value, tmp_path / "image.dcm", syntax, undefined=undefined)
    radiograph = read(path)
    assert np.array_equal(radiograph.pixels, PIXELS)
    same_family = syntax == found or {syntax, found} <= {JPEG2000Lossless, "1.2.840.10008.1.2.4.201"}
    as_said = same_family and form not in ("bare", "bare without a length")
    assert ("pixels-not-as-syntax" in keys(radiograph)) == (not as_said)


def test_the_caution_names_both(tmp_path: Path) -> None:
    path = raw(
        described(12), fragments(coded(JPEGLosslessSV1)), tmp_path / "image.dcm", ExplicitVRLittleEndian
    )
    (caution,) = read(path).cautions
    assert str(caution) == (
        "The transfer syntax is Explicit VR Little Endian, the pixel data are compressed (JPEG Lossless) and "
        "lie in fragments: they were read as what they are."
    )


def test_a_native_image_that_begins_like_a_codestream_is_native(tmp_path: Path) -> None:
    for start in (b"\xff\xd8\xff\xc3", b"\xff\x4f\xff\x51", ITEM + struct.pack("<L", 8)):
        pixels = PIXELS.copy()
        pixels.ravel()[: len(start) // 2] = np.frombuffer(start, "<u2")
        radiograph = read(write(image(pixels), tmp_path / "image.dcm"))
        assert np.array_equal(radiograph.pixels, pixels)
        assert radiograph.cautions == ()


@pytest.mark.parametrize("vr", [b"OX", b"ox", b"  ", b"??", b"\0\0", b"UN", b"OW", b"OB"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGLSLossless])
def test_any_vr_of_the_pixels(vr: bytes, syntax: str, tmp_path: Path) -> None:
    native = syntax == ExplicitVRLittleEndian
    value = NATIVE if native else fragments(coded(syntax))
    path = raw(described(12), value, tmp_path / "image.dcm", syntax, undefined=not native, vr=vr)
    assert np.array_equal(read(path).pixels, PIXELS)


def test_deflated_and_big_endian(tmp_path: Path) -> None:
    for syntax in (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian):
        pixels = PIXELS.byteswap() if syntax == ExplicitVRBigEndian else PIXELS
        assert np.array_equal(read(write(image(pixels, 12), tmp_path / "image.dcm", syntax)).pixels, PIXELS)


@pytest.mark.parametrize(
    ("value", "undefined", "sentence"),
    [
        (b"", True, "no pixel data"),
        (b"", False, "no pixel data"),
        (DELIMITER, True, "no pixel data"),
        (fragments(b"", end=b""), True, "no pixel data"),
        (fragments(NATIVE[:100]), True, "truncated: 100 of 8192"),
        (NATIVE[:5000], False, "truncated: 5000 of 8192"),
        (ITEM + b"\xff\xff\xff\xff" + NATIVE, True, "fragments of the compressed pixel data are damaged"),
    ],
)
def test_true_reasons(value: bytes, undefined: bool, sentence: str, tmp_path: Path) -> None:
    path = raw(described(12), value, tmp_path / "image.dcm", ImplicitVRLittleEndian, undefined=undefined)
    with pytest.raises(ImageError, match=sentence):
        read(path)


@pytest.mark.parametrize(
    ("said", "inverted", "told"),
    [
        ("MONOCHROME", False, True),
        ("monochrome1", True, False),
        ("Monochrome2", False, False),
        ("MONOCHROME 1", True, False),
        ("MONOCHROME_1", True, False),
        ("MONOCHROME2\0", False, False),
    ],
)
def test_spellings_of_the_photometric_interpretation(
    said: str, inverted: bool, told: bool, tmp_path: Path
) -> None:
    radiograph = read(write(image(PIXELS, 12, PhotometricInterpretation=said), tmp_path / "image.dcm"))
    assert np.array_equal(radiograph.pixels, 4095 - PIXELS if inverted else PIXELS)
    assert keys(radiograph) == (["photometric-assumed"] if told else [])


def test_what_is_damaged_is_named_by_what_it_is(tmp_path: Path) -> None:
    data = bytearray(coded(JPEGLSLossless))
    data[60:] = bytes(len(data) - 62) + b"\xff\xd9"
    path = raw(described(12), fragments(bytes(data)), tmp_path / "image.dcm", ExplicitVRLittleEndian)
    with pytest.raises(ImageError, match="cannot be decoded as JPEG-LS"):
        read(path)


def test_every_lossless_process_is_tried() -> None:
    assert set(EXACT) < set(CODED)
