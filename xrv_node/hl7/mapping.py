"""What of a report goes where in a message: ``dicom_config/hl7.toml``, or that with a site's own rows."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from xrv_node.errors import ConfigError

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mapping:
    """The tables of the file, under their names."""

    order: Row
    observation: Row
    sentences: Row
    finding: Row
    codes: Row
    charset: Row


_OPEN = ("sentences", "codes", "charset")
"""The tables to which a site may add rows."""
_ROW_LENGTH = {"charset": 2}


def load(path: Path | None, key: str) -> Mapping:
    """Read the mapping.

    Parameters
    ----------
    path
        The site's own file: its rows stand in place of ours; None: there is none.
    key
        The key of the configuration, for messages.

    Raises
    ------
    ConfigError
        When the file cannot be read, or has a table, a key or a value that is none of the mapping's.
    """
    ours = tomllib.loads((files("dicom_config") / "hl7.toml").read_text(encoding="utf-8"))
    if path is None:
        return Mapping(**ours)
    try:
        own = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{key}: {path} cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key}: {path}: not valid TOML: {error}") from error
    for table, rows in own.items():
        if table not in ours or not isinstance(rows, dict):
            raise ConfigError(f"{key}: {path}: [{table}] is no table here; accepted: {', '.join(ours)}")
        for name, value in rows.items():
            if why := _wrong(table, value, ours[table], name):
                raise ConfigError(f"{key}: {path}: [{table}] {name}: {why}")
    _codecs(own.get("charset", {}), f"{key}: {path}")
    return Mapping(**{table: ours[table] | own.get(table, {}) for table in ours})


def _wrong(table: str, value: Any, rows: Row, name: str) -> str | None:
    if name not in rows and table not in _OPEN:
        return f"unknown key; accepted: {', '.join(rows)}"
    length = _ROW_LENGTH.get(table, 3)
    listed = table in _OPEN or isinstance(rows[name], list)
    if listed and not (
        isinstance(value, list) and len(value) == length and all(isinstance(v, str) for v in value)
    ):
        return f"a list of {length} texts is needed"
    if not listed and not isinstance(value, str):
        return "a text is needed"
    return None


def _codecs(charsets: Row, where: str) -> None:
    for name, (_, codec) in charsets.items():
        try:
            single = b"|".decode(codec) == "|" and len("|\\".encode(codec)) == 2
        except (LookupError, UnicodeError):
            single = False
        if not single:
            raise ConfigError(f"{where}: [charset] {name}: Python has no codec {codec} that keeps | and \\")
