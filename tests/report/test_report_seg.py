"""Segmentations: highdicom reads back the masks bit for bit, and everything is there that viewers need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import dciodvfy
import highdicom as hd
import numpy as np
import pytest
import report_cases as cases
from pydicom import Dataset, dcmread

from xrv_node import report
from xrv_node.jobs import results
from xrv_node.report import codes, uids
from xrv_node.report.kinds import seg as segmentation
from xrv_node.report.masks import label_map, source_masks
from xrv_node.result_kinds import sop_classes
from xrv_node.spool import Spool
from xrv_node.values import DEFAULT_STYLE, Analysis, Frame, StudyOutcome, Style

LABELMAP, NO_PLANE = Style(seg_type="labelmap"), Style(seg_geometry="none")
STYLES = (DEFAULT_STYLE, LABELMAP, NO_PLANE, Style(seg_geometry="none", seg_type="labelmap"))


def built(outcome: StudyOutcome, style: Style = DEFAULT_STYLE) -> Dataset:
    (result,) = report.build(outcome, ["seg"], style)
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


def whole(real: Callable[..., Any], masks: np.ndarray) -> Callable[..., Any]:
    """highdicom's constructor, given all pixels in place of the one that it is handed."""

    def construct(source_images: list[Dataset], pixel_array: np.ndarray, **rest: Any) -> Any:
        (source,) = source_images
        source.Rows, source.Columns = masks.shape[1:]
        binary = rest["segmentation_type"] == "BINARY"
        pixels = np.moveaxis(masks, 0, -1) if binary else label_map(masks)
        return real(source_images=[source], pixel_array=pixels[np.newaxis], **rest)

    return construct


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("empty", [(), cases.STRUCTURES[1:], cases.STRUCTURES[:8]])
def test_the_object_is_highdicom_s_own(
    style: Style, empty: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Element by element what its constructor gives for the whole image.

    Of 122 x 97 pixels frames do not begin at a byte, and the whole is even: to an odd one highdicom adds the
    digit 0, and PS3.5 6.2 has a null byte.
    """
    image = cases.frontal(cases.header(rows=122, columns=97), seg=cases.masks(empty=empty))
    assert image.analysis is not None
    ours = built(cases.outcome(image), style)
    masks = source_masks(image.analysis)
    found = masks[masks.any(axis=(1, 2))]
    monkeypatch.setattr(hd.seg, "Segmentation", whole(hd.seg.Segmentation, found))
    monkeypatch.setattr(segmentation, "_fill", lambda *_: None)
    theirs = built(cases.outcome(image), style)
    assert theirs.NumberOfFrames == (len(found) if style.seg_type == "binary" else 1)
    assert ours == theirs
    assert report.to_bytes(ours) == report.to_bytes(theirs)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", ["DX", "CR", "OT"])
def test_every_style_is_valid(style: Style, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "seg.dcm"
    made = built(cases.outcome(cases.frontal(cases.header(kind))), style)
    path.write_bytes(report.to_bytes(made))
    assert dciodvfy.errors(path) == []
    assert (str(made.SOPClassUID),) == sop_classes("seg", style)
    assert hd.seg.segread(path).segmentation_type.value == style.seg_type.upper()


def test_a_label_map_holds_the_smallest_structure_of_each_pixel(tmp_path: Path) -> None:
    random = np.random.default_rng(3).random((len(cases.STRUCTURES), 96, 96))
    overlapping = random < np.linspace(0.1, 0.6, len(cases.STRUCTURES))[::-1, np.newaxis, np.newaxis]
    header = cases.header()
    image = cases.frontal(header, seg=overlapping)
    assert image.analysis is not None
    masks = source_masks(image.analysis)
    sizes = np.where(masks, masks.sum(axis=(1, 2))[:, np.newaxis, np.newaxis], np.inf)
    expected = np.where(masks.any(axis=0), sizes.argmin(axis=0) + 1, 0)
    made = read(built(cases.outcome(image), LABELMAP), tmp_path)
    back = made.get_pixels_by_source_instance([header.SOPInstanceUID], combine_segments=True)
    np.testing.assert_array_equal(back[0], expected)
    assert made.SegmentsOverlap == "NO"


def test_a_label_map_describes_the_structures_alone(tmp_path: Path) -> None:
    """A background in front of them shifts all colours in OHIF."""
    made = read(built(cases.outcome(cases.frontal(cases.header())), LABELMAP), tmp_path)
    assert made.segment_numbers == list(range(1, len(cases.STRUCTURES) + 1))
    assert [s.SegmentLabel for s in made.SegmentSequence] == list(cases.STRUCTURES)
    assert made.PixelPaddingValue == 0


def test_without_a_plane_it_refers_to_the_source_pixel_for_pixel(tmp_path: Path) -> None:
    header = cases.header(rows=121, columns=95, PixelSpacing=["0.14", "0.14"], FrameOfReferenceUID="1.2.3")
    image = cases.frontal(header)
    assert image.analysis is not None
    made = read(built(cases.outcome(image), NO_PLANE), tmp_path)
    assert "FrameOfReferenceUID" not in made
    (shared,) = made.SharedFunctionalGroupsSequence
    assert len(shared) == 0
    for frame in made.PerFrameFunctionalGroupsSequence:
        assert {"DerivationImageSequence", "FrameContentSequence", "SegmentIdentificationSequence"} == {
            element.keyword for element in frame
        }
    back = made.get_pixels_by_source_instance([header.SOPInstanceUID])
    np.testing.assert_array_equal(np.moveaxis(back[0], -1, 0).astype(bool), source_masks(image.analysis))


@pytest.mark.parametrize(
    ("told", "taken"),
    [(["L", "F"], ["L", "F"]), (["R", "F"], ["R", "F"]), (["F", "R"], ["F", "R"]), (["AL", "HP"], ["AL", "HP"]),
     (None, ""), ("", ""), (["L"], ""), (["left", "feet"], "")],
)  # fmt: skip
def test_the_patient_s_orientation_is_the_source_s(told: Any, taken: Any) -> None:
    """Type 2C: there where no plane says how the patient lies (PS3.3 C.7.6.1.1.1)."""
    outcome = cases.outcome(cases.frontal(cases.header(PatientOrientation=told)))
    assert built(outcome, NO_PLANE).PatientOrientation == taken
    assert "PatientOrientation" not in built(outcome)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    "turned", [(["R", "F"], (2,)), (["L", "H"], (1,)), (["F", "L"], (1, 2)), (["L", "F"], ())]
)
def test_mask_and_image_coincide_however_the_image_is_stored(
    style: Style, photometric: str, turned: tuple[list[str], tuple[int, ...]], tmp_path: Path
) -> None:
    """The pixels of each segment are where the stored image has that structure's grey value."""
    orientation, axes = turned
    drawn = np.flip(cases.masks(96), axes)
    source = cases.header(
        rows=96, columns=96, PatientOrientation=orientation, PhotometricInterpretation=photometric
    )
    stored = np.zeros((96, 96), np.uint16)
    for k in np.argsort(-drawn.sum(axis=(1, 2)), kind="stable"):
        stored[drawn[k]] = 100 * (k + 1)
    made = read(built(cases.outcome(cases.frontal(source, seg=drawn)), style), tmp_path)
    back = made.get_pixels_by_source_instance([source.SOPInstanceUID])[0]
    for k in range(len(drawn)):
        inside = stored[back[..., k].astype(bool)]
        assert (inside > 0).all()
        assert (back[..., k][stored == 100 * (k + 1)] == 1).all()
        if style.seg_type == "labelmap":
            assert (inside == 100 * (k + 1)).all()


def test_lossy_compression_of_the_source_is_carried_on() -> None:
    """PS3.3 C.8.20.2.2."""
    lossy = {"LossyImageCompression": "01", "LossyImageCompressionRatio": "12.5"}
    made = built(
        cases.outcome(cases.frontal(cases.header(**lossy, LossyImageCompressionMethod="ISO_10918_1")))
    )
    assert (made.LossyImageCompression, made.LossyImageCompressionRatio) == ("01", 12.5)
    assert made.LossyImageCompressionMethod == "ISO_10918_1"
    assert built(cases.outcome(cases.frontal(cases.header()))).LossyImageCompression == "00"


def test_a_large_detector_s_segmentation_is_small_when_deflated(tmp_path: Path) -> None:
    header = cases.header(rows=3000, columns=2500)
    made = built(cases.outcome(cases.frontal(header, seg=cases.masks(512))))
    data = report.to_bytes(made, deflated=True)
    assert len(made.PixelData) == 14 * 3000 * 2500 // 8
    assert len(data) < 200_000
    again = dcmread(BytesIO(data))
    assert again.file_meta.TransferSyntaxUID.is_deflated
    assert report.to_bytes(again) == report.to_bytes(made)
    deflated, plain = tmp_path / "deflated.dcm", tmp_path / "plain.dcm"
    deflated.write_bytes(data)
    assert cases.tool("dcmconv", "+te", deflated, plain).returncode == 0
    assert dcmread(plain).PixelData == made.PixelData


def test_the_spool_keeps_it_deflated(spool: Spool) -> None:
    (result,) = report.build(cases.outcome(cases.frontal(cases.header())), ["seg"])
    row = results._keep(spool, str(result.dataset.StudyInstanceUID), result, "")
    kept = spool.absolute(row.path)
    assert row.size == kept.stat().st_size < len(report.to_bytes(result.dataset))
    assert dcmread(kept).file_meta.TransferSyntaxUID.is_deflated
    assert report.to_bytes(dcmread(kept)) == report.to_bytes(result.dataset)


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
        assert groups["PixelMeasuresSequence"][0].PixelSpacing == [3.5, 3.5]
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
        ({}, [3.5, 3.5]),
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


def test_in_phantom_every_segment_says_so() -> None:
    models = cases.model_set(phantom=True)
    made = built(cases.outcome(cases.frontal(cases.header(), models), models=models))
    for segment in made.SegmentSequence:
        assert segment.SegmentLabel.startswith("PHANTOM: ")
        assert segment.SegmentDescription == "PHANTOM MODEL SET - NOT FOR PATIENT IMAGES"
        assert len(segment.SegmentLabel) <= 64
