"""The view: the traps of real headers, one generated header each."""

from typing import Any

import pytest
from frontal_headers import code, header, verdict
from pydicom import Dataset
from pydicom.sr.codedict import codes
from worded import said

from xrv_node import frontal
from xrv_node.values import Verdict

FRONTAL, LATERAL, UNKNOWN = Verdict.FRONTAL, Verdict.LATERAL, Verdict.UNKNOWN
NOT_CHEST, NOT_SUITABLE = Verdict.NOT_CHEST, Verdict.NOT_SUITABLE


@pytest.mark.parametrize(
    ("position", "expected", "view"),
    [
        ("PA", FRONTAL, "PA"),
        ("AP", FRONTAL, "AP"),
        (" ap ", FRONTAL, "AP"),
        ("AP SUPINE", FRONTAL, "AP"),
        ("ANTERO-POSTERIOR", FRONTAL, "AP"),
        ("Postero_Anterior", FRONTAL, "PA"),
        ("PA ERECT INSPIRATION", FRONTAL, "PA"),
        ("FRONTAL", FRONTAL, None),
        ("LL", LATERAL, "LL"),
        ("RL", LATERAL, "RL"),
        ("L", LATERAL, None),
        ("LATERAL", LATERAL, None),
        ("LAT", LATERAL, None),
        ("XTABLE LATERAL", LATERAL, None),
        ("SWIMMERS", LATERAL, None),
        ("LLD", NOT_SUITABLE, "LLD"),
        ("LEFT LATERAL DECUBITUS", NOT_SUITABLE, "LLD"),
        ("RAO", NOT_SUITABLE, None),
        ("AP OBLIQUE", NOT_SUITABLE, None),
        ("AP AXIAL", NOT_SUITABLE, None),
        ("AP LORDOTIC", NOT_SUITABLE, None),
        ("PA\\LAT", UNKNOWN, None),
        ("", UNKNOWN, None),
        ("ZZ", UNKNOWN, None),
    ],
)
def test_view_position(position: str, expected: Verdict, view: str | None) -> None:
    decision = frontal.decide(header(ViewPosition=position))
    assert (decision.verdict, decision.view) == (expected, view), decision.reasons


def test_a_view_position_that_is_not_understood_is_said() -> None:
    decision = frontal.decide(header(ViewPosition="ZZ"))
    assert any("ZZ is in no table" in said(reason) for reason in decision.reasons)


@pytest.mark.parametrize(
    ("item", "expected", "view"),
    [
        (code("272479007"), FRONTAL, "PA"),
        (code("399348003"), FRONTAL, "AP"),
        (code("R-10206", "SRT"), FRONTAL, "AP"),
        (code("R-10214", "SNM3"), FRONTAL, "PA"),
        (code("R-40888", "99SDM"), FRONTAL, "PA"),
        (code("399033003"), FRONTAL, None),
        (code("399173006"), LATERAL, "LL"),
        (code("R-10232", "SRT"), LATERAL, "RL"),
        (code("399067008"), LATERAL, None),
        (code("399135007"), NOT_SUITABLE, None),
        (code("RID43594", "RADLEX"), FRONTAL, "PA"),
        (code("4711", "99SITE", "Thorax seitlich"), LATERAL, None),
        (code("4712", "99SITE", "something else"), UNKNOWN, None),
    ],
)
def test_view_code(item: Dataset, expected: Verdict, view: str | None) -> None:
    decision = frontal.decide(header(ViewCodeSequence=[item]))
    assert (decision.verdict, decision.view) == (expected, view), decision.reasons


def test_a_modifier_qualifies_the_view_code() -> None:
    item = code("399348003")
    item.ViewModifierCodeSequence = [code("R-40799", "SRT", "lordotic")]
    assert verdict(ViewCodeSequence=[item]) is NOT_SUITABLE


def test_view_codes_are_those_of_the_dictionary() -> None:
    """pydicom's CID 4010 (PS3.16) is the oracle: meaning and kind have to go together."""
    words = {"oblique": "oblique", "lateral": "lateral", "frontal": "frontal"}
    words |= {"posterior": "frontal", "anterior": "frontal"}
    terms = frontal.load_rules().views
    known = 0
    for name in codes.CID4010.dir():
        concept = getattr(codes.CID4010, name)
        kinds = {term.kind for term in terms if f"SCT:{concept.value}" in term.codes}
        expected = next((kind for word, kind in words.items() if word in concept.meaning.lower()), None)
        if kinds and expected:
            known += 1
            assert kinds == {expected}, concept
    assert known >= 20


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (["L", "F"], FRONTAL),
        (["R", "F"], FRONTAL),
        (["F", "L"], FRONTAL),
        (["P", "F"], LATERAL),
        (["A", "F"], LATERAL),
        (["PR", "FR"], LATERAL),
        (["L", "P"], UNKNOWN),
        (["", ""], UNKNOWN),
        (["L"], UNKNOWN),
    ],
)
def test_patient_orientation(orientation: list[str], expected: Verdict) -> None:
    assert verdict(PatientOrientation=orientation) is expected


def test_a_mirrored_image_is_said() -> None:
    assert any(
        "mirrored" in said(reason) for reason in frontal.decide(header(PatientOrientation=["R", "F"])).reasons
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Chest PA", FRONTAL),
        ("CHEST,P->A", FRONTAL),
        ("Thorax p.a.", FRONTAL),
        ("Thorax a.p. im Liegen", FRONTAL),
        ("Thorax seitl.", LATERAL),
        ("Thorax Seite", LATERAL),
        ("Thorax de face", FRONTAL),
        ("Thorax profil", LATERAL),
        ("Tórax frontal", FRONTAL),
        ("Tórax perfil", LATERAL),
        ("Tórax decúbito supino", FRONTAL),
        ("Tórax decúbito lateral izquierdo", NOT_SUITABLE),
        ("Tórax oblicua", NOT_SUITABLE),
        ("TORACE LATERO-LATERALE", LATERAL),
        ("Torace frontale", FRONTAL),
        ("Thorax achter-voor", FRONTAL),
        ("Thorax dwars", LATERAL),
        ("胸部正面", FRONTAL),
        ("胸部側面", LATERAL),
        ("CHEST PA AND LAT", UNKNOWN),
        ("Chest 2 views", UNKNOWN),
        ("Thorax in 2 Ebenen", UNKNOWN),
        ("Chest bilateral", UNKNOWN),
        ("CHEST (PORTABLE AP)", FRONTAL),
        ("CHEST PORTABLE", FRONTAL),
        ("Chest lateral decubitus", NOT_SUITABLE),
    ],
)
def test_series_text(text: str, expected: Verdict) -> None:
    assert verdict(SeriesDescription=text) is expected
    assert verdict(ProtocolName=text) is expected


@pytest.mark.parametrize("keyword", ["StudyDescription", "RequestedProcedureDescription"])
def test_study_level_text_is_never_read(keyword: str) -> None:
    assert verdict(**{keyword: "CHEST PA"}) is UNKNOWN
    assert verdict(**{keyword: "ABDOMEN LATERAL", "ViewPosition": "PA"}) is FRONTAL


def test_views_kept_in_patient_position_or_image_type() -> None:
    assert verdict(PatientPosition="PA") is FRONTAL
    assert verdict(PatientPosition="LATERAL") is LATERAL
    assert verdict(PatientPosition="HFS") is UNKNOWN
    assert verdict(PatientPosition="L") is UNKNOWN
    assert verdict(ImageType=["ORIGINAL", "PRIMARY", "AP"]) is FRONTAL


def test_a_mobile_unit_means_ap_only_where_nothing_else_tells() -> None:
    decision = frontal.decide(header(ManufacturerModelName="MobileDaRt Evolution"))
    assert (decision.verdict, decision.view) == (FRONTAL, "AP")
    assert any("AP is assumed" in said(reason) for reason in decision.reasons)
    assert verdict(ManufacturerModelName="MobileDaRt Evolution", ViewPosition="LL") is LATERAL


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"ViewPosition": "PA", "PatientOrientation": ["A", "F"]}, UNKNOWN),
        ({"ViewPosition": "PA", "SeriesDescription": "Chest LAT"}, UNKNOWN),
        ({"ViewPosition": "AP", "ViewCodeSequence": [code("399067008")]}, LATERAL),
        ({"ViewPosition": "LL", "PatientOrientation": ["L", "F"]}, LATERAL),
        ({"PatientOrientation": ["L", "F"], "SeriesDescription": "Chest LAT"}, LATERAL),
        ({"SeriesDescription": "Chest PA", "PatientOrientation": ["P", "F"]}, LATERAL),
    ],
)
def test_conflicts_are_decided_and_said(attributes: dict[str, Any], expected: Verdict) -> None:
    decision = frontal.decide(header(**attributes))
    assert decision.verdict is expected
    assert any("contradicts itself on the view" in said(reason) for reason in decision.reasons)
    kinds = {evidence.indicates for evidence in decision.evidence if evidence.attribute != "BodyPartExamined"}
    assert {"frontal", "lateral"} <= kinds
