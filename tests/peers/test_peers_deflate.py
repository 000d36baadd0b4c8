"""Deflated segmentations at archives of others: who takes them gets them, and holds what was sent."""

from __future__ import annotations

from pathlib import Path

import peer_archives
import peer_worked
import pytest
from peer_node import Destination
from peer_programs import HOST, program
from pydicom import Dataset, dcmread
from worded import said

from xrv_node import report
from xrv_node.deliver.attempt import Outcome
from xrv_node.deliver.dimse import DimseSender
from xrv_node.settings.destinations import DimseDestination
from xrv_node.values import StoredResult

pytestmark = pytest.mark.peers


def sent(destination: Destination, directory: Path) -> Dataset:
    """Deliver a deflated segmentation to a destination that is offered it so."""
    (result,) = report.build(peer_worked.study()[1], ["seg"])
    made, path = result.dataset, directory / "seg.dcm"
    path.write_bytes(report.to_bytes(made, deflated=True))
    stored = StoredResult("seg", str(made.SOPClassUID), str(made.SOPInstanceUID), path)
    section = DimseDestination(
        name="pacs", ae_title=destination.ae_title, host=HOST, port=destination.port,
        send=("seg",), deflate=True,
    )  # fmt: skip
    sender = DimseSender(section, peer_archives.SENDER_AE)
    (attempt,) = sender.send([stored])
    sender.close()
    assert attempt.outcome == Outcome.DELIVERED, said(attempt.reason)
    return made


def test_orthanc_takes_it_deflated(tmp_path: Path) -> None:
    program("Orthanc")
    with peer_archives.orthanc(tmp_path / "orthanc") as orthanc:
        made = sent(orthanc.destination, tmp_path)
        (found,) = orthanc.rest("/tools/lookup", str(made.SOPInstanceUID))
        orthanc.save(found["ID"], tmp_path / "back.dcm")
    back = dcmread(tmp_path / "back.dcm")
    assert back.file_meta.TransferSyntaxUID.is_deflated
    assert back.PixelData == made.PixelData
    assert back.SOPInstanceUID == made.SOPInstanceUID


def test_storescp_gets_it_inflated(tmp_path: Path) -> None:
    """It accepts no deflated objects unless told to."""
    program("storescp")
    with peer_archives.storescp(tmp_path / "storescp") as storescp:
        made = sent(storescp.destination, tmp_path)
        (path,) = storescp.files(str(made.StudyInstanceUID))
    back = dcmread(path)
    assert not back.file_meta.TransferSyntaxUID.is_deflated
    assert back.PixelData == made.PixelData
    assert back.SOPInstanceUID == made.SOPInstanceUID
