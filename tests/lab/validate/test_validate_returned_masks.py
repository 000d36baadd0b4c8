"""Segmentations that come back are compared: with known masks, against figures worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread, dcmwrite
from segmentation_cases import (
    AREAS,
    LABELMAP,
    SEGMENTER,
    STYLES,
    cut,
    masks,
    prepared,
    same,
    segmentation,
    whole,
)

from xrv_node.lab.statistics.overlap import Overlap
from xrv_node.lab.validate import returned_masks
from xrv_node.lab.validate.run_store import ReturnedSegmentation
from xrv_node.lab.validate.structures import Agreement
from xrv_node.radiograph.prepare import frame
from xrv_node.values import DEFAULT_STYLE, Style


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(512, 640), (700, 900), (97, 122), (333, 256)])
def test_what_the_node_makes_of_the_direct_paths_masks_is_the_same(style: Style, size: tuple[int, int]):
    square = frame(*size)
    found = returned_masks.compared(segmentation(masks(), style, square), prepared(square), SEGMENTER)
    assert sorted(found.overlaps, key=lambda one: one.structure) == [*map(same, sorted(AREAS))]
    assert (found.row, found.why_not, found.structures) == (3, "", ())
    assert found.label_map == (style.seg_type == "labelmap")


def test_masks_beside_the_datasets_own_are_whole():
    truth = {name: whole(mask) for name, mask in masks().items()}
    found = returned_masks.compared(segmentation(masks()), prepared(truth=truth), SEGMENTER)
    assert {one.structure for one in found.structures} == {*AREAS, "Lungs"}
    assert {(one.dice, one.iou) for one in found.structures} == {(1.0, 1.0)}


def test_a_label_map_says_less_and_is_what_the_node_can_send_all_the_same():
    truth = {name: whole(mask) for name, mask in masks().items()}
    found = returned_masks.compared(segmentation(masks(), LABELMAP), prepared(truth=truth), SEGMENTER)
    # the heart is smaller than the lung, and keeps the 50 x 150 pixels that both have
    assert {one.structure: (one.dice, one.iou) for one in found.structures} == {
        "Right Lung": (1.0, 1.0),
        "Heart": (1.0, 1.0),
        "Left Lung": (2 * 22500 / (22500 + 30000), 22500 / 30000),
        "Lungs": (2 * 52500 / (52500 + 60000), 52500 / 60000),
    }
    assert {one.dice for one in found.overlaps} == {1.0}


def test_shifted_masks_give_the_figures_of_a_ruler():
    truth = {"Lungs": whole(masks(10)["Left Lung"] | masks(10)["Right Lung"])}
    found = returned_masks.compared(segmentation(masks(25)), prepared(truth=truth), SEGMENTER)
    # of 100 columns 75 are common with the direct path, and 85 with the dataset
    lung = partial(Overlap, dice=0.75, iou=75 / 125, differing=2 * 25 * 300, share=15000 / (512 * 640))
    assert {one.structure: one for one in found.overlaps} == {
        "Left Lung": lung("Left Lung"),
        "Right Lung": lung("Right Lung"),
        "Heart": same("Heart"),
    }
    assert found.structures == (Agreement("Lungs", 0.85, 85 / 115),)


def test_a_segment_that_is_missing_is_empty_and_one_too_many_is_wrong():
    sent = masks(names=["Left Lung", "Right Lung"]) | {"Aorta": masks()["Heart"]}
    truth = {"Heart": whole(masks()["Heart"])}
    found = returned_masks.compared(segmentation(sent), prepared(truth=truth), SEGMENTER)
    wrong = partial(Overlap, dice=0.0, iou=0.0, differing=15000, share=15000 / (512 * 640))
    assert {one.structure: one for one in found.overlaps} == {
        "Left Lung": same("Left Lung"),
        "Right Lung": same("Right Lung"),
        "Heart": wrong("Heart"),
        "Aorta": wrong("Aorta"),
    }
    assert found.structures == (Agreement("Heart", 0.0, 0.0),)


def gone(keyword: str) -> Callable[[Dataset], None]:
    return lambda made: delattr(made, keyword)


def huge(made: Dataset) -> None:
    made.Rows = made.Columns = 65535


@pytest.mark.parametrize("style", [DEFAULT_STYLE, LABELMAP])
@pytest.mark.parametrize(
    ("damage", "why_not"),
    [
        (cut, returned_masks.NOT_READ),
        (gone("SegmentSequence"), returned_masks.NOT_READ),
        (gone("PerFrameFunctionalGroupsSequence"), returned_masks.NOT_READ),
        (gone("PixelData"), returned_masks.NOT_READ),
        (gone("Rows"), returned_masks.NOT_READ),
        (huge, returned_masks.OTHER_SIZE),
    ],
)
def test_a_damaged_one_is_said(damage: Callable[[Dataset], None], why_not: str, style: Style):
    made = segmentation(masks(), style)
    damage(made)
    assert returned_masks.compared(made, prepared(), SEGMENTER) == ReturnedSegmentation(3, why_not)


SMALL = frame(40, 48)


def encoded(style: Style) -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, segmentation(masks(), style, SMALL), enforce_file_format=True)
    return buffer.getvalue()


WHOLE = {style: encoded(style) for style in (DEFAULT_STYLE, LABELMAP)}


@hypothesis_settings(deadline=None, max_examples=60)
@given(st.sampled_from(list(WHOLE)), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=9))
def test_no_bytes_make_it_fail(style: Style, changes: list[tuple[float, int]]):
    damaged = bytearray(WHOLE[style])
    for where, value in changes:
        damaged[132 + int(where * (len(damaged) - 133))] = value
    try:
        made = dcmread(BytesIO(bytes(damaged)))
    except Exception:  # what is no object at all never gets here
        return
    found = returned_masks.compared(made, prepared(SMALL), SEGMENTER)
    assert found.why_not or found.overlaps
