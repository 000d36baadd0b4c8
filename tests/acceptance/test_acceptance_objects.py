"""The comparison on objects as the node makes them, and as they come over the wire."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from made_protocol import SIZE, case, failures, image, masks, sent
from pydicom import Dataset, dcmread

from xrv_node import report
from xrv_node.acceptance import arrived
from xrv_node.acceptance.archive import CANNOT_UNDERSTAND, receiving
from xrv_node.acceptance.compare import row
from xrv_node.acceptance.expected import COMPARED
from xrv_node.deliver import scu
from xrv_node.values import (
    SET_ROLES,
    Analysis,
    Finding,
    Frame,
    FrontalDecision,
    ImageOutcome,
    ModelIdentity,
    ModelSet,
    StudyOutcome,
    Verdict,
)

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))
from fail_on_purpose import PIXELS, shift

KINDS = ("report", "sr", "seg", "sc")
EXPECTED = image(1, ("Effusion",))
MODELS = ModelSet(*(ModelIdentity(role, role, "ab" * 32) for role in SET_ROLES), phantom=True)


@pytest.fixture(scope="module")
def objects() -> dict[str, Dataset]:
    """What the node makes of an analysis that is right, as files."""
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", EXPECTED.instance
    header.StudyInstanceUID, header.SeriesInstanceUID, header.Modality = EXPECTED.study, "1.8", "DX"
    header.PatientID, header.PatientName = EXPECTED.patient_id, EXPECTED.patient_name
    header.Rows = header.Columns = SIZE
    header.PatientOrientation = ["L", "F"]
    analysis = Analysis(
        sop_instance_uid=EXPECTED.instance,
        model_set=MODELS,
        findings=tuple(
            Finding(label, 0.9 if there else 0.1, 0.5) for label, there in EXPECTED.findings.items()
        ),
        structures=COMPARED,
        masks=np.stack([masks()[name] for name in COMPARED]),
        frame=Frame(SIZE, SIZE, 0, 0, SIZE),
        reconstruction_error=1.0,
        embedding=np.zeros(4, np.float32),
        resampler="linear",
        ssim=1.0,
        maps=np.zeros((len(EXPECTED.findings), 7, 7), np.float32),
        picture=np.zeros((SIZE, SIZE), np.uint8),
    )
    frontal = FrontalDecision(Verdict.FRONTAL, "PA", ())
    outcome = StudyOutcome(
        EXPECTED.study, (ImageOutcome(header, frontal, analysis),), MODELS, datetime(2026, 7, 1, tzinfo=UTC)
    )
    return {one.kind: dcmread(BytesIO(report.to_bytes(one.dataset))) for one in report.build(outcome, KINDS)}


def judged(datasets: list[Dataset]) -> object:
    expected = case(EXPECTED)
    return row(expected, sent(expected), [arrived.read(one, 15.0) for one in datasets])


def test_objects_of_a_right_analysis_pass(objects: dict[str, Dataset]) -> None:
    made = judged(list(objects.values()))
    assert failures(made) == []
    assert len(made.decisions) == 5
    assert min(overlap.dice for overlap in made.overlaps) == 1


def test_a_segmentation_that_is_shifted_fails_by_its_place(objects: dict[str, Dataset]) -> None:
    moved = dcmread(BytesIO(report.to_bytes(objects["seg"])))
    shift(moved, PIXELS)
    made = judged([*(one for kind, one in objects.items() if kind != "seg"), moved])
    (why,) = [check.says for check in made.checks if check.name == "place"]
    assert why == f"off by +{PIXELS} rows, +{PIXELS} columns"
    assert "place" in failures(made)


def test_a_damaged_object_is_said_and_never_raised(objects: dict[str, Dataset]) -> None:
    broken = dcmread(BytesIO(report.to_bytes(objects["seg"])))
    del broken.SegmentSequence
    assert "readable" in failures(judged([broken]))


def test_a_receiver_keeps_what_is_sent_and_when(objects: dict[str, Dataset], tmp_path: Path) -> None:
    paths = []
    for kind, one in objects.items():
        paths.append(tmp_path / f"{kind}.dcm")
        one.save_as(paths[-1], enforce_file_format=True)
    with receiving(tmp_path / "archive", "ARCHIVE") as receiver:
        peer = scu.Peer("ARCHIVE", "127.0.0.1", receiver.port)
        for _ in range(2):
            assert all(one.good for one in scu.send(peer, paths, calling_ae="NODE"))
        came = receiver.came([])
        assert receiver.came([]) == []
        assert len(receiver.files) == len(paths)
    assert len(came) == 2 * len(paths)
    assert "nothing twice" in failures(judged([one.dataset for one in came]))
    assert [one.at for one in came] == sorted(one.at for one in came)


def test_what_has_no_uid_is_not_taken(tmp_path: Path) -> None:
    class Event:
        dataset, file_meta = Dataset(), None

    with receiving(tmp_path, "ARCHIVE") as receiver:
        assert receiver.keep(Event()) == CANNOT_UNDERSTAND
    assert receiver.files == []
