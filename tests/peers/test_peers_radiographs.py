"""The real radiographs through the running node: what is frontal is answered, and what cannot be read stops nothing."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peer_objects
import pytest
from made import SECRET
from peer_archives import SENDER_AE, Storescp
from peer_node import AE_TITLE, Node
from peer_programs import HOST, missing, run
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from worded import said

from xrv_node.demo import samples

pytestmark = [pytest.mark.peers, pytest.mark.timeout(900)]  # a dozen images, and a busy machine is slow

CHEST = {
    "udacity_test1.dcm": ("analysed", "PA"),  # secondary captures of NIH images, implicit little endian
    "udacity_test2.dcm": ("analysed", "AP"),
    "udacity_test3.dcm": ("analysed", "AP"),
    "udacity_test4.dcm": ("skipped", None),  # has the UID of the first
    "nhsx_nih_dx.dcm": ("skipped", None),  # has the UID of the first
    "tfio_nih_00000001_000.dcm": ("skipped", None),  # has the UID of the second
    "xrv_siim_pa_mono2.dcm": ("analysed", "PA"),  # JPEG
    "spoksonat_cxr.dcm": ("analysed", "PA"),  # JPEG lossless
    "wg04_RG1_J2KI.dcm": ("analysed", "PA"),  # JPEG 2000
    "wg04_RG1_JLSN.dcm": ("analysed", "PA"),  # JPEG-LS
    "barre_CR-MONO1-10-chest_explicit.dcm": ("analysed", "PA"),
    "orthanc_issue44_konica_mono1_jpeg.dcm": ("skipped", None),  # the header tells neither view nor body part
}
"""What becomes of each file: the state of its row and its view."""


@dataclass(frozen=True)
class Sent:
    """Everything that was sent, and what the node says of it."""

    paths: list[Path]
    studies: dict[str, dict[str, Any]]
    mixed: str
    """The study with a frontal and a lateral image and two that cannot be decoded."""

    def rows(self, sop_instance_uid: str) -> list[dict[str, Any]]:
        """What the node says of an object, and of others that came with the same UID."""
        return [i for s in self.studies.values() for i in s["instances"] if i["instance"] == sop_instance_uid]


@pytest.fixture(scope="module")
def sent(site: Any, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Sent:
    """All of them in one call of dcmsend, which sends each in its own transfer syntax."""
    if site.storescp is None:
        pytest.skip(missing("storescp"))
    mixed = mixed_study(data)
    wrapped = peer_objects.save(tmp_path_factory.mktemp("sent"), [*mixed, nih(data, "00001699_002.png", 2)])
    paths = [*(data / "dicom" / "chest" / name for name in CHEST), *wrapped]
    ran = run(
        "dcmsend", "-v", "-dn", "-nh", "-aet", SENDER_AE, "-aec", AE_TITLE, HOST, site.node.port, *paths
    )
    assert ran.returncode == 0, ran.stdout
    uids = {str(dcmread(path, stop_before_pixels=True).StudyInstanceUID) for path in paths}
    studies = {uid: site.node.reported(uid, "storescp", seconds=600, pause=8) for uid in uids}
    return Sent(paths, studies, str(mixed[0].StudyInstanceUID))


def mixed_study(data: Path) -> list[Dataset]:
    """A frontal image, a lateral one, one whose codestream is damaged and one that is cut short."""
    frontal = nih(data, "00008397_016.png", 1)
    lateral = samples.secondary_capture(data / "views" / "images" / "000002-2.jpg", 1)
    lateral.ViewPosition = "LL"
    damaged = dcmread(data / "dicom" / "not_chest" / "wg04_RG2_hip_JPLY.dcm")  # 12 bits of lossy JPEG
    damaged.BodyPartExamined, damaged.ViewPosition, damaged.SOPInstanceUID = (
        "CHEST",
        "PA",
        f"{frontal.SOPInstanceUID}1",
    )
    damaged.file_meta.MediaStorageSOPInstanceUID = damaged.SOPInstanceUID
    (codestream,) = generate_frames(damaged.PixelData, number_of_frames=1)
    table = codestream.index(b"\xff\xc4") + 5  # how many codes there are of each length
    damaged.PixelData = encapsulate([codestream[:table] + b"\xff" * 16 + codestream[table + 16 :]])
    short = nih(data, "00001836_010.png", 1)
    short.PixelData = short.PixelData[: len(short.PixelData) // 3]
    study = [frontal, lateral, damaged, short]
    for image in study:
        image.StudyInstanceUID, image.PatientID = frontal.StudyInstanceUID, f"{SECRET}-1"
        image.PatientName = f"{SECRET}^Anna"
    return study


def nih(data: Path, name: str, number: int) -> Dataset:
    """A PNG of NIH ChestX-ray14 as a secondary capture, with the view that its table gives."""
    with (data / "nih" / "labels.csv").open() as file:
        (row,) = [row for row in csv.DictReader(file) if row["image"] == name]
    made = samples.secondary_capture(data / "nih" / "images" / name, number)
    made.ViewPosition, made.PatientName, made.PatientID = (
        row["view"],
        f"{SECRET}^{number}",
        f"{SECRET}-{number}",
    )
    return made


def test_each_chest_radiograph_is_analysed_or_says_why_not(data: Path, sent: Sent) -> None:
    expected, found = defaultdict(list), {}
    for name, what in CHEST.items():
        uid = str(dcmread(data / "dicom" / "chest" / name, stop_before_pixels=True).SOPInstanceUID)
        expected[uid].append(what)
        found[uid] = [(row["state"], row["view"]) for row in sent.rows(uid)]
        for row in sent.rows(uid):
            assert row["state"] == "analysed" or row["reasons"]
    assert found == expected


def test_each_exposure_that_was_analysed_comes_back_with_its_results(
    data: Path, storescp: Storescp, sent: Sent
) -> None:
    # Two files hold one image under two kinds of compression: both name what they were made from.
    twice = dcmread(data / "dicom" / "chest" / "wg04_RG1_J2KI.dcm", stop_before_pixels=True).SOPInstanceUID
    # Three files of one study were given names and numbers by different people: two patients, by their headers.
    two = dcmread(data / "dicom" / "chest" / "udacity_test1.dcm", stop_before_pixels=True).StudyInstanceUID
    analysed = 0
    for uid, study in sent.studies.items():
        images = {i["instance"] for i in study["instances"] if i["state"] == "analysed"}
        files = storescp.files(uid)
        results = [dcmread(path) for path in files]
        analysed += len(images)
        images -= {twice}
        wanted = {"report": 1 + (uid == two), "sr": 1, "seg": len(images)} if images else {}
        assert peer_objects.kinds(results) == wanted
        # Warnings are about the sources' own attributes, which come back verbatim.
        assert [c for path in files for c in peer_objects.complaints(path) if c.startswith("Error")] == []
        segmented = {uid for r in results if r.Modality == "SEG" for _, uid in peer_objects.references(r)}
        assert segmented == images
    assert analysed == 10


def test_what_cannot_be_decoded_fails_with_a_reason_and_stops_nothing(storescp: Storescp, sent: Sent) -> None:
    study = sent.studies[sent.mixed]
    states = [(i["state"], i["verdict"]) for i in study["instances"]]
    assert sorted(states) == [
        ("analysed", "frontal"),
        ("failed", "frontal"),
        ("failed", "frontal"),
        ("skipped", "lateral"),
    ]
    reasons = sorted(said(i["error"]) for i in study["instances"] if i["state"] == "failed")
    assert "JPEG Extended" in reasons[1]
    assert reasons[0].startswith("The pixel data")
    (report,) = [path for path in storescp.files(sent.mixed) if dcmread(path).SOPClassUID.endswith(".88.22")]
    printed = run("dsrdump", "+Pl", report).stdout
    for reason in reasons:
        assert f"analysis failed: {reason}" in printed
    assert "lateral image: View Position LL: a lateral view." in printed
    assert dcmread(report).CompletionFlag == "PARTIAL"


def test_no_patient_is_named_in_log_record_or_queue(node: Node, sent: Sent) -> None:
    names = set()
    for path in sent.paths:
        header = dcmread(path, specific_tags=["PatientName", "PatientID"])
        names |= {*str(header.get("PatientName")).split("^"), str(header.get("PatientID"))}
    # A patient of the samples is called "Patient", and some have a number of one digit, or none.
    names = {name for name in names if len(name) > 3 and name not in ("None", "Patient")}
    assert {SECRET, "CompressedSamples", "Anonymized", "12345678"} <= names
    printed = (
        node.log.read_text()
        + str(node.json("audit", "list", "--limit", "100000"))
        + str(node.json("jobs", "list"))
    )
    assert "truncated" in printed  # so it is the log, and the record, of these images
    assert [name for name in names if name in printed] == []
