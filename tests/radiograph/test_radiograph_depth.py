"""What a codestream says of its samples, and a header otherwise: the right numbers, or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from coded import EXACT, codestream, described, fragments, lossless_jpeg, narrow, raw, scene, segments
from pydicom.uid import (
    JPEG2000,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from radiograph_files import image, write

from xrv_node.errors import ImageError
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.read import read


def shown(radiograph: Radiograph) -> np.ndarray:
    """From 0, black, to 1, white."""
    return (radiograph.pixels.astype(float) - radiograph.low) / (radiograph.high - radiograph.low)


def keys(radiograph: Radiograph) -> list[str]:
    return [caution.key for caution in radiograph.cautions]


SIGNED = [(predictor, True) for predictor in range(1, 5)]


@pytest.mark.parametrize(("predictor", "signed"), [(number, False) for number in range(1, 8)] + SIGNED)
@pytest.mark.parametrize("bits", [2, 5, 8, 10, 12, 15, 16])
def test_jpeg_lossless_counts_modulo_65536(bits: int, predictor: int, signed: bool, tmp_path: Path) -> None:
    pixels = scene(bits, side=24)
    coded = lossless_jpeg(pixels, bits, predictor, signed=signed)
    header = described(bits, 8 if bits <= 8 else 16, side=24)
    radiograph = read(raw(header, fragments(coded), tmp_path / "image.dcm", JPEGLossless))
    assert np.array_equal(radiograph.pixels, pixels)
    assert (radiograph.low, radiograph.high, radiograph.cautions) == (0, (1 << bits) - 1, ())


@pytest.mark.parametrize("predictor", [5, 6, 7])
@pytest.mark.parametrize("bits", [5, 8, 12])
def test_differences_over_the_range_that_are_halved_are_refused(
    bits: int, predictor: int, tmp_path: Path
) -> None:
    """dcmtk, GDCM and others scramble these images, each in its way."""
    coded = lossless_jpeg(scene(bits), bits, predictor, signed=True)
    path = raw(described(bits), fragments(coded), tmp_path / "image.dcm", JPEGLossless)
    with pytest.raises(ImageError, match="cannot be decoded"):
        read(path)


@pytest.mark.parametrize("syntax", EXACT)
@pytest.mark.parametrize("high_bit", [12, 13, 15])
def test_a_high_bit_above_in_a_codestream_of_the_whole_cell(
    syntax: str, high_bit: int, tmp_path: Path
) -> None:
    pixels = scene(12)
    cells = (pixels << (high_bit - 11)) | 1
    header = described(12, HighBit=high_bit)
    coded = codestream(cells, 16, syntax)
    radiograph = read(raw(header, fragments(coded), tmp_path / "coded.dcm", syntax))
    native = read(write(image(cells, 12, HighBit=high_bit), tmp_path / "native.dcm"))
    assert np.array_equal(radiograph.pixels, pixels)
    assert np.array_equal(native.pixels, pixels)
    assert radiograph.cautions == ()


def test_a_high_bit_above_under_a_lossy_syntax(tmp_path: Path) -> None:
    pixels = scene(12)
    coded = fragments(codestream(pixels << 4, 16, JPEG2000Lossless))
    radiograph = read(raw(described(12, HighBit=15), coded, tmp_path / "image.dcm", JPEG2000))
    assert np.array_equal(radiograph.pixels, pixels)


@pytest.mark.parametrize("syntax", EXACT)
def test_a_high_bit_above_in_a_codestream_of_the_samples_alone(syntax: str, tmp_path: Path) -> None:
    pixels = scene(12)
    coded = codestream(pixels, 12, syntax) if syntax != "1.2.840.10008.1.2.4.201" else None
    if coded is None:
        pytest.skip("the encoder of High-Throughput JPEG 2000 knows 8 and 16 bits")
    radiograph = read(raw(described(12, HighBit=15), fragments(coded), tmp_path / "coded.dcm", syntax))
    assert np.array_equal(radiograph.pixels, pixels)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize(
    ("stored", "depth"),
    [(16, 14), (16, 12), (12, 10), (16, 8), (8, 12), (8, 16), (10, 12), (12, 14), (12, 16)],
)
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_the_codestream_s_depth_counts(
    syntax: str, stored: int, depth: int, noise: float, tmp_path: Path
) -> None:
    pixels = scene(depth, noise=noise)
    coded = codestream(pixels, depth, syntax)
    radiograph = read(raw(described(stored), fragments(coded), tmp_path / "image.dcm", syntax))
    assert np.allclose(shown(radiograph), pixels / ((1 << depth) - 1), atol=1e-6)
    assert keys(radiograph) == ["depth-of-codestream"]
    assert f"{stored} bits" in str(radiograph.cautions[0])


def test_of_a_whole_cell_the_values_tell_the_depth(tmp_path: Path) -> None:
    """dcmtk's true lossless encoders code the whole cell: 16 bits for any image of more than 8."""
    pixels = scene(12)
    for stored, expected in ((8, 12), (12, 12)):
        coded = fragments(codestream(pixels, 16, JPEGLosslessSV1))
        radiograph = read(raw(described(stored), coded, tmp_path / "image.dcm", JPEGLosslessSV1))
        assert np.array_equal(radiograph.pixels, pixels)
        assert radiograph.high == (1 << expected) - 1
        assert bool(radiograph.cautions) == (stored != expected)


@pytest.mark.parametrize(("stored", "depth"), [(8, 12), (12, 8)])
def test_depths_of_lossy_jpeg(stored: int, depth: int, tmp_path: Path) -> None:
    pixels = scene(depth)
    coded = fragments(codestream(pixels, depth, JPEGExtended12Bit))
    radiograph = read(raw(described(stored), coded, tmp_path / "image.dcm", JPEGExtended12Bit))
    assert np.abs(shown(radiograph) - pixels / ((1 << depth) - 1)).max() < 0.02
    assert keys(radiograph) == ["depth-of-codestream"]


def test_overshoot_of_lossy_jpeg_is_no_depth(tmp_path: Path) -> None:
    pixels = scene(10)
    coded = fragments(codestream(pixels, 12, JPEGExtended12Bit))
    radiograph = read(raw(described(10), coded, tmp_path / "image.dcm", JPEGExtended12Bit))
    assert (radiograph.high, radiograph.cautions) == (1023, ())
    assert np.abs(shown(radiograph) - pixels / 1023).max() < 0.02


@pytest.mark.parametrize("syntax", EXACT)
@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("drawn", ["text", "border", "line", "half"])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_overlays_in_the_upper_bits_are_no_samples(
    syntax: str, declared: bool, drawn: str, noise: float, tmp_path: Path
) -> None:
    pixels, overlay = scene(12, noise=noise), np.zeros((64, 64), np.uint16)
    where = {
        "text": np.s_[5:12:2, 3:60:3],
        "border": np.s_[::63, :],
        "line": np.s_[30, 4:60],
        "half": np.s_[:, :32],
    }
    overlay[where[drawn]] = 1 << 12
    header = described(12)
    if declared:
        header.add_new(0x60020100, "US", 16)
        header.add_new(0x60020102, "US", 12)
    coded = fragments(codestream(pixels | overlay, 16, syntax))
    radiograph = read(raw(header, coded, tmp_path / "image.dcm", syntax))
    assert np.array_equal(radiograph.pixels, pixels)
    assert (radiograph.high, radiograph.cautions) == (4095, ())


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless])
@pytest.mark.parametrize("coded_bits", [12, 16])
def test_signed_samples(syntax: str, coded_bits: int, tmp_path: Path) -> None:
    """A codestream of the samples has no sign; in one of the whole cell the sign reaches to the top."""
    pixels = scene(12).astype(np.int16) - 2048
    cells = pixels.view(np.uint16) & ((1 << coded_bits) - 1)
    header = described(12, PixelRepresentation=1)
    path = raw(header, fragments(codestream(cells, coded_bits, syntax)), tmp_path / "image.dcm", syntax)
    radiograph = read(path)
    assert np.array_equal(radiograph.pixels, pixels)
    assert (radiograph.low, radiograph.high, radiograph.cautions) == (-2048, 2047, ())


@pytest.mark.parametrize("said", [0, 1])
@pytest.mark.parametrize("signed", [False, True])
def test_the_sign_of_jpeg_2000(said: int, signed: bool, tmp_path: Path) -> None:
    pixels = scene(12)
    stored = pixels.astype(np.int16) - 2048 if signed else pixels
    coded = fragments(codestream(stored, 12, JPEG2000Lossless))
    header = described(12, PixelRepresentation=said)
    radiograph = read(raw(header, coded, tmp_path / "image.dcm", JPEG2000Lossless))
    assert np.array_equal(radiograph.pixels, stored)
    assert keys(radiograph) == ([] if bool(said) == signed else ["sign-of-codestream"])


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1])
@pytest.mark.parametrize("bits", [1, 3, 7, 8])
def test_eight_bits_and_fewer_in_sixteen(syntax: str, bits: int, tmp_path: Path) -> None:
    pixels = scene(bits)
    if syntax in (JPEGBaseline8Bit, JPEGExtended12Bit):
        coded, tolerance = codestream(pixels, 8, JPEGExtended12Bit), 3
    else:
        coded, tolerance = lossless_jpeg(pixels, max(bits, 2)), 0
    radiograph = read(raw(described(bits), fragments(coded), tmp_path / "image.dcm", syntax))
    assert np.abs(radiograph.pixels.astype(int) - pixels).max() <= tolerance
    assert radiograph.high == (1 << bits) - 1


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_rle_by_the_header(bits: int, tmp_path: Path) -> None:
    pixels = narrow(scene(bits), bits)
    for padding in (b"", bytes(2), bytes(6)):
        coded = fragments(segments(pixels) + padding)
        path = raw(image(pixels, bits), coded, tmp_path / "image.dcm", RLELossless)
        assert np.array_equal(read(path).pixels, pixels)


def test_the_native_form_of_the_same(tmp_path: Path) -> None:
    pixels = scene(12)
    radiograph = read(write(image(pixels, 12), tmp_path / "image.dcm", ExplicitVRLittleEndian))
    assert np.array_equal(radiograph.pixels, pixels)
    assert radiograph.cautions == ()
