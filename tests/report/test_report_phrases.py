"""The table of phrases is whole, and nothing that the node says to a reader is missing from it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from string import Formatter
from typing import Any, get_args

import numpy as np
import pytest
import report_cases as cases
from pydicom import Dataset
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.coding import Code

import xrv_node
from xrv_node import frontal, report
from xrv_node.analyse import gate
from xrv_node.analyse.view import from_pixels
from xrv_node.attributes import spaced
from xrv_node.report import codes, phrases, summary
from xrv_node.result_kinds import KINDS
from xrv_node.values import ImageOutcome, Language, Role, Verdict

LANGUAGES = get_args(Language)
OTHERS = LANGUAGES[1:]
TABLE = phrases.table()
ROWS = {
    f"{name} {key}": row
    for name, table in TABLE.items()
    for key, row in (table.items() if isinstance(table, dict) else enumerate(table))
}
ROOM = Path(xrv_node.__file__).parent


def fields(words: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(words) if field}


@pytest.mark.parametrize("key", ROWS)
def test_a_row_has_five_languages_with_the_same_placeholders(key: str) -> None:
    row = ROWS[key]
    assert tuple(row) == LANGUAGES
    assert len({frozenset(fields(words)) for words in row.values()}) == 1
    for words in row.values():
        assert words == words.strip()
        assert words
        assert words.encode("latin-1")


def test_every_phrase_that_is_asked_for_is_there_and_none_else() -> None:
    source = {path: path.read_text(encoding="utf-8") for path in sorted((ROOM / "report").rglob("*.py"))}
    asked = {key for text in source.values() for key in re.findall(r'\bsay\(\s*"(\w+)"', text)}
    assert asked <= set(TABLE["text"])
    quoted = {key for text in source.values() for key in re.findall(r'"(\w+)"', text)}
    assert set(TABLE["text"]) <= quoted | set(Verdict) | set(get_args(Role))


def test_there_is_a_name_for_every_finding_and_structure() -> None:
    assert list(TABLE["finding"]) == list(codes.findings())
    assert list(TABLE["structure"]) == list(codes.structures())
    for label, row in codes.findings().items():
        assert phrases.named("finding", label, "en") == row.name
    for key in TABLE["measurement"]:
        assert phrases.named("measurement", key, "en") == codes.measurement(key).name
    assert phrases.named("finding", "A site's own", "de") == "A site's own"


@pytest.mark.parametrize("key", TABLE["code"])
def test_the_english_meaning_of_a_code_is_the_standard_s_or_the_project_s(key: str) -> None:
    scheme, _, value = key.partition(":")
    english = TABLE["code"][key]["en"]
    own = {c.value: c.meaning for c in vars(codes).values() if isinstance(c, Code)}
    if scheme == codes.PRIVATE_SCHEME:
        assert own[value] == english
    elif scheme in concepts and any(value in table for table in concepts[scheme].values()):
        assert english in [table[value][0] for table in concepts[scheme].values() if value in table]
    else:
        assert key == "UCUM:{ratio}"  # curly braces hold whatever their user writes


@pytest.mark.parametrize("language", LANGUAGES)
def test_meanings_and_series_descriptions_fit_their_value_representation(language: Language) -> None:
    meanings = [words[language] for words in TABLE["code"].values()]
    for label in codes.findings():
        name = phrases.named("finding", label, language)
        meanings += [name, phrases.say("score_of", language, finding=name)]
        meanings += [phrases.say("no_result_of", language, finding=name)]
    for kind in KINDS.values():
        content = phrases.translated(kind.content, language)
        assert (content != kind.content) == (language != "en" and "language" in kind.varies)
        meanings += [
            f"{content} - {end}" for end in (phrases.say("research", language), summary.COMMISSIONING)
        ]
    assert [m for m in meanings if len(m) > 64] == []


def walk(item: Dataset) -> Iterator[Dataset]:
    yield item
    for element in item:
        if element.VR == "SQ":
            for child in element.value:
                yield from walk(child)


@pytest.mark.parametrize("commissioning", [False, True])
def test_every_code_in_a_report_has_a_translation_except_the_status(commissioning: bool) -> None:
    models = cases.model_set(commissioning)
    image = cases.frontal(cases.header(), models, seg=cases.chest())
    failed = ImageOutcome(cases.header(number=2), cases.LATERAL)
    (made,) = report.build(cases.outcome(image, failed, models=models), ["report"])
    untranslated = {
        (item.CodingSchemeDesignator, item.CodeValue)
        for content in (*made.dataset.ContentSequence, Dataset())
        for item in walk(content)
        if "CodeMeaning" in item
        and phrases.meaning(Code(item.CodeValue, item.CodingSchemeDesignator, "?"), "de") == "?"
    }
    assert untranslated == {("DCM", "111245" if commissioning else "111242"), ("RFC5646", "en")}


def untranslated(sentence: str) -> list[str]:
    """The languages in which a sentence of another room stays English."""
    assert phrases.translated(sentence, "en") == sentence
    return [language for language in OTHERS if phrases.translated(sentence, language) == sentence]


def messages(path: Path) -> Iterator[str]:
    """The sentences of a module: what its image errors say, and its other literals that end with a stop; with a
    number in each placeholder."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    other = {
        id(inside)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("ConfigError", "WeightsError", "ValueError")
        for inside in ast.walk(node)
    }
    parts = {id(p) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for p in ast.walk(node)} - {
        id(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
    }
    for node in ast.walk(tree):
        if id(node) in docs | other | parts:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value
        elif isinstance(node, ast.JoinedStr):
            words = "".join(str(v.value) if isinstance(v, ast.Constant) else "7" for v in node.values)
        else:
            continue
        if words.endswith(".") and words.count(" ") >= 2:
            yield words


SPEAKING = [
    *sorted((ROOM / "radiograph").glob("*.py")),
    *(ROOM / "report" / name for name in ("quality.py", "laterality.py", "measurements.py")),
    ROOM / "analyse" / "local.py",
]


@pytest.mark.parametrize("path", SPEAKING, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_what_a_module_says_of_an_image_is_in_the_table(path: Path) -> None:
    missing = {words: left for words in messages(path) if (left := untranslated(words))}
    assert missing == {}


def test_the_modules_that_speak_are_really_read() -> None:
    assert len([words for path in SPEAKING for words in messages(path)]) > 30


def test_what_the_gate_says_is_in_the_table() -> None:
    structures = ("Left Lung", "Right Lung")
    limits = gate.Limits("0" * 64, "linear", 0.999, 2000, 20.0, 0.8)
    small, whole = np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    small[:10, :10], whole[:, :45] = True, True
    empty = np.zeros((64, 64), bool)
    said: set[str] = set()
    for masks in ([empty, empty], [small, empty], [whole, ~whole], [small, small]):
        for error, similarity in ((30.0, 0.7), (30.0, 0.9), (10.0, 0.7), (10.0, 0.9)):
            result = gate.judge(error, similarity, np.stack(masks), structures, limits)
            said |= {*result.flags, *([result.refused] if result.refused else [])}
    assert len(said) >= 6
    assert {words: left for words in said if (left := untranslated(words))} == {}
    german = next(
        phrases.translated(w, "de") for w in said if "reconstruction error" in w and "similarity" in w
    )
    assert "30; bei 99.9 % der eigenen Bilder ist er höchstens 20" in german
    assert "mindestens 0.800" in german


HEADERS: list[dict[str, Any]] = [
    {},
    {"ViewPosition": "LL"},
    {"ViewPosition": "LLD"},
    {"ViewPosition": "LAO"},
    {"ViewPosition": "LORDOTIC"},
    {"ViewPosition": None, "PatientOrientation": None},
    {"ViewPosition": "PA", "SeriesDescription": "LATERAL"},
    {"ViewPosition": "LL", "SeriesDescription": "PA"},
    {"ViewPosition": "Q", "PatientOrientation": ["R", "F"]},
    {"ViewPosition": None, "SeriesDescription": "PA UND LAT"},
    {"ViewPosition": None, "PatientOrientation": None, "StationName": "PORTABLE"},
    {"BodyPartExamined": "HAND"},
    {"BodyPartExamined": "HAND", "SeriesDescription": "CHEST"},
    {"BodyPartExamined": "RIBCAGE"},
    {"BodyPartExamined": None, "StudyDescription": None},
    {"PatientAge": "007Y"},
    {"PatientAge": None, "PatientBirthDate": None},
    {"Modality": "CT"},
    {"SOPClassUID": "1.2.3"},
    {"Rows": 64},
    {"Rows": None},
    {"NumberOfFrames": "3"},
    {"SamplesPerPixel": 3},
]


@pytest.mark.parametrize("changes", HEADERS, ids=str)
def test_the_frontal_filter_s_reasons_are_in_the_table(changes: dict[str, Any]) -> None:
    decision = frontal.decide(cases.header(**{"rows": 480, "columns": 480} | changes))
    assert {words: left for words in decision.reasons if (left := untranslated(words))} == {}
    for difference in (2.5, -2.5):
        assert not untranslated(from_pixels(decision, "xinario", difference).reasons[0])


def test_the_frontal_filter_s_objections_are_in_the_table() -> None:
    rules = frontal.load_rules()
    said = [f"{spaced(row.attributes[0])} X: {row.because}." for row in rules.objections]
    said += [f"The object is {why}." for _, why in rules.refused_sop_classes.values()]
    assert {words: left for words in said if (left := untranslated(words))} == {}


def test_what_a_sentence_quotes_stays_as_it_is() -> None:
    told = 'View Position "側面": a lateral view.'
    assert phrases.translated(told, "de") == 'View Position "側面": eine seitliche Aufnahme.'
    assert phrases.translated("A site's own rule.", "de") == "A site's own rule."


def test_a_sentence_is_recognised_as_one_only() -> None:
    for row in TABLE["sentences"]:
        sample = row["en"].format(**dict.fromkeys(fields(row["en"]), "7"))
        matching = [r["en"] for pattern, r in phrases._sentences() if pattern.fullmatch(sample)]
        assert matching[0] == row["en"], sample


def test_a_reason_with_a_cause_is_translated_as_a_whole() -> None:
    failed = replace(
        cases.frontal(cases.header()),
        analysis=None,
        error="The pixel data are truncated: 5 of 10 bytes are there.",
    )
    (line,) = summary.not_analysed(cases.outcome(failed), "de")
    assert line == (
        "Bild 1 (PA, Serie 1, Aufnahme 1): Analyse fehlgeschlagen: Die Pixeldaten sind abgeschnitten: "
        "5 von 10 Bytes sind vorhanden."
    )
