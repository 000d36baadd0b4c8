"""What a report is as FHIR R4, held to another maker's models and to our own tables of the standard."""

from __future__ import annotations

import base64
import json
from typing import Any

import fhir_r4
import pytest
from pydicom import Dataset

pytest.importorskip("fhir.resources", reason="the extra fhir is not installed")

import report_cases as cases
import report_sources as sources
from fhir.resources.R4B.bundle import Bundle

from xrv_node import report
from xrv_node.hl7 import fhir, fhir_answer
from xrv_node.report import codes, read_back
from xrv_node.values import PHANTOM_WORDS, StudyOutcome, Style

SITE = fhir.Site("urn:oid:1.2.276.0.1", "https://ris.example/accession")
PRIVATE = fhir.SYSTEMS["99XRV"]


def made(outcome: StudyOutcome, language: str = "en") -> Dataset:
    return report.build(outcome, ["report"], Style(language=language))[0].dataset


def read(dataset: Dataset, site: fhir.Site = SITE) -> dict[str, list[dict[str, Any]]]:
    """The resources by type, after both have taken them."""
    sent = fhir.build(dataset, site)
    bundle = json.loads(sent.data)
    Bundle.model_validate(bundle)
    fhir_r4.check(bundle, "Bundle")
    assert len(bundle["entry"]) == sent.entries
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in bundle["entry"]:
        found.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    return found


def test_a_report_is_a_diagnostic_report_of_its_study_patient_and_order() -> None:
    dataset = made(cases.outcome(cases.frontal(sources.requested(AccessionNumber="A-1"))))
    (one,) = read(dataset)["DiagnosticReport"]
    assert one["status"] == "preliminary"
    assert one["identifier"] == [{"system": "urn:dicom:uid", "value": f"urn:oid:{dataset.SOPInstanceUID}"}]
    assert one["code"] == {
        "coding": [{"system": "http://loinc.org", "code": "36643-5"}],
        "text": "XR Chest 2 Views",
    }
    study = {"system": "urn:dicom:uid", "value": f"urn:oid:{dataset.StudyInstanceUID}"}
    assert one["imagingStudy"] == [{"type": "ImagingStudy", "identifier": study}]
    (order,) = one["basedOn"]
    assert (order["identifier"]["system"], order["identifier"]["value"]) == (SITE.accession_system, "A-1")
    assert order["identifier"]["type"]["coding"][0]["code"] == "ACSN"
    patient = one["subject"]
    assert "reference" not in patient
    assert (patient["identifier"]["system"], patient["identifier"]["value"]) == (
        SITE.patient_system,
        str(dataset.PatientID),
    )
    assert (one["effectiveDateTime"], one["issued"]) == ("2026-11-20T10:15:00Z", "2026-11-20T10:30:05Z")


def test_a_report_says_for_what_it_is_not() -> None:
    dataset = made(cases.outcome(cases.frontal(cases.header())))
    found = read(dataset)
    (notice,) = read_back.texts(dataset, codes.NOTICE)
    (one,) = found["DiagnosticReport"]
    assert one["conclusion"] == f"{read_back.headline(dataset)}\n{notice}"
    assert "Not for diagnosis." in one["conclusion"]
    assert "Research software, not a medical device" in notice
    for other in found["Observation"] + found["Device"]:
        assert other["note"][-1] == {"text": notice}
    assert {other["status"] for other in found["Observation"]} == {"preliminary"}


@pytest.mark.parametrize("language", ["en", "de", "es", "fr", "pt"])
def test_the_text_is_the_reports(language: str) -> None:
    dataset = made(cases.outcome(cases.frontal(cases.header())), language)
    (one,) = read(dataset)["DiagnosticReport"]
    (form,) = one["presentedForm"]
    words = base64.b64decode(form["data"]).decode()
    assert (form["contentType"], form["language"], one["language"]) == (
        "text/plain;charset=utf-8",
        language,
        language,
    )
    for said in (read_back.headline(dataset), *read_back.texts(dataset, codes.NOT_DETECTED)):
        assert said in words


def test_each_finding_is_an_observation_with_its_score_and_call() -> None:
    dataset = made(cases.outcome(cases.frontal(cases.header())))
    found = read(dataset)
    ((image, findings),) = read_back.findings(dataset).items()
    assert len(found["Observation"]) == len(findings)
    for one, finding in zip(found["Observation"], findings, strict=True):
        row = codes.finding(finding.label)
        assert one["code"]["coding"] == [
            {"system": PRIVATE, "code": row.score.value, "display": row.score.meaning}
        ]
        assert one["valueQuantity"] == {
            "value": int(finding.score * 100 + 0.5),
            "unit": "of 100",
            "system": "http://unitsofmeasure.org",
            "code": "/100",
        }
        assert [c["coding"][0]["code"] for c in one.get("interpretation", [])] == ["A"] * finding.present
        (component,) = one["component"]
        assert component["code"]["coding"][0]["code"] == row.code.value
        call = codes.PRESENT if finding.present else codes.NOT_DETECTED
        assert component["valueCodeableConcept"]["coding"][0]["code"] == call.value
        assert one["derivedFrom"] == [
            {"type": "Media", "identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{image}"}}
        ]


def test_a_search_for_a_finding_finds_no_scores() -> None:
    """Also of one that is not detected there is a score: its code is none of the finding."""
    for one in read(made(cases.outcome(cases.frontal(cases.header()))))["Observation"]:
        assert {coding["system"] for coding in one["code"]["coding"]} == {PRIVATE}


def test_a_phantoms_report_is_test_data_with_codes_of_its_own() -> None:
    found = read(made(sources.phantom()))
    (one,) = found["DiagnosticReport"]
    assert one["conclusion"].startswith(PHANTOM_WORDS)
    for other in (one, *found["Observation"]):
        assert [label["code"] for label in other["meta"]["security"]] == ["HTEST"]
    for other in found["Observation"]:
        assert other["code"]["coding"][0]["code"].endswith("-PHT")
        assert not {"interpretation", "component"} & set(other)


def test_the_same_report_is_the_same_bytes_and_names_the_one_before() -> None:
    dataset = made(cases.outcome(cases.frontal(cases.header())))
    assert fhir.build(dataset, SITE) == fhir.build(dataset, SITE)
    before = Dataset()
    before.ReferencedSOPInstanceUID = "1.2.3"
    series, study = Dataset(), Dataset()
    series.ReferencedSOPSequence, study.ReferencedSeriesSequence = [before], [series]
    dataset.PredecessorDocumentsSequence = [study]
    (one,) = read(dataset)["DiagnosticReport"]
    assert one["extension"][0]["valueReference"]["identifier"]["value"] == "urn:oid:1.2.3"


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"TimezoneOffsetFromUTC": "+0100"}, ("2026-11-20T10:15:00+01:00", "2026-11-20T10:30:05+01:00")),
        ({"TimezoneOffsetFromUTC": ""}, ("2026-11-20", None)),
        ({"StudyDate": "20260231"}, (None, "2026-11-20T10:30:05Z")),
        ({"StudyTime": ""}, ("2026-11-20", "2026-11-20T10:30:05Z")),
    ],
)
def test_a_time_has_its_zone_or_is_a_day(
    attributes: dict[str, str], expected: tuple[str | None, ...]
) -> None:
    dataset = made(cases.outcome(cases.frontal(cases.header())))
    dataset.update(attributes)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    (one,) = read(dataset)["DiagnosticReport"]
    assert (one.get("effectiveDateTime"), one.get("issued")) == expected


def test_a_patient_can_be_looked_for() -> None:
    """What separates in a search is escaped in the value."""
    dataset = made(cases.outcome(cases.frontal(cases.header(PatientID="A|7,8 ü"))))
    (one,) = read(dataset, fhir.Site("urn:oid:1.2", None, True))["DiagnosticReport"]
    assert one["subject"]["reference"] == r"Patient?identifier=urn:oid:1.2%7CA%5C%7C7%5C%2C8%20%C3%BC"
    dataset.PatientID = ""
    (one,) = read(dataset, fhir.Site("urn:oid:1.2", None, True))["DiagnosticReport"]
    assert not {"reference", "identifier"} & set(one["subject"])


def test_a_report_without_anything_known_is_valid() -> None:
    dataset = made(cases.outcome(cases.frontal(cases.header())))
    for keyword in ("PatientID", "PatientName", "AccessionNumber", "StudyDate", "StudyDescription"):
        setattr(dataset, keyword, "")
    (one,) = read(dataset, fhir.Site())["DiagnosticReport"]
    assert one["code"]["coding"][0]["code"] == "18748-4"
    assert "basedOn" not in one


def _issue(**fields: Any) -> bytes:
    return json.dumps({"resourceType": "OperationOutcome", "issue": [fields]}).encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (_issue(severity="error", code="required", diagnostics="DOE", expression=["Bundle.entry[0].resource"]),
         "error required Bundle.entry[0].resource"),
        (_issue(severity="error", code="not-found", location=["/f:Patient[@id='DOE']"]), "error not-found"),
        (_issue(severity="error", code="DOE JANE"), "error"),
        (_issue(severity="error", code="invalid", expression=["Patient.where(name='DOE')"]), "error invalid"),
        (_issue(severity="warning", code="invalid"), ""),
        (b"<html>", ""),
        (b"[1]", ""),
        (b'{"resourceType": "OperationOutcome", "issue": 7}', ""),
        (b"[" * 100_000, ""),
    ],
)  # fmt: skip
def test_of_an_outcome_only_its_codes_are_told(body: bytes, words: str) -> None:
    assert fhir_answer.issue(body) == words


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b'{"resourceType": "Bundle", "type": "transaction-response"}',
        b'{"resourceType": "Bundle", "type": "transaction-response", "entry": [{"response": {"status": "400"}}]}',
        b'{"resourceType": "Bundle", "type": "transaction-response", "entry": [{"response": {"status": "2"}}]}',
        b'{"resourceType": "Bundle", "type": "transaction-response", "entry": [{"response": 7}]}',
        b'{"resourceType": "Bundle", "type": "searchset", "entry": [{"response": {"status": "201"}}]}',
    ],
)  # fmt: skip
def test_an_answer_that_says_nothing_of_an_entry_stored_nothing(body: bytes) -> None:
    assert not fhir_answer.stored(body, 1)
