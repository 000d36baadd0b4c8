"""What is wrong with a configuration, a line each: the key, what is accepted there, and what was found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a table of a list may be called."""
_SHOWN = 80
"""Longer values are not repeated to the user: a token has no end that could be shown."""
_SECRET = re.compile(r"(^|\.)(url|token|token_variable|password|proxy|user)$")
"""Keys whose value is never repeated: an address may hold a user and a password (RFC 3986 3.2.1)."""
_LOGIN = re.compile(r"://|@|[{}\[\]]")
"""Nor is an address elsewhere, or what was to be a table."""


def complaint(settings: type[BaseModel], error: ErrorDetails, given: Any = None) -> str:
    """Put one of pydantic's findings into a line.

    Parameters
    ----------
    settings
        The model that was validated. Where one of its tables has kinds, the key ``kind`` tells which it is.
    error
        One of ``ValidationError.errors()``.
    given
        What was validated: a table of a list is called by its name, where it has one, and not by its number.

    Returns
    -------
    str
        E.g. ``receive.prot: unknown key; accepted here: ae_title, host, port``.
    """
    keys, table, named = _follow(settings, error["loc"])
    key = _written(keys, given)
    got = _got(error["input"]) if not _SECRET.search(key) else ""
    says = f"{error['msg'].removeprefix('Value error, ')}{got}"
    match error["type"]:
        case "extra_forbidden":
            says = _unknown(str(error["loc"][-1]), table)
        case "missing" if table.kind is not None:
            says = f'kind "{table.kind}" needs it'
        case "union_tag_not_found":
            key, says = f"{key}.kind", f"every table here needs it: {_either(named.kinds)}"
        case "union_tag_invalid":
            got = _got(error["input"]["kind"])
            key, says = f"{key}.kind", f"Input should be {_either(named.kinds)}{got}"
        case "model_type" | "model_attributes_type":
            # what is there is not repeated: it may be a variable with a token in it
            says = "a table is needed here; in a variable, one in JSON"
        case "path_type":
            says = f"a path is needed here{got}"
        case "string_pattern_mismatch" if needed := _needed(str(keys[-1]), table):
            says = f"{needed} is needed here{got}"
        case "tuple_type" | "list_type":
            says = f"a list is needed here, in square brackets; in a variable, one in JSON{got}"
    return f"{key}: {says}"


def keys_of(settings: type[BaseModel], error: ErrorDetails) -> list[str]:
    """The keys that lead to what an error is about, numbers for those in lists."""
    kind = ["kind"] if error["type"].startswith("union_tag") else []
    return [*map(str, _follow(settings, error["loc"])[0]), *kind]


def _written(keys: Iterable[int | str], given: Any) -> str:
    """The key as a person finds it in the file."""
    shown: list[str] = []
    for one in keys:
        table = isinstance(given, dict)
        given = given.get(one) if table else given[one] if _has(given, one) else None
        name = given.get("name") if isinstance(one, int) and isinstance(given, dict) else None
        shown.append(name if isinstance(name, str) and NAME.fullmatch(name) else str(one))
    return ".".join(shown) or "configuration"


def _has(given: Any, number: int | str) -> bool:
    return isinstance(given, list | tuple) and isinstance(number, int) and number < len(given)


@dataclass(slots=True)
class _Table:
    """A table of the file, or of one of several kinds."""

    section: type[BaseModel] | None = None
    """None for what has no keys of ours, and until the kind is told."""
    kind: str | None = None
    kinds: dict[str, type[BaseModel]] = field(default_factory=dict)


def _follow(
    settings: type[BaseModel], location: Iterable[int | str]
) -> tuple[list[int | str], _Table, _Table]:
    """The keys to pydantic's `location`, the table that the last of them is in, and the one that it names.
    Pydantic puts the kind of a table, where it is known, behind the table's key."""
    keys: list[int | str] = []
    around, here = _Table(), _Table(settings)
    for part in location:
        if isinstance(part, int):
            keys.append(part)
        elif here.kinds and here.kind is None:
            here.kind, here.section = part, here.kinds[part]
        else:
            keys.append(part)
            known = here.section.model_fields.get(part) if here.section else None
            around, here = here, _table(list(_sections(known.annotation if known else None)))
    return keys, around, here


def _table(sections: list[type[BaseModel]]) -> _Table:
    if len(sections) > 1:
        return _Table(kinds={str(s.model_fields["kind"].default): s for s in sections})
    return _Table(sections[0] if sections else None)


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The section classes in a field's type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)


def _needed(key: str, table: _Table) -> str | None:
    """What a text is that its field's pattern takes, in words."""
    known = table.section.model_fields.get(key) if table.section else None
    return known.description if known else None


def _unknown(key: str, table: _Table) -> str:
    owners = [kind for kind, section in table.kinds.items() if key in section.model_fields]
    if owners:
        return f'`{key}` is a key of kind {_either(owners)}, not of "{table.kind}"'
    fields = table.section.model_fields if table.section else {}
    return f"unknown key; accepted here: {', '.join(one.alias or name for name, one in fields.items())}"


def _either(kinds: Iterable[str]) -> str:
    *others, last = (f'"{kind}"' for kind in kinds)
    return f"{', '.join(others)} or {last}" if others else last


def _got(value: Any) -> str:
    if not isinstance(value, bool | int | float | str):
        return ""  # a table or list is not repeated: it may hold a token
    text = str(value)
    if _LOGIN.search(text) or len(text) > _SHOWN:
        return ""
    return f" (got {value!r})"
