"""Segmentations: highdicom reads back the masks bit for bit, and everything is there that viewers need."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
import report_cases as cases
from pydicom import Dataset

from xrv_node import report
from xrv_node.report import codes, uids
from xrv_node.report.segmentation import source_masks
from xrv_node.values import Analysis, Frame, StudyOutcome


def built(outcome: StudyOutcome) -> Dataset:
    (result,) = report.build(outcome, ["seg"])
    return result.dataset


def read(made: Dataset, tmp_path: Path) -> hd.seg.Segmentation:
    path = tmp_path / "seg.dcm"
    path.write_bytes(report.to_bytes(made))
    return hd.seg.segread(path)


def analysed(rows: int, columns: int, **changes: Any) -> Analysis:
    made = cases.analysis(cases.header(rows=rows, columns=columns), cases.model_set(), {})
    return replace(made, **changes)


@pytest.mark.parametrize(("rows", "columns"), [(120, 96), (96, 120), (121, 95), (64, 64), (33, 31)])
def test_masks_come_back_bit_for_bit(rows: int, columns: int, tmp_path: Path) -> None:
    """95 x 121 and 31 x 33 are no multiple of 8: frames do not begin at a byte."""
    header = cases.header(rows=rows, columns=columns)
    image = cases.frontal(header)
    assert image.analysis is not None
    segmentation = read(built(cases.outcome(image)), tmp_path)
    assert (segmentation.Rows, segmentation.Columns) == (rows, columns)
    back = segmentation.get_pixels_by_source_instance(
        source_sop_instance_uids=[header.SOPInstanceUID],
        segment_numbers=list(range(1, len(cases.STRUCTURES) + 1)),
    )
    np.testing.assert_array_equal(np.moveaxis(back[0], -1, 0).astype(bool), source_masks(image.analysis))


def test_a_mask_of_the_square_s_size_is_taken_as_it_is() -> None:
    random = np.random.default_rng(1).random((len(cases.STRUCTURES), 96, 96)) < 0.5
    placed = source_masks(analysed(120, 96, masks=random))
    np.testing.assert_array_equal(placed[:, 12:108, :], random)
    assert not placed[:, :12].any()
    assert not placed[:, 108:].any()


def test_a_resampled_mask_covers_what_it_covered() -> None:
    """Against a disk drawn at the image's own size: no shift, no scaling error, a smooth rim."""
    n, rows, columns = 64, 700, 512
    small = np.zeros((len(cases.STRUCTURES), n, n), dtype=bool)
    small[0] = cases.disk(n, 20, 40, 12)
    side, scale = 512, 512 / n
    analysis = analysed(rows, columns, masks=small, frame=Frame(rows, columns, 90, 0, side))
    placed = source_masks(analysis)[0]
    # pixel centres: (i + 0.5) * scale - 0.5 in the square
    true = np.zeros((rows, columns), dtype=bool)
    radius = np.sqrt(small[0].sum() / np.pi)
    true[90 : 90 + side] = cases.disk(side, 20.5 * scale - 0.5, 40.5 * scale - 0.5, radius * scale)
    overlap = 2 * (placed & true).sum() / (placed.sum() + true.sum())
    assert overlap > 0.98
    centre = np.argwhere(placed).mean(axis=0)
    np.testing.assert_allclose(centre, [90 + 20.5 * scale - 0.5, 40.5 * scale - 0.5], atol=0.01)


@pytest.mark.parametrize(("top", "left"), [(-20, -30), (50, 60), (-20, 60), (500, 500)])
def test_a_square_that_reaches_beyond_the_image_is_cut(top: int, left: int) -> None:
    full = np.ones((len(cases.STRUCTURES), 80, 80), dtype=bool)
    placed = source_masks(analysed(100, 90, masks=full, frame=Frame(100, 90, top, left, 80)))
    y, x = np.mgrid[0:100, 0:90]
    inside = (y >= top) & (y < top + 80) & (x >= left) & (x < left + 80)
    assert (placed == inside).all()


def test_empty_structures_have_no_segment_and_an_image_without_any_no_object(tmp_path: Path) -> None:
    header = cases.header()
    some = cases.masks(empty=("Aorta", "Left Lung"))
    segmentation = read(built(cases.outcome(cases.frontal(header, seg=some))), tmp_path)
    assert [segmentation.get_segment_description(n).segment_label for n in segmentation.segment_numbers] == [
        name for name in cases.STRUCTURES if name not in ("Aorta", "Left Lung")
    ]
    assert segmentation.NumberOfFrames == len(segmentation.SegmentSequence) == 12
    assert report.build(cases.outcome(cases.frontal(header, seg=np.zeros_like(some))), ["seg"]) == []


def test_segments_carry_the_tables_codes_colours_and_tracking(tmp_path: Path) -> None:
    header = cases.header()
    made = built(cases.outcome(cases.frontal(header)))
    segmentation = read(made, tmp_path)
    for number, target in enumerate(cases.STRUCTURES, 1):
        segment, row = segmentation.get_segment_description(number), codes.structure(target)
        assert segment.segment_label == segment.tracking_id == row.target
        assert segment.segmented_property_type == row.code
        assert segment.segmented_property_category.value == "91723000"
        assert segment.tracking_uid == uids.tracking_uid(header.SOPInstanceUID, row.target)
        assert segment.algorithm_type == hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC
        modifiers = segment.SegmentedPropertyTypeCodeSequence[0].get(
            "SegmentedPropertyTypeModifierCodeSequence", []
        )
        assert [m.CodeValue for m in modifiers] == ([row.laterality.value] if row.laterality else [])
        color = hd.color.CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue).to_rgb()
        np.testing.assert_allclose(color, row.color, atol=3)


def test_everything_is_there_that_a_viewer_needs() -> None:
    """Each of these missing has made OHIF crash, refuse the object or lose segments silently."""
    header = cases.header("CR")
    made = built(cases.outcome(cases.frontal(header)))
    assert made.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.4"
    assert made.SegmentationType == "BINARY"
    assert made.SegmentsOverlap == "YES"
    assert made.BodyPartExamined == "CHEST"
    assert made.FrameOfReferenceUID == uids.frame_of_reference_uid(header.SOPInstanceUID)
    (shared,) = made.SharedFunctionalGroupsSequence
    for frame in made.PerFrameFunctionalGroupsSequence:
        groups = {**{e.keyword: e.value for e in shared}, **{e.keyword: e.value for e in frame}}
        assert groups["PlaneOrientationSequence"][0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
        assert groups["PlanePositionSequence"][0].ImagePositionPatient == [0, 0, 0]
        assert groups["PixelMeasuresSequence"][0].PixelSpacing == [0.15, 0.15]
        (derivation,) = groups["DerivationImageSequence"]
        (source,) = derivation.SourceImageSequence
        assert source.ReferencedSOPInstanceUID == header.SOPInstanceUID
        assert source.ReferencedSOPClassUID == header.SOPClassUID
    (series,) = made.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == header.SeriesInstanceUID
    assert [i.ReferencedSOPInstanceUID for i in series.ReferencedInstanceSequence] == [header.SOPInstanceUID]


@pytest.mark.parametrize(
    ("changes", "spacing"),
    [
        ({"PixelSpacing": ["0.14", "0.13"]}, [0.14, 0.13]),
        ({}, [0.15, 0.15]),
        ({"ImagerPixelSpacing": None, "NominalScannedPixelSpacing": ["0.2", "0.2"]}, [0.2, 0.2]),
        ({"ImagerPixelSpacing": None}, [1, 1]),
        ({"ImagerPixelSpacing": ["0", "0"]}, [1, 1]),
    ],
)
def test_the_spacing_is_the_best_known(changes: dict[str, Any], spacing: list[float]) -> None:
    made = built(cases.outcome(cases.frontal(cases.header(**changes))))
    assert made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing == spacing


def test_a_source_with_a_plane_keeps_it() -> None:
    plane: dict[str, Any] = {
        "FrameOfReferenceUID": "1.2.3.4",
        "ImagePositionPatient": [-10, 0, 20],
        "ImageOrientationPatient": [1, 0, 0, 0, 0, -1],
    }
    made = built(cases.outcome(cases.frontal(cases.header(**plane))))
    (shared,) = made.SharedFunctionalGroupsSequence
    assert made.FrameOfReferenceUID == "1.2.3.4"
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 0, -1]


def test_in_commissioning_every_segment_says_so() -> None:
    models = cases.model_set(commissioning=True)
    made = built(cases.outcome(cases.frontal(cases.header(), models), models=models))
    for segment in made.SegmentSequence:
        assert segment.SegmentLabel.startswith("COMMISSIONING - NOT A RESULT: ")
        assert len(segment.SegmentLabel) <= 64
