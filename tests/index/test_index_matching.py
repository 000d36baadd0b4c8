"""Conditions on columns, beside what plain Python says of the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, literal, select

from xrv_node.index import matching, normal
from xrv_node.index.index import PRAGMAS

TEXTS = st.text("aB é%_/*?^ü1", max_size=6)


@pytest.fixture(scope="module")
def database() -> Iterator[Connection]:
    """A connection as the index's are."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        for pragma in PRAGMAS:
            connection.exec_driver_sql(f"PRAGMA {pragma}")
        yield connection


def matches(database: Connection, match: Any, stored: Any, asked: str) -> bool:
    """What the database says."""
    condition = match(literal(stored), asked)
    return condition is None or bool(database.scalar(select(condition)))


def like(stored: str, pattern: str) -> bool:
    """What PS3.4 C.2.2.2.4 says: `*` is any characters, `?` is one."""
    parts = re.split(r"([*?])", pattern)
    regex = "".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in parts)
    return re.fullmatch(regex, stored, re.DOTALL) is not None


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS, TEXTS)
def test_wildcards(database: Connection, stored: str, asked: str) -> None:
    kept, pattern = normal.text(stored), normal.text(asked)
    expected = not pattern.strip("*") or like(kept, pattern)
    assert matches(database, matching.text, kept, asked) == expected


DATES = st.dates().map(lambda day: day.strftime("%Y%m%d").zfill(8))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DATES, DATES, DATES, st.sampled_from(["{0}", "{0}-", "-{1}", "{0}-{1}"]))
def test_ranges_of_dates(database: Connection, stored: str, first: str, last: str, form: str) -> None:
    expected = {
        "{0}": stored == first,
        "{0}-": stored >= first,
        "-{1}": stored <= last,
        "{0}-{1}": first <= stored <= last,
    }[form]
    assert matches(database, matching.date, stored, form.format(first, last)) == expected


TIMES = st.times()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TIMES, TIMES, st.sampled_from([2, 4, 6, 13]), st.sampled_from(["{}", "{}-", "-{}"]))
def test_ranges_of_times(database: Connection, stored: Any, asked: Any, digits: int, form: str) -> None:
    moment, whole = f"{stored:%H%M%S.%f}", f"{asked:%H%M%S.%f}"
    kept, part = normal.time(moment), whole[:digits]
    expected = {"{}": moment[:digits] == part, "{}-": moment[:digits] >= part, "-{}": moment[:digits] <= part}
    assert matches(database, matching.time, kept, form.format(part)) == expected[form]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40))
def test_whatever_is_asked_is_a_condition_or_an_error_of_ours(database: Connection, asked: str) -> None:
    for match in (matching.text, matching.name, matching.codes, matching.uids, matching.date, matching.time):
        with suppress(matching.QueryError):
            matches(database, match, "x", asked)


@pytest.mark.parametrize(
    ("stored", "groups"),
    [
        ("Müller^Änne^^", ["muller^anne"]),
        ("Straße^X=山田^太郎=やまだ^たろう", ["strasse^x", "山田^太郎", "やまた^たろう"]),
        ("=山田", ["山田"]),
        ("^^^", []),
        ("A\x00B\x1b[31m", ["ab[31m"]),
        ("\uff21\uff22", ["ab"]),  # of full width
    ],
)
def test_names_are_kept_without_case_accents_and_delimiters(stored: str, groups: list[str]) -> None:
    assert normal.groups(stored) == groups


def test_a_name_with_a_delimiter_before_the_wildcard(database: Connection) -> None:
    assert matches(database, matching.name, "doe", "Doe^*")
    assert matches(database, matching.name, "doe^john", "DOE^*")
    assert not matches(database, matching.name, "doering", "Doe^*")
    assert matches(database, matching.name, "doe^john", "Doe^John^^")


@pytest.mark.parametrize(
    ("text", "kept"),
    [("20260131", "20260131"), ("2026.01.31", "20260131"), ("20260230", None), ("", None), ("2026", None)],
)
def test_dates(text: str, kept: str | None) -> None:
    assert normal.date(text) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("10", ("100000.000000", "105959.999999")),
        ("10:11:12.5", ("101112.500000", "101112.599999")),
        ("235960", ("235960.000000", "235960.999999")),
        ("24", None),
        ("1", None),
        ("106100", None),
    ],
)
def test_times(text: str, kept: tuple[str, str] | None) -> None:
    assert normal.times(text) == kept


def test_a_pattern_of_wildcards_takes_no_time(database: Connection) -> None:
    assert not matches(database, matching.text, "a" * 256, "*a" * 127 + "b")
