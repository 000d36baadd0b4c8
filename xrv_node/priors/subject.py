"""Whose study it is, when it was made and how it was analysed: what decides whether two studies compare."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydicom import Dataset

from xrv_node.attributes import text
from xrv_node.keyed import keyed
from xrv_node.values import Analysis, Prior


@dataclass(frozen=True, slots=True)
class Patient:
    """Who was examined. Equal only where all three are."""

    identifier: str
    """Patient ID (0010,0020)."""
    issuer: str
    """Issuer of Patient ID (0010,0021); empty where the source names none."""
    birth_date: str
    """``YYYYMMDD``."""

    def digest(self, data_dir: Path) -> str:
        """Return a keyed digest, which tells two patients apart and names neither."""
        return keyed(data_dir, self.identifier, self.issuer, self.birth_date)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose study, and when."""

    patient: Patient
    date: str
    """Study Date, ``YYYYMMDD``."""
    time: str | None
    """Study Time, ``HHMMSS``, where it is known to the second."""


@dataclass(frozen=True, slots=True)
class Basis:
    """How scores were made; only those of one basis are on one scale."""

    classifier: str
    """Digest of its weights."""
    resampler: str
    site_thresholds: tuple[tuple[str, float], ...] = ()
    """As in ``ModelIdentity``: another operating point is another scale."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier study, and where it was found."""

    prior: Prior
    study_time: str | None
    source: Literal["spool", "archive"]


def subject_of(headers: Iterable[Dataset]) -> Subject | None:
    """Read whose images these are and when the study was made.

    A patient is known by two identifiers, Patient ID (with its issuer, where there is one) and birth date:
    "UNKNOWN" and "ANONYMOUS" are Patient IDs in the field, of many patients.

    Returns
    -------
    Subject or None
        None where there are no headers, one of them lacks Patient ID, birth date or Study Date, or they
        disagree. Study Times that disagree leave the time unknown.
    """
    read = [(_patient(h), _date(text(h, "StudyDate")), _time(text(h, "StudyTime"))) for h in headers]
    if len({(patient, date) for patient, date, _ in read}) != 1:
        return None
    patient, date, time = read[0]
    if patient is None or date is None:
        return None
    return Subject(patient, date, time if len({t for _, _, t in read}) == 1 else None)


def basis_of(analyses: Sequence[Analysis]) -> Basis | None:
    """Return how these analyses were made; None where there are none, or they were made in different ways."""
    found = {
        Basis(by.classifier.sha256, a.resampler, by.classifier.site_thresholds)
        for a in analyses
        for by in [a.model_set]
    }
    return found.pop() if len(found) == 1 else None


def precedes(date: str | None, time: str | None, subject: Subject) -> bool:
    """Whether a study of this date and time was made before the subject's; of one day, the times decide."""
    if not date or date > subject.date:
        return False
    if date < subject.date:
        return True
    return time is not None and subject.time is not None and time < subject.time


def highest(findings: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return each label's highest score; to six decimals, the same from the spool and from a report."""
    scores: dict[str, float] = {}
    for label, score in findings:
        scores[label] = max(round(score, 6), scores.get(label, 0.0))
    return scores


def newest(found: Iterable[Earlier]) -> list[Earlier]:
    """Sort by Study Date and Time, the newest first; the same studies always come in the same order."""
    return sorted(
        found,
        key=lambda e: (e.prior.study_date, e.study_time or "", e.prior.study_instance_uid),
        reverse=True,
    )


def _patient(header: Dataset) -> Patient | None:
    identifier, birth_date = text(header, "PatientID"), _date(text(header, "PatientBirthDate"))
    if not identifier or birth_date is None or "\\" in identifier:  # a backslash: two IDs, not one
        return None
    return Patient(identifier, text(header, "IssuerOfPatientID"), birth_date)


def _date(value: str) -> str | None:
    digits = value.replace(".", "")  # YYYY.MM.DD is ACR-NEMA's form, which PS3.5 6.2 still lets be read
    try:
        datetime.strptime(digits, "%Y%m%d")
    except ValueError:
        return None
    return digits if re.fullmatch(r"[0-9]{8}", digits) else None


def _time(value: str) -> str | None:
    found = re.fullmatch(r"([0-9]{6})(\.[0-9]*)?", value.replace(":", ""))
    return found[1] if found else None
