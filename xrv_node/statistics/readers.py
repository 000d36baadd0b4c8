"""What readers say of studies, from a table of theirs, beside what the node said."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from xrv_node import keyed
from xrv_node.db.tables import Instance, Study
from xrv_node.errors import ConfigError
from xrv_node.statistics.collect import present
from xrv_node.statistics.interval import wilson
from xrv_node.statistics.rows import AgreementRow

KEYS = ("StudyInstanceUID", "AccessionNumber")
"""The column that says which study a row is of: one of these."""
_SAYS = {"": None, "0": False, "0.0": False, "1": True, "1.0": True}
"""What a cell may hold: nothing was said, absent, present."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The readers' table."""

    key: str
    """Of `KEYS`."""
    rows: Mapping[str, Mapping[str, bool]]
    """By study: findings that were labelled, and whether they are present."""


def read(path: Path, known: Iterable[str]) -> Labels:
    """Read a CSV: a row a study, a column ``StudyInstanceUID`` or ``AccessionNumber``, and one a finding.

    Parameters
    ----------
    known
        The findings that there are, torchxrayvision's names; other columns are not looked at.

    Raises
    ------
    ConfigError
        It cannot be read, names no study or no finding, says two things of one study, or a cell of a finding
        holds none of 0, 1 and nothing.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            head = [name for name in table.fieldnames or () if name]
            key = next((name for name in KEYS if name in head), None)
            labels = [name for name in head if name in set(known)]
            if key is None:
                raise ConfigError(f"{path}: a column {' or '.join(KEYS)} is needed; there are {_some(head)}")
            if not labels:
                raise ConfigError(f"{path}: no column is named as a finding; known: {', '.join(known)}")
            return Labels(key, _rows(path, table, key, labels))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as CSV in UTF-8 ({error})") from error


def _some(names: list[str]) -> str:
    return ", ".join(names[:10]) or "none"


def _rows(
    path: Path, table: csv.DictReader[str], key: str, labels: list[str]
) -> dict[str, Mapping[str, bool]]:
    found: dict[str, Mapping[str, bool]] = {}
    for row in table:
        said: dict[str, bool] = {}
        for label in labels:
            cell = (row[label] or "").strip()
            if cell not in _SAYS:
                raise ConfigError(f"{path}, line {table.line_num}: {label} is neither 0, 1 nor empty")
            if (value := _SAYS[cell]) is not None:
                said[label] = value
        study = (row[key] or "").strip()
        if study and found.setdefault(study, said) != said:  # not named: an accession belongs to a patient
            raise ConfigError(f"{path}, line {table.line_num}: it says something else of a study than before")
    return found


def compare(
    db: Session, labels: Labels, data_dir: Path, since: datetime, until: datetime
) -> tuple[list[AgreementRow], int]:
    """Put the node's findings beside the readers', a study each.

    Parameters
    ----------
    data_dir
        Of the node: with its key accessions are known again.

    Returns
    -------
    rows
        A finding each that both have an opinion of.
    number
        Rows of the labels of which the node has reported nothing in this span.
    """
    ours = _by_study(db, labels.key, since, until)
    counts: defaultdict[str, Counter[tuple[bool, bool]]] = defaultdict(Counter)
    missing = 0
    for study, said in labels.rows.items():
        is_accession = labels.key == "AccessionNumber"
        found = ours.get((keyed.attribute(data_dir, "accession", study) if is_accession else study) or "")
        missing += found is None
        for label, value in said.items():
            if found is not None and label in found:
                counts[label][found[label], value] += 1
    return [_row(label, counts[label]) for label in sorted(counts)], missing


def _by_study(db: Session, key: str, since: datetime, until: datetime) -> dict[str, dict[str, bool]]:
    uids = {number: uid for number, uid in db.execute(select(Study.id, Study.study_instance_uid))}
    found: dict[str, dict[str, bool]] = {}
    for image, here in present(db, since, until):
        of = _name(image, key, uids)
        if of is not None:
            known = found.setdefault(of, {})
            known |= {label: value or known.get(label, False) for label, value in here.items()}
    return found


def _name(image: Instance, key: str, uids: Mapping[int, str]) -> str | None:
    return image.accession if key == "AccessionNumber" else uids[image.study_id]


def _row(label: str, counts: Counter[tuple[bool, bool]]) -> AgreementRow:
    both, neither = counts[True, True], counts[False, False]
    only_node, only_readers = counts[True, False], counts[False, True]
    number = counts.total()
    sensitivity, specificity = _share(both, only_readers), _share(neither, only_node)
    return {
        "finding": label,
        "studies": number,
        "both": both,
        "only_node": only_node,
        "only_readers": only_readers,
        "neither": neither,
        "agreement": round((both + neither) / number, 4),
        "sensitivity": sensitivity[0],
        "sensitivity_low": sensitivity[1],
        "sensitivity_high": sensitivity[2],
        "specificity": specificity[0],
        "specificity_low": specificity[1],
        "specificity_high": specificity[2],
    }


def _share(right: int, wrong: int) -> tuple[float | None, float | None, float | None]:
    if not right + wrong:
        return None, None, None
    low, high = wilson(right, right + wrong)
    return round(right / (right + wrong), 4), round(low, 4), round(high, 4)
