"""dcmtk as the PACS, and its storescp as the archive that the results come to."""

from __future__ import annotations

import zlib
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any

import highdicom as hd
import numpy as np
import peer_objects
import pytest
from peer_archives import SENDER_AE, Storescp, storescp
from peer_node import AE_TITLE, RESULTS_SECONDS, Node
from peer_programs import HOST, missing, run, until
from pydicom import Dataset, dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian
from worded import said

pytestmark = pytest.mark.peers

RG2 = "wg04_RG2_hip_"
"""NEMA's sample of the compressed transfer syntaxes: one radiograph of a hip, so that none of it is analysed."""


SUCCESS = "Received Store Response (Success)"


def storescu(node: Node, *options: str, file: Path) -> str:
    """Send a file or a folder as a PACS, proposing what the options say; returns what storescu says."""
    titles = ["-aet", SENDER_AE, "-aec", AE_TITLE]
    return run("storescu", "-v", "-R", *titles, *options, HOST, node.port, file).stdout


@dataclass(frozen=True)
class Answered:
    """A study that the node has answered."""

    sent: dict[str, Dataset]
    """By view."""
    paths: list[Path]
    row: dict[str, Any]
    files: list[Path]
    """What came to storescp."""

    @property
    def results(self) -> list[Dataset]:
        return [dcmread(path) for path in self.files]


@pytest.fixture(scope="module")
def answered(site: Any, tmp_path_factory: pytest.TempPathFactory) -> Answered:
    """A postero-anterior and a lateral image, sent by storescu in one association."""
    if site.storescp is None:
        pytest.skip(missing("storescp"))
    sent = peer_objects.study(1, "PA", "LATERAL")
    paths = peer_objects.save(tmp_path_factory.mktemp("sent"), sent)
    assert storescu(site.node, "+sd", file=paths[0].parent).count(SUCCESS) == 2
    row = site.node.reported(sent[0].StudyInstanceUID, "storescp")
    files = site.storescp.files(sent[0].StudyInstanceUID)
    return Answered(dict(zip(("PA", "LATERAL"), sent, strict=True)), paths, row, files)


# ------------------------------------------------------------------ who may call


def test_echo(node: Node) -> None:
    ran = run("echoscu", "-v", "-aet", SENDER_AE, "-aec", AE_TITLE, HOST, node.port)
    assert ran.returncode == 0
    assert "Received Echo Response (Success)" in ran.stdout


@pytest.mark.parametrize(
    ("calling", "called", "reason", "remedy"),
    [
        (SENDER_AE, "SOMEONE", "Called AE Title Not Recognized", "receive.ae_title"),
        (
            "STRANGER",
            AE_TITLE,
            "Calling AE Title Not Recognized",
            'add "STRANGER" to receive.allowed_calling_ae',
        ),
    ],
)
def test_who_is_not_known_is_refused_and_told_why(
    node: Node, calling: str, called: str, reason: str, remedy: str
) -> None:
    ran = run("echoscu", "-v", "-aet", calling, "-aec", called, HOST, node.port)
    assert ran.returncode != 0
    assert reason in ran.stdout
    last = node.events("association.refused")[-1]["detail"]
    assert (last["calling_ae"], last["called_ae"]) == (calling, called)
    assert remedy in said(last["remedy"])


# ------------------------------------------------------------------ a study and its results


def test_the_frontal_image_is_answered_by_a_report_regions_and_a_segmentation(answered: Answered) -> None:
    assert answered.row["state"] == "reported"
    assert {i["view"]: i["state"] for i in answered.row["instances"]} == {"PA": "analysed", "LL": "skipped"}
    assert peer_objects.kinds(answered.results) == {"report": 1, "sr": 1, "seg": 1}
    sent = [d for r in answered.row["results"] for d in r["deliveries"] if d["destination"] == "storescp"]
    assert [d["status"] for d in sent] == ["0x0000"] * 3
    # Each in a series of its own: viewers show only the last object of a series.
    assert len({r.SeriesInstanceUID for r in answered.results}) == 3


def test_what_arrives_is_what_the_node_keeps(node: Node, answered: Answered) -> None:
    kept = {r["instance"]: node.data_dir / r["path"] for r in answered.row["results"]}
    assert {r.SOPInstanceUID for r in answered.results} == set(kept)
    for path, result in zip(answered.files, answered.results, strict=True):
        same = dataset_bytes(path) == dataset_bytes(kept[result.SOPInstanceUID])
        assert same, path  # megabytes, whose difference pytest would take minutes to show


def dataset_bytes(path: Path) -> bytes:
    """A file without preamble and file meta information, which each writes for itself (PS3.10 7.1); inflated,
    where the node keeps it deflated."""
    content = path.read_bytes()
    dataset = content[144 + int.from_bytes(content[140:144], "little") :]
    if read_file_meta_info(path).TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        return zlib.decompress(dataset, -zlib.MAX_WBITS)
    return dataset


def test_validators_find_nothing(answered: Answered) -> None:
    for path, result in zip(answered.files, answered.results, strict=True):
        assert peer_objects.complaints(path) == []
        if result.Modality == "SR":
            dumped = run("dsrdump", "+Pc", path)
            assert dumped.returncode == 0
            assert "not for diagnosis" in dumped.stdout


def test_patient_and_study_come_back_byte_for_byte(answered: Answered) -> None:
    source = dcmread(answered.paths[0])
    for path in answered.files:
        result = dcmread(path)
        for keyword in peer_objects.STUDY_AND_PATIENT:
            assert result.get_item(keyword).value == source.get_item(keyword).value, keyword


def test_every_reference_is_to_an_image_that_was_sent(answered: Answered) -> None:
    sent = {(str(s.SOPClassUID), str(s.SOPInstanceUID)) for s in answered.sent.values()}
    frontal = (str(answered.sent["PA"].SOPClassUID), str(answered.sent["PA"].SOPInstanceUID))
    for result in answered.results:
        found = set(peer_objects.references(result))
        assert found <= sent
        assert frontal in found


def test_highdicom_reads_the_scores_of_the_record(answered: Answered) -> None:
    (path,) = [
        f for f, r in zip(answered.files, answered.results, strict=True) if r.SOPClassUID.endswith(".88.22")
    ]
    document = hd.sr.srread(path)
    assert isinstance(document, hd.sr.EnhancedSR)
    scores = next(i["analyses"][0]["scores"] for i in answered.row["instances"] if i["analyses"])
    read = {  # by its name: of what is present it stands where it is told, too
        item.ConceptNameCodeSequence[0].CodeValue: float(item.MeasuredValueSequence[0].FloatingPointValue)
        / 100
        for item in below(document.content)
        if item.ValueType == "NUM"
        and item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "/100"
    }
    assert len(read) == 18
    assert sorted(read.values()) == pytest.approx(sorted(scores.values()), abs=1e-6)


def below(items: Any) -> list[Dataset]:
    return [found for item in items for found in (item, *below(item.get("ContentSequence", [])))]


def test_highdicom_reads_regions_and_masks_on_the_source_image(answered: Answered) -> None:
    source = answered.sent["PA"]
    by_class = {r.SOPClassUID: f for f, r in zip(answered.files, answered.results, strict=True)}
    document: Any = hd.sr.srread(by_class["1.2.840.10008.5.1.4.1.1.88.34"])
    groups = document.content.get_planar_roi_measurement_groups()
    assert groups
    for group in groups:
        points = group.roi.value
        assert points.min() >= 0
        assert (points.max(axis=0) <= [source.Columns, source.Rows]).all()
    segmentation = hd.seg.segread(by_class["1.2.840.10008.5.1.4.1.1.66.4"])
    masks = segmentation.get_pixels_by_source_instance([source.SOPInstanceUID], ignore_spatial_locations=True)
    assert masks.shape == (1, source.Rows, source.Columns, 14)
    assert masks.any()


def test_the_same_study_again_makes_no_second_results(
    node: Node, storescp: Storescp, answered: Answered
) -> None:
    uid = answered.row["study"]
    for path in (*answered.paths, *answered.files):
        assert SUCCESS in storescu(node, file=path)
    assert len(node.events("instance.duplicate", study=uid)) == 2
    assert len(node.events("instance.own_result", study=uid)) == 3
    sleep(4)  # the quiet period, and time for a report that must not come
    after = node.study(uid)
    assert (after["revision"], after["state"]) == (1, "reported")
    assert after["instances"] == answered.row["instances"]
    assert len(after["results"]) == 3
    assert len(storescp.files(uid)) == 3


# ------------------------------------------------------------------ encodings


@pytest.mark.parametrize(
    ("number", "option", "syntax"),
    [
        (21, "-xe", "1.2.840.10008.1.2.1"),
        (22, "-xi", "1.2.840.10008.1.2"),
        (23, "-xb", "1.2.840.10008.1.2.2"),
        (24, "-xd", "1.2.840.10008.1.2.1.99"),
    ],
)
def test_uncompressed_and_deflated_images_arrive_whole(
    node: Node, tmp_path: Path, number: int, option: str, syntax: str
) -> None:
    (sent,) = peer_objects.study(number, "LATERAL", rows=300)
    (path,) = peer_objects.save(tmp_path, [sent])
    if option == "-xb":  # storescu turns the bytes of a little-endian file round only where it must
        assert run("dcmconv", "+tb", path, path).returncode == 0
    assert SUCCESS in storescu(node, option, file=path)
    kept = stored(node, sent)
    assert kept.file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(kept.pixel_array, sent.pixel_array)


@pytest.mark.parametrize(
    ("option", "name", "syntax"),
    [
        ("-xs", "JPLL", "1.2.840.10008.1.2.4.70"),
        ("-xx", "JPLY", "1.2.840.10008.1.2.4.51"),
        ("-xv", "J2KR", "1.2.840.10008.1.2.4.90"),
        ("-xw", "J2KI", "1.2.840.10008.1.2.4.91"),
        ("-xt", "JLSL", "1.2.840.10008.1.2.4.80"),
        ("-xu", "JLSN", "1.2.840.10008.1.2.4.81"),
        ("-xr", "RLE", "1.2.840.10008.1.2.5"),
    ],
)
def test_real_compressed_images_are_kept_as_they_are(
    node: Node, data: Path, option: str, name: str, syntax: str
) -> None:
    path = data / "dicom" / "not_chest" / f"{RG2}{name}.dcm"
    sent = dcmread(path)
    assert SUCCESS in storescu(node, option, file=path)
    kept = stored(node, sent)
    assert kept.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID == syntax
    assert kept.PixelData == sent.PixelData


def stored(node: Node, sent: Dataset) -> Dataset:
    """The object as it lies in the node's spool."""
    rows = node.study(sent.StudyInstanceUID)["instances"]
    (path,) = [row["path"] for row in rows if row["instance"] == sent.SOPInstanceUID]
    return dcmread(node.data_dir / path)


def test_lossless_compression_by_dcmtk_changes_no_score(
    node: Node, storescp: Storescp, answered: Answered, tmp_path: Path
) -> None:
    copy = deepcopy(answered.sent["PA"])
    copy.StudyInstanceUID += "9"
    for compress, option in {"dcmcjpeg": "-xs", "dcmcrle": "-xr"}.items():
        copy.SOPInstanceUID += "1"
        copy.file_meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID
        (plain,) = peer_objects.save(tmp_path / compress, [copy])
        packed = plain.with_suffix(".packed")
        assert run(compress, plain, packed).returncode == 0
        assert packed.stat().st_size < 0.8 * plain.stat().st_size
        assert SUCCESS in storescu(node, option, file=packed)
    row = node.reported(copy.StudyInstanceUID, "storescp")
    (expected,) = [i["analyses"][0]["scores"] for i in answered.row["instances"] if i["analyses"]]
    assert [i["analyses"][0]["scores"] for i in row["instances"]] == [expected] * 2
    came = peer_objects.kinds([dcmread(path) for path in storescp.files(copy.StudyInstanceUID)])
    assert came["seg"] == 1  # one an exposure


# ------------------------------------------------------------------ an archive that was down


def test_an_archive_that_was_down_gets_its_report_when_it_is_back(
    node: Node, site: Any, tmp_path: Path
) -> None:
    (sent,) = peer_objects.study(3, "PA")
    (path,) = peer_objects.save(tmp_path, [sent])
    assert SUCCESS in storescu(node, file=path)

    def tried() -> bool:
        rows = [d for r in node.study(sent.StudyInstanceUID)["results"] for d in r["deliveries"]]
        return any(d["destination"] == "absent" and d["error"] for d in rows)

    until("failed delivery", tried, seconds=RESULTS_SECONDS, pause=2)
    with storescp(tmp_path / "absent", site.absent.port) as archive:
        row = node.reported(sent.StudyInstanceUID, "absent")
        (came,) = archive.files(sent.StudyInstanceUID)
    (report,) = [r for r in row["results"] if r["kind"] == "report"]
    assert dcmread(came).SOPInstanceUID == report["instance"]
    (delivery,) = [d for d in report["deliveries"] if d["destination"] == "absent"]
    assert (delivery["state"], delivery["status"], delivery["error"]) == ("delivered", "0x0000", None)
