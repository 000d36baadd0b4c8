"""Nothing of a patient is in what the node says of itself, whatever path an object takes."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import forked
import pytest
from made import SECRET, radiograph
from pydicom import Dataset
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from serving import Node, wait

from xrv_node.db import queries
from xrv_node.deliver import scu
from xrv_node.errors import DestinationError

PLANTED = {
    "PatientName": f"{SECRET}^Anna",
    "PatientID": "Kiwi-4711-Q",
    "PatientBirthDate": "19231107",
    "AccessionNumber": "Dodo-99-Q",
    "ReferringPhysicianName": "Hoopoe^Doc",
    "InstitutionName": "Wryneck Hospital",
    "StudyDescription": "Thorax Cassowary study",
    "SeriesDescription": "Thorax p.a. Cassowary series",
    "ProtocolName": "Chest PA Cassowary",
    "PatientComments": "Corncrake comment",
    "StudyID": "Bittern-1",
}
EVERYWHERE = "Wombat"
"""In every other attribute that holds a text."""
WORDS = re.compile(
    f"Zebrafinch|Kiwi|4711-Q|19231107|Dodo|Hoopoe|Wryneck|Cassowary|Corncrake|Bittern|{EVERYWHERE}",
    re.IGNORECASE,
)
TEXTS = ("AE", "LO", "LT", "PN", "SH", "ST", "UC", "UT")
"""Value representations that a person types into (PS3.5 table 6.2-1)."""
CONFIG = """[receive]
port = 0
allowed_calling_ae = ["PACS"]
[web]
enabled = true
port = 0
[log]
level = "debug"
json = true
[audit]
host = "127.0.0.1"
port = 9
"""
DESTINATIONS = """[[destinations]]
name = "down"
kind = "dimse"
ae_title = "GONE"
host = "127.0.0.1"
port = 9
send = ["report"]
[[destinations]]
name = "cloud"
kind = "web"
url = "http://127.0.0.1:9/dicom-web"
send = ["report"]
[[destinations]]
name = "blocked"
kind = "folder"
path = "node.toml"
send = ["report"]
"""


def planted(number: int, study: int = 1, **attributes: object) -> Dataset:
    """A radiograph whose every attribute of the patient would be noticed."""
    return radiograph(number, study, **(PLANTED | attributes))


def full(number: int) -> Dataset:
    """A radiograph with a text in every attribute that can hold one, and in private ones."""
    dataset = planted(number)
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        if vr in TEXTS and keyword and not retired and tag >> 16 >= 8 and keyword not in dataset:
            dataset.add_new(tag, vr, f"{EVERYWHERE}{tag:08x}" if vr != "AE" else EVERYWHERE)
    block = dataset.private_block(0x0029, f"{EVERYWHERE} CORP", create=True)
    block.add_new(0x01, "LO", f"{EVERYWHERE} private")
    block.add_new(0x02, "UN", f"{EVERYWHERE} unknown".encode())
    return dataset


def garbled(number: int) -> Dataset:
    """A radiograph with words where numbers belong: parsers quote what they choke on."""
    dataset = planted(number)
    words = {
        "PixelSpacing": "DS",
        "WindowCenter": "DS",
        "WindowWidth": "DS",
        "RescaleSlope": "DS",
        "SeriesNumber": "IS",
    }
    for keyword, vr in words.items():
        tag = Tag(keyword)
        dataset[tag] = RawDataElement(tag, vr, 10, b"Zebrafinch", 0, False, True)
    return dataset


@contextmanager
def in_the_way(folder: Path) -> Iterator[None]:
    """A file where the node has a folder: what it does not expect, and so says with a traceback."""
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.touch()
    yield
    folder.unlink()
    aside.rename(folder)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that has seen what can go wrong."""
    made = Node(tmp_path_factory.mktemp("log"), CONFIG, DESTINATIONS, small=True)
    try:
        see(made.start(seconds=240))
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.kill()


def see(made: Node) -> None:
    """Show it images to analyse, skip, fail on and refuse, and faults of its own."""
    broken = planted(3)
    broken.PixelData = broken.PixelData[:1000]
    odd = planted(5, BitsStored=77, PatientAge=f"{SECRET}Y")
    lateral = planted(2, ViewPosition="LL", PatientOrientation=["A", "F"])
    unsure = planted(8, ViewPosition=None, PatientOrientation=None)
    sent = made.send([planted(1), lateral, broken, odd, full(6), garbled(7), unsure])
    assert [s.says for s in sent] == ["0x0000"] * 7
    (refused,) = made.send([planted(4, StudyInstanceUID=PLANTED["PatientName"])])
    assert refused.says == "0xC000"
    stranger = scu.Peer("XRVNODE", "127.0.0.1", made.port)
    with pytest.raises(DestinationError, match="refused"):
        list(scu.send(stranger, [made.directory / "sent" / "1.2.3.1.1.1.dcm"], calling_ae="STRANGER"))
    called = scu.Peer("OTHER", "127.0.0.1", made.port)
    with pytest.raises(DestinationError, match="refused"):
        list(scu.send(called, [made.directory / "sent" / "1.2.3.1.1.1.dcm"], calling_ae="PACS"))
    store = made.store()

    def failed() -> set[str]:
        with store.read() as db:
            return {str(j["destination"]) for j in queries.jobs(db, kind="deliver") if j["error"]}

    wait(lambda: failed() == {"down", "cloud", "blocked"}, 240, "three deliveries to fail")
    with in_the_way(made.directory / "data" / "spool" / "inputs"):
        assert made.send([planted(9, study=2)])[0].says == "0x0110"
    with in_the_way(made.directory / "data" / "spool" / "analyses"):
        assert made.send([planted(10, study=3)])[0].says == "0x0000"
        wait(lambda: "jobs failed" in made.log.read_text(), 240, "an analysis that cannot be kept")
    away = "the audit repository is away; the trail waits"
    wait(lambda: away in made.log.read_text(), 240, "the trail to be sent in vain")
    store.close()


def test_the_debug_log_of_every_process_names_no_patient(node: Node) -> None:
    text = node.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert {line.get("process") for line in lines} >= {"receiver", "worker", "courier", "web"}
    assert {line["event"] for line in lines} >= {
        *("stored", "refused", "association refused", "analysed", "not analysed"),
        *("store failed", "jobs failed", "the destination is away"),
        "the audit repository is away; the trail waits",
    }
    assert any("NotADirectoryError" in line.get("exception", "") for line in lines)
    assert WORDS.search(text) is None


def test_a_refused_caller_is_told_which_line_to_change(node: Node) -> None:
    remedies = {line.get("remedy") for line in map(json.loads, node.log.read_text().splitlines())}
    assert 'add "STRANGER" to receive.allowed_calling_ae' in remedies
    assert "it called OTHER, this node is XRVNODE (receive.ae_title)" in remedies


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
        ["audit", "export", "--format", "csv"],
        ["audit", "export", "--format", "atna"],
        ["audit", "show", "--study", "1.2.3.1"],
        ["audit", "list", "--json"],
        ["destinations", "check"],
        ["config", "check", "--commissioning"],
    ],
    ids=" ".join,
)
def test_no_command_names_a_patient(node: Node, command: list[str]) -> None:
    done = forked.run(
        [*forked.COMMAND, *command, "--config", str(node.config)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout
    assert WORDS.search(done.stdout + done.stderr) is None


def test_the_metrics_name_no_patient_and_the_node_is_ready(node: Node) -> None:
    lines = map(json.loads, node.log.read_text().splitlines())
    (port,) = [line["port"] for line in lines if (line["event"], line.get("process")) == ("listening", "web")]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert 'xrv_node_info{commissioning="false"' in text
    assert 'xrv_node_up{role="worker"} 1.0' in text
    assert re.search(r'^xrv_node_deliveries{destination="down",state="waiting"} [1-9]', text, re.MULTILINE)
    assert WORDS.search(text) is None
    assert re.search(r"^xrv_node_audit_lag_seconds [1-9]", text, re.MULTILINE)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=10) as answer:
        assert answer.read() == b"ready\n"


def test_the_database_holds_no_patient(node: Node) -> None:
    data: Path = node.directory / "data"
    for file in data.glob("xrv-node.sqlite*"):
        assert WORDS.search(file.read_bytes().decode("latin-1")) is None, file.name


def test_a_running_node_passes_the_doctor_but_for_what_is_wrong(node: Node) -> None:
    done = forked.run(
        [*forked.COMMAND, "doctor", "--json", "--config", str(node.config)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    says = [row["says"].split(":")[0] for row in json.loads(done.stdout)["items"] if row["state"] == "fail"]
    failed = {re.sub(r"^\d+ | takes nothing since .*", "", words) for words in says}
    untrained = "no weights of densenet121-res224-all, chestx_det, 101-elastic"  # others stand in for them
    assert (done.returncode, failed) == (1, {"down", "cloud", "blocked", "audit.host", "parked", untrained})
