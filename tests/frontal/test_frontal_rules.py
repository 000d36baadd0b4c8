"""Body part, gates, age and tables: the traps of real headers, one generated header each."""

import time
from pathlib import Path
from typing import Any

import pytest
import shapes
from frontal_headers import code, header, verdict
from worded import said

from xrv_node import frontal
from xrv_node.attributes import fold
from xrv_node.errors import ConfigError
from xrv_node.frontal.gates import age_years
from xrv_node.values import Verdict

FRONTAL, LATERAL, UNKNOWN = Verdict.FRONTAL, Verdict.LATERAL, Verdict.UNKNOWN
NOT_CHEST, NOT_SUITABLE = Verdict.NOT_CHEST, Verdict.NOT_SUITABLE


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("CHEST", FRONTAL),
        ("THORAX", FRONTAL),
        ("TORAX", FRONTAL),
        ("LUNG", FRONTAL),
        ("", UNKNOWN),
        ("XYZ", UNKNOWN),
        ("CHEST_TO_ABDOMEN", UNKNOWN),
        ("RIBCAGE", UNKNOWN),
        ("RIBS", NOT_CHEST),
        ("TSPINE", NOT_CHEST),
        ("SHOULDER", NOT_CHEST),
        ("B?CKEN", NOT_CHEST),
        ("HAND", NOT_CHEST),
        ("SKULL", NOT_CHEST),
    ],
)
def test_body_part(part: str, expected: Verdict) -> None:
    assert verdict(ViewPosition="PA", BodyPartExamined=part) is expected


def test_anatomic_region_and_text_tell_the_body_part_too() -> None:
    bare = {"ViewPosition": "PA", "BodyPartExamined": ""}
    assert verdict(**bare, AnatomicRegionSequence=[code("T-D3000", "SRT")]) is FRONTAL
    assert verdict(**bare, AnatomicRegionSequence=[code("72696002")]) is NOT_CHEST
    assert verdict(**bare, AnatomicRegionSequence=[code("1", "99SITE", "Thorax")]) is FRONTAL
    assert verdict(**bare, SeriesDescription="Thorax") is FRONTAL
    assert verdict(**bare, ProtocolName="Knie links") is NOT_CHEST


def test_a_body_part_that_the_text_contradicts_is_unknown() -> None:
    decision = frontal.decide(header(ViewPosition="AP", SeriesDescription="Abdomen AP"))
    assert decision.verdict is UNKNOWN
    assert any("contradicts itself on the body part" in said(reason) for reason in decision.reasons)


def test_a_lateral_view_of_unknown_part_is_lateral() -> None:
    assert verdict(ViewPosition="LL", BodyPartExamined="") is LATERAL


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1.1"}, NOT_SUITABLE),
        ({"PresentationIntentType": "FOR PROCESSING"}, NOT_SUITABLE),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2"}, NOT_CHEST),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33"}, NOT_SUITABLE),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, FRONTAL),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "OT"}, NOT_SUITABLE),
        ({"Modality": "RF"}, NOT_SUITABLE),
        ({"Modality": "SEG"}, NOT_SUITABLE),
        ({"Manufacturer": "xrv-node"}, NOT_SUITABLE),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, NOT_SUITABLE),
        ({"ImageType": ["DERIVED", "PRIMARY", "SUBTRACTION"]}, NOT_SUITABLE),
        ({"ImageType": ["DERIVED", "PRIMARY"]}, FRONTAL),
        ({"ImageType": ["DERIVED", "SECONDARY"]}, FRONTAL),
        ({"SeriesDescription": "Chest PA DE Bone"}, NOT_SUITABLE),
        ({"SeriesDescription": "Chest PA bone suppressed"}, NOT_SUITABLE),
        ({"SeriesDescription": "Chest AP Tube and line enhanced"}, NOT_SUITABLE),
        ({"DerivationCodeSequence": [code("113062", "DCM")]}, NOT_SUITABLE),
        ({"DerivationCodeSequence": [code("113040", "DCM")]}, FRONTAL),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, NOT_SUITABLE),
        ({"PhotometricInterpretation": "MONOCHROME1"}, FRONTAL),
        ({"NumberOfFrames": 12}, NOT_SUITABLE),
        ({"NumberOfFrames": 1}, FRONTAL),
        ({"Rows": 64, "Columns": 64}, NOT_SUITABLE),
        ({"Rows": None}, NOT_SUITABLE),
        ({"QualityControlImage": "BOTH"}, NOT_SUITABLE),
        ({"QualityControlImage": "NO"}, FRONTAL),
        ({"PatientName": "PHANTOM^CHEST"}, NOT_SUITABLE),
        ({"PatientName": "QC^DAILY"}, NOT_SUITABLE),
        ({"PatientName": "TEST^PATIENT"}, FRONTAL),
        ({"PatientName": "Testa^Quentin"}, FRONTAL),
        ({"PatientName": "Qa^Ahmed"}, FRONTAL),
        ({"PatientName": "Phantomhive^E"}, FRONTAL),
        ({"PatientName": "SYNTHETIC^ONE"}, FRONTAL),
        ({"PatientSpeciesDescription": "Canis lupus familiaris"}, NOT_SUITABLE),
        ({"PatientSpeciesDescription": "Homo sapiens"}, FRONTAL),
        ({"PatientSpeciesCodeSequence": [code("448771007")]}, NOT_SUITABLE),
        ({"PatientSpeciesCodeSequence": [code("337915000")]}, FRONTAL),
        ({"PatientBreedDescription": "Beagle"}, NOT_SUITABLE),
        ({"ResponsiblePerson": "Owner^An", "ResponsiblePersonRole": "OWNER"}, NOT_SUITABLE),
        ({"ResponsiblePerson": "Mother^A", "ResponsiblePersonRole": "PARENT"}, FRONTAL),
        ({"AnatomicalOrientationType": "QUADRUPED"}, NOT_SUITABLE),
        ({"InstitutionName": "Tierklinik am See"}, NOT_SUITABLE),
        ({"InstitutionName": "Veterans Hospital"}, FRONTAL),
    ],
)
def test_what_rules_an_image_out(attributes: dict[str, Any], expected: Verdict) -> None:
    decision = frontal.decide(header(**{"ViewPosition": "PA", **attributes}))
    assert decision.verdict is expected, decision.reasons


def test_the_dog() -> None:
    """A lateral dog whose orientation says L\\F, as a real device wrote it."""
    text = "CANINE LATERAL THORAX 0-15cm"
    dog = {"BodyPartExamined": "THORAX", "PatientOrientation": ["L", "F"], "PatientAge": "020Y"}
    assert verdict(**dog, AcquisitionDeviceProcessingDescription=text) is NOT_SUITABLE
    assert verdict(**dog, AcquisitionDeviceProcessingDescription=text.removeprefix("CANINE ")) is LATERAL


@pytest.mark.parametrize(
    ("at", "below"),
    [("018Y", "017Y"), ("216M", "215M"), ("940W", "939W"), ("6575D", "6574D")],
)
def test_the_age_limit_is_met_in_every_unit(at: str, below: str) -> None:
    """18 years are 216 months, 939.2 weeks and 6574.5 days (a year of 365.25 days)."""
    assert verdict(ViewPosition="PA", PatientAge=at) is FRONTAL
    assert verdict(ViewPosition="PA", PatientAge=below) is NOT_SUITABLE


@pytest.mark.parametrize("years", range(1, 131))
def test_an_age_of_whole_years_is_at_the_limit_of_so_many_and_not_below(years: int) -> None:
    """Exactly, in weeks too, of which 28 years are 1461."""
    ages = [f"{years}Y", f"{years * 12}M", *([f"{years * 1461 // 28}W"] if years % 28 == 0 else [])]
    assert {age_years(header(PatientAge=age)) for age in ages} == {float(years)}


@pytest.mark.parametrize(
    ("attributes", "years"),
    [
        ({"PatientAge": "036M"}, 3),
        ({"PatientAge": "005Y"}, 5),
        ({"PatientAge": "010D"}, 10 / 365.25),
        ({"PatientAge": "008W"}, 56 / 365.25),
        ({"PatientAge": "58"}, 58),
        ({"PatientAge": "", "PatientBirthDate": "20100101", "StudyDate": "20200101"}, 10),
        ({"PatientAge": "", "PatientBirthDate": "1960.01.01", "StudyDate": "2000.01.01"}, 40),
        ({"PatientAge": "000Y", "PatientBirthDate": "19600101", "StudyDate": "20000101"}, 40),
        ({"PatientAge": "000Y", "PatientBirthDate": ""}, 0),
        ({"PatientAge": "", "PatientBirthDate": "18000101"}, None),
        ({"PatientAge": "", "PatientBirthDate": "20300101"}, None),
        ({"PatientAge": "", "PatientBirthDate": ""}, None),
        ({"PatientAge": "old", "PatientBirthDate": "99999999"}, None),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's remarks on malformed values
def test_age(attributes: dict[str, Any], years: float | None) -> None:
    decision = frontal.decide(header(ViewPosition="PA", **attributes))
    found = age_years(header(**attributes))
    assert found is None if years is None else found == pytest.approx(years, abs=0.01)
    assert decision.verdict is (NOT_SUITABLE if years is not None and years < 18 else FRONTAL)
    if years is None:
        assert any("does not tell the patient's age" in said(reason) for reason in decision.reasons)


def test_the_age_limit_is_the_sites() -> None:
    young = header(ViewPosition="PA", PatientAge="012Y")
    assert frontal.decide(young).verdict is NOT_SUITABLE
    assert frontal.decide(young, min_age_years=10).verdict is FRONTAL
    assert frontal.decide(young, min_age_years=0).verdict is FRONTAL


@pytest.mark.parametrize(("view", "expected"), [("PA", FRONTAL), ("AP", FRONTAL), ("LATERAL", LATERAL)])
@pytest.mark.parametrize("modality", ["CR", "DX"])
def test_complete_headers(view: str, expected: Verdict, modality: str) -> None:
    assert frontal.decide(shapes.header(view, modality=modality)).verdict is expected


def test_evidence_names_attribute_and_value_strongest_first() -> None:
    decision = frontal.decide(shapes.header("PA"))
    assert [e.attribute for e in decision.evidence][:3] == [
        "ViewCodeSequence",
        "ViewPosition",
        "SeriesDescription",
    ]
    assert decision.evidence[1].value == "PA"
    assert str(decision.reasons[0]).startswith("View Code Sequence SCT:272479007")


def test_fold() -> None:
    assert fold("TORACE,FRN P->A") == "TORACE FRN P A"
    assert fold("  Tórax_décubito ") == "TORAX DECUBITO"
    assert fold("흉부 정면") == "흉부 정면"


def test_decides_in_well_under_a_millisecond() -> None:
    ds = shapes.header("PA")
    took = []
    for _ in range(60):
        start = time.perf_counter()
        frontal.decide(ds)
        took.append(time.perf_counter() - start)
    assert min(took) < 1e-3


def test_a_sites_own_rules(tmp_path: Path) -> None:
    own = tmp_path / "frontal.toml"
    shipped = Path(__file__).resolve().parents[2] / "dicom_config" / "frontal.toml"
    own.write_text(
        shipped.read_text("utf-8").replace('decubitus = "not_suitable"', 'decubitus = "frontal"'), "utf-8"
    )
    decubitus = header(ViewPosition="RLD")
    assert frontal.decide(decubitus).verdict is NOT_SUITABLE
    assert frontal.decide(decubitus, frontal.load_rules(own)).verdict is FRONTAL
    assert frontal.load_rules() is frontal.load_rules()


@pytest.mark.parametrize("text", ["", "[image", "[projections]\nfrontal = 1", 'image = "x"'])
def test_broken_rules_name_the_file(tmp_path: Path, text: str) -> None:
    own = tmp_path / "broken.toml"
    own.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"broken\.toml"):
        frontal.load_rules(own)
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        frontal.load_rules(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    "keyword", ["SeriesDescription", "ProtocolName", "PerformedProcedureStepDescription"]
)
@pytest.mark.parametrize(
    "words", ["Thorax p.a.", "Chest portable", "Thorax seitlich", "DES soft tissue", "Hund"]
)
def test_of_a_text_that_a_person_typed_only_the_words_that_count_are_told(keyword: str, words: str) -> None:
    told = frontal.decide(header(**{keyword: f"{words} Zebrafinch"}))
    assert "ZEBRAFINCH" not in f"{told.reasons} {told.evidence}".upper()


CHEST = {"ViewPosition": "PA"}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"QualityControlImage": "YES"}, Verdict.PHANTOM),
        ({"QualityControlImage": "YES", "PatientName": "PHANTOM^ONE"}, Verdict.PHANTOM),
        ({"QualityControlImage": "YES", "SeriesDescription": "PA phantom"}, Verdict.PHANTOM),
        ({"QualityControlImage": "BOTH"}, Verdict.NOT_SUITABLE),  # a patient's too
        ({"QualityControlImage": "NO"}, Verdict.FRONTAL),
        ({"PatientName": "PHANTOM^ONE"}, Verdict.NOT_SUITABLE),  # a thing of plastic
        ({"QualityControlImage": "NO", "SeriesDescription": "PA phantom"}, Verdict.NOT_SUITABLE),
        ({"QualityControlImage": "YES", "ViewPosition": "LL"}, Verdict.LATERAL),
        ({"QualityControlImage": "YES", "ViewPosition": ""}, Verdict.NOT_SUITABLE),  # nobody guesses its view
        ({"QualityControlImage": "YES", "BodyPartExamined": "HAND"}, Verdict.NOT_CHEST),
        ({"QualityControlImage": "YES", "PresentationIntentType": "FOR PROCESSING"}, Verdict.NOT_SUITABLE),
        ({"QualityControlImage": "YES", "Modality": "CT"}, Verdict.NOT_SUITABLE),
        ({"QualityControlImage": "YES", "PatientAge": "007Y"}, Verdict.NOT_SUITABLE),
        ({"QualityControlImage": "YES", "Rows": 100}, Verdict.NOT_SUITABLE),
    ],
)
def test_a_phantom_is_frontal_but_for_what_it_says_of_itself(
    attributes: dict[str, Any], expected: Verdict
) -> None:
    decided = frontal.decide(header(**(CHEST | attributes)))
    assert decided.verdict is expected
    if attributes.get("QualityControlImage") in ("YES", "BOTH"):
        assert "objection-quality-control" in {reason.key for reason in decided.reasons}


@pytest.mark.parametrize(
    ("attributes", "first"),
    [
        ({"ViewPosition": "LL"}, "view-lateral"),
        ({"BodyPartExamined": "HAND"}, "part-other"),
        ({"ViewPosition": ""}, "objection-quality-control"),
        (
            {"ViewPosition": "LL", "QualityControlImage": "NO", "PatientName": "PHANTOM"},
            "objection-phantom-name",
        ),
    ],
)
def test_a_phantom_that_shows_something_else_is_left_out_for_what_it_shows(
    attributes: dict[str, Any], first: str
) -> None:
    decided = frontal.decide(header(**(CHEST | {"QualityControlImage": "YES"} | attributes)))
    assert decided.reasons[0].key == first
