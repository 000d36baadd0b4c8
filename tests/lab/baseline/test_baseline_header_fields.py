"""The header fields of a sample, whatever a header holds."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from xrv_node.frontal.gates import age_years
from xrv_node.lab.baseline.header_fields import columns, facts


def test_an_age_is_the_one_that_the_frontal_filter_goes_by() -> None:
    header = Dataset()
    header.PatientAge, header.PatientBirthDate, header.StudyDate = "", "19600101", "20000101"
    assert facts(header)["PatientAge"] == age_years(header) == pytest.approx(40, abs=0.01)
    assert not {"PatientBirthDate", "StudyDate"} & set(facts(header))
    header.PatientBirthDate = "18000101"  # written for a date that is not known
    assert "PatientAge" not in facts(header)


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's remarks on malformed values
def test_values_that_break_the_standard_are_absent_and_the_facts_are_json() -> None:
    written = (
        ("KVP", "DS", b"\xff\xfe"),
        ("Rows", "US", b"\1"),
        ("PatientAge", "AS", b"many"),
        ("Exposure", "DS", b"inf "),
    )
    header = Dataset()
    for keyword, vr, value in (*written, ("Manufacturer", "LO", b"x" * 500)):
        tag = Tag(keyword)
        header[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    found = facts(header)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found) & {"KVP", "Rows", "PatientAge", "Exposure"} == set()
    assert found["Manufacturer"] == "x" * 64


def test_ages_are_years_and_nonsense_is_absent() -> None:
    headers = [Dataset() for _ in range(4)]
    for header, age in zip(headers, ("045Y", "006M", "", "abcY"), strict=True):
        header.PatientAge = age
    numbers, words = columns([facts(header) for header in headers])
    assert numbers["PatientAge"][:2] == pytest.approx([45, 0.5])
    assert np.isnan(numbers["PatientAge"][2:]).all()
    assert words["Manufacturer"] == ("",) * 4
