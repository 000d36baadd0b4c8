"""How an owner's table is written down: separator, encoding, headings, and in which line a row is."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets.columns import Column, Refused, spelling
from xrv_node.lab.datasets.owner_file import unpacked_bytes
from xrv_node.visible import visible

_SEPARATORS = (",", ";", "\t")
_ABOVE = 10
"""Lines among which the headings are: owners and spreadsheets put titles and empty lines above them."""
_LONGEST = 60
"""Letters of a cell that an error shows."""

csv.field_size_limit(1 << 27)  # the longest run of SIIM-ACR is above the 128 KiB that are usual


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is written down."""

    path: Path
    encoding: str
    separator: str = ","
    quoted: bool = False
    """Each line is one quoted cell: a spreadsheet of another separator saved it."""
    lines_above: int = 0
    """Up to the headings and with them."""
    headings: tuple[str, ...] = ()
    width: int = 0
    """Cells of the first line below them."""

    @contextmanager
    def lines(self) -> Iterator[IO[str]]:
        """Open it as text."""
        with unpacked_bytes(self.path) as file:
            text = io.TextIOWrapper(file, encoding=self.encoding, newline="")
            if not self.quoted:
                yield text
                return
            yield io.StringIO("".join(f"{row[0] if row else ''}\n" for row in csv.reader(text)), newline="")


def found(layout: Layout, columns: Sequence[Column]) -> Layout:
    """Find separator and headings: those under which most of the columns are there.

    Raises
    ------
    DatasetError
        A column that must be there is not; the sentence names it.
    """
    needed = [column.heading for column in columns if column.needed]
    best, most = layout, -1
    for quoted in (False, True):
        for separator in _SEPARATORS:
            tried = replace(layout, separator=separator, quoted=quoted)
            with tried.lines() as text:
                reader = csv.reader(text, delimiter=separator)
                above = [(row, reader.line_num) for row in islice(reader, _ABOVE + 1)]
            for number, (row, line) in enumerate(above[:_ABOVE]):
                headings = _headings(row, columns)
                count = len(set(needed) & set(headings))
                if count > most:
                    below = above[number + 1][0] if number + 1 < len(above) else []
                    best = replace(tried, lines_above=line, headings=headings, width=len(below))
                    most = count
        if most == len(needed):
            return best
    missing = [heading for heading in needed if heading not in best.headings]
    raise DatasetError(
        f"{layout.path} has no column {', '.join(missing)}; it is another file than its name says"
    )


def _headings(row: Sequence[str], columns: Sequence[Column]) -> tuple[str, ...]:
    """The headings, each once: those of the declared columns in their spelling, a second one with ``.1``."""
    exact = {column.heading for column in columns}
    there = {cell.strip().removeprefix("\ufeff") for cell in row}  # what is written alike is what is meant
    known = {spelling(column.heading): column.heading for column in columns if column.heading not in there}
    seen: dict[str, int] = {}
    headings = []
    for number, cell in enumerate(row):
        heading = cell.strip().removeprefix("\ufeff") or f"Unnamed: {number}"
        again = seen.get(heading, 0)
        seen[heading] = again + 1
        heading = f"{heading}.{again}" if again else heading
        headings.append(heading if heading in exact else known.get(spelling(heading), heading))
    return tuple(h if headings.index(h) == n else f"{h} ({n})" for n, h in enumerate(headings))


def ends_within_a_line(layout: Layout) -> bool:
    """Whether the last line has neither an end nor as many cells as there are headings."""
    last = "\n"
    with layout.lines() as text:
        for line in text:
            last = line
    if last.endswith(("\n", "\r")) or not last.strip():
        return False
    with layout.lines() as text:
        (record,) = deque(_records(layout, text), maxlen=1) or ([],)
    return 0 < len(record) < len(layout.headings)


def error(layout: Layout, refused: Refused, record: int) -> DatasetError:
    """A sentence with the file, the line as an editor counts it, the column and the cell."""
    line, cell = line_of(layout, record), ""
    with layout.lines() as text:
        for number, row in enumerate(_records(layout, text)):
            if number == record:
                at = layout.headings.index(refused.heading)
                cell = row[at].strip() if at < len(row) else ""
                break
    shown = visible(cell if len(cell) <= _LONGEST else f"{cell[:_LONGEST]}...")
    more = f" ({refused.others} more rows likewise)" if refused.others else ""
    return DatasetError(
        f"{layout.path}, line {line}, column {refused.heading}: '{shown}' {refused.why}{more}; "
        "correct it, or get it again"
    )


def line_of(layout: Layout, record: int) -> int:
    """The line in which a record begins: texts between quotation marks have lines too."""
    with layout.lines() as text:
        reader = _records(layout, text)
        for _ in islice(reader, record):
            pass
        return layout.lines_above + int(reader.line_num) + 1


def _records(layout: Layout, text: IO[str]) -> Any:
    """csv's reader of what is below the headings."""
    for _ in range(layout.lines_above):
        text.readline()
    return csv.reader(text, delimiter=layout.separator)
