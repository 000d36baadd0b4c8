"""Presentation states: dcmtk shows the image through them as we read it, and the marks lie on the regions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import dciodvfy
import numpy as np
import pytest
import report_cases as cases
from made import radiograph
from pydicom import Dataset, dcmread, dcmwrite

from xrv_node import report
from xrv_node.radiograph.display import display
from xrv_node.radiograph.read import read
from xrv_node.report.uids import tracking_uid
from xrv_node.values import Style

LUT = Dataset()
LUT.LUTDescriptor = [1024, 1000, 12]
LUT.LUTData = (4095 * np.linspace(0, 1, 1024) ** 2).astype("<u2").tobytes()
LUT["LUTDescriptor"].VR, LUT["LUTData"].VR = "US", "OW"

MODALITY = Dataset()
MODALITY.LUTDescriptor = [4096, 0, 16]
MODALITY.LUTData = np.linspace(1023, 0, 4096).astype("<u2").tobytes()  # ten bits, though it says sixteen
MODALITY.ModalityLUTType = "OD"
MODALITY["LUTDescriptor"].VR, MODALITY["LUTData"].VR = "US", "OW"

SOURCES: dict[str, dict[str, Any]] = {
    "window": {"WindowCenter": "1800", "WindowWidth": "2500"},
    "two windows": {"WindowCenter": ["1800", "900"], "WindowWidth": ["2500", "400"]},
    "monochrome 1": {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": "2200", "WindowWidth": "1500"},
    "inverse": {"PresentationLUTShape": "INVERSE", "WindowCenter": "2200", "WindowWidth": "1500"},
    "rescaled": {"RescaleSlope": "0.5", "RescaleIntercept": "-100", "RescaleType": "US", "WindowCenter": "800", "WindowWidth": "1200"},
    "VOI LUT": {"VOILUTSequence": [LUT]},
    "modality LUT": {"ModalityLUTSequence": [MODALITY]},
    "window of width 0": {"WindowCenter": "1800", "WindowWidth": "0"},
}  # fmt: skip


def presented(header: Dataset, path: Path, language: Any = "en") -> Dataset:
    (result,) = report.build(
        cases.outcome(cases.frontal(header, seg=cases.covered())), ["gsps"], Style(language)
    )
    path.write_bytes(report.to_bytes(result.dataset))
    return dcmread(path)


@pytest.mark.parametrize("case", SOURCES)
def test_dcmtk_shows_the_image_through_it_as_we_read_it(case: str, tmp_path: Path) -> None:
    source, state, shown = tmp_path / "image.dcm", tmp_path / "state.dcm", tmp_path / "shown.pgm"
    dcmwrite(source, radiograph(**SOURCES[case]), enforce_file_format=True)
    presented(dcmread(source, stop_before_pixels=True), state)
    assert cases.tool("dcmpschk", state).returncode == 0
    run = cases.tool("dcmp2pgm", "-p", state, source, shown)
    assert run.returncode == 0, run.stderr
    expected = display(read(source)).astype(int)
    assert np.abs(cv2.imread(str(shown), cv2.IMREAD_UNCHANGED) - expected).max() <= 2


@pytest.mark.parametrize("case", ["monochrome 1", "window"])
def test_polarity_is_what_dcmtk_would_state(case: str, tmp_path: Path) -> None:
    source, theirs = tmp_path / "image.dcm", tmp_path / "theirs.dcm"
    dcmwrite(source, radiograph(**SOURCES[case]), enforce_file_format=True)
    assert cases.tool("dcmpsmk", source, theirs).returncode == 0
    ours = presented(dcmread(source, stop_before_pixels=True), tmp_path / "ours.dcm")
    assert ours.PresentationLUTShape == dcmread(theirs).PresentationLUTShape


def test_marks_lie_on_the_regions_and_are_named(tmp_path: Path) -> None:
    header = cases.header()
    made = presented(header, tmp_path / "state.dcm", "de")
    marks, notice = made.GraphicAnnotationSequence
    assert [o.GraphicType for o in marks.GraphicObjectSequence] == ["POLYLINE"] * 2
    for label, outline in zip(("Effusion", "Cardiomegaly"), marks.GraphicObjectSequence, strict=True):
        assert outline.GraphicAnnotationUnits == "PIXEL"
        points = np.reshape(outline.GraphicData, (-1, 2))
        np.testing.assert_allclose(points, cases.polygon(96, 120), rtol=1e-6)
        assert outline.TrackingUID == tracking_uid(header.SOPInstanceUID, label)
    words = [text.UnformattedTextValue for text in marks.TextObjectSequence]
    assert words == ["Pleuraerguss, Score 82/100", "Kardiomegalie, Score 61/100"]
    assert "NICHT ZUR DIAGNOSE" in notice.TextObjectSequence[0].UnformattedTextValue
    (area,) = made.DisplayedAreaSelectionSequence
    assert area.DisplayedAreaTopLeftHandCorner == [1, 1]
    assert area.DisplayedAreaBottomRightHandCorner == [96, 120]
    layers = {layer.GraphicLayer for layer in made.GraphicLayerSequence}
    assert layers == {marks.GraphicLayer, notice.GraphicLayer}


def test_labels_do_not_cover_each_other_and_stay_on_the_image(tmp_path: Path) -> None:
    scores = dict.fromkeys(cases.LABELS, 0.9)  # all at the same place
    (result,) = report.build(
        cases.outcome(cases.frontal(cases.header(), scores=scores, seg=cases.covered())), ["gsps"]
    )
    boxes = [
        (*text.BoundingBoxTopLeftHandCorner, *text.BoundingBoxBottomRightHandCorner)
        for text in result.dataset.GraphicAnnotationSequence[0].TextObjectSequence
    ]
    for number, (left, top, right, bottom) in enumerate(boxes):
        assert 0 <= left < right <= 96
        assert 0 <= top < bottom <= 120
        for x, y, end, foot in boxes[:number]:
            across, down = min(right, end) - max(left, x), min(bottom, foot) - max(top, y)
            assert across <= 0 or down <= 1e-4


def test_phantom_stands_at_every_mark(tmp_path: Path) -> None:
    models = cases.model_set(phantom=True)
    (result,) = report.build(
        cases.outcome(cases.frontal(cases.header(), models, seg=cases.covered()), models=models), ["gsps"]
    )
    marks, notice = result.dataset.GraphicAnnotationSequence
    assert all(t.UnformattedTextValue.startswith("PHANTOM: ") for t in marks.TextObjectSequence)
    assert notice.TextObjectSequence[0].UnformattedTextValue.startswith(
        "PHANTOM MODEL SET - NOT FOR PATIENT IMAGES"
    )
    assert result.dataset.ContentDescription == "PHANTOM MODEL SET - NOT FOR PATIENT IMAGES"


def test_none_for_an_image_without_regions_or_in_colour() -> None:
    quiet = cases.frontal(cases.header(), scores={})
    colour = cases.frontal(cases.header("OT", SamplesPerPixel=3, PhotometricInterpretation="RGB"))
    assert report.build(cases.outcome(quiet, colour), ["gsps"]) == []


@pytest.mark.parametrize(
    "rubbish",
    [
        {"WindowCenter": "wide", "WindowWidth": "very"},
        {"VOILUTSequence": [Dataset()]},
        {"ModalityLUTSequence": [], "RescaleSlope": "0"},
        {"VOILUTFunction": "CUBIC", "WindowCenter": "5", "WindowWidth": "9"},
    ],
)
def test_a_grey_scale_that_cannot_be_read_is_left_out(rubbish: dict[str, Any], tmp_path: Path) -> None:
    header = cases.header(**{k: v for k, v in rubbish.items() if not isinstance(v, str)})
    for keyword, value in rubbish.items():
        if isinstance(value, str):
            header.add_new(keyword, "LO", value)
    presented(header, tmp_path / "state.dcm")
    assert dciodvfy.errors(tmp_path / "state.dcm") == []


@pytest.mark.parametrize(("spacing", "ratio"), [(["0.1", "0.2"], [1, 2]), (["0.143", "0.143"], [1, 1])])
def test_pixels_that_are_not_square_are_shown_so(
    spacing: list[str], ratio: list[int], tmp_path: Path
) -> None:
    state = tmp_path / "state.dcm"
    made = presented(radiograph(PixelSpacing=spacing, ImagerPixelSpacing=spacing), state)
    (area,) = made.DisplayedAreaSelectionSequence
    assert list(area.PresentationPixelAspectRatio) == ratio
    assert cases.tool("dcmpschk", state).returncode == 0
