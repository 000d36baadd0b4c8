"""Reasons: refused without words, the same after a way through JSON, and sentences of before still read."""

from __future__ import annotations

import errno
import json
import pickle

import pytest

from xrv_node import languages, reasons
from xrv_node.errors import ImageError, XrvNodeError
from xrv_node.reasons import Reason, as_is

NESTED = Reason("view-frontal", told=Reason("attribute-says", attribute="View Position", value="PA"))


def test_a_key_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="no reason 'because'"):
        Reason("because")
    with pytest.raises(ValueError, match="no reason 'title'"):
        Reason("title")  # a heading is none


@pytest.mark.parametrize("values", [{}, {"frames": 3, "images": 1}, {"images": 1}])
def test_other_values_than_the_words_have_places_for_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="filled in with other values"):
        Reason("image-has-frames", **values)


def test_every_reason_can_be_made_kept_and_said() -> None:
    for key, words in languages.table("en")["reason"].items():
        made = Reason(key, **dict.fromkeys(languages.placeholders(words), "7"))
        assert reasons.revive(json.loads(json.dumps(reasons.plain(made)))) == made
        for language in languages.names():
            assert "{" not in made.words(language)


def test_reasons_are_values() -> None:
    again = reasons.revive(reasons.plain(NESTED))
    assert again == NESTED
    assert len({again, NESTED, Reason("no-lung")}) == 2
    assert pickle.loads(pickle.dumps(NESTED)) == NESTED
    with pytest.raises(AttributeError):
        NESTED.key = "view-lateral"  # type: ignore[misc]


def test_json_for_people_has_the_english_words_too() -> None:
    assert reasons.explained(NESTED) == {
        "key": "view-frontal",
        "values": {
            "told": {"key": "attribute-says", "values": {"attribute": "View Position", "value": "PA"}}
        },
        "text": "View Position PA: a frontal view.",
    }


def test_a_sentence_of_before_is_shown_as_it_is() -> None:
    found = reasons.revive("View Position is {PA}.")
    assert found == as_is("View Position is {PA}.")
    assert {found.words(language) for language in languages.names()} == {"View Position is {PA}."}


@pytest.mark.parametrize(
    "stored",
    [{"key": "of-tomorrow", "values": {}}, {"key": "no-lung", "values": {"side": 1}}, {"key": 1}, 7, None],
)
def test_what_a_newer_node_recorded_is_shown_as_it_was_recorded(stored: object) -> None:
    assert str(reasons.revive(stored)) == json.dumps(stored, sort_keys=True)


def test_reasons_in_a_document_are_found_wherever_they_are() -> None:
    plain = reasons.plain(NESTED)
    document = {"why": plain, "list": [plain, "a"], "other": {"key": "k", "values": 1}, "deep": {"x": plain}}
    assert reasons.revived(document) == {
        "why": NESTED,
        "list": [NESTED, "a"],
        "other": {"key": "k", "values": 1},
        "deep": {"x": NESTED},
    }


def test_an_error_carries_its_reason() -> None:
    error = ImageError(Reason("shows-nothing"))
    assert reasons.of(error) == Reason("shows-nothing")
    assert str(error) == "The image shows nothing: all its pixels have the same value, or nearly."
    assert reasons.of(XrvNodeError("say what to change")) == as_is("say what to change")


def test_the_system_s_common_errors_have_words() -> None:
    assert reasons.of_system(OSError(errno.ENOENT, "No such file or directory")) == Reason("errno-ENOENT")
    assert reasons.of_system(OSError(errno.EXDEV, "Cross-device link")) == as_is("Cross-device link")
    assert reasons.of_system(OSError()) == Reason("input-output-error")
