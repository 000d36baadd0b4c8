# ruff: noqa: RUF001 - letters that look alike are what is tested
"""Names of examinations in the languages of the tables: one view is told, two views tell nothing."""

from __future__ import annotations

import tomllib
from itertools import cycle, product
from pathlib import Path

import pytest
from frontal_headers import header, verdict
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from xrv_node import frontal
from xrv_node.frontal.evidence import part_signs, view_signs
from xrv_node.values import Verdict

FRONTAL, LATERAL, UNKNOWN = Verdict.FRONTAL, Verdict.LATERAL, Verdict.UNKNOWN
NOT_CHEST, NOT_SUITABLE = Verdict.NOT_CHEST, Verdict.NOT_SUITABLE

TABLES = Path(__file__).resolve().parents[2] / "dicom_config" / "frontal.toml"
LANGUAGES = {row["language"]: row for row in tomllib.loads(TABLES.read_text("utf-8"))["languages"]}
SIGNS = ("/", "-", " - ", "+", " + ", "&", ", ", "_", " ", ".", "・", "、", "／", "＋", "　", "\\")  # fmt: skip


def listed(language: str, *keys: str) -> list[str]:
    """Words of a language as people write them."""
    return [word.removesuffix("*") for key in keys for word in LANGUAGES[language].get(key, ())]


def frontal_words(language: str) -> list[str]:
    """The words of its language, and the abbreviations that are written everywhere."""
    return [*listed(language, "pa", "ap", "frontal"), "PA", "p.a.", "A/P"]


def lateral_words(language: str) -> list[str]:
    return [*listed(language, "lateral"), "LAT", "LL"]


def kinds(text: str) -> set[str]:
    """What a text says of the view."""
    made = Dataset()
    made.SpecificCharacterSet, made.SeriesDescription = "ISO_IR 192", text
    return {sign.kind for sign in view_signs(made, frontal.load_rules())}


def test_every_language_says_where_its_words_come_from() -> None:
    assert len(LANGUAGES) >= 15
    for language, row in LANGUAGES.items():
        assert row["source"], language
        assert row["chest"], language
        assert row["lateral"], language


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_view_is_evidence_for_its_own(language: str) -> None:
    for chest in listed(language, "chest"):
        made = Dataset()
        made.SpecificCharacterSet, made.SeriesDescription = "ISO_IR 192", chest
        assert [sign.kind for sign in part_signs(made, frontal.load_rules())] == ["chest"], chest
    chest = listed(language, "chest")[0]
    for kind, words in (("frontal", frontal_words(language)), ("lateral", lateral_words(language))):
        for word in words:
            for text in (word, word.upper(), f"{chest} {word}", f"{chest}_{word}", f"({word})"):
                assert kinds(text) == {kind}, text


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_views_are_evidence_for_neither(language: str) -> None:
    chest = listed(language, "chest")[0]
    joiners = cycle([*SIGNS, *(f" {word} " for word in listed(language, "and"))])
    for one, other in product(frontal_words(language), lateral_words(language)):
        for text in (f"{one}{next(joiners)}{other}", f"{chest} {other}{next(joiners)}{one}".upper()):
            assert kinds(text) == {"several"}, text


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_joiner_joins(language: str) -> None:
    one, other = frontal_words(language)[0], lateral_words(language)[0]
    for joiner in [*SIGNS, *(f" {word} " for word in listed(language, "and"))]:
        assert kinds(f"{one}{joiner}{other}") == {"several"}, joiner


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_abbreviated_second_view_is_one(language: str) -> None:
    for short in listed(language, "second"):
        for sign in SIGNS:
            assert kinds(f"PA{sign}{short}") == {"several"}, (sign, short)
    for short in listed("English", "second") + listed(language, "second", "second_joined"):
        for word in ["/", " + ", "&", "＆", *(f" {word} " for word in listed(language, "and"))]:
            assert kinds(f"Thorax p.a.{word}{short}") == {"several"}, (word, short)


@pytest.mark.parametrize("language", LANGUAGES)
def test_counted_views_are_several(language: str) -> None:
    for count, view in product([*listed(language, "two"), "2", "３"], listed(language, "views")):
        for text in (f"{count} {view}", f"PA {count} {view}", f"({count}{view})"):
            assert kinds(text) == {"several"}, text
    for text in listed(language, "several"):
        assert kinds(text) == {"several"}, text


@pytest.mark.parametrize(
    "text",
    [
        "Radiografía de tórax PA/L", "Torax PA Y L", "Chest AP & L", "thorax pa+li", "CHEST PA & LLAT", "THORAX PA/SEIT",
        "Thorax p.a. + seitl.", "Thorax in 2 Ebenen", "Thorax de face et de profil", "Tórax frente y perfil",
        "Tórax PA e perfil", "ОГК фронтальная и боковая", "ОГК, прямая и боковая проекции", "胸部 前後・側面",
        "胸部正面・側面", "胸部正、侧位", "胸部正侧位片(DR)", "흉부 정측면", "흉부 후전면/측면", "흉부(정/측)", "胸部正+左侧位",
        "RX TORACE 2P", "P.A./L.L.", "RTG klatki piersiowej PA + bok", "Akciğer grafisi PA+yan", "ngực thẳng, nghiêng",
        "Foto toraks PA dan lateral", "胸部(P→A,L→R)", "ОГК в 2-х проекциях", "صدر أمامي وجانبي", "lungor frontal och sida",
        "CHEST2VIEWS", "CHEST_2_VIEWS", "chest2v", "CHESTPALAT", "ChestPALat", "CHESTPAL", "Ｃｈｅｓｔ　ＰＡ／Ｌ", "PA + XYZ",
        "PORTABLE CHEST 2 VIEWS", "THORAX2EBENEN", "DR胸部正侧位", "胸部DR正侧位", "front + LAT", "nezname a LAT, XYZ and lateral",
    ],
)  # fmt: skip
def test_a_name_of_two_views_leaves_the_view_to_the_position(text: str) -> None:
    named = {"SpecificCharacterSet": "ISO_IR 192", "PerformedProcedureStepDescription": text}
    assert verdict(**named) is UNKNOWN
    assert verdict(**named, StationName="MOBILE1") is UNKNOWN
    decision = frontal.decide(header(**named, ViewPosition="PA"))
    assert (decision.verdict, decision.view) == (FRONTAL, "PA"), decision.reasons
    assert verdict(**named, ViewPosition="LL") is LATERAL


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Chest A/P", FRONTAL),
        ("AP/PA", FRONTAL),
        ("AP/SUPINE", FRONTAL),
        ("AP + PORTABLE", FRONTAL),
        ("PA & INSPIRATION", FRONTAL),
        ("AP + NG TUBE", FRONTAL),
        ("AP S", FRONTAL),
        ("PA LG", FRONTAL),  # large
        ("PA LD", FRONTAL),  # low dose
        ("S/P surgery, PA", FRONTAL),
        ("PA, paper record", FRONTAL),
        ("CHEST 1 VIEW PORTABLE", FRONTAL),
        ("CHESTPA", FRONTAL),
        ("CHEST1VIEWPA", FRONTAL),
        ("PORTCHEST", FRONTAL),
        ("CHESTLAT", LATERAL),
        ("CHEST/LAT", LATERAL),
        ("胸部DR侧位", LATERAL),
        ("胸部DR正位", FRONTAL),
        ("AP L DECUB", NOT_SUITABLE),
        ("PA/L oblique", NOT_SUITABLE),
        ("胸部左侧卧位", NOT_SUITABLE),
        ("胸椎正位", UNKNOWN),  # against Body Part Examined CHEST
    ],
)
def test_what_only_looks_like_two_views(text: str, expected: Verdict) -> None:
    assert verdict(SpecificCharacterSet="ISO_IR 192", SeriesDescription=text) is expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("CHEST1VIEW", FRONTAL),
        ("CHEST2VIEWS", FRONTAL),
        ("CHESTPORT", FRONTAL),
        ("TCCHEST1VIEW", FRONTAL),
        ("PORTABLECHEST", FRONTAL),
        ("THORAX1V", FRONTAL),
        ("CXRPALAT", FRONTAL),
        ("CHESTABDOMEN", UNKNOWN),
        ("CHESTRIBS", UNKNOWN),
        ("HANDPORT", UNKNOWN),
    ],
)
def test_body_parts_with_words_grown_on(part: str, expected: Verdict) -> None:
    assert verdict(ViewPosition="PA", BodyPartExamined=part) is expected


@pytest.mark.parametrize("text", ["胸部正侧位", "Chest PA/侧位", "Tórax PA e perfil"])
def test_utf_8_without_a_character_set_is_read(text: str) -> None:
    told = header()
    del told.SpecificCharacterSet
    told[0x0008103E] = RawDataElement(
        Tag(0x0008103E), "LO", len(text.encode()), text.encode(), 0, False, True
    )
    assert "several" in {evidence.indicates for evidence in frontal.decide(told).evidence}
    told.ViewPosition = "PA"
    assert frontal.decide(told).verdict is FRONTAL


def test_a_word_that_is_no_chain_stays_whole() -> None:
    read = frontal.load_rules().names.read
    assert read("ChestPALat_2views") == "CHEST PA LAT 2VIEWS"
    for word in ("L" * 200 + "ZCHEST", "CHESTABDOMEN", "PALAT", ""):
        assert read(word) == word
