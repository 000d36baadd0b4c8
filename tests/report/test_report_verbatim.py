"""Text of the source in results of every kind: its bytes where its character set is kept, else the same text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
import report_cases as cases
from pydicom import DataElement, Dataset, dcmread, dcmwrite
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR, PersonName

from xrv_node import report, verbatim
from xrv_node.radiograph.header import read_header
from xrv_node.report.source import ALWAYS, WHERE_PRESENT
from xrv_node.result_kinds import KINDS
from xrv_node.values import DEFAULT_STYLE, Style

ALL = tuple(KINDS)
TAKEN = [tag for k in (*ALWAYS, *WHERE_PRESENT) if (tag := tag_for_keyword(k)) is not None]
GERMAN = Style(language="de")
"""Its umlauts are in few of the character sets."""
REDUNDANT = (["ISO 2022 IR 6", "ISO 2022 IR 100"], b"M\x1b-A\xfcller^Zo\x1b-A\xeb=")
KATAKANA = ("ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3")
MIXED = (["", "ISO 2022 IR 87"], b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B")
KOREAN = (["", "ISO 2022 IR 149"], b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7")
WRONG = ("ISO_IR 192", b"M\xfcller^Zo\xeb")
BROKEN = (["", "ISO 2022 IR 87"], b"Yamada^Tarou=\x1b$B;3E")
GB = ("GB18030", "Wang^XiaoDong=王^小东=".encode("gb18030"))
SETS = {"redundant escapes": REDUNDANT, "Katakana": KATAKANA, "Japanese": MIXED, "Korean": KOREAN,
        "not of the set": WRONG, "half a character": BROKEN, "GB18030": GB}  # fmt: skip

MEANT = {"Katakana": "ﾔﾏﾀﾞ^ﾀﾛｳ", "Japanese": "Yamada^Tarou=山田^太郎", "Korean": "Hong^Gildong=洪^吉洞"}
"""What the bytes say (PS3.5 H.3.1, H.3.2, I.2)."""


def put(dataset: Dataset, keyword: str, value: bytes) -> None:
    """Put bytes in as they are; pydicom's writers leave them so."""
    vr = dictionary_VR(keyword)
    held = PersonName("x", original_string=value) if vr == "PN" else value
    dataset[keyword] = DataElement(tag_for_keyword(keyword) or 0, vr, held, already_converted=True)


def written(
    path: Path,
    charset: str | list[str],
    words: bytes,
    syntax: UID = ExplicitVRLittleEndian,
    undefined: bool = False,
) -> Path:
    """A source's header with these words in text of every VR that results take over."""
    words += b" " * (len(words) % 2)
    header = cases.header(SpecificCharacterSet=charset)
    for keyword in ("PatientName", "ReferringPhysicianName", "ResponsiblePerson", "StudyDescription",
                    "PatientID", "IssuerOfPatientID", "OtherPatientIDs"):  # fmt: skip
        put(header, keyword, words)
    put(header, "PatientComments", words + b"\r\n" + words + b"    ")
    put(header, "OtherPatientNames", words + b"\\" + words)
    code, issuer, other = Dataset(), Dataset(), Dataset()
    code.CodingSchemeDesignator, issuer.UniversalEntityIDType = "99X", "UUID"
    put(code, "CodeMeaning", words)
    put(code, "LongCodeValue", b"more than sixteen " + words)
    put(issuer, "UniversalEntityID", words)
    put(other, "PatientID", words)
    other.IssuerOfPatientIDQualifiersSequence = [issuer]
    header.ProcedureCodeSequence, header.OtherPatientIDsSequence = [code], [other]
    for keyword in ("ProcedureCodeSequence", "OtherPatientIDsSequence"):
        header[keyword].is_undefined_length = undefined
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = syntax
    dcmwrite(path, header, enforce_file_format=True)
    return path


def read(path: Path) -> Dataset:
    """The header as a report gets it, and as it is after everything of it has been looked at."""
    header = read_header(path)
    verbatim.remember(header)
    assert str(header)
    return header


def texts(dataset: Dataset, tags: Iterable[int]) -> dict[tuple[int, ...], bytes]:
    """The bytes of all text in these elements, by where it is: tag, or tags and numbers of items."""
    found: dict[tuple[int, ...], bytes] = {}
    for tag in tags:
        raw = dataset.get_item(tag)
        if raw is None:
            continue
        vr = raw.VR or dictionary_VR(tag)
        if vr == "SQ":
            for number, inner in enumerate(dataset[tag].value):
                below = texts(inner, list(inner.keys()))
                found |= {(int(tag), number, *place): value for place, value in below.items()}
        elif vr in CUSTOMIZABLE_CHARSET_VR and raw.value:
            assert isinstance(raw.value, bytes)
            found[int(tag),] = raw.value
    return found


def unpadded(found: dict[tuple[int, ...], bytes]) -> dict[tuple[int, ...], bytes]:
    return {place: value.replace(b" ", b"") for place, value in found.items()}


def made(
    header: Dataset, folder: Path, kinds: Sequence[str] = ALL, style: Style = DEFAULT_STYLE
) -> dict[str, Path]:
    """The result of each kind, as a file."""
    paths = {}
    for result in report.build(cases.outcome(cases.frontal(header)), kinds, style):
        paths[result.kind] = folder / f"{result.kind}.dcm"
        paths[result.kind].write_bytes(report.to_bytes(result.dataset))
    return paths


@pytest.mark.parametrize("undefined", [False, True], ids=["lengths", "delimiters"])
@pytest.mark.parametrize("name", SETS)
def test_results_of_every_kind_have_the_bytes_that_came(name: str, undefined: bool, tmp_path: Path) -> None:
    path = written(tmp_path / "source.dcm", *SETS[name], undefined=undefined)
    came = texts(dcmread(path), TAKEN)
    assert len(came) == 16
    results = made(read(path), tmp_path)
    assert set(results) == set(ALL)
    for kind, result in results.items():
        assert texts(dcmread(result), TAKEN) == came, kind
        assert dcmread(result).SpecificCharacterSet == dcmread(path).SpecificCharacterSet


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_text_is_the_same_bytes_in_every_transfer_syntax(syntax: UID, tmp_path: Path) -> None:
    path = written(tmp_path / "source.dcm", *REDUNDANT, syntax=syntax)
    came = texts(dcmread(path), TAKEN)
    assert len(came) == 16
    for kind, result in made(read(path), tmp_path).items():
        assert texts(dcmread(result), TAKEN) == came, kind


@pytest.mark.parametrize("name", MEANT)
def test_a_set_without_our_letters_becomes_unicode_with_the_same_text(name: str, tmp_path: Path) -> None:
    same = written(tmp_path / "unicode.dcm", "ISO_IR 192", MEANT[name].encode())
    wanted = unpadded(texts(dcmread(same), TAKEN))
    header = read(written(tmp_path / "source.dcm", *SETS[name]))
    for kind, path in made(header, tmp_path, ("report", "ko", "pdf"), GERMAN).items():
        result = dcmread(path)
        assert result.SpecificCharacterSet == "ISO_IR 192"
        assert unpadded(texts(result, TAKEN)) == wanted, kind


@pytest.mark.parametrize("name", ["half a character", "not of the set"])
def test_what_does_not_decode_keeps_its_bytes_and_our_text_fits_in(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / "source.dcm", *SETS[name])
    came = texts(dcmread(path), TAKEN)
    for kind, result in made(read(path), tmp_path, ALL, GERMAN).items():
        dataset = dcmread(result)
        assert texts(dataset, TAKEN) == came, kind
        assert dataset.SpecificCharacterSet == dcmread(path).SpecificCharacterSet
        for tag in TAKEN:
            dataset.pop(tag, None)
        encoding = "ascii" if name == "half a character" else "utf-8"
        for place, value in texts(dataset, list(dataset.keys())).items():
            assert b"\x1b" not in value, place
            value.decode(encoding)
