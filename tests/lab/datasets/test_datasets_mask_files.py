"""Mask files as programs write them again: which pixels are inside, and what is none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from small_folders import COPIES, SMALL, drawn

from xrv_node.errors import ImageError
from xrv_node.lab.datasets.load import load
from xrv_node.lab.datasets.mask_file import read_mask
from xrv_node.lab.datasets.masks import pathology_masks, semantic_masks

INSIDE = np.zeros((120, 100), dtype=bool)
INSIDE[20:70, 30:60] = True


def with_values(outside: int, inside: int, kind: type = np.uint8) -> NDArray[np.unsignedinteger]:
    return np.where(INSIDE, inside, outside).astype(kind)


def read(place: Path, picture: NDArray[np.unsignedinteger], name: str = "mask.png") -> NDArray[np.bool_]:
    assert cv2.imwrite(str(place / name), picture)
    return read_mask(place / name)


@pytest.mark.parametrize(
    ("inside", "kind"), [(255, np.uint8), (1, np.uint8), (128, np.uint8), (1, np.uint16), (65535, np.uint16)]
)
def test_anything_but_0_is_inside(tmp_path: Path, inside: int, kind: type) -> None:
    np.testing.assert_array_equal(read(tmp_path, with_values(0, inside, kind)), INSIDE)


def test_a_colour_is_inside_and_an_alpha_that_says_nothing_does_not_matter(tmp_path: Path) -> None:
    red = np.zeros((*INSIDE.shape, 3), dtype=np.uint8)
    red[INSIDE] = (0, 0, 128)
    np.testing.assert_array_equal(read(tmp_path, red), INSIDE)
    opaque = np.dstack([red, np.full(INSIDE.shape, 255, dtype=np.uint8)])
    np.testing.assert_array_equal(read(tmp_path, opaque), INSIDE)


def test_a_palette_is_its_colours(tmp_path: Path) -> None:
    from PIL import Image

    indices = Image.fromarray(INSIDE.astype(np.uint8), mode="P")
    indices.putpalette([0, 0, 0, 200, 0, 30])
    indices.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), INSIDE)
    Image.fromarray(INSIDE).save(tmp_path / "mask.png")  # one bit a pixel
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), INSIDE)


@pytest.mark.parametrize("quality", [60, 75, 90, 100])
@pytest.mark.parametrize("inside", [255, 200])
def test_a_jpeg_is_inside_from_half_on(tmp_path: Path, quality: int, inside: int) -> None:
    assert cv2.imwrite(
        str(tmp_path / "mask.jpg"), with_values(0, inside), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    found = read_mask(tmp_path / "mask.jpg")
    assert (found != INSIDE).mean() < 0.002


@pytest.mark.parametrize("resampler", [cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC])
@pytest.mark.parametrize("size", [(50, 60), (75, 90), (150, 180), (200, 240)])
def test_a_border_that_was_resampled_is_a_border(
    tmp_path: Path, resampler: int, size: tuple[int, int]
) -> None:
    found = read(tmp_path, cv2.resize(with_values(0, 255), size, interpolation=resampler))
    share = INSIDE.mean()
    assert abs(found.mean() - share) < 0.01


def labelled(*values: int) -> NDArray[np.uint8]:
    """A structure of each value beside the one before."""
    picture = np.zeros((120, 100), dtype=np.uint8)
    for number, value in enumerate(values):
        picture[20 + 20 * number : 40 + 20 * number, 30:60] = value
    return picture


@pytest.mark.parametrize("values", [(128, 255), (1, 2), (1, 2, 3), (50, 255), (5, 250), (1, 5)])
def test_a_mask_of_several_structures_is_refused_by_its_values(
    tmp_path: Path, values: tuple[int, ...]
) -> None:
    named = ", ".join(map(str, (0, *values)))
    with pytest.raises(ImageError, match=f"mask.png.*has the values {named};"):
        read(tmp_path, labelled(*values))


@pytest.mark.parametrize("values", [(128, 255), (80, 160, 240)])
def test_likewise_in_jpeg(tmp_path: Path, values: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="has the values"):
        read(tmp_path, labelled(*values), "mask.jpg")


@pytest.mark.parametrize(
    ("picture", "name", "why"),
    [
        (with_values(255, 0), "mask.png", "inverted"),
        (with_values(1, 0), "mask.png", "inverted"),
        (with_values(255, 0), "mask.jpg", "inverted"),
        (with_values(20, 200), "mask.png", "has the values 20, 200"),
        (with_values(0, 1), "mask.jpg", "has the values 0, 1"),
        (
            np.arange(6000, dtype=np.uint16).reshape(60, 100),
            "mask.png",
            "has the values 0, 1, 2, 3, 4, 5, ...",
        ),
    ],
)
def test_what_is_no_mask_is_refused(
    tmp_path: Path, picture: NDArray[np.unsignedinteger], name: str, why: str
) -> None:
    with pytest.raises(ImageError, match=why):
        read(tmp_path, picture, name)


@pytest.mark.parametrize(("value", "share"), [(0, 0), (1, 1), (255, 1)])
def test_a_mask_of_one_value_is_all_inside_or_all_outside(tmp_path: Path, value: int, share: int) -> None:
    assert read(tmp_path, np.full((50, 60), value, dtype=np.uint8)).mean() == share


def test_a_mask_in_the_transparency_is_refused(tmp_path: Path) -> None:
    black = np.zeros((*INSIDE.shape, 4), dtype=np.uint8)
    black[INSIDE, 3] = 255
    with pytest.raises(ImageError, match="transparency"):
        read(tmp_path, black)


def test_an_image_in_place_of_its_mask_is_refused(tmp_path: Path) -> None:
    for name in ("image.png", "image.jpg"):
        drawn(tmp_path / name)
        with pytest.raises(ImageError, match="has the values"):
            read_mask(tmp_path / name)


@pytest.mark.parametrize("inside", [1, 255])
def test_lungs_of_montgomery_written_again(tmp_path: Path, inside: int) -> None:
    SMALL["nlm-tb"](tmp_path)
    for path in tmp_path.glob("MontgomerySet/ManualMask/*/*.png"):
        stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), stored // 255 * inside)
    table = load("nlm-tb", tmp_path)
    found = semantic_masks(table, table[0], (64, 64))
    assert {name: int(mask.sum()) for name, mask in found.items()} == {"Left Lung": 200, "Right Lung": 200}


@pytest.mark.parametrize("inside", [1, 255])
def test_pneumothoraces_of_siim_written_again(tmp_path: Path, inside: int) -> None:
    name, write = COPIES["siim-acr in PNG"]
    write(tmp_path)
    for path in tmp_path.glob("*/png_masks/*.png"):
        stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), stored // 255 * inside)
    table = load(name, tmp_path)
    (row,) = np.flatnonzero(table.csv["has_masks"])[:1]
    assert pathology_masks(table, table[int(row)], (64, 64))[0].sum() == 200


def test_another_structure_in_the_masks_of_the_covid_19_collection_is_outside(tmp_path: Path) -> None:
    picture = labelled(255, 127)
    cv2.imwrite(str(tmp_path / "mask.png"), picture)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", (127,)), picture == 255)
