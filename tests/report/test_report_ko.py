"""Key objects: the images with findings and no others, in words that say who chose them."""

from __future__ import annotations

from pathlib import Path

import highdicom as hd
import report_cases as cases
from pydicom import dcmread

from xrv_node import report
from xrv_node.report import codes, read_back
from xrv_node.values import ImageOutcome, StudyOutcome, Style


def study() -> StudyOutcome:
    return cases.outcome(
        cases.frontal(cases.header(number=1)),
        cases.frontal(cases.header("CR", number=2), scores={}),
        ImageOutcome(cases.header(number=3), cases.LATERAL),
        cases.frontal(cases.header("CR", number=4), scores={"Mass": 0.9}),
    )


def test_it_points_at_the_images_with_findings(tmp_path: Path) -> None:
    whole = study()
    (result,) = report.build(whole, ["ko"])
    path = tmp_path / "ko.dcm"
    path.write_bytes(report.to_bytes(result.dataset))
    document = hd.ko.KeyObjectSelectionDocument.from_dataset(dcmread(path))
    assert document.Modality == "KO"
    references = document.content.get_references()
    chosen = [whole.images[0].header, whole.images[3].header]
    assert [item.referenced_sop_instance_uid for item in references] == [h.SOPInstanceUID for h in chosen]
    assert [item.referenced_sop_class_uid for item in references] == [h.SOPClassUID for h in chosen]
    for head in chosen:
        place = document.resolve_reference(head.SOPInstanceUID)
        assert place == (whole.study_instance_uid, head.SeriesInstanceUID, head.SOPInstanceUID)
    assert document.ConceptNameCodeSequence[0].CodeValue == "113000"
    run = cases.tool("dsrdump", "+Pl", path)
    assert run.returncode == 0
    assert "Pleural effusion, Cardiomegaly, Mass. Made by a machine" in run.stdout
    assert "not for diagnosis or treatment" in run.stdout


def description(whole: StudyOutcome, style: Style | None = None) -> str:
    (result,) = report.build(whole, ["ko"], style or Style())
    (text,) = [
        i for i in result.dataset.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == "113012"
    ]
    return str(text.TextValue)


def test_the_description_is_in_the_destination_s_language() -> None:
    assert "Pleuraerguss" in description(study(), Style("de"))


def test_phantom_stands_first() -> None:
    models = cases.model_set(phantom=True)
    whole = cases.outcome(cases.frontal(cases.header(), models), models=models)
    assert description(whole).startswith("PHANTOM MODEL SET - NOT FOR PATIENT IMAGES")


def test_none_without_findings() -> None:
    assert report.build(cases.outcome(cases.frontal(cases.header(), scores={})), ["ko"]) == []


def test_every_kind_tells_findings_in_the_same_order() -> None:
    scores = {"Pleural_Thickening": 0.99, "Mass": 0.9, "Effusion": 0.7, "Pneumothorax": 0.51}
    expected = ["Pneumothorax", "Effusion", "Mass", "Pleural_Thickening"]
    image = cases.frontal(cases.header(rows=480, columns=480), scores=scores, seg=cases.covered())
    made = {r.kind: r.dataset for r in report.build(cases.outcome(image), ["report", "sr", "sr-image", "ko"])}
    (told,) = read_back.findings(made["report"]).values()
    assert [f.label for f in told][:4] == expected
    names = [codes.finding(label).name for label in expected]
    for kind in ("sr", "sr-image"):
        text = str(made[kind])
        places = [text.index(f"'{name}'") for name in names]
        assert places == sorted(places)
    said = description(cases.outcome(image))
    assert [said.index(name) for name in names] == sorted(said.index(name) for name in names)
    gsps = report.build(cases.outcome(image), ["gsps"])[0].dataset
    marks = [str(t.UnformattedTextValue) for t in gsps.GraphicAnnotationSequence[0].TextObjectSequence]
    assert [mark.split(",")[0] for mark in marks] == names
    maps = [r.dataset.SeriesDescription for r in report.build(cases.outcome(image), ["pm"])]
    assert [codes.finding(label).own.value in one for label, one in zip(expected, maps, strict=True)] == [
        True
    ] * 4
