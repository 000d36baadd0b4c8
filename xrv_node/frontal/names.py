"""How people name an examination: words of many languages, and names that speak of two views."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xrv_node.attributes import fold

_LETTERS = "[A-Z0-9À-ɏЀ-ӿ]"
"""Latin and Cyrillic, whose words are whole. Scripts without blanks have no words to be whole."""
_START, _END = rf"(?:(?<!{_LETTERS})|(?!{_LETTERS}))", rf"(?:(?!{_LETTERS})|(?<!{_LETTERS}))"

_SLASH, _PLUS = " SLASH ", " PLUS "
_SIGNS = str.maketrans({"/": _SLASH, "+": _PLUS, "&": _PLUS})
"""Signs that join views, as words: "CHEST/LAT" is one view, what "+" or "and" stands before is a second."""
_GROWN_ON = re.compile(r"(?<=[A-Z]{2})(?=[1-9][A-Z])")
"""Before the number in ``THORAX2EBENEN``; none in ``XR220AMX``."""
_ONE_VIEW = re.compile(r"(?<![A-Z])([AP])\s*/\s*([AP])(?![A-Z])")
"""``A/P`` is one view."""


@dataclass(frozen=True, slots=True)
class Names:
    """The words of all languages."""

    words: Mapping[str, tuple[str, ...]]
    """Regular expressions of folded text, by what they stand for."""
    chest: re.Pattern[str]
    pieces: re.Pattern[str]
    """What words without blanks between them are made of, the chest too."""
    pair: re.Pattern[str]
    """Two views in a text whose joining signs are words."""

    def alternatives(self, row: Mapping[str, Any]) -> str:
        """Return the regular expression of a row's ``text`` and of the lists that it ``names``.

        Parameters
        ----------
        row : mapping
            A row of the tables.

        Returns
        -------
        str
            Alternatives, the longest words first; empty where the row has neither.
        """
        listed = [word for name in row.get("names", ()) for word in self.words[name]]
        return "|".join(filter(None, [row.get("text", ""), *sorted(listed, key=len, reverse=True)]))

    def read(self, value: str) -> str:
        """Return a text as the tables spell it, with words that were run together apart.

        Parameters
        ----------
        value : str
            As it came.

        Returns
        -------
        str
            Folded; ``CHEST2VIEWS`` becomes ``CHEST 2 VIEWS``.
        """
        return " ".join(self._apart(word) for word in fold(_decoded(value)).split(" "))

    def two_views(self, value: str) -> str:
        """Return what in a text tells, by what joins it, that it speaks of two views.

        Parameters
        ----------
        value : str
            As it came; full-width signs are signs.

        Returns
        -------
        str
            Folded; empty where there is none. ``A/P`` is one view.
        """
        plain = _ONE_VIEW.sub(r"\1\2", unicodedata.normalize("NFKC", _decoded(value)).upper())
        match = self.pair.search(self.read(plain.translate(_SIGNS)))
        return match[0].replace(_SLASH, "/").replace(_PLUS, " + ") if match else ""

    def _apart(self, word: str) -> str:
        chain: list[str] = []
        place = 0
        while found := self.pieces.match(word, place):
            chain.append(found[0])
            place = found.end()
        whole = place == len(word) and any(self.chest.fullmatch(piece) for piece in chain)
        return " ".join(chain) if whole else _GROWN_ON.sub(" ", word)


def names(languages: Sequence[Mapping[str, Any]], run_together: Mapping[str, Sequence[str]]) -> Names:
    """Collect the words of all languages.

    Parameters
    ----------
    languages : sequence of mapping
        The rows of ``[[languages]]``.
    run_together : mapping
        The table of that name.

    Returns
    -------
    Names
        With a list for every key of a language; ``several`` holds "2 views" in all of them, too.

    Raises
    ------
    KeyError, TypeError, re.error
        If a table lacks something or is none.
    """
    keys = {key for row in languages for key in row} - {"language", "source"}
    words = {key: tuple(_pattern(word) for row in languages for word in row.get(key, ())) for key in keys}
    counted = tuple(
        rf"(?:{_any([*map(_pattern, row.get('two', ())), '[2-9]'])}) ?(?:{_any(map(_pattern, row['views']))})"
        for row in languages
        if row.get("views")
    )
    pieces = sorted([*run_together["chest"], *run_together["pieces"]], key=len, reverse=True)
    return Names(
        words=words | {"several": words["several"] + counted},
        chest=re.compile(_any(run_together["chest"])),
        pieces=re.compile(_any(pieces)),
        pair=_pair(words),
    )


def _pair(words: Mapping[str, tuple[str, ...]]) -> re.Pattern[str]:
    """A frontal view beside an abbreviation of a second one; or anything joined to a lateral view."""
    first = _any([*words["pa"], *words["ap"], *words["frontal"]])
    second, joined_only, lateral = (_any(words[key]) for key in ("second", "second_joined", "lateral"))
    word = f"(?:{_any(words['and'])})"
    link = f" (?:{word}|SLASH|PLUS) "
    beside = "(?: |(?<=[^A-Z ])|(?=[^A-Z ]))"  # "PAPER" is no PA
    same = _any(word for key in ("portable", "chest", "same") for word in words[key])
    other = rf"(?!(?:{first}|{same}){_END})\w+"
    ways = (
        f"(?:{first}){link}(?:{second}|{joined_only})",
        f"(?:{first}){beside}(?:{second})",
        f"(?:{second}|{joined_only}){link}(?:{first})",
        f"(?:{second}){beside}(?:{first})",
        f"(?:{first}|{lateral}) PLUS {other}",
        f"(?:{word}|PLUS) (?:{lateral})",
        f"PLUS (?:{second})",
    )
    return whole_words(_any(ways))


def whole_words(alternatives: str) -> re.Pattern[str]:
    """Compile alternatives that match whole words."""
    return re.compile(f"{_START}(?:{alternatives}){_END}")


def _decoded(value: str) -> str:
    """Read UTF-8 that was taken for Latin-1, for want of a Specific Character Set or with a wrong one."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _pattern(word: str) -> str:
    """Return a word of the tables as a regular expression of folded text."""
    stem = fold(word.removesuffix("*"))
    return re.escape(stem).replace(r"\ ", " ?") + (r"\w*" if word.endswith("*") else "")


def _any(alternatives: Iterable[str]) -> str:
    return "|".join(alternatives)
