"""The grey-scale pipeline against dcmtk's, and what dcmtk does not do against the standard's formulas."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from radiograph_files import image, ramp, run, tool, write

from xrv_node.radiograph.read import read


def shown(path: Path) -> NDArray[np.float64]:
    """The image as fractions of its range: 0 is black, 1 is white."""
    radiograph = read(path)
    return (radiograph.pixels.astype(np.float64) - radiograph.low) / (radiograph.high - radiograph.low)


def dcmtk_shows(path: Path, *options: str) -> NDArray[np.float64]:
    """The same as dcmtk renders it, on 16 bits."""
    output = path.with_suffix(".pgm")
    run(tool("dcm2pnm"), "-q", "-O", "+opw", "+Mm", "+Mv", *options, path, output)
    words = [
        word for line in output.read_text().splitlines() if not line.startswith("#") for word in line.split()
    ]
    columns, rows, white = (int(word) for word in words[1:4])
    return np.array(words[4:], dtype=np.float64).reshape(rows, columns) / white


def table(first: int, entries: NDArray[np.integer], bits: int) -> Sequence:
    item = Dataset()
    item.add_new(0x00283002, "SS" if first < 0 else "US", [len(entries), first, bits])
    item.add_new(0x00283006, "OW", entries.astype("<u2").tobytes())
    return Sequence([item])


def curve(count: int, white: int) -> NDArray[np.integer]:
    return (white * np.sin(np.linspace(0.05, np.pi / 2, count))).round().astype(np.int64)


MODALITIES = ("none", "slope 2", "slope -1", "table")
INTERESTS = ("none", "window", "sigmoid", "table")
BITS = 12
# without a VOI transformation dcmtk counts 2^n steps of the range, not 2^n - 1
TOLERANCES = {"none": 1 / 1023, "window": 1e-4, "sigmoid": 1e-4, "table": 1 / 255}


def modality(kind: str, low: int) -> tuple[dict[str, object], tuple[float, float]]:
    """Attributes, and the range of what they turn 12-bit stored values into."""
    high = low + 4095
    return {
        "none": ({}, (low, high)),
        "slope 2": ({"RescaleSlope": "2", "RescaleIntercept": "-100"}, (2 * low - 100, 2 * high - 100)),
        "slope -1": ({"RescaleSlope": "-1", "RescaleIntercept": "4095"}, (4095 - high, 4095 - low)),
        "table": ({"ModalityLUTSequence": table(low, curve(4096, 1023), 10)}, (0, 1023)),
    }[kind]


def interest(kind: str, ends: tuple[float, float]) -> tuple[dict[str, object], tuple[str, ...]]:
    """Attributes for values in that range, and dcmtk's options for the same."""
    low, high = ends
    center, width = str(round((low + high) / 2 + (high - low) / 10)), str(round((high - low) * 0.6))
    window: dict[str, object] = {"WindowCenter": [center, "1"], "WindowWidth": [width, "2"]}
    return {
        "none": ({}, ()),
        "window": (window, ("+Wi", "1")),
        "sigmoid": ({**window, "VOILUTFunction": "SIGMOID"}, ("+Wi", "1")),
        "table": ({"VOILUTSequence": table(int(low) + 20, curve(1000, 255), 8)}, ("+Wl", "1")),
    }[kind]


@pytest.mark.parametrize(
    ("photometric", "signed", "modality_kind", "interest_kind"),
    list(itertools.product(("MONOCHROME1", "MONOCHROME2"), (False, True), MODALITIES, INTERESTS)),
)
def test_shows_what_dcmtk_shows(
    tmp_path: Path, photometric: str, signed: bool, modality_kind: str, interest_kind: str
) -> None:
    pixels = ramp(BITS, signed=signed)
    modality_attributes, ends = modality(modality_kind, int(pixels.min()))
    interest_attributes, options = interest(interest_kind, ends)
    dataset = image(
        pixels, BITS, PhotometricInterpretation=photometric, **modality_attributes, **interest_attributes
    )
    path = write(dataset, tmp_path / "image.dcm")
    ours, theirs = shown(path), dcmtk_shows(path, *options)
    assert np.abs(ours - theirs).max() < TOLERANCES[interest_kind]
    assert ours.std() > 0.1


@pytest.mark.parametrize(
    ("photometric", "shape"),
    [
        ("MONOCHROME1", None),
        ("MONOCHROME1", "INVERSE"),
        ("MONOCHROME2", None),
        ("MONOCHROME2", "IDENTITY"),
        ("MONOCHROME2", "INVERSE"),
    ],
)
def test_polarity_is_dcmtk_s(tmp_path: Path, photometric: str, shape: str | None) -> None:
    attributes = {"PhotometricInterpretation": photometric} | (
        {"PresentationLUTShape": shape} if shape else {}
    )
    path = write(image(ramp(8), **attributes), tmp_path / "image.dcm")
    assert np.abs(shown(path) - dcmtk_shows(path)).max() < 1 / 255


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", range(8, 17))
def test_every_depth_covers_its_range(tmp_path: Path, bits: int, signed: bool) -> None:
    pixels = ramp(16 if bits > 8 else 8, signed=signed) >> ((16 if bits > 8 else 8) - bits)
    path = write(image(pixels, bits), tmp_path / "image.dcm")
    ours = shown(path)
    assert (ours.min(), ours.max()) == (0, 1)
    assert np.abs(ours - dcmtk_shows(path)).max() < 1 / ((1 << bits) - 1)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [10, 12, 15])
def test_overlay_bits_above_the_pixel_are_masked(tmp_path: Path, bits: int, signed: bool) -> None:
    clean = ramp(16, signed=signed) >> (16 - bits)
    stray = clean.copy()
    stray.view(np.uint16)[::3] ^= np.uint16(1 << 15)
    assert not np.array_equal(clean, stray)
    first = shown(write(image(clean, bits), tmp_path / "clean.dcm"))
    path = write(image(stray, bits), tmp_path / "stray.dcm")
    assert np.array_equal(shown(path), first)
    assert np.abs(first - dcmtk_shows(path)).max() < 1 / ((1 << bits) - 1)


@pytest.mark.parametrize("signed", [False, True])
def test_high_bit_says_where_the_value_lies(tmp_path: Path, signed: bool) -> None:
    values = ramp(12, signed=signed)
    low = write(image(values, 12), tmp_path / "low.dcm")
    raised = write(image((values << 4) | 5, 12, HighBit=15), tmp_path / "raised.dcm")
    assert np.array_equal(shown(low), shown(raised))
    assert np.abs(shown(raised) - dcmtk_shows(raised)).max() < 1 / 4095


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("signed", [False, True])
def test_tables_read_the_same_in_every_encoding(tmp_path: Path, syntax: str, signed: bool) -> None:
    pixels = ramp(BITS, signed=signed)
    entries = curve(1000, 1023)
    dataset = image(
        pixels if syntax != ExplicitVRBigEndian else pixels.byteswap(),
        BITS,
        VOILUTSequence=table(int(pixels.min()) + 20, entries, 10),
    )
    if syntax == ExplicitVRBigEndian:
        dataset.VOILUTSequence[0]["LUTData"].value = entries.astype(">u2").tobytes()
    path = write(dataset, tmp_path / "image.dcm", syntax)
    index = np.clip(pixels.astype(np.int64) - (int(pixels.min()) + 20), 0, len(entries) - 1)
    assert np.allclose(shown(path), entries[index] / 1023, atol=1e-6)


def test_table_of_numbers_and_table_of_packed_bytes(tmp_path: Path) -> None:
    pixels, entries = ramp(8), curve(256, 255)
    numbers = table(0, entries, 8)
    del numbers[0].LUTData
    numbers[0].add_new(0x00283006, "US", entries.tolist())
    packed = table(0, entries, 8)
    packed[0].LUTData = entries.astype(np.uint8).tobytes()
    for name, sequence in {"numbers": numbers, "packed": packed}.items():
        path = write(image(pixels, VOILUTSequence=sequence), tmp_path / f"{name}.dcm")
        assert np.allclose(shown(path), entries[pixels] / 255, atol=1e-6), name


def test_table_comes_before_the_window(tmp_path: Path) -> None:
    pixels, entries = ramp(8), curve(256, 255)
    dataset = image(pixels, VOILUTSequence=table(0, entries, 8), WindowCenter="10", WindowWidth="5")
    assert np.allclose(shown(write(dataset, tmp_path / "image.dcm")), entries[pixels] / 255, atol=1e-6)


def test_depth_of_a_table_is_taken_from_its_entries(tmp_path: Path) -> None:
    pixels, entries = ramp(8), curve(256, 1023)
    path = write(image(pixels, VOILUTSequence=table(0, entries, 16)), tmp_path / "image.dcm")
    assert np.allclose(shown(path), entries[pixels] / 1023, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "width", "formula"),
    [
        # PS3.3 C.11.2.1.2.1, C.11.2.1.3.2 and C.11.2.1.3.1, with the standard's own variables
        ("LINEAR", 101.0, lambda x, c, w: np.clip(((x - (c - 0.5)) / (w - 1)) + 0.5, 0, 1)),
        ("LINEAR", 1.0, lambda x, c, _w: np.where(x <= c - 0.5, 0.0, 1.0)),
        ("LINEAR_EXACT", 100.0, lambda x, c, w: np.clip(((x - c) / w) + 0.5, 0, 1)),
        ("LINEAR_EXACT", 0.5, lambda x, c, w: np.clip(((x - c) / w) + 0.5, 0, 1)),
        ("SIGMOID", 60.0, lambda x, c, w: 1 / (1 + np.exp(-4 * (x - c) / w))),
    ],
)
def test_windows_follow_the_standard_s_formulas(
    tmp_path: Path, function: str, width: float, formula: object
) -> None:
    pixels = ramp(8)
    dataset = image(pixels, WindowCenter="130", WindowWidth=str(width), VOILUTFunction=function)
    expected = formula(pixels.astype(np.float64), 130.0, width)
    assert np.allclose(shown(write(dataset, tmp_path / "image.dcm")), expected, atol=1e-6)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True])
def test_padding_is_black_whatever_the_polarity(tmp_path: Path, photometric: str, signed: bool) -> None:
    pixels = ramp(12, signed=signed)
    first, last = (3000, 4095) if not signed else (-2048, -1000)
    dataset = image(pixels, 12, PhotometricInterpretation=photometric)
    # the VR follows the sign of the pixels; devices write US for signed pixels, which is the other half below
    for keyword, tag, value in (("value", 0x00280120, first), ("limit", 0x00280121, last)):
        assert keyword
        dataset.add_new(tag, "US", value & 0xFFFF)
    ours = shown(write(dataset, tmp_path / "image.dcm"))
    padding = (pixels >= first) & (pixels <= last)
    assert padding.any()
    assert (ours[padding] == 0).all()
    plain = (pixels - pixels.min()) / 4095
    expected = 1 - plain if photometric == "MONOCHROME1" else plain
    assert np.allclose(ours[~padding], expected[~padding], atol=1e-6)


@pytest.mark.parametrize(
    "attributes",
    [
        {"WindowCenter": "100", "WindowWidth": "0"},
        {"WindowCenter": "100", "WindowWidth": "-5"},
        {"WindowCenter": "100"},
        {"WindowCenter": "", "WindowWidth": ""},
        {"RescaleSlope": "0", "RescaleIntercept": "0"},
        {"RescaleSlope": "1e300", "RescaleIntercept": "0"},
        {"RescaleSlope": "1e-300", "RescaleIntercept": "0"},
        {"RescaleSlope": "1", "RescaleIntercept": "1e20"},
        {"VOILUTSequence": Sequence([])},
        {"VOILUTSequence": Sequence([Dataset()])},
        {"ModalityLUTSequence": table(0, np.zeros(4, np.int64), 8)},
    ],
)
def test_unusable_transformations_count_as_absent(tmp_path: Path, attributes: dict[str, object]) -> None:
    pixels = ramp(8)
    assert np.array_equal(shown(write(image(pixels, **attributes), tmp_path / "image.dcm")), pixels / 255)


def test_palette_and_colour_become_grey(tmp_path: Path) -> None:
    grey = ramp(8)
    rgb = np.stack([grey, grey.T.reshape(grey.shape), np.flip(grey)], axis=-1)
    luma = rgb @ np.array([0.299, 0.587, 0.114]) / 255
    assert np.allclose(shown(write(image(rgb), tmp_path / "rgb.dcm")), luma, atol=1e-5)
    planar = image(np.moveaxis(rgb, -1, 0).copy().reshape(*grey.shape, 3), PlanarConfiguration=1)
    assert np.allclose(shown(write(planar, tmp_path / "planar.dcm")), luma, atol=1e-5)
    # Y of YBR_FULL is the luma: what pydicom converts to RGB weighs out to the same
    ybr = write(image(rgb, PhotometricInterpretation="YBR_FULL"), tmp_path / "ybr.dcm")
    assert np.array_equal(shown(ybr), rgb[..., 0] / 255)
    palette = image(grey, PhotometricInterpretation="PALETTE COLOR")
    for name, channel in (("Red", 0), ("Green", 1), ("Blue", 2)):
        lut = rgb.reshape(-1, 3)[:, channel].astype("<u2") * 257
        setattr(palette, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(palette, f"{name}PaletteColorLookupTableData", lut.tobytes())
    assert np.allclose(shown(write(palette, tmp_path / "palette.dcm")), luma.reshape(-1)[grey], atol=1e-5)
