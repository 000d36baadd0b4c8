"""The statistics as tables and as bars, which a template draws."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from xrv_node import documents
from xrv_node.statistics.output import table
from xrv_node.statistics.rows import TABLES, Statistics

MOST = 60
"""Bars of a chart; more are the newest."""


@dataclass(frozen=True)
class Table:
    """A part of the statistics."""

    key: str
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Bar:
    """One of a chart, from 0 to 100."""

    name: str
    says: str
    part: float


@dataclass(frozen=True)
class Chart:
    """Bars beside each other."""

    title: str
    bars: list[Bar]


def tables(found: Statistics) -> list[Table]:
    """Those that have rows."""
    made = []
    for key, row in TABLES.items():
        columns = list(get_type_hints(row))
        rows = [[documents.words(one[name]) for name in columns] for one in table(found, key)]
        if rows:
            made.append(Table(key, columns, rows))
    return made


def charts(found: Statistics) -> list[Chart]:
    """Studies a day, what images were taken for, and the share of each finding by week."""
    made = [
        _counts("Studies by day", found["days"], "day", "studies"),
        _counts("What images were taken for", found["verdicts"], "verdict", "images"),
    ]
    weeks: defaultdict[str, list[Any]] = defaultdict(list)
    for row in found["findings"]:
        weeks[row["finding"]].append(row)
    for finding in sorted(weeks, key=lambda name: -max(row["share"] for row in weeks[name])):
        bars = [
            Bar(row["week"], f"{row['present']} of {row['images']} ({row['share']:.0%})", 100 * row["share"])
            for row in weeks[finding][-MOST:]
        ]
        made.append(
            Chart(f"{finding.replace('_', ' ')}: share of images at or over the point, by week", bars)
        )
    return [chart for chart in made if any(bar.part for bar in chart.bars)]


def _counts(title: str, rows: Any, name: str, number: str) -> Chart:
    shown: list[Mapping[str, Any]] = list(rows)[-MOST:]
    most = max((row[number] for row in shown), default=0) or 1
    return Chart(title, [Bar(str(row[name]), str(row[number]), 100 * row[number] / most) for row in shown])
