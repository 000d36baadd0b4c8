"""What rules an image out, whatever it shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from pydicom import Dataset

from xrv_node.attributes import UNITS_IN_A_YEAR, codes, fold, number, shown, spaced, text, typed, values
from xrv_node.frontal.rules import Objection, Rules
from xrv_node.reasons import Reason
from xrv_node.values import Evidence, Verdict

ADULT_YEARS = 18.0
"""Default lower age limit: the networks were trained on adults (NIH, PadChest, CheXpert, MIMIC-CXR)."""

OLDEST_YEARS = 130.0
"""An age above this is a placeholder birth date (18000101 and the like), not an age."""

_AGE = re.compile(r"(\d{1,4})\s*([DWMY]?)", re.IGNORECASE)

_DATES = ("StudyDate", "AcquisitionDate", "SeriesDate", "ContentDate")

BARRED_BY = (
    "SOPClassUID", "Modality", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PatientAge",
    "PatientBirthDate", *_DATES,
)  # fmt: skip
"""What is looked at beside the attributes that the tables name."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """One thing that rules the image out."""

    verdict: Verdict
    reason: Reason
    evidence: Evidence
    phantom: bool = False
    """Whether it is what a digital phantom says of itself."""


def barriers(header: Dataset, rules: Rules, min_age_years: float) -> tuple[Barrier, ...]:
    """Return everything that rules this image out, most fundamental first (object, patient, image)."""
    return (
        *_object_barriers(header, rules),
        *_matrix_barriers(header, rules),
        *(barrier for row in rules.objections for barrier in _objection_barriers(header, row)),
        *_age_barriers(header, min_age_years),
    )


def age_years(header: Dataset) -> float | None:
    """Return the patient's age at the examination in years, None where the header does not tell.

    Patient's Age (0010,1010) counts; where it is absent, or zero as devices write it for an age that they do
    not know, birth date and study date do. A bare number is read as years, as public datasets write it.
    """
    given = _AGE.fullmatch("".join(values(header, "PatientAge")[:1]))
    age = int(given[1]) / UNITS_IN_A_YEAR.get(given[2].upper(), 1.0) if given else None
    if not age:
        age = _age_from_dates(header) or age
    return age if age is not None and age <= OLDEST_YEARS else None


def says_quality_control(header: Dataset) -> bool:
    """Whether a header says that its image is one for quality control, and no patient's: Quality Control
    Image (0028,0300) is YES (PS3.3 C.8.1.1)."""
    return fold(text(header, "QualityControlImage")) == "YES"


def _age_from_dates(header: Dataset) -> float | None:
    born = _date(header, "PatientBirthDate")
    seen = next((day for day in (_date(header, keyword) for keyword in _DATES) if day), None)
    if born is None or seen is None or seen < born:
        return None
    return (seen - born).days / 365.25


def _date(header: Dataset, keyword: str) -> date | None:
    """Read a date, with the separators that old devices write (ACR-NEMA ``1997.04.24``)."""
    digits = re.sub(r"[.\-/ ]", "", "".join(values(header, keyword)[:1]))[:8]
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


def _object_barriers(header: Dataset, rules: Rules) -> Iterator[Barrier]:
    sop_class, modality = text(header, "SOPClassUID"), fold(text(header, "Modality"))
    if sop_class in rules.refused_sop_classes:
        verdict, why = rules.refused_sop_classes[sop_class]
        yield _barrier("SOPClassUID", sop_class, why, verdict)
    elif sop_class and sop_class not in rules.sop_classes:
        yield _barrier("SOPClassUID", sop_class, Reason("class-not-projection"))
    if modality and modality not in rules.modalities:
        yield _barrier("Modality", modality, Reason("modality-not-chest", modality=shown(modality)))


def _matrix_barriers(header: Dataset, rules: Rules) -> Iterator[Barrier]:
    rows, columns = _whole(header, "Rows"), _whole(header, "Columns")
    size = f"{rows} x {columns}"
    if not rows or not columns or min(rows, columns) < 0:
        yield _barrier("Rows", size, Reason("describes-no-image"))
    elif min(rows, columns) < rules.minimum_matrix:
        least = f"{rules.minimum_matrix} x {rules.minimum_matrix}"
        yield _barrier("Rows", size, Reason("too-small", size=size, least=least))
    frames = _whole(header, "NumberOfFrames")
    if frames is not None and frames > 1:
        yield _barrier("NumberOfFrames", str(frames), Reason("object-has-frames", frames=frames))
    samples = _whole(header, "SamplesPerPixel")
    if samples is not None and samples > 1:
        yield _barrier("SamplesPerPixel", str(samples), Reason("in-colour"))


def _whole(header: Dataset, keyword: str) -> int | None:
    found = number(header, keyword)
    return None if found is None else int(found)


def _age_barriers(header: Dataset, min_age_years: float) -> Iterator[Barrier]:
    age = age_years(header)
    if age is not None and age < min_age_years:
        years = f"{min_age_years:g}"  # the age itself is the patient's and stays out of the trail
        yield _barrier("PatientAge", f"below {years} years", Reason("too-young", years=years))


def _objection_barriers(header: Dataset, row: Objection) -> Iterator[Barrier]:
    for keyword in row.attributes:
        found = _objectionable(header, keyword, row)
        if found is None:
            continue
        value = "(not shown)" if row.private else shown(found)
        name = spaced(keyword)
        told = name if row.private else Reason("attribute-says", attribute=name, value=value)
        yield replace(_barrier(keyword, value, Reason(row.because, told=told)), phantom=row.phantom)
        return


def _objectionable(header: Dataset, keyword: str, row: Objection) -> str | None:
    """Return the value, its words or the code that the row objects to."""
    if row.pattern is not None:
        value = text(header, keyword)
        match = row.pattern.search(fold(value)) if value else None
        # Of what a person typed only the words that count: the rest may be the patient's name.
        return None if match is None else match[0] if typed(keyword) else value
    for code in codes(header, keyword):
        if code.name in row.codes or (
            row.codes_other_than is not None and code.name not in row.codes_other_than
        ):
            return code.name
    return None


def _barrier(keyword: str, value: str, reason: Reason, verdict: Verdict = Verdict.NOT_SUITABLE) -> Barrier:
    return Barrier(verdict, reason, Evidence(keyword, shown(value), verdict.value))
