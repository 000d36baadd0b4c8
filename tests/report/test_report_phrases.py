"""What a report says, in every language: the tables are whole, and what a reason quotes stays as it is."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from typing import Any, get_args

import numpy as np
import pytest
import report_cases as cases
from pydicom import Dataset
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.coding import Code

from xrv_node import frontal, languages, report
from xrv_node.analyse import gate
from xrv_node.analyse.view import from_pixels
from xrv_node.attributes import spaced
from xrv_node.reasons import Reason, as_is
from xrv_node.report import codes, phrases, summary
from xrv_node.result_kinds import KINDS
from xrv_node.values import PHANTOM_WORDS, ImageOutcome, Role, Style, Verdict

LANGUAGES = languages.names()
OTHERS = [language for language in LANGUAGES if language != "en"]
ENGLISH = languages.table("en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_tables_that_come_with_the_node_hold_letters_of_latin_1(language: str) -> None:
    text = (files("dicom_config") / "languages" / f"{language}.toml").read_text(encoding="utf-8")
    for rows in tomllib.loads(text).values():
        for words in rows.values():
            assert words == words.strip()
            assert words.encode("latin-1")


def test_there_is_a_name_for_every_finding_and_structure() -> None:
    assert list(ENGLISH["finding"]) == list(codes.findings())
    assert list(ENGLISH["structure"]) == list(codes.structures())
    for label, row in codes.findings().items():
        assert phrases.named("finding", label, "en") == row.name
    for key in ENGLISH["measurement"]:
        assert phrases.named("measurement", key, "en") == codes.measurement(key).name
    assert phrases.named("finding", "A site's own", "de") == "A site's own"


def test_there_are_words_for_every_verdict_and_every_role() -> None:
    assert {*Verdict, *get_args(Role)} - {"attribute"} <= set(ENGLISH["text"])


@pytest.mark.parametrize("key", ENGLISH["code"])
def test_the_english_meaning_of_a_code_is_the_standard_s_or_the_project_s(key: str) -> None:
    scheme, _, value = key.partition(":")
    english = ENGLISH["code"][key]
    own = {c.value: c.meaning for c in vars(codes).values() if isinstance(c, Code)}
    if scheme == codes.PRIVATE_SCHEME:
        assert own[value] == english
    elif scheme in concepts and any(value in table for table in concepts[scheme].values()):
        assert english in [table[value][0] for table in concepts[scheme].values() if value in table]
    else:
        # curly braces hold whatever their user writes, and a hundredth is a unit
        assert key in ("UCUM:{ratio}", "UCUM:/100")


@pytest.mark.parametrize("language", LANGUAGES)
def test_meanings_and_series_descriptions_fit_their_value_representation(language: str) -> None:
    meanings = list(languages.table(language)["code"].values())
    for label in codes.findings():
        name = phrases.named("finding", label, language)
        meanings += [name, phrases.say("score_of", language, finding=name)]
        meanings += [phrases.say("phantom_of", language, finding=name)]
    for kind in KINDS.values():
        content = phrases.named("series", kind.content, language)
        assert (content != kind.content) == (language != "en" and "language" in kind.varies)
        meanings += [f"{content} - {end}" for end in (phrases.say("research", language), PHANTOM_WORDS)]
    assert [m for m in meanings if len(m) > 64] == []


def walk(item: Dataset) -> Iterator[Dataset]:
    yield item
    for element in item:
        if element.VR == "SQ":
            for child in element.value:
                yield from walk(child)


@pytest.mark.parametrize("phantom", [False, True])
def test_every_code_in_a_report_has_a_translation(phantom: bool) -> None:
    models = cases.model_set(phantom)
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
    assert untranslated == {("RFC5646", "en")}


def untranslated(reason: Reason) -> list[str]:
    """The languages in which a reason reads as in English."""
    return [language for language in OTHERS if phrases.say(reason, language) == str(reason)]


def test_what_the_gate_says_is_said_in_every_language() -> None:
    structures = ("Left Lung", "Right Lung")
    limits = gate.Limits("0" * 64, "linear", 0.999, 2000, 20.0, 0.8)
    small, whole = np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    small[:10, :10], whole[:, :45] = True, True
    empty = np.zeros((64, 64), bool)
    said: set[Reason] = set()
    for masks in ([empty, empty], [small, empty], [whole, ~whole], [small, small]):
        for error, similarity in ((30.0, 0.7), (30.0, 0.9), (10.0, 0.7), (10.0, 0.9)):
            result = gate.judge(error, similarity, np.stack(masks), structures, limits)
            said |= {*result.flags, *([result.refused] if result.refused else [])}
    assert len(said) >= 6
    assert {reason: left for reason in said if (left := untranslated(reason))} == {}
    (german,) = (phrases.say(reason, "de") for reason in said if reason.key == "unlike-by-both")
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
def test_the_frontal_filter_s_reasons_are_said_in_every_language(changes: dict[str, Any]) -> None:
    decision = frontal.decide(cases.header(**{"rows": 480, "columns": 480} | changes))
    assert {reason: left for reason in decision.reasons if (left := untranslated(reason))} == {}
    for difference in (2.5, -2.5):
        assert not untranslated(from_pixels(decision, "xinario", difference).reasons[0])


def test_the_frontal_filter_s_objections_are_said_in_every_language() -> None:
    rules = frontal.load_rules()
    said = [Reason(row.because, told=spaced(row.attributes[0])) for row in rules.objections]
    said += [reason for _, reason in rules.refused_sop_classes.values()]
    assert {reason: left for reason in said if (left := untranslated(reason))} == {}


def test_a_contradiction_is_said_without_a_word_of_english() -> None:
    decision = frontal.decide(cases.header(ViewPosition="PA", SeriesDescription="LAT OBL"))
    (reason,) = (r for r in decision.reasons if r.key == "view-contradicts-open")
    assert str(reason) == (
        "The header contradicts itself on the view: View Position PA (frontal) against Series Description OBL "
        "(oblique); the pixels have to decide."
    )
    assert phrases.say(reason, "de") == (
        "Der Header widerspricht sich bei der Projektion: View Position PA (frontal) gegen Series Description "
        "OBL (schräg); die Pixel müssen entscheiden."
    )
    shown = from_pixels(decision, "xinario", -2.5).reasons[0]
    assert str(shown) == "The pixels show a lateral view (xinario, logit difference -2.5)."
    assert "(xinario, Logit-Differenz -2.5)" in phrases.say(shown, "de")


def test_what_a_reason_quotes_stays_as_it_is() -> None:
    told = Reason("attribute-says", attribute="View Position", value='"側面" {x}')
    reason = Reason("view-lateral", told=told)
    assert str(reason) == 'View Position "側面" {x}: a lateral view.'
    assert phrases.say(reason, "de") == 'View Position "側面" {x}: eine seitliche Aufnahme.'
    assert phrases.say(as_is("A sentence of before."), "de") == "A sentence of before."


def not_analysed(language: str, error: Reason) -> str:
    image = replace(cases.frontal(cases.header()), analysis=None, error=error)
    (line,) = summary.not_analysed(cases.outcome(image), language)
    return line


def test_a_reason_is_worded_as_a_whole() -> None:
    assert not_analysed("de", Reason("pixels-truncated", there=5, expected=10)) == (
        "Bild 1 (PA, Serie 1, Aufnahme 1): Analyse fehlgeschlagen: Die Pixeldaten sind abgeschnitten: "
        "5 von 10 Bytes sind vorhanden."
    )


def test_what_the_program_calls_it_is_a_value_in_the_reader_s_sentence() -> None:
    failed = Reason("unexpected-error", error="RuntimeError")
    assert not_analysed("en", failed).endswith(
        "analysis failed: RuntimeError while running the job; see the log"
    )
    assert not_analysed("de", failed).endswith(
        "Analyse fehlgeschlagen: RuntimeError beim Ausführen des Auftrags; siehe Protokoll"
    )


def test_an_object_that_came_before_is_said_in_the_reader_s_language() -> None:
    decision = replace(
        cases.LATERAL, verdict=Verdict.NOT_SUITABLE, reasons=(Reason("same-uid-other-content"),)
    )
    (line,) = summary.not_analysed(cases.outcome(ImageOutcome(cases.header(), decision)), "de")
    assert line.endswith(
        "nicht geeignet: ein anderes Objekt mit derselben SOP Instance UID ist zuvor mit anderem Inhalt "
        "eingetroffen"
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"BodyPartExamined": "RIBCAGE"},
            "not clear whether it is a frontal chest radiograph: Body Part Examined RIBCAGE: shows the chest, but "
            "perhaps framed or exposed for something else.",
        ),
        (
            {
                "BodyPartExamined": None,
                "StudyDescription": None,
                "ViewPosition": None,
                "PatientOrientation": None,
            },
            "not clear whether it is a frontal chest radiograph: The header tells no body part that the filter knows. "
            "The header tells no view.",
        ),
    ],
    ids=["body part", "both"],
)
def test_what_the_header_leaves_open_is_told_as_it_is(changes: dict[str, Any], told: str) -> None:
    head = cases.header(**{"rows": 480, "columns": 480} | changes)
    (line,) = summary.not_analysed(cases.outcome(ImageOutcome(head, frontal.decide(head))))
    assert line.endswith(f": {told}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_how_earlier_studies_were_looked_for_stands_in_the_report(language: str) -> None:
    searched = Reason("priors-archive-silent")
    study = cases.outcome(cases.frontal(cases.header()), searched=searched)
    (made,) = report.build(study, ["report"], Style(language))
    impressions = made.dataset.ContentSequence[0].ContentSequence
    assert phrases.say(searched, language) in [i.get("TextValue") for i in impressions]
