"""The tables of words: each language is whole, and a site adds one by adding a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from xrv_node import languages, settings
from xrv_node.doctor.configuration import look
from xrv_node.errors import ConfigError
from xrv_node.reasons import Reason
from xrv_node.report.phrases import named, say

ENGLISH = languages.table("en")
TEMPLATES = [(section, key) for section in ("text", "reason") for key in ENGLISH[section]]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder of a site's own languages; with a table of Italian that is whole."""
    folder = tmp_path / "languages"
    folder.mkdir()
    english = (files("dicom_config") / "languages" / "en.toml").read_text(encoding="utf-8")
    (folder / "it.toml").write_text(english.replace("Pleural effusion", "Versamento pleurico"))
    languages.use(folder)
    yield folder
    languages.use(None)


@pytest.mark.parametrize("language", languages.names())
def test_a_language_has_every_key_with_the_same_placeholders(language: str) -> None:
    assert languages.complaints(language) == []


@pytest.mark.parametrize("language", languages.names())
def test_every_row_is_filled_in_whole(language: str) -> None:
    for section, key in TEMPLATES:
        names = languages.placeholders(ENGLISH[section][key])
        words = languages.fill(section, key, language, {name: f"<{name}>" for name in names})
        assert "{" not in words
        assert "}" not in words
        assert all(f"<{name}>" in words for name in names)


def test_sentences_are_translated() -> None:
    for language in set(languages.names()) - {"en"}:
        alike = [words for s, k in TEMPLATES if (words := ENGLISH[s][k]) == languages.table(language)[s][k]]
        letters = (re.sub(r"\{\w+\}|[^a-z]", "", words.lower()) for words in alike)
        same = {"", "image", "page", "score", "patient", "frontal", "lateral", "oblique", "phantom"}
        assert set(letters) <= same


def test_a_site_s_language_is_there_with_its_file(site: Path) -> None:
    assert "it" in languages.names()
    assert languages.complaints("it") == []
    assert named("finding", "Effusion", "it") == "Versamento pleurico"
    assert Reason("no-lung").words("it") == str(Reason("no-lung"))


def test_a_site_s_file_stands_in_place_of_the_node_s_but_for_english(site: Path) -> None:
    table = (site / "it.toml").read_text().replace("Not for diagnosis.", "Niet voor diagnose.")
    for name in ("de", "en"):
        (site / f"{name}.toml").write_text(table)
    languages.use(site)
    assert say("not_for_diagnosis", "de") == "Niet voor diagnose."
    assert say("not_for_diagnosis", "en") == "Not for diagnosis."


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('one-lung = "The anatomy network found one lung only."', "", "[reason] one-lung: missing"),
        ("{failed} of {all} images", "{faild} of {all} images",
         "[text] partly: unknown placeholder {faild}; known here: {all}, {failed}"),
        ("{failed} of {all} images", "{failed} of the images", "[text] partly: placeholder {all} is missing"),
        ("{failed} of {all} images", "{failed of {all} images", "[text] partly: "),
        ("{failed} of {all} images", "{} of {all} images", "[text] partly: a placeholder is a name in braces"),
        ("\n[series]\n", '\nown = "x"\n[series]\n', "[reason] own: English has no such key; take it out"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_told_in_a_line_and_english_stands_there(
    site: Path, old: str, new: str, complaint: str
) -> None:
    file = site / "it.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    languages.use(site)
    (found,) = languages.complaints("it")
    assert found.startswith(complaint)
    assert say("partly", "it", failed=1, all=2) == say("partly", "en", failed=1, all=2)
    assert Reason("one-lung").words("it") == str(Reason("one-lung"))


def configured(folder: Path, language: str) -> Path:
    path = folder.parent / "node.toml"
    path.write_text(
        f'[node]\nlanguages_dir = "{folder.name}"\n[receive]\nallowed_calling_ae = ["A"]\n'
        f'[[destinations]]\nname = "out"\nkind = "folder"\npath = "out"\nlanguage = "{language}"\n'
    )
    return path


def test_a_destination_speaks_a_language_that_there_is(site: Path) -> None:
    loaded = settings.load(configured(site, "it"))
    assert loaded.destinations[0].style.language == "it"
    assert say("not_for_diagnosis", "it") == "Not for diagnosis."
    with pytest.raises(
        ConfigError, match=r"destinations\.out\.language: .*'xx'; there are de, en, es, fr, it"
    ):
        settings.load(configured(site, "xx"))
    (site / "it.toml").write_text("[text")
    with pytest.raises(ConfigError, match=r"destinations\.out\.language: .*it\.toml: not a table of words"):
        settings.load(configured(site, "it"))
    with pytest.raises(ConfigError, match=r"node\.languages_dir: .*none is no folder"):
        settings.load(configured(site.parent / "none", "en"))


def test_the_check_of_the_configuration_names_what_is_wrong_with_a_file(site: Path) -> None:
    assert [says for _, says, _ in look(settings.load(configured(site, "it")))] == []
    file = site / "it.toml"
    file.write_text(file.read_text().replace("one-lung =", "two-lungs =", 1))
    (site / "nl.toml").write_text("=")
    missing, strange, broken = (says for _, says, _ in look(settings.load(configured(site, "it"))))
    assert missing == "node.languages_dir: it.toml: [reason] one-lung: missing"
    assert strange.startswith("node.languages_dir: it.toml: [reason] two-lungs: English has no such key")
    assert broken.startswith(f"node.languages_dir: {site / 'nl.toml'}: not a table of words")
