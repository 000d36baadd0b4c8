"""Values for programs, as JSON, and for people, as words: the same from a command and over HTTP.

``docs/json.md`` says what the documents hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from xrv_node.reasons import Reason, explained
from xrv_node.visible import visible

JSON_VERSION = 1
"""Of the documents: another one where a field goes, or means something else; not where one comes."""

_NOT_ESCAPED = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls of terminals and of the direction of text, ends of lines, and bytes that are no text: `json` lets
them pass."""


def document(value: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
    """A JSON document; of a list the ``items``."""
    whole = value if isinstance(value, Mapping) else {"items": value}
    return {"json_version": JSON_VERSION, **whole}


def dumps(value: Any, indent: int | None = None) -> str:
    """A value as JSON, with times in UTC and reasons with their English wording."""
    return escaped(json.dumps(value, indent=indent, ensure_ascii=False, default=_shown))


def escaped(written: str) -> str:
    """JSON without anything that a terminal would do something by."""
    return _NOT_ESCAPED.sub(lambda c: f"\\u{ord(c[0]):04x}", written)


def words(value: Any) -> str:
    """A value as a person reads it in a cell of a table."""
    return visible(_words(value))


def joined(parts: Iterable[str], mark: str) -> str:
    """Parts of a list with `mark` between them; behind a full stop a space is enough."""
    said = ""
    for part in parts:
        said += f"{' ' if said.endswith('.') else mark if said else ''}{part}"
    return said


def _shown(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return explained(value) if isinstance(value, Reason) else str(value)


def _words(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return " ".join(f"{k}:{words(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return joined([words(v) for v in value], "; ")
    if isinstance(value, datetime):  # of this machine's zone, which it says
        return value.astimezone().isoformat(sep=" ", timespec="seconds")
    return str(value)
