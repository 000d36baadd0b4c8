"""How much of a readable report is read, and what for a reader must scroll.

    python tools/report_length.py report.dcm ...

A report is laid out as viewers do it: a line for each item, its name and its value, wrapped. Printed for
each: the characters of the first screen and of the headline, how many lines a reader reads (all before what
is looked up: scores explained, numbers, models), how many screens that is, and how many lines there are.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator
from pathlib import Path

from pydicom import Dataset, dcmread

ACROSS, DOWN = 100, 30
"""Letters in a line and lines on a screen: OHIF's text in a window of 1440 x 900."""
LOOKED_UP = {"ABOUT", "DETAILS", "SOFTWARE"}
"""Code values of the sections that nobody has to read."""


def lines(item: Dataset) -> Iterator[str]:
    """The lines of an item and of what is below it."""
    name = item.ConceptNameCodeSequence[0].CodeMeaning
    yield from textwrap.wrap(f"{name}: {_value(item)}".rstrip(": "), ACROSS)
    for child in item.get("ContentSequence", []):
        yield from lines(child)


def _value(item: Dataset) -> str:
    match item.ValueType:
        case "TEXT":
            return str(item.TextValue)
        case "CODE":
            return str(item.ConceptCodeSequence[0].CodeMeaning)
        case "UIDREF":
            return str(item.UID)
        case "NUM":
            measured = item.MeasuredValueSequence[0]
            return f"{measured.NumericValue} {measured.MeasurementUnitsCodeSequence[0].CodeValue}"
        case _:
            return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", nargs="+", type=Path)
    heads = ("first screen", "headline", "lines read", "screens", "lines")
    print(f"{'report':40}" + "".join(f"{head:>13}" for head in heads))
    for path in parser.parse_args().reports:
        report = dcmread(path)
        sections = [item for item in report.ContentSequence if item.ValueType == "CONTAINER"]
        whole = [line for item in sections for line in lines(item)]
        read = [
            line
            for item in sections
            if item.ConceptNameCodeSequence[0].CodeValue not in LOOKED_UP
            for line in lines(item)
        ]
        headline = next(
            len(item.TextValue)
            for item in sections[0].ContentSequence
            if item.ConceptNameCodeSequence[0].CodeValue == "121073"
        )
        first = sum(map(len, whole[:DOWN]))
        numbers = first, headline, len(read), -(-len(read) // DOWN), len(whole)
        print(f"{path.name[:40]:40}" + "".join(f"{number:13}" for number in numbers))


if __name__ == "__main__":
    main()
