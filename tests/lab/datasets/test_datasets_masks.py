"""Masks of every kind of outline, beside torchxrayvision's, scikit-image's and pycocotools' of the same data."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import owners
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import draw
from skimage.transform import resize

from xrv_node.errors import DatasetError, ImageError
from xrv_node.lab.datasets.load import load
from xrv_node.lab.datasets.masks import pathology_masks, resized, semantic_masks
from xrv_node.lab.datasets.table import COLUMNS, LabelTable, Region

xrv = pytest.importorskip("torchxrayvision")

SQUARE = (1024, 1024)


def with_region(region: Region, folder: Path, *, xrv_compatible: bool = False) -> LabelTable:
    """A table of one image with one outline."""
    regions = np.empty(1, dtype=object)
    regions[0] = (region,)
    frame = pd.DataFrame([dict.fromkeys(COLUMNS, "")])
    labels = np.ones((1, 1), dtype=np.float32)
    return LabelTable("one", folder, (region.name,), labels, frame, regions, xrv_compatible=xrv_compatible)


def drawn(region: Region, folder: Path, size: tuple[int, int]) -> np.ndarray:
    table = with_region(region, folder)
    return pathology_masks(table, table[0], size)[0]


@pytest.mark.parametrize("side", [1024, 512, 300])
def test_boxes_of_nih_are_torchxrayvisions(tmp_path: Path, side: int) -> None:
    folder = owners.folder("nih", tmp_path)
    original = xrv.datasets.NIH_Dataset(str(folder), views=["*"], unique_patients=False)
    table = load("nih", folder, views=["*"], unique_patients=False, xrv_compatible=True)
    outlined = np.flatnonzero(table.csv["has_masks"])[:60]
    for row in outlined:
        expected = original.get_mask_dict(table.csv["Image Index"][row], side)
        masks = pathology_masks(table, table[int(row)], (side, side))
        assert set(masks) == set(expected)
        for label, mask in masks.items():
            np.testing.assert_array_equal(mask, expected[label][0])


def test_boxes_of_rsna_are_torchxrayvisions(tmp_path: Path) -> None:
    folder = owners.folder("rsna", tmp_path)
    original = xrv.datasets.RSNA_Pneumonia_Dataset(str(folder))
    table = load("rsna", folder)
    for row in (*np.flatnonzero(table.csv["has_masks"])[:30], *np.flatnonzero(~table.csv["has_masks"])[:3]):
        expected = original.get_mask_dict(table.csv["patientId"][row], 512)
        masks = pathology_masks(table, table[int(row)], (512, 512))
        assert set(masks) == {label for label, mask in expected.items() if mask.any()}
        for label, mask in masks.items():
            np.testing.assert_array_equal(mask, expected[label][0])


def test_boxes_of_vindr_are_torchxrayvisions(tmp_path: Path) -> None:
    folder = owners.folder("vindr-cxr", tmp_path)
    original = xrv.datasets.VinDr_Dataset(str(folder))
    table = load("vindr-cxr", folder)
    size = (2800, 2300)
    for row in np.flatnonzero(table.csv["has_masks"])[:3]:
        expected = original.get_mask_dict(table.csv["image_id"][row], (1, *size))
        masks = pathology_masks(table, table[int(row)], size)
        assert set(masks) == set(expected)
        for label, mask in masks.items():
            np.testing.assert_array_equal(mask, expected[label][0])


def test_runs_of_siim_are_torchxrayvisions(tmp_path: Path) -> None:
    folder = owners.folder("siim-acr", tmp_path)
    original = xrv.datasets.SIIM_Pneumothorax_Dataset(str(folder))
    compatible, ours = load("siim-acr", folder, xrv_compatible=True), load("siim-acr", folder)
    for row in np.flatnonzero(compatible.csv["has_masks"])[:10]:
        item, name = compatible[int(row)], compatible.csv["ImageId"][row]
        for side in (1024, 500):
            expected = original.get_pathology_mask_dict(name, side)[0][0]
            np.testing.assert_array_equal(pathology_masks(compatible, item, (side, side))[0], expected)
    image = "1.2.276.0.7230010.3.1.4.8323329.1851.1517875169.919023"
    (row,) = np.flatnonzero(ours.csv["ImageId"] == image)
    assert pathology_masks(ours, ours[int(row)], SQUARE)[0].sum() == 56347
    (first, *_) = np.flatnonzero(compatible.csv["ImageId"] == image)
    assert pathology_masks(compatible, compatible[int(first)], SQUARE)[0].sum() == 4462


COCO = [
    ((5, 7), "`0320004", 9),
    ((40, 23), "01T1210000000U4:^K6L2N2O00000002L3N4J`3", 231),
    (
        (300, 211),
        "Zie0=c8h0]O>D:G8H8H8I6J6K4K6K4L4L4L4L4M2M4M2M4M2M4M2N2N2N2N2N2N2N2N2N2O0O2N2O0O2O0O2O0O2O0O2O00"
        "0O2O000000000000000000000000000001N10001N10001N101N2N101N2N101N2N2N2N2N2N2N2N2N2N2N3L3N3L3N3L4L"
        "4L4L4L4L4L5J6J6J6J7H8H9F;D`0\\O`o8",
        14906,
    ),
]
"""Size, what pycocotools 2 made of the ellipse of `coco_ellipse`, and its area by pycocotools."""


def coco_ellipse(rows: int, columns: int) -> np.ndarray:
    y, x = np.mgrid[:rows, :columns]
    mask = ((y - rows * 0.4) / (rows * 0.3)) ** 2 + ((x - columns * 0.6) / (columns * 0.25)) ** 2 < 1
    if rows == 40:
        mask[-3:, :5] = mask[0, 0] = True
    return mask


@pytest.mark.parametrize(("size", "text", "area"), COCO)
def test_cocos_runs_are_what_pycocotools_packed(
    tmp_path: Path, size: tuple[int, int], text: str, area: int
) -> None:
    mask = drawn(Region("Edema", "coco_rle", text, size), tmp_path, size)
    assert mask.sum() == area
    np.testing.assert_array_equal(mask, coco_ellipse(*size))


def test_a_mask_has_the_images_form_and_torchxrayvisions_is_square(tmp_path: Path) -> None:
    grid, text, _ = COCO[2]
    region = Region("Edema", "coco_rle", text, grid)
    mask = drawn(region, tmp_path, (150, 106))
    share = mask.sum() / mask.size
    assert mask.shape == (150, 106)
    assert share == pytest.approx(coco_ellipse(*grid).mean(), rel=0.02)
    table = with_region(region, tmp_path, xrv_compatible=True)
    square = pathology_masks(table, table[0], (150, 106))[0]
    expected = resize(coco_ellipse(*grid).astype(np.float32), (106, 106), mode="constant", order=0).round()
    np.testing.assert_array_equal(square, expected)


def test_a_box_is_stretched_like_the_image(tmp_path: Path) -> None:
    box = Region("Mass", "xywh", (256, 512, 128, 256), SQUARE)
    mask = drawn(box, tmp_path, (500, 400))
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) == (250, 375, 100, 150)
    table = with_region(box, tmp_path, xrv_compatible=True)
    assert pathology_masks(table, table[0], (500, 400))[0].shape == (400, 400)


def test_a_box_may_reach_over_the_border(tmp_path: Path) -> None:
    mask = drawn(Region("Mass", "xyxy", (-5.5, 90, 20, 130)), tmp_path, (100, 50))
    assert mask[90:, :20].all()
    assert mask.sum() == 200


@settings(max_examples=60, deadline=None)
@given(*(st.integers(1, 40) for _ in range(4)), st.integers(0, 2**32))
def test_resizing_a_mask_is_scikit_images(a: int, b: int, c: int, d: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((a, b)) < 0.5
    mask = mask.repeat(3, axis=0)
    smoothed = resize(mask.astype(float), (c, d), mode="constant", order=0)
    got = resized(mask, (c, d))
    clear = np.abs(smoothed - 0.5) > 1e-6
    np.testing.assert_array_equal(got[clear], smoothed.round()[clear])


def test_an_ellipse_holds_the_pixels_that_scikit_image_draws(tmp_path: Path) -> None:
    mask = drawn(Region("Foreign Object", "ellipse", (10.5, 4, 40, 30.25)), tmp_path, (60, 50))
    expected = np.zeros((60, 50), dtype=bool)
    expected[draw.ellipse(17.125 - 0.5, 25.25 - 0.5, 13.125, 14.75, shape=(60, 50))] = True
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("at", [(10, 45, 30, 4, 20), (-8, 61, 30, 4.25, 20.1)])
def test_a_polygon_holds_the_pixels_that_scikit_image_draws(tmp_path: Path, at: tuple[float, ...]) -> None:
    down = (5.2, 12, 50.7, 40, 20)
    corners = tuple(float(c) for point in zip(at, down, strict=True) for c in point)
    mask = drawn(Region("Foreign Object", "polygon", corners), tmp_path, (60, 50))
    expected = draw.polygon2mask((60, 50), np.column_stack([down, at]) - 0.5)
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize(
    "region",
    [
        Region("Mass", "xywh", (1, 2, 3), SQUARE),
        Region("Mass", "xywh", (1, 2, 3, 4, 5, 6), SQUARE),
        Region("Mass", "xyxy", (1, 2, float("nan"), 4)),
        Region("Mass", "ellipse", (1, 2, float("inf"), 4)),
        Region("Mass", "polygon", (1, 2, 3, 4, 5)),
        Region("Mass", "polygon", (1e300, 2, 3, 4, 5, 6)),
        Region("Mass", "offset_rle", "5 10 x", SQUARE),
        Region("Mass", "offset_rle", "5 99999999", SQUARE),
        Region("Mass", "offset_rle", "-5 10", SQUARE),
        Region("Mass", "coco_rle", "`", SQUARE),
        Region("Mass", "coco_rle", "é", SQUARE),
        Region("Mass", "coco_rle", "0" * 3, (0, 7)),
        Region("Mass", "coco_rle", "oooooooooooo0", (10**6, 10**6)),
        Region("Mass", "xyxy", "1 2 3 4"),
        Region("Mass", "coco_rle", (1, 2)),
    ],
)
def test_what_is_no_outline_is_named(tmp_path: Path, region: Region) -> None:
    with pytest.raises(DatasetError, match=f"Mass is no {region.shape}"):
        drawn(region, tmp_path, SQUARE)


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=30), st.sampled_from(["coco_rle", "offset_rle"]), st.integers(1, 40), st.integers(1, 40)
)
def test_any_text_gives_a_mask_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, text: str, shape: str, rows: int, columns: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        mask = drawn(Region("Mass", shape, text, (rows, columns)), folder, (rows, columns))  # type: ignore[arg-type]
    except DatasetError:
        return
    assert mask.shape == (rows, columns)


def test_labels_that_the_table_lacks_have_no_mask(tmp_path: Path) -> None:
    table = with_region(Region("Mass", "xyxy", (1, 2, 3, 4)), tmp_path)
    assert pathology_masks(replace(table, pathologies=("Nodule",)), table[0], SQUARE) == {}
    assert semantic_masks(table, table[0], SQUARE) == {}


def montgomery(folder: Path) -> Path:
    """One image of 90 x 120 with the masks of its lungs."""
    for place, box in {
        "CXR_png": None,
        "ManualMask/leftMask": (60, 100),
        "ManualMask/rightMask": (10, 50),
    }.items():
        (folder / "MontgomerySet" / place).mkdir(parents=True)
        picture = (
            np.random.default_rng(0).integers(0, 256, (90, 120), dtype=np.uint8) if box is None else None
        )
        if box is not None:
            picture = np.zeros((90, 120), dtype=np.uint8)
            picture[20:70, box[0] : box[1]] = 255
        cv2.imwrite(str(folder / "MontgomerySet" / place / "MCUCXR_0001_0.png"), picture)
    return folder


def test_lungs_of_montgomery(tmp_path: Path) -> None:
    table = load("nlm-tb", montgomery(tmp_path))
    masks = semantic_masks(table, table[0], (90, 120))
    assert set(masks) == {"Left Lung", "Right Lung"}
    assert masks["Left Lung"][20:70, 60:100].all()
    assert masks["Left Lung"].sum() == masks["Right Lung"].sum() == 50 * 40
    assert pathology_masks(table, table[0], (90, 120)) == {}
    half = semantic_masks(table, table[0], (45, 60))["Left Lung"]
    assert half[10:35, 30:50].all()
    assert half.sum() == 25 * 20


def test_a_mask_that_is_damaged_is_named(tmp_path: Path) -> None:
    table = load("nlm-tb", montgomery(tmp_path))
    (tmp_path / "MontgomerySet/ManualMask/leftMask/MCUCXR_0001_0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match=r"mask MCUCXR_0001_0\.png"):
        semantic_masks(table, table[0], (90, 120))


def test_lungs_in_an_archive_are_torchxrayvisions(tmp_path: Path) -> None:
    lungs = np.zeros((80, 70), dtype=np.uint8)
    lungs[10:60, 10:30] = 255
    lungs[9, 10:30] = 250  # as JPEG leaves it
    (tmp_path / "metadata.csv").write_text(
        "patientid,offset,sex,age,finding,view,filename\n1,0,M,65,Pneumonia/Viral/COVID-19,PA,a.png\n"
    )
    with zipfile.ZipFile(tmp_path / "semantic_masks_v7labs_lungs.zip", "w") as archive:
        archive.writestr("semantic_masks_v7labs_lungs/a.png", cv2.imencode(".png", lungs)[1].tobytes())
    original = xrv.datasets.COVID19_Dataset(str(tmp_path), str(tmp_path / "metadata.csv"))
    original.semantic_masks_v7labs_lungs_path = str(tmp_path / "semantic_masks_v7labs_lungs.zip")
    original.semantic_masks_v7labs_lungs_namelist = ["semantic_masks_v7labs_lungs/a.png"]
    expected = original.get_semantic_mask_dict("a.png", (1, 80, 70))["Lungs"][0]
    compatible, ours = load("covid-19", tmp_path, xrv_compatible=True), load("covid-19", tmp_path)
    np.testing.assert_array_equal(semantic_masks(compatible, compatible[0], (160, 140))["Lungs"], expected)
    mask = semantic_masks(ours, ours[0], (160, 140))["Lungs"]
    assert mask.shape == (160, 140)
    assert mask.sum() == 4 * 51 * 20
