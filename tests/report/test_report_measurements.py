"""The measurements against plain geometry: shapes of known size, and the same numbers counted pixel by pixel."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_cases import FRONTAL, STRUCTURES, chest, disk, frontal, header, model_set

from xrv_node.reasons import as_is
from xrv_node.report import codes, summary
from xrv_node.report.measurements import (
    ANTEROPOSTERIOR,
    AT_DETECTOR,
    CALIBRATED,
    IMPLAUSIBLE,
    PROJECTION,
    VIEW_NOT_STATED,
    Measure,
    measure,
)
from xrv_node.values import Frame, ImageOutcome

WIDTHS = ("CTR", "HEART-WIDTH", "CHEST-WIDTH")
ALL = (*WIDTHS, "LUNG-AREA-L", "LUNG-AREA-R")


def image(masks: np.ndarray | None = None, view: str | None = "PA", **changes: object) -> ImageOutcome:
    made = frontal(header(rows=600, columns=480, **changes), seg=chest() if masks is None else masks)
    return replace(made, decision=replace(FRONTAL, view=view))


def measured(outcome: ImageOutcome) -> dict[str, Measure]:
    return {m.key: m for m in measure(outcome)}


def of(masks: np.ndarray, name: str) -> np.ndarray:
    return masks[STRUCTURES.index(name)]


def counted(masks: np.ndarray) -> tuple[int, int]:
    """Widths of heart and thorax in mask pixels, by looking at every pixel."""
    heart = [x for row in of(masks, "Heart") for x, inside in enumerate(row) if inside]
    thorax = 0
    for left, right in zip(of(masks, "Left Lung"), of(masks, "Right Lung"), strict=True):
        columns = [x for x in range(len(left)) if left[x] or right[x]]
        if any(left) and any(right):
            thorax = max(thorax, columns[-1] - columns[0] + 1)
    return max(heart) - min(heart) + 1, thorax


@settings(max_examples=25, deadline=None)
@given(
    heart=st.tuples(st.floats(0.5, 0.62), st.floats(0.55, 0.7), st.floats(0.09, 0.16)),
    n=st.sampled_from([64, 100, 128]),
)
def test_the_widths_are_those_that_are_counted(heart: tuple[float, float, float], n: int) -> None:
    masks = chest(n)
    column, row, radius = heart
    masks[STRUCTURES.index("Heart")] = disk(n, row * n, column * n, radius * n)
    got = measured(image(masks))
    widths = counted(masks)
    assert got["CTR"].value == pytest.approx(widths[0] / widths[1])
    for key, pixels in zip(("HEART-WIDTH", "CHEST-WIDTH"), widths, strict=True):
        assert got[key].value == pytest.approx(pixels * 480 / n * 0.7)


def test_ellipses_measure_what_geometry_says() -> None:
    got = measured(image(chest(512)))
    assert tuple(got) == ALL
    side = 480 * 0.7
    pixel = side / 512
    assert got["HEART-WIDTH"].value == pytest.approx(2 * 0.16 * side, abs=2 * pixel)
    # the right lung is widest at 0.48, the left at 0.5: the widest common row lies between
    assert got["CHEST-WIDTH"].value == pytest.approx((0.72 - 0.28 + 0.17 + 0.18) * side, abs=3 * pixel)
    assert got["LUNG-AREA-L"].value == pytest.approx(math.pi * 0.34 * 0.17 * side**2, rel=0.005)
    assert got["LUNG-AREA-R"].value == pytest.approx(math.pi * 0.36 * 0.18 * side**2, rel=0.005)


def test_lines_and_outlines_lie_where_the_masks_are_in_the_source() -> None:
    got = measured(image())
    scale, top = 480 / 128, 60  # the square is in the middle of 600 rows
    ends = of(chest(), "Heart").any(axis=0).nonzero()[0]
    heart, thorax = got["CTR"].outlines
    assert (heart,) == got["HEART-WIDTH"].outlines
    assert (thorax,) == got["CHEST-WIDTH"].outlines
    assert [x for x, _ in heart] == pytest.approx([ends[0] * scale, (ends[-1] + 1) * scale])
    assert heart[0][1] == heart[1][1] == pytest.approx(top + 0.65 * 480, abs=scale)
    assert top + 0.48 * 480 - scale < thorax[0][1] < top + 0.5 * 480 + scale
    (outline,) = got["LUNG-AREA-R"].outlines
    assert outline[0] == outline[-1]
    rows, columns = of(chest(), "Right Lung").any(axis=1).nonzero()[0], of(chest(), "Right Lung").any(axis=0)
    x, y = np.array(outline).T
    assert (y.min(), y.max()) == pytest.approx((top + rows[0] * scale, top + (rows[-1] + 1) * scale))
    across = columns.nonzero()[0]
    assert (x.min(), x.max()) == pytest.approx((across[0] * scale, (across[-1] + 1) * scale))


def test_a_speck_does_not_widen_anything() -> None:
    masks = chest()
    for name, row, column in (("Heart", 80, 30), ("Left Lung", 60, 126), ("Right Lung", 60, 1)):
        masks[STRUCTURES.index(name), row, column] = True
    specked, clean = measured(image(masks)), measured(image())
    assert {k: m.value for k, m in specked.items()} == {k: m.value for k, m in clean.items()}


def test_oblong_pixels_are_measured_across_and_down() -> None:
    got, square = measured(image(ImagerPixelSpacing=["1.4", "0.7"])), measured(image())
    for key in WIDTHS:
        assert got[key].value == square[key].value
    assert got["LUNG-AREA-L"].value == pytest.approx(2 * square["LUNG-AREA-L"].value)


@pytest.mark.parametrize(
    ("changes", "unit", "caveat"),
    [
        ({}, "mm", AT_DETECTOR),
        ({"PixelSpacing": ["0.7", "0.7"]}, "mm", AT_DETECTOR),
        ({"PixelSpacing": ["0.65", "0.65"]}, "mm", CALIBRATED),
        ({"PixelSpacing": ["0.7", "0.7"], "PixelSpacingCalibrationType": "FIDUCIAL"}, "mm", CALIBRATED),
        ({"PixelSpacing": ["0.65", "0.65"], "ImagerPixelSpacing": None}, "mm", CALIBRATED),
        ({"ImagerPixelSpacing": None}, "{pixels}", None),
        ({"ImagerPixelSpacing": ["0", "0"]}, "{pixels}", None),
    ],
)
def test_what_the_spacing_means_is_said(changes: dict[str, object], unit: str, caveat: str | None) -> None:
    got = measured(image(**changes))
    assert tuple(got) == (ALL if unit == "mm" else WIDTHS)
    assert got["CTR"].unit == "{ratio}"
    assert got["CTR"].caveats == (PROJECTION,)
    for key in WIDTHS[1:]:
        assert got[key].unit == unit
        assert got[key].caveats == ((PROJECTION, caveat) if caveat else (PROJECTION,))
    assert got["CTR"].value == pytest.approx(measured(image())["CTR"].value)


@pytest.mark.parametrize(("view", "caveat"), [("PA", None), ("AP", ANTEROPOSTERIOR), (None, VIEW_NOT_STATED)])
def test_the_view_matters_to_the_heart_only(view: str | None, caveat: str | None) -> None:
    got = measured(image(view=view))
    assert got["CTR"].caveats == ((PROJECTION, caveat) if caveat else (PROJECTION,))
    assert got["LUNG-AREA-L"].caveats == (PROJECTION, AT_DETECTOR)


def without(*names: str) -> np.ndarray:
    masks = chest()
    masks[[STRUCTURES.index(name) for name in names]] = False
    return masks


def moved(name: str, columns: int) -> np.ndarray:
    masks = chest()
    masks[STRUCTURES.index(name)] = np.roll(of(masks, name), columns, axis=1)
    return masks


@pytest.mark.parametrize(
    "outcome",
    [
        image(without("Heart")),
        image(without("Left Lung")),
        image(without("Left Lung", "Right Lung", "Heart")),
        image(moved("Heart", -40)),
        image(moved("Left Lung", 15)),
        image(chest()[:, :, ::-1]),
        image(np.ones_like(chest())),
        image(PatientOrientation=["R", "F"]),
        image(PatientOrientation=["F", "L"]),
        image(PatientOrientation=["A", "F"]),
        replace(image(), error=as_is("the pixel data ends too early")),
        replace(image(), analysis=None),
    ],
    ids=[
        "no heart", "one lung", "nothing", "heart beside the lungs", "lung cut off", "mirrored", "all of it",
        "header says mirrored", "lying", "lateral", "failed", "not analysed",
    ],
)  # fmt: skip
def test_what_is_not_to_be_believed_is_not_measured(outcome: ImageOutcome) -> None:
    assert measure(outcome) == ()


def test_a_lung_that_goes_on_below_the_square_has_no_area() -> None:
    masks = chest()
    masks[STRUCTURES.index("Left Lung")] = np.roll(of(masks, "Left Lung"), 21, axis=0)
    assert of(masks, "Left Lung")[-1].any()
    assert tuple(measured(image(masks))) == WIDTHS


def test_what_the_gate_refused_is_not_measured() -> None:
    made = image()
    assert made.analysis is not None
    assert measure(replace(made, analysis=replace(made.analysis, refused=as_is("unlike the others")))) == ()


def test_a_mirrored_image_measures_the_same_where_header_and_masks_say_so() -> None:
    got = measured(image(chest()[:, :, ::-1].copy(), PatientOrientation=["R", "F"]))
    for key, usual in measured(image()).items():
        assert got[key].value == pytest.approx(usual.value, rel=0 if key in WIDTHS else 0.005)


def test_an_image_smaller_than_the_square_is_measured_beyond_its_border() -> None:
    """Padded to a square, the frame begins outside the image."""
    made = image()
    assert made.analysis is not None
    padded = replace(made.analysis, frame=Frame(600, 480, 0, -60, 600))
    (first, *_) = measure(replace(made, analysis=padded))
    assert first.outlines[1][0][0] == pytest.approx(
        -60 + 600 / 128 * of(chest(), "Right Lung").any(axis=0).argmax()
    )


@pytest.mark.parametrize(
    ("spacing", "changes", "believed"),
    [
        ("0.7", {}, True),
        ("0.32", {}, False),
        ("1.2", {}, False),
        ("0.32", {"PatientAge": None, "PatientBirthDate": None}, False),
        ("0.7", {"PatientAge": None, "PatientBirthDate": None, "PatientSex": None}, True),
        ("0.5", {"PatientAge": "007Y"}, True),
        ("0.5", {"PatientAge": "030Y", "PatientSex": "M"}, False),
        ("0.7", {"PatientAge": "003Y"}, False),
    ],
    ids=str,
)
def test_lengths_are_given_of_a_thorax_that_a_person_can_have(
    spacing: str, changes: dict[str, object], believed: bool
) -> None:
    shown = image(ImagerPixelSpacing=[spacing, spacing], **changes)
    got = measured(shown)
    assert tuple(got) == (ALL if believed else ("CTR",))
    assert got["CTR"].value == pytest.approx(measured(image())["CTR"].value)
    assert (IMPLAUSIBLE in got["CTR"].caveats) is not believed
    assert any("No lengths" in said for said in summary.quality(shown)) is not believed


def test_untrained_networks_are_measured_like_others() -> None:
    """What they say is marked where it is shown, as with findings."""
    phantom = frontal(header(), model_set(phantom=True), seg=chest())
    assert {m.key for m in measure(phantom)} == set(ALL)


def test_every_row_of_the_table_is_measured_in_its_unit() -> None:
    got = measured(image())
    assert set(got) == set(codes.measurements())
    for key, row in codes.measurements().items():
        assert got[key].unit == row.unit
        assert got[key].name == row.name
