"""The filter's tables, read from ``dicom_config/frontal.toml`` and checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from xrv_node.attributes import fold
from xrv_node.errors import ConfigError
from xrv_node.frontal.names import Names, names, whole_words
from xrv_node.reasons import Reason
from xrv_node.values import Verdict

SEVERAL = "several"
"""Kind of a text that names more than one view of the study and so none of the image."""

PART_KINDS = ("chest", "partly", "other")


@dataclass(frozen=True, slots=True)
class Term:
    """One row of a vocabulary: the codes, words and texts that stand for one view or body part."""

    kind: str
    view: str | None
    codes: frozenset[str]
    words: frozenset[str]
    pattern: re.Pattern[str] | None
    pairs: bool
    """Whether it stands for two views that are told by what joins them, too."""


@dataclass(frozen=True, slots=True)
class Objection:
    """One reason to leave an image out, whatever it shows, and where it is to be found."""

    attributes: tuple[str, ...]
    because: str
    """Key of the reason, filled in with what is `told`."""
    private: bool
    phantom: bool
    """Whether it is what a digital phantom says of itself."""
    pattern: re.Pattern[str] | None
    codes: frozenset[str]
    codes_other_than: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Rules:
    """All tables of the filter."""

    names: Names
    sop_classes: frozenset[str]
    refused_sop_classes: Mapping[str, tuple[Verdict, Reason]]
    modalities: frozenset[str]
    minimum_matrix: int
    objections: tuple[Objection, ...]
    projections: Mapping[str, Verdict]
    views: tuple[Term, ...]
    parts: tuple[Term, ...]
    orientation: Mapping[str, str]
    """First letters of row and column direction to kind of projection."""
    upright: frozenset[str]
    portable: re.Pattern[str]
    portable_attributes: tuple[str, ...]
    view_attributes: tuple[str, ...]
    elsewhere_attributes: tuple[str, ...]
    text_attributes: tuple[str, ...]


@lru_cache(maxsize=4)
def load_rules(path: Path | None = None) -> Rules:
    """Read the filter's tables.

    Parameters
    ----------
    path : pathlib.Path, optional
        A site's own copy; without it, the one that came with the node.

    Returns
    -------
    Rules
        The same object for the same path.

    Raises
    ------
    ConfigError
        If the file cannot be read or a table in it is wrong; names the file and the table.
    """
    name = str(path or "dicom_config/frontal.toml")
    source = path or resources.files("dicom_config") / "frontal.toml"
    try:
        return _rules(tomllib.loads(source.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name} cannot be read: {error}.") from error
    except KeyError as error:
        raise ConfigError(f"{name} lacks the table or key {error}.") from error
    except (tomllib.TOMLDecodeError, re.error, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{name} is not a valid table of rules: {error}.") from error


def _rules(data: Mapping[str, Any]) -> Rules:
    image, attributes, orientation = data["image"], data["attributes"], data["orientation"]
    projections = {kind: Verdict(verdict) for kind, verdict in data["projections"].items()}
    for kind in projections:  # all of them have words
        Reason(f"view-{kind}", told=Reason(f"kind-{kind}"))
    words = names(data["languages"], data["run_together"])
    return Rules(
        names=words,
        sop_classes=frozenset(image["sop_classes"]),
        refused_sop_classes={uid: (Verdict(v), Reason(why)) for uid, (v, why) in image["refused"].items()},
        modalities=frozenset(image["modalities"]),
        minimum_matrix=int(image["minimum_matrix"]),
        objections=tuple(_objection(row) for row in data["objections"]),
        projections=projections,
        views=_terms(data["views"], {*projections, SEVERAL}, words),
        parts=_terms(data["parts"], PART_KINDS, words),
        orientation={pair: kind for kind in ("frontal", "lateral") for pair in orientation[kind]},
        upright=frozenset(orientation["upright"]),
        portable=whole_words(words.alternatives(data["portable"])),
        portable_attributes=tuple(data["portable"]["attributes"]),
        view_attributes=tuple(attributes["view"]),
        elsewhere_attributes=tuple(attributes["view_elsewhere"]),
        text_attributes=tuple(attributes["series_text"]),
    )


def _terms(rows: Iterable[Mapping[str, Any]], kinds: Iterable[str], words: Names) -> tuple[Term, ...]:
    terms = tuple(
        Term(
            kind=row["kind"],
            view=row.get("view"),
            codes=frozenset(code.upper() for code in row.get("codes", ())),
            words=frozenset(fold(word) for word in row.get("words", ())),
            pattern=whole_words(text) if (text := words.alternatives(row)) else None,
            pairs=bool(row.get("pairs", False)),
        )
        for row in rows
    )
    for term in terms:
        if term.kind not in kinds:
            raise ValueError(f"kind {term.kind!r} is not one of {', '.join(sorted(kinds))}")
    return terms


def _objection(row: Mapping[str, Any]) -> Objection:
    allowed = row.get("codes_other_than")
    Reason(row["because"], told="")  # it has words
    return Objection(
        attributes=tuple(row["attributes"]),
        because=str(row["because"]),
        private=bool(row.get("private", False)),
        phantom=bool(row.get("phantom", False)),
        pattern=re.compile(row["pattern"]) if "pattern" in row else None,
        codes=frozenset(row.get("codes", ())),
        codes_other_than=None if allowed is None else frozenset(allowed),
    )
