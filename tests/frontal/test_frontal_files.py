"""The verdict on every real file at hand, as a radiographer would give it from the header alone."""

import csv
from pathlib import Path

import pytest
from pydicom import dcmread

from xrv_node import frontal
from xrv_node.values import Verdict

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "dicom"
MANIFEST = DATA / "manifest.csv"

FRONTAL, UNKNOWN = Verdict.FRONTAL, Verdict.UNKNOWN
NOT_CHEST, NOT_SUITABLE = Verdict.NOT_CHEST, Verdict.NOT_SUITABLE

PA_CHEST = (FRONTAL, "PA", "View Position PA, Body Part CHEST")
BARE = (UNKNOWN, None, "neither body part nor view in the header: only the pixels tell")
NO_MODALITY = "a class and modality that make no radiographs"
HIP = (NOT_CHEST, None, "Body Part HIP")
TIBIA = (NOT_CHEST, "AP", "AP, but of an EXTREMITY")
BREAST = (NOT_CHEST, None, "a mammogram sent as Secondary Capture: Body Part BREAST")
TINY = (NOT_SUITABLE, "PA", "a PA chest header, but of 32 x 32 pixels")

EXPECTED = {
    "chest/barre_CR-MONO1-10-chest_explicit.dcm": PA_CHEST,
    "chest/barre_CR-MONO1-10-chest_implicit.dcm": PA_CHEST,
    "chest/barre_CR-MONO1-10-chest_noheader.dcm": PA_CHEST,
    "chest/nhsx_nih_dx.dcm": BARE,
    "chest/orthanc_issue44_konica_mono1_jpeg.dcm": BARE,
    "chest/spoksonat_cxr.dcm": (FRONTAL, "PA", "TORACE,FRN P->A in the device's processing description"),
    "chest/tfio_nih_00000001_000.dcm": BARE,
    "chest/udacity_test1.dcm": (FRONTAL, "PA", "the view is kept in Patient Position"),
    "chest/udacity_test2.dcm": (FRONTAL, "AP", "the view is kept in Patient Position"),
    "chest/udacity_test3.dcm": (FRONTAL, "AP", "the view is kept in Patient Position"),
    "chest/udacity_test4.dcm": (UNKNOWN, "PA", "RIBCAGE may be a rib examination: the pixels must tell"),
    "chest/wg04_RG1_J2KI.dcm": PA_CHEST,
    "chest/wg04_RG1_JLSN.dcm": PA_CHEST,
    "chest/xrv_siim_pa_mono2.dcm": PA_CHEST,
    "edge/highdicom_dx_image_dog_lateral.dcm": (NOT_SUITABLE, None, "a dog, and lateral in spite of L\\F"),
    "edge/orthanc_canon_CR_pelvis_header.dcm": (NOT_CHEST, "AP", "B?cken and BÄCKEN FRONTAL: a pelvis"),
    "edge/pydicom_chrJapMultiExplicitIR6_CRchestPA.dcm": TINY,
    "edge/pydicom_chrJapMulti_CRchestPA.dcm": TINY,
    "edge/pydicom_chrKoreanMulti_CRchestPA.dcm": TINY,
    "edge/udacity_test5.dcm": (NOT_SUITABLE, "PA", "Modality CT"),
    "edge/udacity_test6.dcm": (UNKNOWN, None, "Patient Position XX is no view"),
    "edge/xrv_fake_mono1.dcm": PA_CHEST,
    "not_chest/barre_CT-MONO2-16-chest.dcm": (NOT_SUITABLE, None, "a CT localizer"),
    "not_chest/barre_MR-MONO2-16-head.dcm": (NOT_SUITABLE, None, NO_MODALITY),
    "not_chest/barre_NM-MONO2-16-13x-heart.dcm": (NOT_SUITABLE, None, NO_MODALITY),
    "not_chest/barre_OT-MONO2-8-a7.dcm": (NOT_SUITABLE, None, "Modality OT"),
    "not_chest/barre_OT-MONO2-8-hip.dcm": (NOT_SUITABLE, None, "Modality OT"),
    "not_chest/barre_OT-PAL-8-face.dcm": (NOT_SUITABLE, None, "Modality OT, in colour"),
    "not_chest/barre_US-RGB-8-epicard.dcm": (NOT_SUITABLE, None, NO_MODALITY),
    "not_chest/barre_US-RGB-8-esopecho.dcm": (NOT_SUITABLE, None, NO_MODALITY),
    "not_chest/barre_XA-MONO2-8-12x-catheter.dcm": (NOT_SUITABLE, None, NO_MODALITY),
    "not_chest/fodicom_CR-ModalitySequenceLUT_teeth.dcm": (
        NOT_CHEST,
        None,
        "TEETH in the series description",
    ),
    "not_chest/orthanc_encapsulated_pdf.dcm": (NOT_SUITABLE, None, "a PDF"),
    "not_chest/wg04_MG1_breast_J2KI.dcm": BREAST,
    "not_chest/wg04_MG1_breast_JPLY.dcm": BREAST,
    **{
        f"not_chest/wg04_RG2_hip_{c}.dcm": HIP
        for c in ("J2KI", "J2KR", "JLSL", "JLSN", "JPLL", "JPLY", "RLE", "UNC")
    },
    **{
        f"not_chest/wg04_RG3_tibia_{c}.dcm": TIBIA
        for c in ("J2KI", "J2KR", "JLSL", "JLSN", "JPLL", "JPLY", "RLE", "UNC")
    },
}

pytestmark = [
    pytest.mark.skipif(not MANIFEST.exists(), reason=f"no real DICOM files at {DATA}"),
    pytest.mark.filterwarnings("ignore"),  # pydicom's remarks on old files
]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_verdict_on_file(name: str) -> None:
    verdict, view, why = EXPECTED[name]
    decision = frontal.decide(dcmread(DATA / name, force=True, stop_before_pixels=True))
    assert (decision.verdict, decision.view) == (verdict, view), f"{why}; got {decision.reasons}"


def test_every_file_of_the_manifest_is_in_the_table() -> None:
    with MANIFEST.open(encoding="utf-8") as lines:
        assert {row["file"] for row in csv.DictReader(lines)} == set(EXPECTED)


def test_no_patients_name_in_any_decision() -> None:
    for name in EXPECTED:
        header = dcmread(DATA / name, force=True, stop_before_pixels=True)
        told = repr(frontal.decide(header)).upper()
        for keyword in ("PatientName", "PatientID", "PatientBirthDate"):
            value = str(header.get(keyword) or "").upper()
            assert not value or value == "ANONYMIZED" or value not in told, (name, keyword)
