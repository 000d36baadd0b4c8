"""Each key that is in force, and whence it comes: from the file, the environment, or nobody set it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, SecretStr
from typing_extensions import TypedDict

from xrv_node.settings import ENV_PREFIX, Settings, variables

MASK = "(set, not shown)"

_SECRET = re.compile(r"(^|\.)(token|password|secret)$")
_PASSWORD = re.compile(r"(?<=:)[^:/@]+(?=@)")
"""Of an address with a user (RFC 3986 3.2.1)."""


class SettingRow(TypedDict):
    """A key of the configuration."""

    key: str
    """As it stands in the file; of several tables with the name of the one."""
    value: str
    """What is in force; a secret is not shown."""
    source: Literal["file", "environment", "default"]
    """Whence it comes."""
    variable: str | None
    """Of the environment, where it comes from there."""


def rows(settings: Settings) -> list[SettingRow]:
    """Every key in the order of the tables."""
    return [row for table, value in settings for row in _rows(settings, (table,), (table,), value)]


def _rows(
    settings: Settings, keys: tuple[str, ...], shown: tuple[str, ...], value: Any
) -> Iterator[SettingRow]:
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        for name, one in value:
            key = fields[name].alias or name
            yield from _rows(settings, (*keys, key), (*shown, key), one)
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        for number, one in enumerate(value):
            name = str(getattr(one, "name", number))
            yield from _rows(settings, (*keys, str(number)), (*shown, name), one)
    elif isinstance(value, Mapping) and value:
        for name, one in value.items():
            yield from _rows(settings, (*keys, name), (*shown, name), one)
    else:
        yield _row(settings, keys, ".".join(shown), value)


def _row(settings: Settings, keys: tuple[str, ...], shown: str, value: Any) -> SettingRow:
    if variable := variables.behind(keys, ENV_PREFIX):
        return {"key": shown, "value": _said(shown, value), "source": "environment", "variable": variable}
    given = any(keys[:length] in settings.written for length in range(1, len(keys) + 1))
    return {
        "key": shown,
        "value": _said(shown, value),
        "source": "file" if given else "default",
        "variable": None,
    }


def _said(key: str, value: Any) -> str:
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    if value is None or value == ():
        return ""
    if _SECRET.search(key):
        return MASK
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    return _PASSWORD.sub("***", str(value))
