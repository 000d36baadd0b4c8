"""Whatever a header holds: a verdict, reasons, no exception, and nothing of the patient."""

import warnings
from typing import Any

import pytest
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from xrv_node import frontal
from xrv_node.values import Verdict

KEYWORDS = [
    "SOPClassUID", "Modality", "ImageType", "PresentationIntentType", "ViewCodeSequence", "ViewPosition",
    "PatientPosition", "PatientOrientation", "BodyPartExamined", "AnatomicRegionSequence", "SeriesDescription",
    "ProtocolName", "AcquisitionDeviceProcessingDescription", "PerformedProcedureStepDescription",
    "PerformedProtocolCodeSequence", "DerivationCodeSequence", "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames",
    "PhotometricInterpretation", "PatientAge", "PatientBirthDate", "StudyDate", "PatientName",
    "PatientSpeciesDescription", "PatientSpeciesCodeSequence", "QualityControlImage", "Manufacturer",
    "SpecificCharacterSet", "StationName", "InstitutionName",
]  # fmt: skip
VRS = [
    "CS",
    "LO",
    "PN",
    "DA",
    "AS",
    "IS",
    "DS",
    "US",
    "SS",
    "SQ",
    "UI",
    "OB",
    "UN",
    "FD",
    "AT",
    "ZZ",
    "UT",
    "LT",
]
WORDS = [
    "PA",
    "AP",
    "LAT",
    "CHEST",
    "L\\F",
    "A\\F",
    "CHEST PA AND LAT",
    "012Y",
    "20200101",
    "\xff\x1b$B",
    "",
    "\\\\",
]
SECRET = "Zqxjkv"


def raw(keyword: str, vr: str, value: bytes) -> RawDataElement:
    return RawDataElement(Tag(tag_for_keyword(keyword)), vr, len(value), value, 0, False, True)


elements = st.builds(
    raw,
    st.sampled_from(KEYWORDS),
    st.sampled_from(VRS),
    st.binary(max_size=40) | st.sampled_from(WORDS).map(lambda word: word.encode("latin-1")),
)


@given(st.lists(elements, max_size=16), st.booleans())
@settings(max_examples=400, deadline=None)
def test_undecodable_bytes(found: list[RawDataElement], on_a_radiograph: bool) -> None:
    ds = shapes.header("PA") if on_a_radiograph else Dataset()
    for element in found:
        ds[element.tag] = element
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decision = frontal.decide(ds)
    assert decision.verdict in Verdict
    assert decision.reasons
    assert all(str(reason).endswith(".") for reason in decision.reasons)
    assert all(evidence.attribute and evidence.value.isprintable() for evidence in decision.evidence)


@given(
    st.dictionaries(
        st.sampled_from(KEYWORDS), st.text(max_size=40) | st.lists(st.text(max_size=8), max_size=4)
    )
)
@settings(max_examples=300, deadline=None)
def test_values_that_do_not_fit(values: dict[str, Any]) -> None:
    ds = shapes.header("AP", modality="CR")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, value in values.items():
            try:
                setattr(ds, keyword, value)
            except Exception:  # pydicom itself refuses to hold it
                continue
        decision = frontal.decide(ds)
    assert decision.reasons


@given(st.sampled_from(WORDS), st.sampled_from(["", "PHANTOM^", "Fantom ", "QC "]))
@settings(max_examples=60, deadline=None)
def test_nothing_of_the_patient(word: str, prefix: str) -> None:
    ds = shapes.header("PA", modality="CR")
    ds.ViewPosition = "PA" if word == "" else "LL"
    ds.PatientName = f"{prefix}{SECRET}^{word}"
    for keyword in ("PatientID", "PatientComments", "PatientSpeciesDescription", "PatientBreedDescription"):
        setattr(ds, keyword, f"{SECRET} {word}")
    for keyword in ("ResponsiblePerson", "OtherPatientIDs", "AdditionalPatientHistory"):
        setattr(ds, keyword, SECRET)
    ds.PatientAge, ds.PatientBirthDate = "013Y", "20110203"
    told = repr(frontal.decide(ds))
    for secret in (SECRET, "013Y", "20110203", "2011"):
        assert secret not in told


def test_a_sequence_of_junk() -> None:
    ds = shapes.header("PA")
    empty, nested = Dataset(), Dataset()
    nested.CodeValue = "x" * 5000
    nested.CodeMeaning = "PA " * 5000
    ds.ViewCodeSequence = [empty, nested] * 50
    decision = frontal.decide(ds)
    assert decision.reasons
    assert max(len(evidence.value) for evidence in decision.evidence) <= 64


@pytest.mark.parametrize("keyword", ["Rows", "NumberOfFrames", "SamplesPerPixel"])
@pytest.mark.parametrize("value", [b"", b"1e999", b"nan", b"-5", b"9" * 200])
def test_numbers_that_are_none(keyword: str, value: bytes) -> None:
    ds = shapes.header("PA")
    ds[Tag(tag_for_keyword(keyword))] = raw(keyword, "LO", value)
    assert frontal.decide(ds).reasons
