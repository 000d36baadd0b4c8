"""The routing recipes against the node's defaults, and against what their readers expect of them."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import pytest

from xrv_node.report.equipment import MANUFACTURER, NAME
from xrv_node.result_kinds import KINDS
from xrv_node.settings import Settings

RECIPES = Path(str(files("dicom_config") / "recipes"))
DEFAULTS = Settings()
AE_TITLE, PORT = DEFAULTS.receive.ae_title, DEFAULTS.receive.port
MUST = {
    # what dcm4che's and dcm4chee-arc's LDAP schemas (dicom.ldif, dcm4chee-archive.ldif) ask of a class, and may take
    "dicomUniqueAETitle": {"dicomAETitle"},
    "dicomDevice": {"dicomDeviceName", "dicomInstalled"},
    "dicomNetworkConnection": {"dicomHostname", "cn", "dicomPort"},
    "dicomNetworkAE": {
        "dicomAETitle", "dicomNetworkConnectionReference", "dicomAssociationInitiator", "dicomAssociationAcceptor",
    },
    "dcmExporter": {"dcmExporterID", "dcmURI", "dcmQueueName", "dicomAETitle"},
    "dcmExportRule": {"cn", "dcmEntity", "dcmExporterID", "dcmProperty", "dcmDuration"},
}  # fmt: skip


def entries() -> list[dict[str, list[str]]]:
    """The entries of the LDIF file: attributes with their values."""
    found: list[dict[str, list[str]]] = []
    for block in (RECIPES / "dcm4chee.ldif").read_text().split("\n\n"):
        entry: dict[str, list[str]] = {}
        for line in block.splitlines():
            if not line.startswith("#"):
                name, _, value = line.partition(": ")
                entry.setdefault(name, []).append(value)
        if "dn" in entry:
            found.append(entry)
    return found


def test_orthanc_calls_the_node_by_its_defaults() -> None:
    modalities = json.loads((RECIPES / "orthanc.json").read_text())["DicomModalities"]
    assert modalities == {NAME: [AE_TITLE, DEFAULTS.receive.host, PORT]}


@pytest.mark.parametrize("name", ["orthanc.lua", "orthanc_plugin.py"])
def test_both_scripts_for_orthanc_hold_the_same_values(name: str) -> None:
    values = dict(
        re.findall(r"^(?:local )?([A-Z]+) = (.+?)\s*(?:--.*)?$", (RECIPES / name).read_text(), re.M)
    )
    assert values["NODE"].strip("'\"") == NAME
    assert values["MAKER"].strip("'\"") == MANUFACTURER
    assert set(re.findall(r"[A-Z]{2}", values["MODALITIES"])) == {"CR", "DX"}
    assert float(values["PAUSE"]) == 60


def test_dcm4chee_has_every_entry_whole_and_below_one_it_knows() -> None:
    known = {"cn=Devices,cn=DICOM Configuration,dc=dcm4che,dc=org"}
    known |= {f"dicomDeviceName=dcm4chee-arc,{known.copy().pop()}"}
    known |= {"cn=Unique AE Titles Registry,cn=DICOM Configuration,dc=dcm4che,dc=org"}
    seen = set()
    for entry in entries():
        (name,) = entry.pop("dn")
        first, _, parent = name.partition(",")
        assert parent in known
        known.add(name)
        attribute, _, value = first.partition("=")
        assert entry[attribute] == [value]
        structural = entry["objectClass"][0]
        assert MUST[structural] <= set(entry)
        assert set(entry) - MUST[structural] <= {"objectClass"}
        seen.add(structural)
    assert seen == set(MUST)


def test_dcm4chee_sends_radiographs_that_are_not_ours() -> None:
    by_class = {entry["objectClass"][0]: entry for entry in entries()}
    rule, exporter = by_class["dcmExportRule"], by_class["dcmExporter"]
    assert rule["dcmExporterID"] == exporter["dcmExporterID"]
    assert exporter["dcmURI"] == [f"dicom:{AE_TITLE}"]
    assert by_class["dicomNetworkAE"]["dicomAETitle"] == [AE_TITLE]
    assert by_class["dicomNetworkConnection"]["dicomPort"] == [str(PORT)]
    assert rule["dcmProperty"] == ["Modality=CR|DX", f"SendingApplicationEntityTitle!={AE_TITLE}"]


def test_mercure_sends_radiographs_that_are_not_ours() -> None:
    recipe = json.loads((RECIPES / "mercure.json").read_text())
    (rule,) = recipe["rules"].values()
    target = recipe["targets"][rule["target"]]
    assert (target["target_type"], target["aet_target"], target["port"]) == ("dicom", AE_TITLE, str(PORT))
    expected = {("DX", "CT1"): True, ("CR", "CT1"): True, ("SR", "CT1"): False, ("DX", AE_TITLE): False}
    for (modality, sender), sent in expected.items():
        tags = SimpleNamespace(Modality=modality, SenderAET=sender)
        assert (
            eval(rule["rule"], {"__builtins__": {}}, {"tags": tags}) is sent
        )  # mercure's rules are expressions


def test_the_page_for_any_pacs_names_what_the_node_sends_by_default() -> None:
    page = (RECIPES / "generic.md").read_text()
    section = Settings.model_validate(
        {"destinations": [{"name": "a", "kind": "folder", "path": "/a"}]}
    ).destinations[0]
    for kind in section.send:
        assert KINDS[kind].sop_classes[0] in page
    assert f"`{AE_TITLE}`" in page
    assert f"`{PORT}`" in page
