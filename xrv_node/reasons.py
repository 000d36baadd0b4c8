"""Why something is so: a key and its values. It becomes words, in a person's language, where it is read."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from xrv_node import languages

Value: TypeAlias = "str | int | Reason"
"""What a reason is filled in with. A number that is not whole comes as the text that is to be read."""


@dataclass(frozen=True, slots=True, init=False)
class Reason:
    """Made of a key of the tables' section ``[reason]`` and a value for each of its placeholders.

    Raises
    ------
    ValueError
        If the tables have no such key, or want other values.

    Examples
    --------
    >>> str(Reason("image-has-frames", frames=3))
    'The image has 3 frames; a radiograph has one.'
    """

    key: str
    values: Mapping[str, Value] = field(hash=False)

    def __init__(self, key: str, /, **values: Value) -> None:
        words = languages.table(languages.ENGLISH)["reason"].get(key)
        if words is None:
            raise ValueError(f"dicom_config/languages/en.toml has no reason {key!r}")
        if languages.placeholders(words) != set(values):
            raise ValueError(f"{key!r} is filled in with other values than {sorted(values)}: {words}")
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "values", values)

    def __str__(self) -> str:
        return self.words(languages.ENGLISH)

    def words(self, language: str) -> str:
        """Return the sentence; reasons among the values are worded too."""
        filled = {
            name: value.words(language) if isinstance(value, Reason) else value
            for name, value in self.values.items()
        }
        return languages.fill("reason", self.key, language, filled)


def as_is(sentence: str) -> Reason:
    """Make a reason of a sentence that has no key; it is shown as it is in every language."""
    return Reason("text", text=sentence)


def of(error: Exception) -> Reason:
    """Return the reason that an error carries; of any other error, its message as it is."""
    carried = error.args[0] if error.args else None
    return carried if isinstance(carried, Reason) else as_is(str(error))


def of_system(error: OSError) -> Reason:
    """Say what the operating system says, in the tables' words where it is something common."""
    if isinstance(error, socket.gaierror):
        return Reason("host-unknown")
    key = f"errno-{errno.errorcode.get(error.errno or 0)}"
    if key in languages.table(languages.ENGLISH)["reason"]:
        return Reason(key)
    return as_is(error.strerror) if error.strerror else Reason("input-output-error")


def plain(reason: Reason) -> dict[str, Any]:
    """Return a reason as JSON has it between programs and in the database: ``key`` and ``values``."""
    return {
        "key": reason.key,
        "values": {n: plain(v) if isinstance(v, Reason) else v for n, v in reason.values.items()},
    }


def explained(reason: Reason) -> dict[str, Any]:
    """Return `plain` with the English wording as ``text``, for people who read JSON."""
    return plain(reason) | {"text": str(reason)}


def revive(stored: Any) -> Reason:
    """Read what `plain` made.

    Parameters
    ----------
    stored
        That; or a sentence, as it was recorded before reasons had keys. Anything else, such as a reason of a
        newer xrv-node, becomes a text.
    """
    if isinstance(stored, str):
        return as_is(stored)
    try:
        values = {n: revive(v) if isinstance(v, dict) else v for n, v in stored["values"].items()}
        return Reason(stored["key"], **values)
    except (TypeError, KeyError, ValueError, AttributeError):
        return as_is(json.dumps(stored, ensure_ascii=False, sort_keys=True))


def is_plain(value: Any) -> bool:
    """Whether a value of a JSON document is what `plain` makes."""
    return isinstance(value, dict) and set(value) == {"key", "values"} and isinstance(value["values"], dict)


def revived(value: Any) -> Any:
    """Return a JSON document with the reasons in it as reasons."""
    if is_plain(value):
        return revive(value)
    if isinstance(value, dict):
        return {key: revived(one) for key, one in value.items()}
    return [revived(one) for one in value] if isinstance(value, list) else value
