"""The coded vocabulary of the results: findings, structures, measurements and the project's own concepts.

The tables are data, ``dicom_config/findings.toml``, ``anatomy.toml`` and ``measurements.toml``, where each
row says what its code is and where it was checked. A code value has at most 16 characters and a meaning at
most 64 (SH and LO, PS3.5 section 6.2); the tests hold the tables to that.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from pydicom.sr.coding import Code

from xrv_node.errors import ConfigError
from xrv_node.values import PHANTOM_WORDS

PRIVATE_SCHEME = "99XRV"
"""Coding scheme of the project's own codes: "99" marks a private one (PS3.16 section 8.2)."""

# What PS3.16 has no concept for.
CALL = Code("CALL", PRIVATE_SCHEME, "Call at the operating point")
NOT_DETECTED = Code("NOT-DETECTED", PRIVATE_SCHEME, "Not detected")
"""Not "absent": a score below the operating point does not exclude a finding."""
CAVEAT = Code("CAVEAT", PRIVATE_SCHEME, "Caution about this measurement")
"""Not (121106, DCM, Comment): OHIF writes that over the image, before the number."""
OPERATING_POINT = Code("OPERATING-POINT", PRIVATE_SCHEME, "Operating point")
PHANTOM_REPORT = Code("PHANTOM-REPORT", PRIVATE_SCHEME, f"{PHANTOM_WORDS}: report")
"""Title of a phantom's report."""
PHANTOM_SET = Code("PHANTOM-SET", PRIVATE_SCHEME, PHANTOM_WORDS)
PHANTOM_PRESENT = Code("PHANTOM-PRESENT", PRIVATE_SCHEME, "PHANTOM: present")
PHANTOM_BELOW = Code("PHANTOM-BELOW", PRIVATE_SCHEME, "PHANTOM: not detected")
"""Calls of the networks for phantoms: no program takes them for a patient's."""
OVER = Code("OVER", PRIVATE_SCHEME, "Findings at or over the operating point")
WHERE = Code("WHERE", PRIVATE_SCHEME, "Where")
NOTE = Code("NOTE", PRIVATE_SCHEME, "To this finding")
NO_REGION = Code("NO-REGION", PRIVATE_SCHEME, "No region could be drawn")
NEAR = Code("NEAR", PRIVATE_SCHEME, "Just below the operating point")
PRIORS = Code("PRIORS", PRIVATE_SCHEME, "Earlier studies")
DETAILS = Code("DETAILS", PRIVATE_SCHEME, "All numbers of an image")
ALL_SCORES = Code("ALL-SCORES", PRIVATE_SCHEME, "All scores")
SOFTWARE = Code("SOFTWARE", PRIVATE_SCHEME, "Models and software")
EARLIER = Code("EARLIER", PRIVATE_SCHEME, "Earlier score")
NOT_ASSESSED = Code("NOT-ASSESSED", PRIVATE_SCHEME, "Not assessed")
IMAGE = Code("IMAGE", PRIVATE_SCHEME, "Image")
IMAGE_UID = Code("IMAGE-UID", PRIVATE_SCHEME, "SOP Instance UID of the image")
NOT_ANALYSED = Code("NOT-ANALYSED", PRIVATE_SCHEME, "Images that were not analysed")
RECONSTRUCTION_ERROR = Code("RECON-ERROR", PRIVATE_SCHEME, "Autoencoder reconstruction error")
SIMILARITY = Code("SSIM", PRIVATE_SCHEME, "Structural similarity to the reconstruction")
QUALITY = Code("QUALITY", PRIVATE_SCHEME, "Caution about this image")
ABOUT = Code("ABOUT", PRIVATE_SCHEME, "About this result")
NOTICE = Code("NOTICE", PRIVATE_SCHEME, "Notice")
SCORES = Code("SCORES", PRIVATE_SCHEME, "What the scores mean")
RESAMPLING = Code("RESAMPLING", PRIVATE_SCHEME, "Resampling of the image")
MODEL = Code("MODEL", PRIVATE_SCHEME, "Model")
SITE_POINTS = Code("SITE-POINTS", PRIVATE_SCHEME, "Operating points set by the site")

OF_HUNDRED = Code("/100", "UCUM", "of 100")
"""Unit of a score: "82 /100" is what viewers print. In "%" it reads as a probability."""
PRESENT = Code("52101004", "SCT", "Present")
"""PS3.16 CID 240."""
LATERALITY = {"Left": Code("7771000", "SCT", "Left"), "Right": Code("24028007", "SCT", "Right")}
"""PS3.16 CID 244."""
CHEST_IMAGING = Code("413815006", "SCT", "Chest imaging")
"""Procedure Reported where the source's header does not say which procedure it was. SNOMED CT has this
meaning; PS3.16 CID 12246, of indications for echocardiography, lists the value as "Imaging guidance"."""


@dataclass(frozen=True, slots=True)
class FindingCodes:
    """How one label of the classifier is coded: a row of ``findings.toml``."""

    label: str
    name: str
    """For people to read."""
    code: Code
    own: Code
    """The project's own code, which maps back to ``label`` one to one."""
    score: Code
    """Concept name of the score, one per finding: viewers show the concept's meaning beside the number."""
    score_phantom: Code
    """The same for the networks for phantoms: a concept of its own, so that no program takes the number for a
    patient's score."""
    site: Code
    sided: bool
    """Whether the site is one of a pair, so that a side can be said of it."""
    over: tuple[str, ...]
    """The structures over which the finding's region must lie; none: wherever it is."""
    urgency: int
    """Place in the order of ``urgency.toml``, the most urgent first."""
    status: str
    source: str


@dataclass(frozen=True, slots=True)
class StructureCodes:
    """How one channel of the anatomy network is coded: a row of ``anatomy.toml``."""

    target: str
    code: Code
    laterality: Code | None
    status: str
    source: str
    color: tuple[int, int, int]
    """RGB, 0 to 255."""


@dataclass(frozen=True, slots=True)
class MeasurementCodes:
    """How one measurement is coded: a row of ``measurements.toml``."""

    key: str
    name: str
    """For people to read."""
    code: Code
    """Concept name of the number."""
    phantom: Code
    """The same for the networks for phantoms, as with findings."""
    unit: str
    """UCUM."""
    reference: float | None
    """What it is at most in health; None where the table has nothing."""
    site: Code
    laterality: Code | None
    status: str
    source: str


def finding(label: str) -> FindingCodes:
    """Return the codes of one of the classifier's labels.

    Parameters
    ----------
    label : str
        torchxrayvision's name, e.g. ``"Pleural_Thickening"``.

    Raises
    ------
    ConfigError
        If the table has no row for the label.
    """
    try:
        return findings()[label]
    except KeyError:
        raise ConfigError(f'finding "{label}" has no row in dicom_config/findings.toml: add one') from None


def structure(target: str) -> StructureCodes:
    """Return the codes of one of the anatomy network's structures.

    Parameters
    ----------
    target : str
        torchxrayvision's name, e.g. ``"Left Lung"``.

    Raises
    ------
    ConfigError
        If the table has no row for the structure.
    """
    try:
        return structures()[target]
    except KeyError:
        raise ConfigError(f'structure "{target}" has no row in dicom_config/anatomy.toml: add one') from None


def measurement(key: str) -> MeasurementCodes:
    """Return the codes of one measurement.

    Parameters
    ----------
    key : str
        E.g. ``"CTR"``.

    Raises
    ------
    ConfigError
        If the table has no row for the measurement.
    """
    try:
        return measurements()[key]
    except KeyError:
        raise ConfigError(
            f'measurement "{key}" has no row in dicom_config/measurements.toml: add one'
        ) from None


@cache
def findings() -> dict[str, FindingCodes]:
    """Return all rows of ``findings.toml`` by label, in the file's order."""
    order = [label for row in _table("urgency.toml")["urgency"] for label in row["labels"]]
    places = {label: place for place, label in enumerate(order)}
    return {
        row["label"]: _finding(row, places.get(row["label"], len(order)))
        for row in _table("findings.toml")["finding"]
    }


@cache
def structures() -> dict[str, StructureCodes]:
    """Return all rows of ``anatomy.toml`` by target, in the file's order."""
    return {row["target"]: _structure(row) for row in _table("anatomy.toml")["structure"]}


@cache
def measurements() -> dict[str, MeasurementCodes]:
    """Return all rows of ``measurements.toml`` by key, in the file's order."""
    return {row["key"]: _measurement(row) for row in _table("measurements.toml")["measurement"]}


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(files("dicom_config").joinpath(name).read_text(encoding="utf-8"))


def _finding(row: dict[str, Any], urgency: int) -> FindingCodes:
    key, name = row["key"], row["name"]
    return FindingCodes(
        label=row["label"],
        name=name,
        code=_code(row["code"]),
        own=Code(key, PRIVATE_SCHEME, name),
        score=Code(f"{key}-SCORE", PRIVATE_SCHEME, f"{name} score"),
        # beside a region a viewer cuts off what is longer, and with it the finding
        score_phantom=Code(f"{key}-PHT", PRIVATE_SCHEME, f"PHANTOM: {name}"),
        site=_code(row["site"]),
        sided=row["sided"],
        over=tuple(row["over"]),
        urgency=urgency,
        status=row["status"],
        source=row["source"],
    )


def _structure(row: dict[str, Any]) -> StructureCodes:
    red, green, blue = row["color"]
    return StructureCodes(
        target=row["target"],
        code=_code(row["code"]),
        laterality=_laterality(row),
        status=row["status"],
        source=row["source"],
        color=(red, green, blue),
    )


def _measurement(row: dict[str, Any]) -> MeasurementCodes:
    key, name = row["key"], row["name"]
    return MeasurementCodes(
        key=key,
        name=name,
        code=_code(row["code"]),
        phantom=Code(f"{key}-PHT", PRIVATE_SCHEME, f"PHANTOM: {name}"),
        unit=row["unit"],
        reference=row.get("reference"),
        site=_code(row["site"]),
        laterality=_laterality(row),
        status=row["status"],
        source=row["source"],
    )


def _laterality(row: dict[str, Any]) -> Code | None:
    return LATERALITY[row["laterality"]] if "laterality" in row else None


def _code(triple: list[str]) -> Code:
    scheme, value, meaning = triple
    return Code(value, scheme, meaning)
