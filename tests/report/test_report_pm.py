"""Parametric Maps: highdicom reads back the numbers, their quantity and the place over the source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
import report_cases as cases
from pydicom import Dataset

from xrv_node import report
from xrv_node.analyse.heatmap import smooth
from xrv_node.values import StudyOutcome, Style


def maps_of(study: StudyOutcome, tmp_path: Path, style: Style | None = None) -> list[hd.Image]:
    read = []
    for number, result in enumerate(report.build(study, ["pm"], style or Style())):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(report.to_bytes(result.dataset))
        read.append(hd.imread(path))
    return read


def test_each_present_finding_has_its_numbers(tmp_path: Path) -> None:
    image = cases.frontal(cases.header())
    assert image.analysis is not None
    assert image.analysis.maps is not None
    effusion, heart = maps_of(cases.outcome(image), tmp_path)
    for made, label, name in (
        (effusion, "Effusion", "Pleural effusion"),
        (heart, "Cardiomegaly", "Cardiomegaly"),
    ):
        frame = image.analysis.frame
        smoothed = smooth(image.analysis.maps[cases.LABELS.index(label)], frame.side)
        expected = np.zeros((frame.rows, frame.columns), np.float32)
        expected[max(frame.top, 0) :, max(frame.left, 0) :][: frame.side, : frame.side] = smoothed
        np.testing.assert_allclose(made.pixel_array, expected, atol=expected.max() / 255 / 2 * 1.001)
        mapping = made.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
        assert mapping.LUTExplanation == f"Gradient-weighted class activation: {name}"
        assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"
        quantity = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0]
        assert (quantity.CodingSchemeDesignator, quantity.CodeValue) == ("DCM", "130403")
        assert mapping.DoubleFloatRealWorldValueLastValueMapped == pytest.approx(expected.max())
    assert {m.SeriesDescription.split(" - ")[0] for m in (effusion, heart)} == {
        "AI heat map EFFUSION",
        "AI heat map CARDIOMEG",
    }


@pytest.mark.parametrize("geometry", ["nominal", "none"])
@pytest.mark.parametrize(("rows", "columns"), [(120, 96), (96, 120)])
def test_the_map_lies_over_the_source(rows: int, columns: int, geometry: Any, tmp_path: Path) -> None:
    """Its pixels are the source's, in mm of the nominal plane; nothing lies outside what the network saw."""
    header = cases.header(rows=rows, columns=columns, ImagerPixelSpacing=["0.2", "0.1"])
    image = cases.frontal(header)
    made = maps_of(cases.outcome(image), tmp_path, Style(seg_geometry=geometry))[0]
    volume = made.get_volume_geometry()
    assert volume is not None
    place = volume.map_indices_to_reference(np.array([[0.0, rows - 1, columns - 1]]))[0]
    np.testing.assert_allclose(place, [(columns - 1) * 0.1, (rows - 1) * 0.2, 0], atol=1e-6)
    inside = np.zeros((rows, columns), bool)
    assert image.analysis is not None
    frame = image.analysis.frame
    inside[frame.top : frame.top + frame.side, frame.left : frame.left + frame.side] = True
    assert made.pixel_array[inside].max() > 0
    assert not made.pixel_array[~inside].any()


def test_little_room_when_deflated() -> None:
    image = cases.frontal(cases.header(rows=600, columns=500))
    (made, *_) = report.build(cases.outcome(image), ["pm"])
    assert len(report.to_bytes(made.dataset, deflated=True)) < len(report.to_bytes(made.dataset)) / 10


def test_its_frame_of_reference_is_the_segmentation_s() -> None:
    study = cases.outcome(cases.frontal(cases.header()))
    uids = {r.dataset.FrameOfReferenceUID for r in report.build(study, ["seg", "pm"])}
    assert len(uids) == 1


def test_a_plane_of_the_source_s_own_is_kept() -> None:
    own = {
        "ImagePositionPatient": ["1", "2", "3"],
        "ImageOrientationPatient": ["0", "1", "0", "0", "0", "-1"],
    }
    header = cases.header(
        **own, FrameOfReferenceUID="1.2.3.4", PixelSpacing=["0.2", "0.2"], rows=100, columns=100
    )
    made: Dataset = report.build(cases.outcome(cases.frontal(header)), ["pm"])[0].dataset
    assert made.FrameOfReferenceUID == "1.2.3.4"
    groups = made.PerFrameFunctionalGroupsSequence[0], made.SharedFunctionalGroupsSequence[0]
    position = next(g.PlanePositionSequence[0] for g in groups if "PlanePositionSequence" in g)
    assert position.ImagePositionPatient == [1, 2, 3]


def test_none_where_nothing_is_present() -> None:
    assert report.build(cases.outcome(cases.frontal(cases.header(), scores={})), ["pm"]) == []
