"""Nothing of a patient is in what the node says of itself, whatever path an object takes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from made import SECRET, radiograph
from pydicom import Dataset
from serving import Node, wait

from xrv_node.audit import queries
from xrv_node.deliver import scu
from xrv_node.errors import DestinationError

PLANTED = {
    "PatientName": f"{SECRET}^Anna",
    "PatientID": "Kiwi-4711-Q",
    "PatientBirthDate": "19231107",
    "AccessionNumber": "Dodo-99-Q",
    "ReferringPhysicianName": "Hoopoe^Doc",
    "InstitutionName": "Wryneck Hospital",
    "StudyDescription": "Cassowary study",
    "SeriesDescription": "Cassowary series",
    "PatientComments": "Corncrake comment",
    "StudyID": "Bittern-1",
}
WORDS = re.compile(
    "Zebrafinch|Kiwi|4711|19231107|Dodo|Hoopoe|Wryneck|Cassowary|Corncrake|Bittern", re.IGNORECASE
)
CONFIG = """[receive]
port = 0
allowed_calling_ae = ["PACS"]
[web]
enabled = true
port = 0
[log]
level = "debug"
"""
DESTINATIONS = """[[destinations]]
name = "down"
kind = "dimse"
ae_title = "GONE"
host = "127.0.0.1"
port = 9
send = ["report"]
[[destinations]]
name = "blocked"
kind = "folder"
path = "node.toml"
send = ["report"]
"""


def planted(number: int, **attributes: object) -> Dataset:
    """A radiograph whose every attribute of the patient would be noticed."""
    return radiograph(number, **(PLANTED | attributes))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that has seen an image analysed, skipped, broken and refused, and results that cannot go out."""
    made = Node(tmp_path_factory.mktemp("log"), CONFIG, DESTINATIONS).start()
    broken = planted(3)
    broken.PixelData = broken.PixelData[:1000]
    odd = planted(5, BitsStored=77, PatientAge=f"{SECRET}Y")
    sent = made.send([planted(1), planted(2, ViewPosition="LL", PatientOrientation=["A", "F"]), broken, odd])
    assert all(s.good for s in sent)
    (refused,) = made.send([planted(4, StudyInstanceUID=PLANTED["PatientName"])])
    assert refused.says == "0xC000"
    stranger = scu.Peer("XRVNODE", "127.0.0.1", made.port)
    with pytest.raises(DestinationError, match="refused"):
        list(scu.send(stranger, [made.directory / "sent" / "1.2.3.1.1.1.dcm"], calling_ae="STRANGER"))
    called = scu.Peer("OTHER", "127.0.0.1", made.port)
    with pytest.raises(DestinationError, match="refused"):
        list(scu.send(called, [made.directory / "sent" / "1.2.3.1.1.1.dcm"], calling_ae="PACS"))
    store = made.store()

    def tried() -> bool:
        with store.read() as db:
            deliveries = [j for j in queries.jobs(db, kind="deliver") if j["error"]]
        return len(deliveries) >= 2

    wait(tried, 240, "two deliveries to fail")
    store.close()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def test_the_debug_log_of_every_process_names_no_patient(node: Node) -> None:
    text = node.log.read_text()
    for said in ("stored", "refused", "association refused", "analysed", "not analysed", "not sent"):
        assert f"] {said} " in text, said
    assert WORDS.search(text) is None


def test_a_refused_caller_is_told_which_line_to_change(node: Node) -> None:
    text = node.log.read_text()
    assert 'add "STRANGER" to receive.allowed_calling_ae' in text
    assert "it called OTHER, this node is XRVNODE (receive.ae_title)" in text


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["status", "--json"],
        ["doctor", "--json"],
        ["jobs", "list"],
        ["studies", "list"],
        ["studies", "show", "1.2.3.1"],
        ["audit", "export"],
        ["audit", "export", "--format", "atna"],
    ],
    ids=" ".join,
)
def test_no_command_names_a_patient(node: Node, command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "xrv_node", *command, "--config", str(node.config)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout
    assert WORDS.search(done.stdout + done.stderr) is None


def test_the_metrics_name_no_patient_and_the_node_is_ready(node: Node) -> None:
    (port,) = re.findall(r"listening +host=127\.0\.0\.1 port=(\d+) process=web", node.log.read_text())
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert 'xrv_node_info{commissioning="true"' in text
    assert 'xrv_node_up{role="worker"} 1.0' in text
    assert 'xrv_node_deliveries{destination="down",state="waiting"} 1.0' in text
    assert WORDS.search(text) is None
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=10) as answer:
        assert answer.read() == b"ready\n"


def test_the_database_holds_no_patient(node: Node) -> None:
    data: Path = node.directory / "data"
    for file in data.glob("xrv-node.sqlite*"):
        assert WORDS.search(file.read_bytes().decode("latin-1")) is None, file.name


def test_a_running_node_passes_the_doctor_but_for_what_is_wrong(node: Node) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "xrv_node", "doctor", "--json", "--config", str(node.config)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    failed = {row["says"].split(":")[0] for row in json.loads(done.stdout) if row["state"] == "fail"}
    assert (done.returncode, failed) == (1, {"down", "blocked"})
