"""View, orientation and pixel size of converted images, judged by dciodvfy and by the node."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import owners
import pytest
import shapes
from dciodvfy import complaints

from xrv_node import frontal
from xrv_node.lab.datasets.load import load
from xrv_node.lab.datasets.to_dicom import Shown, converted, dicom
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.read import read
from xrv_node.values import Verdict

GREY = np.random.default_rng(0).integers(0, 256, (160, 140), dtype=np.uint8)
VIEWS = {
    "PA": (Verdict.FRONTAL, "PA", "272479007"),
    "AP": (Verdict.FRONTAL, "AP", "399348003"),
    "AP Supine": (Verdict.FRONTAL, "AP", "399348003"),
    "FRONTAL": (Verdict.FRONTAL, None, "399033003"),
    "L": (Verdict.LATERAL, None, "399067008"),
    "LL": (Verdict.LATERAL, "LL", "399173006"),
    "RL": (Verdict.LATERAL, "RL", "399198007"),
    "UNKNOWN": (Verdict.UNKNOWN, None, None),
    "LEXT": (Verdict.UNKNOWN, None, None),
}
"""By view: what the node decides, the view that it reads, and the code of CID 4010."""


@pytest.mark.parametrize("view", VIEWS)
def test_dciodvfy_finds_nothing_in_any_view(tmp_path: Path, view: str) -> None:
    made = dicom(Radiograph(GREY, 0, 255), Shown("nih", "a.png", "nih:13", view, "F", 50))
    assert complaints(made, tmp_path) == []


@pytest.mark.parametrize("view", VIEWS)
def test_the_node_reads_the_view_that_was_published_and_no_other(view: str) -> None:
    made = dicom(Radiograph(GREY, 0, 255), Shown("nih", "a.png", view=view))
    decided = frontal.decide(made)
    said = made.get("ViewCodeSequence")
    assert (decided.verdict, decided.view, said and said[0].CodeValue) == VIEWS[view]
    assert list(made.PatientOrientation) == (["L", "F"] if decided.verdict is Verdict.FRONTAL else ["", "F"])
    recumbent = made.get("PatientOrientationCodeSequence")
    assert bool(recumbent) == (view == "AP Supine")
    if recumbent:
        assert recumbent[0].PatientOrientationModifierCodeSequence[0].CodeMeaning == "supine"


def test_the_header_of_the_image_says_what_the_table_does_not(tmp_path: Path) -> None:
    source = shapes.dicom("PA", rows=200)
    source.PatientOrientation, source.ViewPosition = ["P", "F"], "LL"
    source.PatientAge, source.PatientSex = "051Y", "F"
    source.save_as(tmp_path / "source.dcm", enforce_file_format=True)
    read_back = read(tmp_path / "source.dcm")
    made = dicom(read_back, Shown("siim-acr", "source.dcm", view="UNKNOWN"))
    assert (made.ViewPosition, list(made.PatientOrientation)) == ("LL", ["P", "F"])
    assert (made.PatientAge, made.PatientSex) == ("051Y", "F")
    published = dicom(read_back, Shown("openi", "source.dcm", "openi:1", "RL", "M", 40))
    assert (published.ViewPosition, published.PatientAge, published.PatientSex) == ("RL", "040Y", "M")


def test_pixel_spacing_alone_is_not_believed(tmp_path: Path) -> None:
    source = shapes.dicom("PA", rows=200)
    del source.ImagerPixelSpacing
    source.PixelSpacing = [0.143, 0.143]  # RSNA's: of the original, which had 2.6 times as many pixels
    source.save_as(tmp_path / "source.dcm", enforce_file_format=True)
    made = dicom(read(tmp_path / "source.dcm"), Shown("rsna", "source.dcm", view="PA"))
    assert "PixelSpacing" not in made
    assert max(made.Rows, made.Columns) * float(made.ImagerPixelSpacing[0]) == pytest.approx(430, rel=1e-4)
    assert "not published" in made.ImageComments


def test_the_field_of_nihs_originals_is_kept_though_the_images_are_square(tmp_path: Path) -> None:
    folder = owners.folder("nih", tmp_path)
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images/00000001_000.png"), np.arange(65536).reshape(256, 256) // 256)
    table = load("nih", folder, views=["*"], unique_patients=False)
    (row,) = np.flatnonzero(table.csv["Image Index"] == "00000001_000.png")
    made = converted(table, int(row))
    original = (2749 * 0.143, 2682 * 0.143)  # its line in Data_Entry_2017: rows and columns of 0.143 mm
    spacing = [float(side) for side in made.ImagerPixelSpacing]
    assert spacing == pytest.approx([side / 256 for side in original], rel=1e-4)
    assert "not published" not in made.ImageComments
