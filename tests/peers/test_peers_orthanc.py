"""Orthanc as the PACS: it gets a study, routes it to the node, and gets the results back into that study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any

import peer_objects
import pytest
from peer_archives import SENDER_AE, Orthanc
from peer_node import Node, command
from peer_programs import HOST, missing
from pydicom import Dataset, dcmread

pytestmark = pytest.mark.peers


@dataclass(frozen=True)
class Routed:
    """A study in Orthanc that the node has answered."""

    sent: list[Dataset]
    row: dict[str, Any]
    answer: dict[str, Any]
    """Orthanc's, to the request to route the study."""

    @property
    def uid(self) -> str:
        return str(self.sent[0].StudyInstanceUID)


@pytest.fixture(scope="module")
def routed(site: Any, tmp_path_factory: pytest.TempPathFactory) -> Routed:
    """A study pushed to Orthanc as a modality does, and from there to the node."""
    if site.orthanc is None:
        pytest.skip(missing("Orthanc"))
    orthanc: Orthanc = site.orthanc
    sent = peer_objects.study(5, "PA", "LATERAL")
    paths = peer_objects.save(tmp_path_factory.mktemp("sent"), sent)
    to = f"{orthanc.destination.ae_title}@{HOST}:{orthanc.destination.port}"
    pushed = command("send", *paths, "--to", to, "--calling-ae", SENDER_AE)
    assert pushed.returncode == 0, pushed.stdout
    answer = route(orthanc, sent[0].StudyInstanceUID)
    row = site.node.reported(sent[0].StudyInstanceUID, "orthanc")
    return Routed(sent, row, answer)


def route(orthanc: Orthanc, study_uid: str) -> dict[str, Any]:
    """Let Orthanc send all it has of a study to the node."""
    answer: dict[str, Any] = orthanc.rest("/modalities/xrvnode/store", orthanc.study(study_uid))
    return answer


def test_orthanc_sends_the_study_to_the_node(routed: Routed) -> None:
    assert (routed.answer["InstancesCount"], routed.answer["FailedInstancesCount"]) == (2, 0)
    assert {i["calling_ae"] for i in routed.row["instances"]} == {"ORTHANC"}
    assert {i["view"]: i["state"] for i in routed.row["instances"]} == {"PA": "analysed", "LL": "skipped"}


def test_the_results_are_three_more_series_of_the_same_study(orthanc: Orthanc, routed: Routed) -> None:
    series = orthanc.series(routed.uid)
    assert sorted(s["MainDicomTags"]["Modality"] for s in series) == ["DX", "DX", "SEG", "SR", "SR"]
    assert all(len(s["Instances"]) == 1 for s in series)
    of_patient = orthanc.rest(
        "/tools/find", {"Level": "Patient", "Query": {"PatientID": routed.sent[0].PatientID}}
    )
    assert len(of_patient) == 1
    (patient,) = of_patient
    assert orthanc.rest(f"/patients/{patient}")["Studies"] == [orthanc.study(routed.uid)]
    statuses = [
        d["status"] for r in routed.row["results"] for d in r["deliveries"] if d["destination"] == "orthanc"
    ]
    assert statuses == ["0x0000"] * 3


def test_what_orthanc_gives_out_again_is_valid(orthanc: Orthanc, routed: Routed, tmp_path: Path) -> None:
    made = [s["Instances"][0] for s in orthanc.series(routed.uid) if s["MainDicomTags"]["Modality"] != "DX"]
    results = []
    for instance in made:
        path = tmp_path / f"{instance}.dcm"
        orthanc.save(instance, path)
        assert peer_objects.complaints(path) == []
        results.append(dcmread(path))
    assert peer_objects.kinds(results) == {"report": 1, "sr": 1, "seg": 1}
    assert {r.SOPInstanceUID for r in results} == {r["instance"] for r in routed.row["results"]}


def test_results_that_orthanc_routes_back_do_not_loop(node: Node, orthanc: Orthanc, routed: Routed) -> None:
    known = node.study(routed.uid)
    changes = orthanc.rest(f"/studies/{orthanc.study(routed.uid)}")["LastUpdate"]
    answer = route(orthanc, routed.uid)
    assert (answer["InstancesCount"], answer["FailedInstancesCount"]) == (5, 0)
    assert len(node.events("instance.own_result", study=routed.uid)) == 3
    assert len(node.events("instance.duplicate", study=routed.uid)) == 2
    sleep(4)  # the quiet period, and time for a report that must not come
    after = node.study(routed.uid)
    assert (after["revision"], after["state"], after["instances"]) == (1, "reported", known["instances"])
    assert [r["instance"] for r in after["results"]] == [r["instance"] for r in known["results"]]
    assert len(orthanc.series(routed.uid)) == 5
    assert orthanc.rest(f"/studies/{orthanc.study(routed.uid)}")["LastUpdate"] == changes
