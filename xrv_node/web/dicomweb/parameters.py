"""What the query of a search says (PS3.18 8.3.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

from pydicom.datadict import dictionary_has_tag, keyword_for_tag, tag_for_keyword

from xrv_node.index.levels import key
from xrv_node.index.query import KEYS
from xrv_node.web.problem import Problem

MOST = 5000
"""Matches in one answer, and where a client names no limit."""
MOST_FIELDS = 500
_UIDS = frozenset({"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"})
_CONTROLS = frozenset({"accept", "charset"})
"""Of the answer, not of the search (PS3.18 8.3.3)."""
_HEX = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_COUNT = re.compile(r"\d{1,9}", re.ASCII)

NOT_FUZZY = "The fuzzymatching parameter is not supported. Only literal matching has been performed."
"""As 8.3.4.2 words it."""
_IGNORED = "These attributes are not indexed and were ignored: "


@dataclass(slots=True)
class Parameters:
    """A search as it was asked for."""

    keys: dict[str, str] = field(default_factory=dict)
    """Value by keyword of `KEYS`."""
    fields: list[str] = field(default_factory=list)
    """Tags to be returned beside those that always are."""
    matched: list[str] = field(default_factory=list)
    """Tags that are searched by, which are returned, too."""
    everything: bool = False
    """``includefield=all``."""
    limit: int = MOST
    offset: int = 0
    warnings: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    """Names of attributes that are known and not indexed."""

    @property
    def all_warnings(self) -> list[str]:
        """Those, and one for all that was ignored."""
        ignored = [_IGNORED + ", ".join(dict.fromkeys(self.ignored))] if self.ignored else []
        return self.warnings + ignored


def read(items: Iterable[tuple[str, str]]) -> Parameters:
    """Read a query's parameters.

    Raises
    ------
    Problem
        400, naming the parameter.
    """
    found = Parameters()
    for name, value in items:
        if name in _CONTROLS:
            continue
        if name == "includefield":
            _include(found, value)
        elif name == "fuzzymatching":
            _fuzzy(found, value)
        elif name in ("limit", "offset"):
            setattr(found, name, _count(name, value))
        else:
            _match(found, name, value)
    found.limit = min(found.limit, MOST)
    return found


def _fuzzy(found: Parameters, value: str) -> None:
    if value not in ("true", "false"):
        raise Problem(HTTPStatus.BAD_REQUEST, "fuzzymatching is true or false")
    if value == "true":
        found.warnings.append(NOT_FUZZY)


def _count(name: str, value: str) -> int:
    if _COUNT.fullmatch(value) is None:
        raise Problem(HTTPStatus.BAD_REQUEST, f"{name}: a whole number from 0 on is needed")
    return int(value)


def _include(found: Parameters, value: str) -> None:
    for name in filter(None, (part.strip() for part in value.split(","))):
        if name == "all":
            found.everything = True
            continue
        tag = _attribute(name).split(".")[0]  # of a sequence the whole
        if tag not in found.fields:
            found.fields.append(tag)
        if len(found.fields) > MOST_FIELDS:
            raise Problem(HTTPStatus.BAD_REQUEST, f"includefield: at most {MOST_FIELDS} attributes")


def _match(found: Parameters, name: str, value: str) -> None:
    path = _attribute(name)
    keyword = keyword_for_tag(path.split(".")[-1]) or path
    if keyword not in KEYS or not _in_its_place(path, keyword):
        found.ignored.append(keyword)
        return
    found.matched.append(path.split(".")[0])
    if keyword in found.keys:
        if keyword not in _UIDS:
            raise Problem(HTTPStatus.BAD_REQUEST, f"{keyword}: it is there twice")
        value = f"{found.keys[keyword]},{value}"
    found.keys[keyword] = value


def _in_its_place(path: str, keyword: str) -> bool:
    """Those of Request Attributes Sequence are there, or stand alone as older clients send them."""
    above = path.split(".")[:-1]
    requested = keyword in ("ScheduledProcedureStepID", "RequestedProcedureID")
    return above in ([], [key("RequestAttributesSequence")]) if requested else not above


def _attribute(name: str) -> str:
    """An attribute by keyword or tag, in a sequence with dots between, as tags with dots between."""
    return ".".join(map(_tag, name.split(".")[:8]))


def _tag(name: str) -> str:
    if _HEX.fullmatch(name):
        tag = int(name, 16)
        if dictionary_has_tag(tag) or tag >> 16 & 1:
            return name.upper()
    elif (found := tag_for_keyword(name)) is not None:
        return f"{found:08X}"
    shown = name if name.isascii() and name.isalnum() and len(name) <= 64 else "a parameter"
    raise Problem(HTTPStatus.BAD_REQUEST, f"{shown}: there is no such attribute, and no such parameter")
