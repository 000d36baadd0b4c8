"""The Basic Application Level Confidentiality Profile of PS3.15 annex E, as data."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from xrv_node import product

Action = Literal["X", "Z", "D", "U", "U*"]
"""Remove, empty, replace by a dummy, replace the UID, replace the UIDs within (PS3.15 Table E.1-1a)."""
Cleaned = Literal["structured-content", "graphics"]


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the profile (PS3.15 E.3) that a person chose."""

    modified_dates: bool = False
    """Retain Longitudinal Temporal Information with Modified Dates (E.3.6)."""
    patient_characteristics: bool = False
    """Retain Patient Characteristics (E.3.7): sex, age, size, weight and a few more."""


@dataclass(frozen=True, slots=True)
class Profile:
    """``dicom_config/confidentiality.toml``."""

    edition: str
    """Of PS3.15."""
    actions: Mapping[int, Action]
    """By tag: of several the one with which any kind of object still has what it must have."""
    characteristics: frozenset[int]
    not_dates: frozenset[int]
    """Of VR DA, DT or TM, and kept under no option."""
    cleaned: Mapping[int, Cleaned]
    """By tag: sequences of our own results that are cleaned item by item."""
    texts: frozenset[str]
    """Concepts, ``SCHEME:VALUE``, whose texts in our own results are the program's own."""
    removed: frozenset[int]
    """From our own results, beside the profile."""
    kinds_left_out: frozenset[str]
    sop_classes: frozenset[str]
    modalities: frozenset[str]


@cache
def profile() -> Profile:
    """Read the table."""
    text = files("dicom_config").joinpath("confidentiality.toml").read_text(encoding="utf-8")
    read = tomllib.loads(text)
    retained, results, images = read["retained"], read["results"], read["images"]
    return Profile(
        edition=read["edition"],
        actions={
            tag: listed.rpartition("/")[2] for listed, names in read["basic"].items() for tag in _tags(names)
        },
        characteristics=_tags(retained["patient-characteristics"]),
        not_dates=_tags(retained["not-dates"]),
        cleaned={tag: what for what, name in results["cleaned"].items() for tag in _tags([name])},
        texts=frozenset(results["texts"]),
        removed=_tags(results["removed"]),
        kinds_left_out=frozenset(results["kinds-left-out"]),
        sop_classes=frozenset(images["sop-classes"]),
        modalities=frozenset(images["modalities"]),
    )


def declare(dataset: Dataset, options: Options, cleaned: Iterable[Cleaned] = ()) -> None:
    """Record in an object what was done to it (PS3.3 C.12.1.1.3 and C.7.1.1, PS3.16 CID 7050); in place.

    Parameters
    ----------
    cleaned
        What was cleaned item by item, where the basic profile would have it replaced.
    """
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = [
        f"xrv-node {product.VERSION}, PS3.15 {profile().edition}",
        *(code.meaning[:64] for code in methods(options, cleaned)),
    ]
    dataset.DeidentificationMethodCodeSequence = []
    for code in methods(options, cleaned):
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator
        item.CodeMeaning = code.meaning[:64]
        dataset.DeidentificationMethodCodeSequence.append(item)
    dataset.LongitudinalTemporalInformationModified = "MODIFIED" if options.modified_dates else "REMOVED"


def methods(options: Options, cleaned: Iterable[Cleaned] = ()) -> tuple[Code, ...]:
    """Return the codes of the profile and its options (CID 7050)."""
    known = codes.cid7050
    chosen = {
        known.BasicApplicationConfidentialityProfile: True,
        known.CleanGraphicsOption: "graphics" in cleaned,
        known.CleanStructuredContentOption: "structured-content" in cleaned,
        known.RetainLongitudinalTemporalInformationModifiedDatesOption: options.modified_dates,
        known.RetainPatientCharacteristicsOption: options.patient_characteristics,
    }
    return tuple(code for code, done in chosen.items() if done)


def _tags(names: Iterable[str]) -> frozenset[int]:
    """By keyword, or as ``GGGG,EEEE``."""
    return frozenset(_tag(name) for name in names)


def _tag(name: str) -> int:
    tag = int(name.replace(",", ""), 16) if "," in name else tag_for_keyword(name)
    if tag is None:
        raise ValueError(f"dicom_config/confidentiality.toml: {name} is no attribute")
    return tag
