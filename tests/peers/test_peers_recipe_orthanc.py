"""The routing recipes for Orthanc, as they are shipped: a study that arrives comes back with its results."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from time import sleep
from typing import Any

import peer_archives
import peer_node
import peer_objects
import pytest
from peer_programs import HOST, alive, find, missing, running, until
from ports import free_port
from pydicom import Dataset

from xrv_node.report.equipment import MANUFACTURER

pytestmark = pytest.mark.peers

RECIPES = Path(str(files("dicom_config") / "recipes"))
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancPython.so")
NAME = "xrv-node"
"""The node's name in Orthanc, as the recipes have it."""


@dataclass(frozen=True)
class Routing:
    """A running Orthanc with a recipe, a destination of the node of that name."""

    recipe: str
    orthanc: peer_archives.Orthanc
    node: peer_node.Node

    def receive(self, directory: Path, objects: list[Dataset]) -> str:
        """Let a modality send objects to it; the UID of their study."""
        to = f"{self.orthanc.destination.ae_title}@{HOST}:{self.orthanc.destination.port}"
        paths = peer_objects.save(directory, objects)
        sent = peer_node.command("send", *paths, "--to", to, "--calling-ae", peer_archives.SENDER_AE)
        assert sent.returncode == 0, sent.stdout
        return str(objects[0].StudyInstanceUID)

    def modalities(self, study_uid: str) -> list[str]:
        """Those of the series that it has of a study."""
        return sorted(series["MainDicomTags"]["Modality"] for series in self.orthanc.series(study_uid))

    def jobs(self, study_uid: str) -> list[dict[str, Any]]:
        """Its jobs that send something of a study."""
        instances = {
            i["ID"] for i in self.orthanc.rest(f"/studies/{self.orthanc.study(study_uid)}/instances")
        }
        return [
            job
            for job in self.orthanc.rest("/jobs?expand")
            if instances & set(job["Content"].get("ParentResources", ()))
        ]


@contextmanager
def routing_orthanc(directory: Path, recipe: str) -> Iterator[peer_archives.Orthanc]:
    """Run Orthanc with the settings and the script of a recipe; its second tries come after a second."""
    directory.mkdir()
    script = directory / recipe
    text = (RECIPES / recipe).read_text()
    pause = next(line for line in text.splitlines() if "PAUSE =" in line)
    script.write_text(text.replace(pause, pause.replace("60", "1")))
    settings = json.loads((RECIPES / "orthanc.json").read_text())
    if script.suffix == ".lua":
        settings["LuaScripts"] = [str(script)]
    else:
        del settings["LuaScripts"]
        settings |= {"PythonScript": str(script), "Plugins": [str(PLUGIN)]}
    destination = peer_node.Destination(script.suffix[1:], f"ORTHANC{script.suffix[1:].upper()}", free_port())
    found = peer_archives.Orthanc(destination, free_port())
    log, config = directory / "orthanc.log", directory / "orthanc.json"
    settings |= {
        "StorageDirectory": str(directory / "db"),
        "IndexDirectory": str(directory / "db"),
        "HttpPort": found.http_port,
        "AuthenticationEnabled": False,
        "DicomAet": destination.ae_title,
        "DicomPort": destination.port,
    }
    config.write_text(json.dumps(settings))
    with running([str(find("Orthanc")), "--verbose", str(config)], log) as process:

        def look() -> bool:
            alive(process, log)
            try:
                return bool(found.rest("/system"))
            except OSError:
                return False

        until("answer of Orthanc", look, seconds=60)
        yield found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Routing]]:
    """An Orthanc for each recipe that can run here, and one node that sends its results to all of them."""
    if find("Orthanc") is None:
        pytest.skip(missing("Orthanc"))
    directory = tmp_path_factory.mktemp("recipes")
    with ExitStack() as stack:
        orthancs = {
            recipe: stack.enter_context(routing_orthanc(directory / Path(recipe).suffix[1:], recipe))
            for recipe in ("orthanc.lua", "orthanc_plugin.py")
            if recipe == "orthanc.lua" or PLUGIN.exists()
        }
        destinations = [orthanc.destination for orthanc in orthancs.values()]
        config = peer_node.write_config(directory, destinations, callers=[d.ae_title for d in destinations])
        node = stack.enter_context(peer_node.serving(config))
        for orthanc in orthancs.values():
            orthanc.introduce(NAME, peer_node.AE_TITLE, node.port)
        yield {recipe: Routing(recipe, orthanc, node) for recipe, orthanc in orthancs.items()}


@pytest.fixture(scope="module", params=["orthanc.lua", "orthanc_plugin.py"])
def routing(request: pytest.FixtureRequest, site: dict[str, Routing]) -> Routing:
    """One of them."""
    if request.param not in site:
        reason = missing("orthanc-python")
        pytest.fail(reason) if os.environ.get("XRV_NODE_PEERS") == "required" else pytest.skip(reason)
    return site[request.param]


def test_a_study_that_arrives_comes_back_with_its_results(routing: Routing, tmp_path: Path) -> None:
    number = 71 if routing.recipe == "orthanc.lua" else 72
    uid = routing.receive(tmp_path / "sent", peer_objects.study(number, "PA", "LATERAL"))
    wanted = ["DX", "DX", "SEG", "SR", "SR"]
    until("results", lambda: routing.modalities(uid) == wanted, seconds=peer_node.RESULTS_SECONDS, pause=2)
    sleep(3)  # time for what must not come: results that go round
    assert [job["State"] for job in routing.jobs(uid)] == ["Success", "Success"]
    assert routing.node.events("instance.own_result", study=uid) == []
    assert routing.node.study(uid)["revision"] == 1


def test_a_picture_that_the_node_made_is_not_sent_back(routing: Routing, tmp_path: Path) -> None:
    (picture,) = peer_objects.study(73, "PA")
    picture.Manufacturer = MANUFACTURER
    pictures = routing.receive(tmp_path / "picture", [picture])
    others = routing.receive(tmp_path / "other", peer_objects.study(74, "LATERAL"))
    until("job for the other image", lambda: routing.jobs(others), seconds=30)
    assert routing.jobs(pictures) == []


def test_what_the_node_missed_is_sent_when_it_is_back(routing: Routing, tmp_path: Path) -> None:
    port = free_port()
    routing.orthanc.introduce(NAME, peer_node.AE_TITLE, port)
    missed = routing.receive(tmp_path / "missed", peer_objects.study(75, "PA"))
    until("failed job", lambda: [j for j in routing.jobs(missed) if j["State"] == "Failure"], seconds=60)
    with peer_archives.storescp(tmp_path / "back", port) as back:
        sleep(1.5)  # longer than the pause between two rounds
        # An Orthanc without a heart beat tries again when the next image comes.
        routing.receive(tmp_path / "next", peer_objects.study(76, "PA"))
        until("missed image", lambda: back.files(missed), seconds=60)
