"""What is asked for: a study, those of an accession, or those of a patient; and where that is written down.

Accession Number and Patient ID are patient data. They are in no row of the database: until the archive has
named the studies they are in a file of the spool that only this user may read.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from time import time

from xrv_node import durable
from xrv_node.errors import XrvNodeError
from xrv_node.spool import Spool, is_uid

MOST = 100_000
"""Things that one fetch asks for."""
LONGEST = 64
"""Characters of an identifier (PS3.5 6.2, LO)."""
SETTLED_SECONDS = 600
"""Far beyond the time between a file and its row."""
_MEANT_OTHERWISE = frozenset("*?\\")
"""In a query they ask for others too (PS3.4 C.2.2.2)."""

COLUMNS = {
    "StudyInstanceUID": "study",
    "AccessionNumber": "accession",
    "PatientID": "patient",
    "StudyDate": "date",
}
"""Keywords that a list's heading may have, and the fields of a key that they fill."""


@dataclass(frozen=True, slots=True)
class Key:
    """One thing that is asked for: exactly one of the first three.

    Raises
    ------
    XrvNodeError
        It is none that can be asked for; what it says is not repeated.
    """

    study: str = ""
    """Study Instance UID."""
    accession: str = ""
    patient: str = ""
    """Patient ID."""
    date: str = ""
    """Study Date, or a range of them as a query has it: ``20250101-20250331``, either end may be missing."""

    def __post_init__(self) -> None:
        said = [one for one in (self.study, self.accession, self.patient) if one]
        if len(said) != 1:
            raise XrvNodeError("give one of Study Instance UID, Accession Number and Patient ID")
        if self.study and not is_uid(self.study):
            raise XrvNodeError("this is no Study Instance UID")
        if _MEANT_OTHERWISE & set(said[0]) or len(said[0]) > LONGEST or not said[0].isprintable():
            raise XrvNodeError("an identifier has 64 characters at most, and none of * ? \\")
        if self.date and not _is_range(self.date):
            raise XrvNodeError("a Study Date is YYYYMMDD, or a range of them: 20250101-20250331")

    @property
    def matches(self) -> dict[str, str]:
        """What a study must have, by DICOM keyword."""
        return {keyword: value for keyword, field in COLUMNS.items() if (value := getattr(self, field))}


def days(first: date | None, last: date | None) -> str:
    """Return the range of Study Dates from one day to another; nothing where there is neither."""
    ends = [f"{day:%Y%m%d}" if day else "" for day in (first, last)]
    return "-".join(ends) if any(ends) else ""


def listed(path: Path) -> tuple[Key, ...]:
    """Read a list: one a line, or a CSV file with a heading of DICOM keywords (:data:`COLUMNS`).

    Without a heading a UID with a dot in it is a Study Instance UID, and anything else an Accession Number.

    Raises
    ------
    XrvNodeError
        The file cannot be read, or a line is not understood; says which.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise XrvNodeError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise XrvNodeError(f"{path}: this is no text in UTF-8") from error
    keys = []
    for number, fields in _rows(lines):
        try:
            keys.append(Key(**fields))
        except XrvNodeError as error:
            raise XrvNodeError(f"{path}, line {number}: {error}") from None
    return tuple(dict.fromkeys(keys))


def _rows(lines: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    heading = lines[0] if lines else ""
    separator = max(",;\t", key=heading.count)
    names = [COLUMNS.get(cell.strip().strip('"')) for cell in heading.split(separator)]
    if not any(names):
        for number, line in enumerate(lines, 1):
            if word := line.strip():
                yield number, {"study" if "." in word and is_uid(word) else "accession": word}
        return
    table = csv.reader(lines[1:], delimiter=separator)
    for cells in table:
        said = zip(names, map(str.strip, cells), strict=False)
        if fields := {name: cell for name, cell in said if name and cell}:
            yield table.line_num + 1, fields


def _is_range(text: str) -> bool:
    ends = text.split("-")
    return len(ends) <= 2 and any(ends) and all(not end or _is_day(end) for end in ends)


def _is_day(text: str) -> bool:
    try:
        return len(text) == 8 and text.isdigit() and bool(date.fromisoformat(text))
    except ValueError:
        return False


# ---------------------------------------------------------------- the file


def place(spool: Spool, fetch: str) -> Path:
    """Where the keys of a fetch are."""
    return spool.root / "spool" / "fetches" / f"{fetch}.json"


def write(spool: Spool, fetch: str, keys: Iterable[Key]) -> None:
    """Write them down for this user alone."""
    durable.write(place(spool, fetch), [json.dumps([asdict(key) for key in keys]).encode()])


def read(spool: Spool, fetch: str) -> tuple[Key, ...] | None:
    """Read what :func:`write` wrote; None where it is not there, or is something else."""
    try:
        return tuple(Key(**one) for one in json.loads(place(spool, fetch).read_bytes()))
    except (OSError, ValueError, TypeError, XrvNodeError):
        return None


def sweep(spool: Spool, known: Collection[str]) -> None:
    """Remove the files of fetches that are not known, as a crash before their row leaves them; young ones may
    be about to have one."""
    for path in place(spool, "").parent.glob("*.json"):
        if path.stem not in known and path.stat().st_mtime < time() - SETTLED_SECONDS:
            path.unlink(missing_ok=True)


def forget(spool: Spool, fetch: str) -> None:
    """Remove the file, if it is there."""
    place(spool, fetch).unlink(missing_ok=True)
