"""What a search asks of one attribute, as a condition on a column (PS3.4 C.2.2.2, PS3.18 8.3.4.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, or_

from xrv_node.errors import XrvNodeError
from xrv_node.index import normal
from xrv_node.spool import is_uid

MOST_UIDS = 1000
"""In a list of them."""

MOST_VALUES = 100
"""In a list of anything else: each is a condition, and SQLite takes 1,000 within each other."""

Column = ColumnElement[Any]
Condition = ColumnElement[bool] | None
"""None: everything matches."""

_NUMBER = re.compile(r"[+-]?\d{1,10}", re.ASCII)
_SEPARATORS = re.compile(r"[\\,]")


class QueryError(XrvNodeError):
    """What is asked for cannot be understood. It quotes no value: those are patients' data."""


def text(column: Column, value: str) -> Condition:
    """A text, with ``*`` and ``?``; several with a backslash between them: any of these."""
    return _any(column, value.split("\\"))


def name(column: Column, value: str) -> Condition:
    """One component group of a name."""
    group = normal.text(_short(value)).rstrip("^")
    if not group.endswith("^*"):
        return _text(column, group)
    without = _text(column, group[:-2].rstrip("^"))  # delimiters at a name's end are not kept
    return None if without is None else or_(_like(column, group), without)


def codes(column: Column, value: str) -> Condition:
    """A code (CS), or several with commas or backslashes between them: any of these."""
    return _any(column, _SEPARATORS.split(value))


def uids(column: Column, value: str) -> Condition:
    """A UID, or several with commas or backslashes between them: any of these."""
    wanted = [uid.strip() for uid in _SEPARATORS.split(value) if uid.strip()]
    if not wanted:
        return None
    if len(wanted) > MOST_UIDS:
        raise QueryError(f"a list has at most {MOST_UIDS} UIDs")
    if not all(map(is_uid, wanted)):
        raise QueryError("a UID is digits with dots between, 64 characters at most (PS3.5 section 9.1)")
    return column == wanted[0] if len(wanted) == 1 else column.in_(wanted)


def number(column: Column, value: str) -> Condition:
    """A whole number."""
    if not value:
        return None
    if _NUMBER.fullmatch(value.strip()) is None:
        raise QueryError("a whole number is needed (PS3.5 section 6.2, IS)")
    return column == int(value)


def date(column: Column, value: str) -> Condition:
    """A date or a range of them, also an open one."""
    first, last = _range(value, lambda day: None if (d := normal.date(day)) is None else (d, d), "a date")
    return _between(column, first, last)


def time(column: Column, value: str) -> Condition:
    """A time or a range of them, also an open one; ``10`` is the hour from ten to eleven."""
    return _between(column, *_range(value, normal.times, "a time"))


def _range(
    value: str, read: Callable[[str], tuple[str, str] | None], what: str
) -> tuple[str | None, str | None]:
    begin, dash, end = (part.strip() for part in value.strip().partition("-"))
    if not begin and not dash:
        return None, None
    bounds = [read(part) if part else None for part in (begin, end if dash else begin)]
    if any(part and bound is None for part, bound in zip((begin, end), bounds, strict=True)) or not any(
        bounds
    ):
        raise QueryError(f"{what} or a range is needed, as 20260131 or 20260101-20260131, 1030 or 10-1130")
    first, last = bounds
    return first and first[0], last and last[1]


def _between(column: Column, first: str | None, last: str | None) -> Condition:
    if first is not None and first == last:
        return column == first
    bounds = [column >= first] if first is not None else []
    bounds += [column <= last] if last is not None else []
    return None if not bounds else bounds[0] if len(bounds) == 1 else bounds[0] & bounds[1]


def _any(column: Column, values: Sequence[str]) -> Condition:
    if len(values) > MOST_VALUES:
        raise QueryError(f"a list has at most {MOST_VALUES} values")
    found = [_text(column, value) for value in values]
    wanted = [one for one in found if one is not None]
    return None if len(wanted) < len(found) else wanted[0] if len(wanted) == 1 else or_(*wanted)


def _short(value: str) -> str:
    if len(value) > normal.LONGEST:
        raise QueryError(f"a value has at most {normal.LONGEST} characters")
    return value


def _text(column: Column, value: str) -> Condition:
    plain = normal.text(_short(value))
    if not plain.strip("*"):
        return None
    return _like(column, plain) if "*" in plain or "?" in plain else column == plain


def _like(column: Column, value: str) -> ColumnElement[bool]:
    """LIKE's own wildcards are escaped where there are any; a pattern without an escape finds its index."""
    pattern = re.sub(r"\*+", "*", value)
    escaped = re.sub(r"([%_/])", r"/\1", pattern)
    pattern = escaped.replace("*", "%").replace("?", "_")
    return column.like(pattern, escape="/") if "/" in escaped else column.like(pattern)
