"""Variables of the environment that keys of the configuration come from."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any


def behind(keys: Sequence[str], prefix: str) -> str | None:
    """The variable that gives the value at `keys`; None where none does.

    Parameters
    ----------
    keys
        From the outermost table on, e.g. ``["receive", "port"]``.
    prefix
        What the names of all variables begin with; behind it the keys stand with ``__`` between them.
    """
    wanted = [key.lower() for key in keys]
    for variable, value in _all(prefix):
        path = variable[len(prefix) :].lower().split("__")
        if path == wanted[: len(path)] and _leads(value, keys[len(path) :]):
            return variable
    return None


def no_json(error: BaseException, prefix: str) -> str | None:
    """The variable whose value was to be JSON and is none, of an error that a JSON decoder has caused."""
    cause = error.__cause__
    if not isinstance(cause, json.JSONDecodeError):
        return None
    return next((variable for variable, value in _all(prefix) if value == cause.doc), None)


def _all(prefix: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in os.environ.items() if name.upper().startswith(prefix)]


def _leads(value: str, keys: Sequence[str]) -> bool:
    """Whether a value, JSON where keys are left, has what the keys name."""
    if not keys:
        return True
    try:
        found: Any = json.loads(value)
        for key in keys:
            found = found[int(key)] if isinstance(found, list) else found[key]
    except (ValueError, KeyError, IndexError, TypeError):
        return False
    return True
