"""The readable report in five languages and in every character set: what people read, and what programs find."""

from __future__ import annotations

import warnings
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import dciodvfy
import highdicom as hd
import pytest
import report_cases as cases
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from xrv_node import languages, report
from xrv_node.reasons import Reason
from xrv_node.report import codes, phrases, read_back
from xrv_node.values import ImageOutcome, Prior, StudyOutcome, Style

LANGUAGES = languages.names()
OTHERS = [language for language in LANGUAGES if language != "en"]
EFFUSION = {
    "en": "Pleural effusion",
    "de": "Pleuraerguss",
    "fr": "Épanchement pleural",
    "es": "Derrame pleural",
    "pt": "Derrame pleural",
}


def study(**changes: Any) -> StudyOutcome:
    scores = cases.SOME | {"Edema": 0.75}
    return cases.outcome(
        cases.frontal(from_file(cases.header(**changes)), scores=scores, seg=cases.chest()),
        ImageOutcome(cases.header(number=2), cases.FRONTAL, error=Reason("no-pixels", rows=0, columns=0)),
    )


def from_file(header: Dataset) -> Dataset:
    """The header as it comes from a file: undecoded until somebody looks."""
    return dcmread(BytesIO(encoded(header)))


def encoded(header: Dataset) -> bytes:
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    header.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def made(outcome: StudyOutcome, language: str, kind: str = "report") -> Dataset:
    """The object as its receiver reads it."""
    (result,) = report.build(outcome, [kind], Style(language=language))
    return dcmread(BytesIO(report.to_bytes(result.dataset)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_report_is_in_its_language_and_valid(language: str, tmp_path: Path) -> None:
    document = made(study(), language)
    path = tmp_path / "report.dcm"
    document.save_as(path)
    assert dciodvfy.errors(path) == []
    assert EFFUSION[language] in read_back.headline(document)
    assert "82/100" in read_back.headline(document)
    printed = cases.tool("dsrdump", "+U8", path)
    assert printed.returncode == 0
    assert f'"{EFFUSION[language]}")=(52101004,SCT,' in printed.stdout
    assert f'({language},RFC5646,"' in printed.stdout
    status = languages.table(language)["code"]["DCM:111244"]
    assert f'(111244,DCM,"{status}")' in printed.stdout


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_report_says_whose_the_operating_points_are(language: str, tmp_path: Path) -> None:
    plain = cases.model_set()
    own = replace(plain.classifier, site_thresholds=(("Effusion", 0.103247), ("Lung Lesion", 1e-05)))
    models = replace(plain, classifier=own)
    document = made(cases.outcome(cases.frontal(cases.header(), models), models=models), language)
    document.save_as(tmp_path / "report.dcm")
    assert dciodvfy.errors(tmp_path / "report.dcm") == []
    assert read_back.texts(document, codes.SITE_POINTS) == ["Effusion 0.103247, Lung Lesion 1e-05"]
    _, whose = read_back.texts(document, codes.SCORES)
    assert f"{EFFUSION[language]}, {phrases.named('finding', 'Lung Lesion', language)}." in whose
    published = made(cases.outcome(cases.frontal(cases.header())), language)
    assert read_back.texts(published, codes.SITE_POINTS) == []
    assert len(read_back.texts(published, codes.SCORES)) == 1


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_left_in_english(language: str) -> None:
    english, other = (hd.sr.EnhancedSR.from_dataset(made(study(), each)) for each in ("en", language))
    same = set()
    for before, after in zip(everything(english), everything(other), strict=True):
        assert before.ValueType == after.ValueType
        for keyword in ("TextValue", "ConceptCodeSequence", "ConceptNameCodeSequence"):
            said = [words(item, keyword) for item in (before, after)]
            if said[0] == said[1]:
                same.add(said[0])
    alike = {
        "",
        "linear, antialiased", "xrv-node", "xrv-node project", "0.1.0+models.81e96e4f3889", "81e96e4f38894a20",
    }  # fmt: skip
    # words that are the same in both languages
    names = {
        "Pneumothorax",
        "Pneumonia",
        "Fibrosis",
        "Nodule",
        "Fracture",
        "Consolidation",
        "Infiltration",
        "Image",
    }
    names |= {"Pneumothorax score", "Hernia", "Cardiomegaly"}
    assert same - alike <= names


def words(item: Dataset, keyword: str) -> str:
    value = item.get(keyword)
    return str(value[0].CodeMeaning) if value and keyword.endswith("Sequence") else str(value or "")


def everything(item: Dataset) -> list[Dataset]:
    return [item, *(found for child in item.get("ContentSequence", []) for found in everything(child))]


def test_programs_read_the_same_from_every_language() -> None:
    expected = made(study(), "en")
    for language in OTHERS:
        document = made(study(), language)
        read, same = (
            {uid: [(f.label, f.score) for f in found] for uid, found in read_back.findings(each).items()}
            for each in (document, expected)
        )
        assert read == same
        assert len(read) == 1
        assert len(read_back.texts(document, codes.MODEL)) == 3


def test_each_language_is_an_object_of_its_own() -> None:
    uids = {made(study(), language).SOPInstanceUID for language in LANGUAGES}
    assert len(uids) == len(LANGUAGES)


SETS: dict[str, tuple[dict[str, Any], list[str] | str | None]] = {
    "latin 1": ({"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Zoë"}, "ISO_IR 100"),
    "unicode": ({"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Ωμέγα^Ζωή"}, "ISO_IR 192"),
    "chinese": ({"SpecificCharacterSet": "GB18030", "PatientName": "Wang^XiaoDong=王^小东"}, "GB18030"),
    "none": ({"SpecificCharacterSet": None, "PatientName": "Muster^Maria"}, "ISO_IR 192"),
    "ascii": ({"SpecificCharacterSet": "ISO_IR 6", "PatientName": "Muster^Maria"}, "ISO_IR 192"),
    "greek": ({"SpecificCharacterSet": "ISO_IR 126", "PatientName": "Ωμέγα^Ζωή"}, "ISO_IR 192"),
    "katakana": ({"SpecificCharacterSet": "ISO_IR 13", "PatientName": "ﾔﾏﾀﾞ^ﾀﾛｳ"}, "ISO_IR 192"),
    "japanese": (
        {
            "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
            "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
        },
        "ISO_IR 192",
    ),
    "korean": (
        {"SpecificCharacterSet": ["", "ISO 2022 IR 149"], "PatientName": "Hong^Gildong=洪^吉洞=홍^길동"},
        "ISO_IR 192",
    ),
    "japanese with latin 1": (
        {"SpecificCharacterSet": ["ISO 2022 IR 100", "ISO 2022 IR 87"], "PatientName": "Müller^T=山田^太郎"},
        ["ISO 2022 IR 100", "ISO 2022 IR 87"],
    ),
}


@pytest.mark.parametrize("kind", ["report", "pdf"])
@pytest.mark.parametrize("name", SETS)
def test_every_character_set_holds_name_and_report(name: str, kind: str, tmp_path: Path) -> None:
    changes, expected = SETS[name]
    meaning = "Röntgen" if name in ("latin 1", "unicode", "japanese with latin 1") else "Thorax"
    procedure = Dataset()
    procedure.CodeValue, procedure.CodingSchemeDesignator, procedure.CodeMeaning = "T", "99LOCAL", meaning
    outcome = study(ProcedureCodeSequence=[procedure], **changes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pydicom warns of what a character set does not hold
        document = made(outcome, "fr" if kind == "report" else "pt", kind)
        assert document.get("SpecificCharacterSet") == expected
        assert document.PatientName == changes["PatientName"]
        assert document.ProcedureCodeSequence[0].CodeMeaning == meaning
    path = tmp_path / "made.dcm"
    document.save_as(path)
    assert dciodvfy.errors(path) == []
    if kind == "report":
        assert "Épanchement pleural" in read_back.headline(document)
        if name != "japanese with latin 1":  # dcmtk on glibc's iconv reads no ISO 2022 IR 87
            assert "Épanchement pleural" in cases.tool("dsrdump", "+U8", path).stdout


def test_names_in_sequences_are_written_anew_with_the_rest() -> None:
    other = Dataset()
    other.PatientID, other.TypeOfPatientID = "X", "TEXT"
    other.IssuerOfPatientID = "Łódź"
    outcome = study(
        SpecificCharacterSet="ISO_IR 101", PatientName="Łukasz^Żaneta", OtherPatientIDsSequence=[other]
    )
    document = made(outcome, "pt")
    assert document.SpecificCharacterSet == "ISO_IR 192"
    assert document.PatientName == "Łukasz^Żaneta"
    assert document.OtherPatientIDsSequence[0].IssuerOfPatientID == "Łódź"
    german = made(outcome, "de")  # the Polish set has all of German
    assert german.SpecificCharacterSet == "ISO_IR 101"
    assert "Lungenödem" in read_back.headline(german)


@pytest.mark.parametrize("declared", [None, "ISO_IR 999"])
def test_bytes_that_nobody_can_read_stay_and_the_words_give_way(declared: str | None) -> None:
    """Many devices write Latin-1 and declare nothing, or something else."""
    name = b"M\xfcller^Zo\xeb"
    data = encoded(cases.header(SpecificCharacterSet=declared, PatientName="M?ller^Zo?"))
    header = dcmread(BytesIO(data.replace(b"M?ller^Zo?", name)))
    outcome = cases.outcome(cases.frontal(header, scores={"Edema": 0.75}, seg=cases.chest()))
    (result,) = report.build(outcome, ["report"], Style(language="de"))
    read = dcmread(BytesIO(report.to_bytes(result.dataset)))
    assert read.get_item("PatientName").value.rstrip() == name
    assert read.get("SpecificCharacterSet") == declared
    assert "Lungenoedem" in read_back.headline(read)


def test_english_never_changes_the_character_set() -> None:
    for changes, _ in SETS.values():
        assert made(study(**changes), "en").get("SpecificCharacterSet") == changes["SpecificCharacterSet"]


def test_the_change_since_an_earlier_study_is_told_with_its_date(tmp_path: Path) -> None:
    priors = (
        Prior("1.2.3", "20250302", {"Effusion": 0.44, "Mass": 0.3}),
        Prior("1.2.4", "20240101", {"Effusion": 0.9, "Cardiomegaly": 0.6125}),
    )
    image = cases.frontal(
        cases.header(), scores={"Effusion": 0.712, "Cardiomegaly": 0.6125}, seg=cases.chest()
    )
    document = made(cases.outcome(image, priors=priors), "en")
    assert read_back.headline(document).startswith(
        "AI: Pleural effusion right 71/100 (2025-03-02: 44/100, +27); Cardiomegaly 61/100 (cardiothoracic ratio "
        "0.41; 2024-01-01: 61/100, unchanged) "
    )
    told = read_back.texts(document, codes.EARLIER)
    assert told[:2] == ["2025-03-02: 44/100, +27", "2024-01-01: 61/100, unchanged"]
    assert "highest among the images" in told[2]
    assert "up to 11 points" in told[2]
    assert read_back.texts(made(cases.outcome(image, priors=priors), "de"), codes.EARLIER)[0] == (
        "02.03.2025: 44/100, +27"
    )
    path = tmp_path / "report.dcm"
    document.save_as(path)
    assert dciodvfy.errors(path) == []


def test_an_earlier_study_is_not_told_of_untrained_networks() -> None:
    models = cases.model_set(phantom=True)
    priors = (Prior("1.2.3", "20250302", {"Effusion": 0.44}),)
    document = made(cases.outcome(cases.frontal(cases.header(), models), models=models, priors=priors), "en")
    assert read_back.texts(document, codes.EARLIER) == []
