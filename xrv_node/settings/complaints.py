"""What is wrong with a configuration, a line each: the key, what is accepted there, and what was found."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

_SHOWN = 80
"""Characters of a value that are repeated to the user."""


def complaint(settings: type[BaseModel], error: ErrorDetails) -> str:
    """Put one of pydantic's findings into a line.

    Parameters
    ----------
    settings
        The model that was validated.
    error
        One of ``ValidationError.errors()``.

    Returns
    -------
    str
        E.g. ``receive.prot: unknown key; accepted here: ae_title, host, port``.
    """
    key = ".".join(str(part) for part in error["loc"]) or "configuration"
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key; accepted here: {', '.join(_keys_beside(settings, error['loc']))}"
    # a whole table is not repeated: it may hold a token
    found = "" if isinstance(error["input"], dict) else f" (got {_shown(error['input'])})"
    return f"{key}: {error['msg'].removeprefix('Value error, ')}{found}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _keys_beside(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that the table at `location` does accept."""
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[str(part)].annotation
        inner = next((a for a in get_args(annotation) if isinstance(a, type)), annotation)
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]
