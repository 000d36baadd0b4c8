"""Transfer syntaxes, encoded by dcmtk and by pydicom's encoders, decoded by the reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)
from radiograph_files import image, ramp, run, tool, write

from xrv_node.errors import ImageError
from xrv_node.radiograph.header import read_header
from xrv_node.radiograph.read import read

# dcmtk's encoders, and by how many steps a decoded value may differ; 12 bits unless they take 8 only
ENCODERS = {
    "RLE": ("dcmcrle", (), 12, 0),
    "JPEG lossless SV1": ("dcmcjpeg", ("+e1", "+tl"), 12, 0),
    "JPEG lossless": ("dcmcjpeg", ("+el", "+tl"), 12, 0),
    "JPEG-LS": ("dcmcjpls", ("+el",), 12, 0),
    "JPEG-LS near lossless": ("dcmcjpls", ("+en", "+md", "2"), 12, 2),
    "JPEG baseline": ("dcmcjpeg", ("+eb", "+q", "100"), 8, 2),
    "JPEG extended 12 bit": ("dcmcjpeg", ("+ee", "+q", "100"), 12, 4),
    "deflated": ("dcmconv", ("+td",), 12, 0),
    "big endian": ("dcmconv", ("+tb",), 12, 0),
    "implicit": ("dcmconv", ("+ti",), 12, 0),
}


def smooth(bits: int) -> np.ndarray:
    rows, columns = np.mgrid[0:48, 0:40]
    waves = 0.5 + 0.25 * np.sin(rows / 9) + 0.25 * np.cos(columns / 7)
    return (waves * ((1 << bits) - 1)).round().astype(np.uint8 if bits <= 8 else np.uint16)


@pytest.mark.parametrize("name", ENCODERS)
def test_decodes_what_dcmtk_encodes(name: str, tmp_path: Path) -> None:
    program, options, bits, tolerance = ENCODERS[name]
    pixels = smooth(bits)
    plain = write(image(pixels, bits), tmp_path / "plain.dcm")
    run(tool(program), *options, plain, tmp_path / "coded.dcm")
    radiograph = read(tmp_path / "coded.dcm")
    assert radiograph.header is not None
    assert radiograph.header.file_meta.TransferSyntaxUID != read_header(plain).file_meta.TransferSyntaxUID
    assert np.abs(radiograph.pixels.astype(int) - pixels).max() <= tolerance
    assert (radiograph.low, radiograph.high) == (0, (1 << bits) - 1)


@pytest.mark.parametrize("program", ["dcmcrle", "dcmcjpeg", "dcmcjpls"])
def test_signed_pixels_survive_compression(program: str, tmp_path: Path) -> None:
    pixels = smooth(12).astype(np.int16) - 2048
    plain = write(image(pixels, 12), tmp_path / "plain.dcm")
    run(tool(program), plain, tmp_path / "coded.dcm")
    assert np.array_equal(read(tmp_path / "coded.dcm").pixels, pixels)


@pytest.mark.parametrize("signed", [False, True])
def test_jpeg_2000_at_odd_depths(signed: bool, tmp_path: Path) -> None:
    for bits in (8, 10, 12, 16):
        pixels = ramp(16, signed=signed) >> (16 - bits)
        dataset = image(pixels, bits)
        dataset.compress(JPEG2000Lossless, pixels, generate_instance_uid=False)
        path = write(dataset, tmp_path / f"{bits}.dcm", JPEG2000Lossless)
        assert np.array_equal(read(path).pixels.astype(int), pixels), bits


def test_lossy_overshoot_is_clipped_not_wrapped(tmp_path: Path) -> None:
    """A sharp edge at full white rings above the range after lossy coding; a mask would turn it black."""
    pixels = np.zeros((64, 64), np.uint16)
    pixels[::7, 20:44] = 1023
    plain = write(image(pixels, 10), tmp_path / "plain.dcm")
    run(tool("dcmcjpeg"), "+ee", "+q", "30", plain, tmp_path / "coded.dcm")
    white = read(tmp_path / "coded.dcm").pixels[pixels == 1023]
    assert white.min() > 500


@pytest.mark.parametrize("colour", ["rgb", "baseline"])
def test_compressed_colour(colour: str, tmp_path: Path) -> None:
    grey = smooth(8)
    rgb = np.stack([grey, np.flip(grey), grey.T.copy().reshape(grey.shape)], axis=-1)
    plain = write(image(rgb), tmp_path / "plain.dcm")
    if colour == "rgb":
        run(tool("dcmcrle"), plain, tmp_path / "coded.dcm")
        tolerance = 1e-3
    else:
        run(tool("dcmcjpeg"), "+eb", "+q", "100", "+s4", plain, tmp_path / "coded.dcm")
        tolerance = 4.0
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read(tmp_path / "coded.dcm").pixels - luma).max() < tolerance


def test_bare_data_sets_without_meta_information(tmp_path: Path) -> None:
    pixels = ramp(12)
    for name, implicit, little in (
        ("implicit", True, True),
        ("explicit", False, True),
        ("big", False, False),
    ):
        dataset = image(pixels if little else pixels.byteswap(), 12)
        path = tmp_path / f"{name}.dcm"
        dataset.save_as(path, implicit_vr=implicit, little_endian=little)
        assert path.read_bytes()[128:132] != b"DICM"
        assert np.array_equal(read(path).pixels, pixels), name


def test_big_endian_bytes_in_words(tmp_path: Path) -> None:
    pixels = ramp(8)
    dataset = image(pixels)
    dataset["PixelData"].VR = "OW"
    dataset.PixelData = pixels.view(np.uint16).byteswap().tobytes()
    assert np.array_equal(read(write(dataset, tmp_path / "image.dcm", ExplicitVRBigEndian)).pixels, pixels)


@pytest.mark.parametrize("bits", [17, 24, 32])
def test_deeper_than_sixteen_bits(bits: int, tmp_path: Path) -> None:
    pixels = np.linspace(0, (1 << bits) - 1, 64).astype(np.uint32).reshape(8, 8)
    dataset = image(pixels, bits, PhotometricInterpretation="MONOCHROME1")
    radiograph = read(write(dataset, tmp_path / "image.dcm", ImplicitVRLittleEndian))
    shown = radiograph.pixels / radiograph.high
    assert np.allclose(shown, 1 - pixels / ((1 << bits) - 1), atol=1e-6)


def test_one_bit(tmp_path: Path) -> None:
    bits = np.random.default_rng(0).integers(0, 2, (16, 16), np.uint8)
    dataset = image(bits, BitsAllocated=1, BitsStored=1, HighBit=0)
    dataset.PixelData = np.packbits(bits, bitorder="little").tobytes()
    radiograph = read(write(dataset, tmp_path / "image.dcm"))
    assert np.array_equal(radiograph.pixels, bits)
    assert radiograph.high == 1


def test_a_codestream_larger_than_its_header_is_not_decoded(tmp_path: Path) -> None:
    """The header says 32 x 32, the JPEG 4096 x 4096: a decoder would believe the JPEG."""
    big = np.zeros((4096, 4096), np.uint8)
    big[::64] = 200
    plain = write(image(big), tmp_path / "plain.dcm")
    run(tool("dcmcjpeg"), "+e1", plain, tmp_path / "coded.dcm")
    dataset = dcmread(tmp_path / "coded.dcm")
    dataset.Rows = dataset.Columns = 32
    dataset.save_as(tmp_path / "lie.dcm")
    with pytest.raises(ImageError, match="4096 x 4096"):
        read(tmp_path / "lie.dcm")


def test_rle_that_makes_its_decoder_panic(tmp_path: Path) -> None:
    pixels = ramp(12)
    header = (2).to_bytes(4, "little") + (64).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(52)
    endless = bytes([129, 7]) * 400
    dataset = image(pixels, 12)
    dataset.PixelData = encapsulate([header + endless])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(ImageError, match="RLE"):
        read(write(dataset, tmp_path / "image.dcm", RLELossless))


def test_deflated_header_is_reached_without_inflating_the_pixels(tmp_path: Path) -> None:
    pixels = np.zeros((3000, 4000), np.uint16)  # 24 MB, 24 kB deflated
    pixels[1500, 2000] = 99
    dataset = image(pixels, 12)
    path = write(dataset, tmp_path / "image.dcm", DeflatedExplicitVRLittleEndian)
    assert path.stat().st_size < 100_000
    header = read_header(path)
    assert (header.Rows, header.Columns, "PixelData" in header) == (3000, 4000, False)
    assert read(path).pixels.shape == (3000, 4000)
