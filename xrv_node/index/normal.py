"""Text, dates and times as the index keeps and compares them.

PS3.4 C.2.2.2.1 has names compared without regard to case and accents; here all text is, so that nobody has to
know how a device spells.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime

LONGEST = 256
"""Characters that are kept of a text: four times the longest that is searched (LO, PS3.5 table 6.2-1)."""

_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})", re.ASCII)
"""With dots as ACR-NEMA wrote it (PS3.5 6.2, DA)."""
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?", re.ASCII)
"""With colons as ACR-NEMA wrote it (PS3.5 6.2, TM)."""


def text(value: str) -> str:
    """Return a text without case, accents, control characters, and space around it."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", value.casefold()) if _stays(c))
    return unicodedata.normalize("NFC", plain).strip()[:LONGEST]


def _stays(character: str) -> bool:
    return not unicodedata.combining(character) and unicodedata.category(character)[0] != "C"


def groups(name: str) -> list[str]:
    """Return the component groups of a name that are not empty: alphabetic, ideographic, phonetic (PS3.5
    6.2.1), without delimiters at their ends."""
    found = [text(group).rstrip("^ ") for group in name.split("=")]
    return [group for group in found if group]


def date(value: str) -> str | None:
    """Return a date as ``YYYYMMDD``, None where it is none."""
    if (found := _DATE.fullmatch(value.strip())) is None:
        return None
    day = "".join(found.groups())
    try:
        datetime.strptime(day, "%Y%m%d")
    except ValueError:
        return None
    return day


def times(value: str) -> tuple[str, str] | None:
    """Return the first and the last moment that a time says, as ``HHMMSS.FFFFFF``: ``10`` is the hour from
    ten to eleven. None where it is none."""
    if (found := _TIME.fullmatch(value.strip())) is None:
        return None
    hour, minute, second, fraction = found.groups()
    if int(hour) > 23 or int(minute or 0) > 59 or int(second or 0) > 60:  # 60: a leap second
        return None
    fraction = fraction or ""
    first = f"{hour}{minute or '00'}{second or '00'}.{fraction:0<6}"
    return first, f"{hour}{minute or '59'}{second or '59'}.{fraction:9<6}"


def time(value: str) -> str | None:
    """Return a time as ``HHMMSS.FFFFFF``, None where it is none."""
    found = times(value)
    return None if found is None else found[0]
