"""Headers as XML: the Native DICOM Model, beside dcmtk's."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from wado_site import WebSite, path, running, scene, small

from xrv_node.web.dicomweb.native_model import document

SPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


def image() -> Dataset:
    """Names in three groups, sequences, private elements, markup."""
    made = small(
        1, 1, scene(), PatientName="Yamada^Tarou^^Dr.=山田^太郎=やまだ^たろう", StudyDescription='a < b & "c"'
    )
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "R-10202", "SRT", "frontal"
    made.ViewCodeSequence = [item, Dataset(item)]
    made.PixelSpacing, made.FrameIncrementPointer = [0.139, 0.2], 0x00181063
    made.add_new(0x00090010, "LO", "MAKER")
    made.add_new(0x00091001, "LO", ["one", "two"])
    made.add_new(0x00282000, "OB", bytes(range(6)))
    made.PatientComments, made.OtherPatientNames = "line\r\nline", ["A^B", "C"]
    return made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[WebSite]:
    with running(tmp_path_factory.mktemp("wado"), empty_database) as made:
        made.keep(image())
        made.keep(small(2, 1, scene()))
        yield made


def told(parent: ElementTree.Element) -> dict[str, object]:
    """By tag: VR, keyword, creator, and the values with their numbers."""
    found: dict[str, object] = {}
    for one in parent.findall(f"{SPACE}DicomAttribute"):
        values = []
        for child in one:
            kind, number = child.tag.removeprefix(SPACE), child.get("number")
            if kind == "Item":
                values.append((kind, number, told(child)))
            elif kind == "PersonName":
                names = [(e.tag, (e.text or "").strip()) for e in child.iter() if (e.text or "").strip()]
                values.append((kind, number, names))
            elif child.text and kind != "BulkData":
                values.append((kind, number, child.text.strip()))
        found[one.get("tag")] = (one.get("vr"), one.get("keyword"), one.get("privateCreator"), values)
    return found


def test_it_says_what_dcmtk_says(site: WebSite) -> None:
    dcm2xml = shutil.which("dcm2xml")
    if dcm2xml is None:
        pytest.skip("dcm2xml is not installed")
    file = next((site.spool.root / "spool" / "inputs" / "1.2.3.1").glob("1.2.3.1.1.1-*"))
    command = [dcm2xml, "--native-format", "--use-xml-namespace", "--encode-base64", str(file)]
    expected = told(ElementTree.fromstring(subprocess.run(command, check=True, capture_output=True).stdout))
    found = told(
        ElementTree.fromstring(site.ask(f"{path(image())}/metadata", Accept="application/dicom+xml").body)
    )
    expected = {tag: said for tag, said in expected.items() if not tag.startswith("0002")}
    for told_of in (expected, found):
        told_of.pop("7FE00010", None)
    assert found == expected


def test_each_object_of_a_study_is_a_part(site: WebSite) -> None:
    answer = site.ask("/studies/1.2.3.1/metadata", Accept='multipart/related; type="application/dicom+xml"')
    assert answer.status == 200
    parts = [(media_type, ElementTree.fromstring(data)) for media_type, data in answer.parts]
    assert [media_type for media_type, _ in parts] == ["application/dicom+xml"] * 2
    uris = [
        root.find(f"{SPACE}DicomAttribute[@tag='7FE00010']/{SPACE}BulkData").get("uri") for _, root in parts
    ]
    assert (
        uris[1] == f"{site.address}/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.2/bulkdata/7FE00010"
    )


@settings(max_examples=50)
@given(st.text(max_size=50), st.text(max_size=30))
def test_any_text_is_xml(value: str, creator: str) -> None:
    header = {
        "00090010": {"vr": "LO", "Value": [creator]},
        "00091001": {"vr": "LO", "Value": [value, None]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": value, "Phonetic": None}]},
    }
    root = ElementTree.fromstring(document(header))
    assert len(root) == 3
