"""The report as Encapsulated PDF: valid, the same words as the readable report, the same bytes each time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import dciodvfy
import numpy as np
import pytest
import report_cases as cases
from pydicom import Dataset, dcmread

from xrv_node import languages, report
from xrv_node.report import codes, phrases, read_back
from xrv_node.report.wording import date
from xrv_node.values import ImageOutcome, Prior, StudyOutcome, Style


def study(*, phantom: bool = False, picture: bool = True, **header: Any) -> StudyOutcome:
    models = cases.model_set(phantom)
    image = cases.frontal(cases.header(rows=600, columns=500, **header), models, seg=cases.chest())
    if picture:
        assert image.analysis is not None
        grey = np.tile(np.linspace(0, 255, 250, dtype=np.uint8), (300, 1))
        image = replace(image, analysis=replace(image.analysis, picture=grey))
    lateral = ImageOutcome(cases.header(number=2), cases.LATERAL)
    priors = (Prior("1.2.3", "20250302", {"Effusion": 0.44}),)
    return cases.outcome(image, lateral, models=models, priors=priors)


def made(outcome: StudyOutcome, language: str = "en") -> Dataset:
    (result,) = report.build(outcome, ["pdf"], Style(language=language))
    return dcmread(BytesIO(report.to_bytes(result.dataset)))


def printed(document: Dataset, folder: Path) -> str:
    """The words on the pages, as poppler finds them, each line break a space."""
    path = folder / "report.pdf"
    path.write_bytes(document.EncapsulatedDocument[: document.EncapsulatedDocumentLength])
    run = cases.tool("pdftotext", path, "-")
    assert run.returncode == 0, run.stderr
    return " ".join(run.stdout.split())


@pytest.mark.parametrize("language", languages.names())
def test_it_is_valid_and_says_what_the_readable_report_says(language: str, tmp_path: Path) -> None:
    outcome = study()
    document = made(outcome, language)
    path = tmp_path / "made.dcm"
    document.save_as(path)
    assert dciodvfy.errors(path) == []
    assert document.Modality == "DOC"
    assert document.SeriesNumber == 9009
    words = printed(document, tmp_path)
    (readable,) = report.build(outcome, ["report"], Style(language=language))
    for name in (codes.NOTICE, codes.NOT_ASSESSED, codes.SCORES, codes.IMAGE):
        for said in read_back.texts(readable.dataset, name):
            assert said in words
    assert read_back.headline(readable.dataset) in words
    for label in codes.findings():
        assert phrases.named("finding", label, language) in words
    dates = [date(day, language) for day in ("19580101", "20261120")]
    for shown in ("Muster, Maria", "P-0815", *dates, "A1"):
        assert shown in words


def test_dcmtk_takes_the_pdf_out_as_it_was_put_in(tmp_path: Path) -> None:
    document = made(study())
    document.save_as(tmp_path / "made.dcm")
    assert cases.tool("dcm2pdf", tmp_path / "made.dcm", tmp_path / "out.pdf").returncode == 0
    data = (tmp_path / "out.pdf").read_bytes()
    assert data.startswith(b"%PDF-")
    assert data.rstrip(b"\0") == document.EncapsulatedDocument.rstrip(b"\0")
    assert document.EncapsulatedDocumentLength == len(data.rstrip(b"\0"))


def test_it_names_the_images_that_it_is_about() -> None:
    named = {
        i.ReferencedSOPInstanceUID: i.ReferencedSOPClassUID
        for i in made(study(kind="OT")).SourceInstanceSequence
    }
    assert named == {
        cases.uid("image", 1): cases.SOP_CLASS["OT"],
        cases.uid("image", 2): cases.SOP_CLASS["DX"],
    }


def test_it_does_not_depend_on_when_it_was_made() -> None:
    outcome = study()
    first = made(outcome)
    later = made(replace(outcome, closed_at=outcome.closed_at + timedelta(days=3)))
    assert first.EncapsulatedDocument == later.EncapsulatedDocument
    assert first.SOPInstanceUID == later.SOPInstanceUID
    assert first.SOPInstanceUID != made(outcome, "de").SOPInstanceUID


@pytest.mark.parametrize(
    ("header", "shown", "hidden"),
    [
        ({"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Müller^Zoë"}, "Müller, Zoë", "???"),
        (
            {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎"},
            "Yamada, Tarou",
            "山",
        ),
        ({"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Ωμέγα^Ζωή"}, "P-0815", "Patient Ω"),
        ({"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Ωμέγα^Ζωή"}, "P-0815", "Patient ?"),
        ({"PatientName": "<b>Muster</b> & Söhne"}, "<b>Muster</b> & Söhne", "&amp;"),
        ({"PatientName": "", "PatientID": "", "AccessionNumber": None}, "2026-11-20", "Patient ID"),
    ],
    ids=str,
)
def test_a_name_is_printed_whole_or_not_at_all(
    header: dict[str, Any], shown: str, hidden: str, tmp_path: Path
) -> None:
    words = printed(made(study(**header)), tmp_path)
    assert shown in words
    assert hidden not in words


def test_a_name_of_undeclared_bytes_is_not_printed(tmp_path: Path) -> None:
    header = cases.header(SpecificCharacterSet=None)
    header["PatientName"].value = b"M\xfcller^Zo\xeb"
    words = printed(made(cases.outcome(cases.frontal(header))), tmp_path)
    assert "ller" not in words
    assert "P-0815" in words


def test_in_phantom_nothing_can_be_taken_for_a_result(tmp_path: Path) -> None:
    words = printed(made(study(phantom=True)), tmp_path)
    assert words.count("PHANTOM MODEL SET - NOT FOR PATIENT IMAGES") >= 3
    assert "2025-03-02" not in words


@pytest.mark.parametrize("images", [1, 6])
def test_a_study_without_a_picture_or_with_many_has_pages(images: int, tmp_path: Path) -> None:
    several = [cases.frontal(cases.header(number=n), seg=cases.chest()) for n in range(1, images + 1)]
    words = printed(made(cases.outcome(*several)), tmp_path)
    assert f"Image {images} (PA" in words
    assert ("Page 3" in words) == (images == 6)


def test_a_study_that_was_skipped_has_a_page_that_says_why(tmp_path: Path) -> None:
    document = made(cases.outcome(ImageOutcome(cases.header(), cases.LATERAL)), "es")
    words = printed(document, tmp_path)
    assert "no había ninguna radiografía de tórax frontal" in words
    assert "imagen lateral: View Position is LL." in words
