"""How people name an examination: words of many languages, and names that speak of two views."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xrv_node.attributes import fold

_LETTERS = "A-Z0-9À-ɏЀ-ӿ"
"""Latin and Cyrillic, whose words are whole. Scripts without blanks have no words to be whole."""

_SIGNS = str.maketrans({"/": " AND ", "+": " PLUS ", "&": " PLUS "})
"""Signs that join views, as words; what follows the last two is always a second one."""
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

    def _apart(self, word: str) -> str:
        chain: list[str] = []
        place = 0
        while found := self.pieces.match(word, place):
            chain.append(found[0])
            place = found.end()
        whole = place == len(word) and any(self.chest.fullmatch(piece) for piece in chain)
        return " ".join(chain) if whole else word


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
    )


def pairs(found: Names) -> re.Pattern[str]:
    """Return what finds a frontal view beside an abbreviation of a second one, in a text as of `joined`.

    Parameters
    ----------
    found : Names
        The words.

    Returns
    -------
    re.Pattern
        Matches the two and what joins them.
    """
    first = _any(word for key in ("pa", "ap", "frontal") for word in found.words[key])
    second = _any(found.words["second"])
    either = _any([second, *found.words["second_joined"]])
    link = rf" (?:{_any(found.words['and'])}) "
    beside = "(?: |(?<=[^A-Z ])|(?=[^A-Z ]))"  # "PAPER" is no PA
    same = _any(
        word for key in ("pa", "ap", "frontal", "portable", "chest", "same") for word in found.words[key]
    )
    ways = (
        f"(?:{first}){link}(?:{either})",
        f"(?:{first}){beside}(?:{second})",
        f"(?:{first}) PLUS (?!(?:{same})(?![{_LETTERS}]))\\w+",
        f"(?:{either}){link}(?:{first})",
        f"(?:{second}){beside}(?:{first})",
    )
    return whole_words(_any(ways))


def joined(value: str, found: Names) -> str:
    """Return a text as `Names.read` does, with a word in the place of each sign that joins.

    Parameters
    ----------
    value : str
        As it came; full-width signs are signs.
    found : Names
        The words.

    Returns
    -------
    str
        ``PA + L`` becomes ``PA PLUS L``; ``A/P``, which is one view, becomes ``AP``.
    """
    plain = _ONE_VIEW.sub(r"\1\2", unicodedata.normalize("NFKC", _decoded(value)).upper())
    return found.read(plain.translate(_SIGNS))


def whole_words(alternatives: str) -> re.Pattern[str]:
    """Compile alternatives that match whole words."""
    return re.compile(rf"(?<![{_LETTERS}])(?:{alternatives})(?![{_LETTERS}])")


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
