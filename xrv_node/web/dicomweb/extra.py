"""What a search is asked for beside what it always answers with (PS3.18 8.3.4.3)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag

from xrv_node.index import levels, query
from xrv_node.index.dicom_json import CHARACTER_SET
from xrv_node.index.index import Index
from xrv_node.index.levels import ANSWERS, LEVELS, RETRIEVE_URL, Level
from xrv_node.index.query import Found, Page
from xrv_node.web.dicomweb.parameters import Parameters

Answer = dict[str, Any]

MOST_READ = 200
"""Objects in one answer whose whole headers are read for it: one may have megabytes."""
_MOST_VALUES = 100
"""Of a series' attribute that is asked for of its study."""


def reads_headers(level: Level, asked: Parameters) -> bool:
    """Whether what is asked for stands in the headers of the objects alone."""
    named = {*asked.fields, *asked.matched} - _always(level)
    of_objects = any(levels.level_of(tag) == "instance" for tag in named)
    return level == "instance" and (asked.everything or of_objects)


def _always(level: Level) -> set[str]:
    return {RETRIEVE_URL, CHARACTER_SET, *map(levels.key, ANSWERS[level])}


class Extra:
    """The attributes that a client names, of matches of one level: of these, of what they are in, and of a
    study what its series say. True where there is something to add."""

    def __init__(self, index: Index, page: Page, level: Level, asked: Parameters) -> None:
        self._level, self._everything = level, asked.everything
        always = _always(level)
        named = [tag for tag in dict.fromkeys(asked.fields) if tag not in always]
        asked.ignored += [keyword_for_tag(tag) or tag for tag in named if not self._has(tag)]
        matched = [tag for tag in asked.matched if tag not in always]
        self._tags = [tag for tag in (*named, *matched) if self._has(tag)]
        self._headers: Mapping[int, Answer] = {}
        self._series: Mapping[int, Sequence[Answer]] = {}
        if reads_headers(level, asked):
            self._headers = query.headers(index, [one.instance.id for one in page.found if one.instance])
        if level == "study" and any(levels.level_of(tag) == "series" for tag in self._tags):
            self._series = query.series_of(index, [one.study.id for one in page.found])

    def __bool__(self) -> bool:
        return self._everything or bool(self._tags)

    def of(self, found: Found) -> Answer:
        """Return what is added to a match; what is asked for by name and is not there has no value."""
        if not self:
            return {}
        there = self._there(found)
        named = {tag: there.get(tag) or self._below(found, tag) for tag in self._tags}
        return (there | named) if self._everything else named

    def _has(self, tag: str) -> bool:
        """Whether the index has such an attribute of matches, or of the series of a study."""
        depth = LEVELS.index(levels.level_of(tag))
        return depth <= max(
            LEVELS.index(self._level), LEVELS.index("series" if self._level == "study" else "study")
        )

    def _there(self, found: Found) -> Answer:
        """All that is known of a match and of what it is in."""
        rows = (found.study, found.series)
        known: Answer = {}
        for row in rows:
            if row is not None:
                known |= json.loads(row.attributes) | json.loads(row.answer)
        if found.instance is not None:
            known |= _inline(levels.of("instance", self._headers.get(found.instance.id, {})))
        return known

    def _below(self, found: Found, tag: str) -> Answer:
        """The different values that the series of a study have, or none."""
        values: list[Any] = []
        for series in self._series.get(found.study.id, ()):
            for value in series.get(tag, {}).get("Value", ()):
                if value not in values and len(values) < _MOST_VALUES:
                    values.append(value)
        return {"vr": _vr(tag)} | ({"Value": values} if values else {})


def _vr(tag: str) -> str:
    try:
        return dictionary_VR(int(tag, 16)).partition(" or ")[0]
    except KeyError:
        return "UN"


def _inline(attributes: Answer) -> Answer:
    """Without what is fetched by its address: that is for WADO-RS."""
    found = {}
    for tag, element in attributes.items():
        if element.get("vr") == "SQ" and "Value" in element:
            found[tag] = element | {"Value": [_inline(item) for item in element["Value"]]}
        elif "BulkDataURI" not in element:
            found[tag] = element
    return found
