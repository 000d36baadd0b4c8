"""Patient and study are the source's, byte for byte, whatever its header is like."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import report_cases as cases
from report_sources import ALL, JAPANESE, KOREAN, LATIN, OTHERS, UTF8, from_file, raw

from xrv_node import report


def test_the_source_is_left_as_it_was() -> None:
    header = cases.header(**JAPANESE)
    before = report.to_bytes(from_file(header))
    report.build(cases.outcome(cases.frontal(header)), ALL)
    assert report.to_bytes(from_file(header)) == before


@pytest.mark.parametrize(
    "strings",
    [
        JAPANESE,
        KOREAN,
        UTF8,
        LATIN,
        *(
            {"SpecificCharacterSet": c, "PatientName": n, "StudyDescription": "Thorax"}
            for c, n in OTHERS.values()
        ),
    ],
    ids=["japanese", "korean", "utf-8", "latin", *OTHERS],
)
def test_names_come_back_byte_for_byte(strings: dict[str, Any]) -> None:
    header = from_file(cases.header(**strings))
    for result in report.build(cases.outcome(cases.frontal(header)), ALL):
        for keyword in ("PatientName", "StudyDescription", "SpecificCharacterSet"):
            assert raw(result.dataset, keyword) == raw(header, keyword)
        assert from_file(result.dataset).PatientName == header.PatientName


def test_undeclared_characters_come_back_byte_for_byte() -> None:
    """Many devices write Latin-1 and declare nothing."""
    header = cases.header(SpecificCharacterSet=None)
    header["PatientName"].value = b"M\xfcller^Zo\xeb"
    header = from_file(header)
    for result in report.build(cases.outcome(cases.frontal(header)), ALL):
        assert raw(result.dataset, "PatientName") == b"M\xfcller^Zo\xeb"
        assert "SpecificCharacterSet" not in result.dataset


def test_patient_and_study_are_the_source_s() -> None:
    header = cases.header(
        IssuerOfPatientID="HOSPITAL",
        PatientComments="none",
        PatientSize="1.68",
        PatientWeight="70",
        StudyTime=None,
    )
    for result in report.build(cases.outcome(cases.frontal(header)), ALL):
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "StudyDate",
                        "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription",
                        "StudyInstanceUID", "IssuerOfPatientID", "PatientComments", "PatientSize",
                        "PatientWeight"):  # fmt: skip
            assert result.dataset[keyword].value == header[keyword].value
        assert result.dataset["StudyTime"].is_empty


def test_an_attribute_that_breaks_its_vr_stays_out_unless_it_identifies() -> None:
    header = cases.header(
        PatientAge="68", PatientBirthDate="1958.01.01", PatientSex="W", PatientIdentityRemoved="YES"
    )
    header = from_file(header)
    for result in report.build(cases.outcome(cases.frontal(header)), ALL):
        assert "PatientAge" not in result.dataset
        assert "PatientIdentityRemoved" not in result.dataset  # allowed with a method only
        assert result.dataset.PatientBirthDate == "1958.01.01"
        assert result.dataset.PatientSex == "W"


def test_a_header_of_rubbish_still_gives_results() -> None:
    header = cases.header(
        SpecificCharacterSet="ISO_IR 999", SeriesNumber=None, PatientOrientation=["L"], Modality=None,
        ImagerPixelSpacing=None, TimezoneOffsetFromUTC="late", SeriesInstanceUID=None,
        FrameOfReferenceUID="", SOPClassUID="1.3.6.1.4.1.9999.1",
    )  # fmt: skip
    header = from_file(header)
    header["SeriesNumber"] = header.data_element("Rows").__class__(0x00200011, "LO", "one")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of the character set
        results = report.build(cases.outcome(cases.frontal(header)), ALL)
        assert list(dict.fromkeys(r.kind for r in results)) == list(ALL)
        assert all(report.to_bytes(r.dataset) for r in results)


def test_no_patient_data_outside_the_patient_and_study_attributes() -> None:
    header = cases.header(PatientName="Zyzzyva^Quux", PatientID="PID77777", AccessionNumber="ACC88888")
    for result in report.build(cases.outcome(cases.frontal(header)), ALL):
        made = result.dataset
        for keyword in ("PatientName", "PatientID", "AccessionNumber"):
            del made[keyword]
        words = report.to_bytes(made)
        for secret in (b"Zyzzyva", b"Quux", b"PID77777", b"ACC88888"):
            assert secret not in words
