"""In which character set an object is written: the source's, wherever that holds what the object says.

A result is filed by the source's patient attributes, so they and their Specific Character Set (0008,0005)
are taken as they are, byte for byte. But a header without a set, or with a Japanese one, has no place for
"Pleuraerguß". Then the whole object goes into Unicode, if that is sure to keep the names; and if it is not,
set and names stay as they came, and our own words are written without accents.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator

from pydicom import DataElement, Dataset
from pydicom.charset import python_encoding
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR

UNICODE = "ISO_IR 192"
_ASCII = ("", "ISO_IR 6", "ISO 2022 IR 6")
_WIDER = ("shift_jis", "iso2022_jp_2")
"""Python's codecs of these names write more than ISO_IR 13 and ISO 2022 IR 159, which pydicom reads by them;
what only they could write counts as not written."""
_DAMAGED = set("\ufffd\x1b")
"""What is left in a text of bytes that are not of the set: a replacement character, an escape sequence."""
_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})


def settle(done: Dataset, copied: Collection[BaseTag]) -> bool:
    """Make an object's character set hold its own text; in place.

    Parameters
    ----------
    done : Dataset
        An object with the source's Specific Character Set, or none where the source has none. Kept where it
        holds all text. Otherwise either ISO_IR 192 with all text re-encoded, or, where the bytes of the
        source's text are not those of its set (so that nobody knows what they mean), as it was, and our own
        text in ASCII.
    copied : collection of BaseTag
        The attributes that are the source's, decoded.

    Returns
    -------
    bool
        Whether the character set is the source's still, so that the bytes of its text fit.
    """
    theirs = [element for element in done if element.tag in copied]
    ours = [element for element in done if element.tag not in copied]
    encodings = _encodings(done)
    if all(_holds(words, encodings) for words in _texts(ours)):
        return True
    if all(is_sure(done, words) for words in _texts(theirs)):  # and reads all of it, by the declared set
        done.SpecificCharacterSet = UNICODE
        return False
    _to_ascii(ours)
    return True


def is_sure(header: Dataset, words: str) -> bool:
    """Tell whether a text of a header is what its sender meant.

    Parameters
    ----------
    header : Dataset
        With the Specific Character Set by which the text was read.
    words : str
        A value as pydicom gave it.

    Returns
    -------
    bool
        False where a text beyond ASCII has no declared set, or one that nobody knows, or its bytes are not
        of that set.
    """
    return not set(words) & _DAMAGED and (words.isascii() or bool(_encodings(header)))


def _encodings(header: Dataset) -> list[str]:
    """Python's names of the declared sets beyond ASCII; none where one is unknown.

    pydicom reads what is declared as ASCII by Latin-1, which is no licence to write it.
    """
    declared = header.get("SpecificCharacterSet") or ""
    terms = declared if isinstance(declared, MultiValue | list) else [declared]
    if not all(term in python_encoding for term in terms):
        return []
    return [python_encoding[term] for term in terms if term not in _ASCII]


def _holds(words: str, encodings: list[str]) -> bool:
    return words.isascii() or all(any(_writes(e, c) for e in encodings) for c in set(words))


def _writes(encoding: str, character: str) -> bool:
    if character.isascii():
        return True
    try:
        character.encode(encoding)
    except UnicodeError:
        return False
    return encoding not in _WIDER


def _texts(elements: Collection[DataElement]) -> Iterator[str]:
    """Every value that the character set applies to, sequences included."""
    for element in elements:
        if element.VR == "SQ":
            for item in element.value:
                yield from _texts(list(item))
        elif element.VR in CUSTOMIZABLE_CHARSET_VR:
            yield from (str(value) for value in _values(element))


def _values(element: DataElement) -> list[object]:
    several = isinstance(element.value, MultiValue)
    return list(element.value) if several else [] if element.value is None else [element.value]


def _to_ascii(elements: Collection[DataElement]) -> None:
    for element in elements:
        if element.VR == "SQ":
            for item in element.value:
                _to_ascii(list(item))
        elif element.VR in CUSTOMIZABLE_CHARSET_VR:
            element.value = [_ascii(str(value)) for value in _values(element)]


def _ascii(words: str) -> str:
    """Letters without accents, German umlauts as two letters; what has no such form becomes "?"."""
    stripped = (c for c in unicodedata.normalize("NFKD", words.translate(_LETTERS)))
    plain = "".join(c for c in stripped if not unicodedata.combining(c))
    return plain.encode("ascii", "replace").decode("ascii")
