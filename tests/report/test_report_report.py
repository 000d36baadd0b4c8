"""The readable report, read as a person and as a program would: through highdicom, and as dcmtk's text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import pytest
import report_cases as cases
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

from xrv_node import report
from xrv_node.reasons import as_is
from xrv_node.report import certainty, codes
from xrv_node.result_kinds import KINDS
from xrv_node.values import FrontalDecision, ImageOutcome, StudyOutcome, Verdict


def built(outcome: StudyOutcome) -> Dataset:
    (result,) = report.build(outcome, ["report"])
    return result.dataset


def walk(item: Dataset) -> list[Dataset]:
    return [item, *(found for child in item.get("ContentSequence", []) for found in walk(child))]


def name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def texts(made: Dataset) -> list[str]:
    return [i.TextValue for i in walk(made) if i.ValueType == "TEXT"]


def numbers(made: Dataset) -> dict[str, tuple[str, float]]:
    """Score by concept value: what is read and what is exact."""
    return {
        i.ConceptNameCodeSequence[0].CodeValue: (
            str(i.MeasuredValueSequence[0].NumericValue), i.MeasuredValueSequence[0].FloatingPointValue
        )
        for i in walk(made) if i.ValueType == "NUM"
    }  # fmt: skip


def test_the_first_thing_is_the_headline() -> None:
    made = built(cases.outcome(cases.frontal(cases.header(), seg=cases.chest())))
    first = made.ContentSequence[0]
    assert name(first) == "Impressions"
    assert first.ContentSequence[0].TextValue == (
        "AI: Pleural effusion right 82/100; Cardiomegaly 61/100 (cardiothoracic ratio 0.41) (operating point 50). "
        "Not for diagnosis."
    )
    assert "not a medical device" in first.ContentSequence[1].TextValue


def test_every_container_is_separate_and_the_root_is_an_x_ray_report() -> None:
    made = built(cases.outcome(cases.frontal(cases.header())))
    assert made.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.22"
    root = made.ConceptNameCodeSequence[0]
    assert (root.CodeValue, root.CodingSchemeDesignator) == ("43468-8", "LN")
    containers = [i for i in walk(made) if i.ValueType == "CONTAINER"]
    assert len(containers) >= 5
    assert {i.ContinuityOfContent for i in containers} == {"SEPARATE"}
    assert not [i for i in walk(made) if i.ValueType in ("IMAGE", "SCOORD")]  # shown as "not supported"


def test_highdicom_reads_back_every_call_and_score(tmp_path: Path) -> None:
    scores = {label: 0.05 * k for k, label in enumerate(cases.LABELS, 1)}
    made = built(cases.outcome(cases.frontal(cases.header(), scores=scores)))
    path = tmp_path / "report.dcm"
    path.write_bytes(report.to_bytes(made))
    document = hd.sr.EnhancedSR.from_dataset(dcmread(path))
    read = {item.name.value: item for item in _items(document.content)}
    for label, score in scores.items():
        row = codes.finding(label)
        assert (row.code.value in read) == (score >= 0.5)
        if score >= 0.5:
            assert read[row.code.value].value.value == "52101004"
        measured = read[row.score.value].MeasuredValueSequence[0]
        assert measured.MeasurementUnitsCodeSequence[0].CodeValue == "/100"
        assert measured.FloatingPointValue == score * 100
        assert float(measured.NumericValue) == pytest.approx(score * 100, abs=0.51)


def _items(sequence: hd.sr.ContentSequence) -> list[hd.sr.ContentItem]:
    found = []
    for item in sequence:
        found.append(item)
        found += _items(item.get("ContentSequence", []))
    return found


def lines(made: Dataset, of: str) -> list[str]:
    return [i.TextValue for i in walk(made) if i.ValueType == "TEXT" and name(i) == of]


def test_what_is_present_comes_first_by_urgency_then_a_line_each_of_what_nearly_is_and_what_is_not() -> None:
    scores = {"Pleural_Thickening": 0.97, "Mass": 0.9, "Pneumothorax": 0.5, "Nodule": 0.4999, "Hernia": 0.3}
    made = built(cases.outcome(cases.frontal(cases.header(), scores=scores, seg=cases.chest())))
    (findings,) = [i for i in made.ContentSequence if name(i) == "Findings"]
    (over,) = (i for i in findings.ContentSequence if i.ValueType == "CONTAINER")
    calls = [name(i) for i in over.ContentSequence if i.ValueType == "CODE"]
    assert calls == ["Pneumothorax", "Mass", "Pleural thickening"]
    assert lines(made, "Just below the operating point") == ["Nodule 49/100"]
    (absent,) = lines(made, "Not detected")
    assert absent.startswith("Pleural effusion, Pneumonia, Consolidation, ")
    assert len(absent.split(", ")) == 14
    assert lines(made, "To this finding") == [
        "Near the operating point: another exposure of the same person may fall below it."
    ]
    (headline,) = lines(made, "Impression")
    assert headline.startswith(
        "AI: Pneumothorax right 50/100 (near the operating point); Mass right 90/100; "
    )
    assert "Just below the operating point: Nodule 49/100." in headline


def test_side_and_zone_are_told_and_what_is_drawn_lies_over_the_organ() -> None:
    image = cases.frontal(cases.header(rows=480, columns=480), scores={"Mass": 0.9}, seg=cases.chest())
    assert image.analysis is not None

    def at(column: float, row: float) -> Dataset:
        corners = ((0, 0), (40, 0), (40, 40), (0, 40), (0, 0))
        region = tuple((column + x, row + y) for x, y in corners)
        mass = tuple(
            replace(f, region=region) if f.present else f
            for f in image.analysis.findings  # type: ignore[union-attr]
        )
        return built(cases.outcome(replace(image, analysis=replace(image.analysis, findings=mass))))

    assert lines(at(330, 110), "Where") == ["left, upper zone"]
    assert lines(at(110, 330), "Where") == ["right, lower zone"]
    beside = at(0, 0)
    assert lines(beside, "Where") == []
    (caution,) = lines(beside, "No region could be drawn")
    assert "outside the organ" in caution


def test_a_present_finding_without_a_map_says_that_no_region_could_be_drawn() -> None:
    image = cases.frontal(cases.header(), scores={"Mass": 0.9}, seg=cases.chest())
    assert image.analysis is not None
    bare = tuple(replace(f, region=()) for f in image.analysis.findings)
    made = built(cases.outcome(replace(image, analysis=replace(image.analysis, findings=bare))))
    (said,) = lines(made, "No region could be drawn")
    assert "nowhere positive" in said


@pytest.mark.parametrize(
    ("view", "description", "score", "said"),
    [
        ("PA", "Chest", 0.9, "0.41: not over 0.50, the reference on a PA view. This contradicts the classifier, "
         "which calls cardiomegaly present."),
        ("PA", "Chest", 0.1, "0.41: not over 0.50, the reference on a PA view."),
        ("AP", "Chest", 0.9, "0.41, on an AP view, where the heart looks larger: the reference of 0.50 holds for "
         "PA only."),
        ("AP", "Thorax liegend", 0.9, "0.41, in a patient who lies, where the heart looks larger: the reference of "
         "0.50 holds for PA, standing."),
        (None, "Chest", 0.9, "0.41; the view is not stated, and the reference of 0.50 holds for PA only."),
    ],
)  # fmt: skip
def test_the_ratio_stands_beside_cardiomegaly_with_its_reference(
    view: str | None, description: str, score: float, said: str
) -> None:
    head = cases.header(SeriesDescription=description)
    image = cases.frontal(head, scores={"Cardiomegaly": score}, seg=cases.chest())
    image = replace(image, decision=replace(image.decision, view=view))
    told, *_ = lines(built(cases.outcome(image)), "Cardiothoracic ratio")
    assert told == said


def test_a_ratio_over_the_reference_contradicts_a_heart_that_is_not_called_large() -> None:
    masks = cases.chest(256)
    masks[cases.STRUCTURES.index("Heart")] |= cases.disk(256, 0.65 * 256, 0.55 * 256, 0.21 * 256)
    told, *_ = lines(
        built(cases.outcome(cases.frontal(cases.header(), scores={}, seg=masks))), "Cardiothoracic ratio"
    )
    assert told.startswith("0.5")
    assert "over 0.50" in told
    assert told.endswith("does not detect cardiomegaly.")


def test_what_a_point_is_worth_is_told_where_the_site_has_measured_it() -> None:
    outcome = cases.outcome(cases.frontal(cases.header()), rates={"Effusion": (0.91, 0.8)})
    assert "At this operating point, on the site's own images: sensitivity 0.91, specificity 0.80." in lines(
        built(outcome), "To this finding"
    )


def test_what_is_looked_up_comes_last() -> None:
    made = built(cases.outcome(cases.frontal(cases.header())))
    containers = [name(i) for i in made.ContentSequence if i.ValueType == "CONTAINER"]
    assert containers == [
        "Impressions", "Findings", "About this result", "All numbers of an image", "Models and software",
    ]  # fmt: skip


def test_the_project_s_code_is_the_equivalent_of_the_standard_one() -> None:
    made = built(cases.outcome(cases.frontal(cases.header(), scores=dict.fromkeys(cases.LABELS, 0.9))))
    own = set()
    for item in walk(made):
        concept = item.ConceptNameCodeSequence[0]
        for code in (concept, *concept.get("EquivalentCodeSequence", [])):
            if code.CodingSchemeDesignator == "99XRV":
                own.add(code.CodeValue)
    assert {row.own.value for row in codes.findings().values()} <= own


def test_a_label_that_the_models_do_not_know_is_not_there() -> None:
    image = cases.frontal(cases.header())
    assert image.analysis is not None
    few = replace(image.analysis, findings=image.analysis.findings[:3])
    made = built(cases.outcome(replace(image, analysis=few)))
    assert [k for k in numbers(made) if k.endswith("-SCORE")] == [
        "CONSOLID-SCORE",
        "INFILTR-SCORE",
        "ATELECT-SCORE",
    ]


@pytest.mark.parametrize(
    ("images", "status", "completion", "headline"),
    [
        (["found"], "111242", "COMPLETE", "82/100; Cardiomegaly "),
        (["clear"], "111241", "COMPLETE", "AI: nothing at or over its operating point."),
        (["found", "lateral"], "111242", "COMPLETE", "82/100; Cardiomegaly "),
        (["found", "failed"], "111244", "PARTIAL", "1 of 2 images could not be analysed."),
        (["clear", "failed"], "111243", "PARTIAL", "1 of 2 images could not be analysed."),
        (["failed"], "111245", "PARTIAL", "AI: no result, the analysis failed."),
        (
            ["lateral"],
            "111245",
            "COMPLETE",
            "AI: no result, there was no frontal chest radiograph to analyse.",
        ),
    ],
)
def test_status_completion_and_headline(
    images: list[str], status: str, completion: str, headline: str
) -> None:
    made = built(cases.outcome(*(image(kind, n) for n, kind in enumerate(images, 1))))
    (code,) = [
        i for i in walk(made) if i.ValueType == "CODE" and name(i) == "CAD Processing and Findings Summary"
    ]
    assert code.ConceptCodeSequence[0].CodeValue == status
    assert made.CompletionFlag == completion
    assert made.VerificationFlag == "UNVERIFIED"
    assert headline in made.ContentSequence[0].ContentSequence[0].TextValue


def image(kind: str, number: int) -> ImageOutcome:
    head = cases.header(number=number)
    return {
        "found": lambda: cases.frontal(head),
        "clear": lambda: cases.frontal(head, scores={}),
        "lateral": lambda: ImageOutcome(head, cases.LATERAL),
        "failed": lambda: ImageOutcome(head, cases.FRONTAL, error=as_is("the pixel data ends too early")),
    }[kind]()


def test_images_without_a_result_are_listed_with_the_reason_and_together_where_it_is_the_same() -> None:
    phantom = FrontalDecision(Verdict.NOT_SUITABLE, None, (as_is("Quality Control Image is YES."),))
    made = built(
        cases.outcome(
            cases.frontal(cases.header()),
            *(ImageOutcome(cases.header(number=n), cases.LATERAL) for n in range(2, 10)),
            ImageOutcome(cases.header(number=10), phantom),
            ImageOutcome(
                cases.header(number=11), cases.FRONTAL, error=as_is("the pixel data ends too early")
            ),
        )
    )
    (section,) = [i for i in made.ContentSequence if name(i) == "Images that were not analysed"]
    lines = [i.TextValue for i in section.ContentSequence]
    assert len(lines) == 3
    assert lines[0].startswith("Image 2 (LL, series 2, image 1), Image 3")
    assert lines[0].endswith("and 3 more: lateral image: View Position is LL.")
    assert lines[1].endswith("not suitable: Quality Control Image is YES.")
    assert lines[2].endswith("analysis failed: the pixel data ends too early")


def test_an_image_that_failed_a_check_has_no_findings_in_the_report() -> None:
    strange = replace(
        cases.frontal(cases.header()), error=as_is("the image is unlike those the models were trained on")
    )
    made = built(cases.outcome(strange))
    assert not numbers(made)
    assert any("unlike those" in t for t in texts(made))
    assert [r.kind for r in report.build(cases.outcome(strange), list(KINDS))] == ["report", "pdf"]


def test_the_best_score_of_several_images_is_in_the_headline() -> None:
    made = built(
        cases.outcome(
            cases.frontal(cases.header(number=1), scores={"Mass": 0.6}),
            cases.frontal(cases.header(number=2), scores={"Mass": 0.9, "Edema": 0.7}),
        )
    )
    assert texts(made)[0].startswith("AI: Pulmonary edema right 70/100; Mass right 90/100 ")
    assert len([i for i in made.ContentSequence if name(i) == "Findings"]) == 2


def test_models_versions_and_resampling_are_told() -> None:
    told = " ".join(texts(built(cases.outcome(cases.frontal(cases.header())))))
    for words in ("densenet121-res224-all", "chestx_det", "101-elastic", "a" * 64, "b" * 64, "c" * 64,
                  "linear, antialiased", "0.1.0", "not a probability"):  # fmt: skip
        assert words in told


def test_the_reconstruction_error_is_told() -> None:
    made = built(cases.outcome(cases.frontal(cases.header())))
    assert numbers(made)["RECON-ERROR"] == ("123.5", 123.456)
    values = [i.MeasuredValueSequence[0] for i in walk(made) if i.ValueType == "NUM"]
    units = {v.MeasurementUnitsCodeSequence[0].CodeValue for v in values}
    assert units == {"/100", "[arb'U]"}  # viewers print the unit's code behind the number


def test_of_a_phantom_nothing_can_be_taken_for_a_patient_s() -> None:
    models = cases.model_set(phantom=True)
    made = built(cases.outcome(cases.frontal(cases.header(), models), models=models))
    assert texts(made)[0].startswith("PHANTOM MODEL SET - NOT FOR PATIENT IMAGES")
    values = {i.ConceptCodeSequence[0].CodeValue for i in walk(made) if i.ValueType == "CODE"}
    assert "PHANTOM-PRESENT" in values
    assert not values & {"52101004", "NOT-DETECTED"}
    assert made.ConceptNameCodeSequence[0].CodeMeaning.startswith("PHANTOM MODEL SET")
    assert "PHANTOM-SET" in {
        i.ConceptNameCodeSequence[0].CodeValue for i in walk(made) if i.ValueType == "TEXT"
    }
    assert numbers(made)
    assert not [k for k in numbers(made) if k.endswith("-SCORE")]


def test_reasons_in_any_language_are_shown_as_they_are() -> None:
    decision = FrontalDecision(Verdict.LATERAL, None, (as_is('Series Description is "胸部側面 côté".'),))
    made = built(cases.outcome(ImageOutcome(cases.header(SpecificCharacterSet=None), decision)))
    assert any('"胸部側面 côté"' in t for t in texts(made))
    assert made.SpecificCharacterSet == "ISO_IR 192"


def test_what_was_not_assessed_is_said() -> None:
    image = cases.frontal(cases.header(), seg=cases.chest())
    assert image.analysis is not None
    few = tuple(f for f in image.analysis.findings if f.label not in ("Fracture", "Lung Opacity"))
    made = built(cases.outcome(replace(image, analysis=replace(image.analysis, findings=few))))
    said = [i.TextValue for i in walk(made) if i.ValueType == "TEXT" and name(i) == "Not assessed"]
    assert said[0] == "The classifier was not trained on: Fracture, Lung opacity."
    assert said[1].startswith("The anatomy network did not find: Left clavicle, ")
    assert "Heart" not in said[1]
    assert len(said) == 2


def test_the_cardiothoracic_ratio_is_told_with_its_caveats() -> None:
    made = built(cases.outcome(cases.frontal(cases.header(), seg=cases.chest())))
    ratio = [i for i in walk(made) if i.ValueType == "NUM" and name(i) == "Cardiothoracic ratio"]
    assert 0.2 < float(ratio[0].MeasuredValueSequence[0].NumericValue) < 0.9
    assert any("projection" in t for t in texts(made))


def test_all_images_are_evidence() -> None:
    made = built(
        cases.outcome(cases.frontal(cases.header()), ImageOutcome(cases.header(number=2), cases.LATERAL))
    )
    (study,) = made.CurrentRequestedProcedureEvidenceSequence
    named = {
        i.ReferencedSOPInstanceUID for s in study.ReferencedSeriesSequence for i in s.ReferencedSOPSequence
    }
    assert named == {cases.uid("image", 1), cases.uid("image", 2)}


@given(st.floats(0, 1))
def test_a_score_is_never_rounded_across_the_operating_point(score: float) -> None:
    shown = int(certainty.shown(score))
    assert (shown >= 50) == (score >= 0.5)
    assert abs(shown - score * 100) <= 1
