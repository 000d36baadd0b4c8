"""What a table holds, in numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from xrv_node.lab.datasets.catalog import entries
from xrv_node.lab.datasets.table import LabelTable


def statistics(table: LabelTable) -> dict[str, Any]:
    """Count images, patients and labels.

    Parameters
    ----------
    table
        Any.

    Returns
    -------
    dict
        Plain numbers and texts: ``dataset``, ``images``, ``patients`` (None where the owner does not tell
        them), ``views``, ``sex``, ``age_years`` (``min``, ``mean``, ``max``, ``unknown``), ``with_masks``,
        ``notes`` (`LabelTable.notes`), and ``labels``, a row each: ``label``, ``present``, ``absent``,
        ``unknown`` and ``prevalence``, the share of present among the known, None where nothing is known. A
        score of severity has ``mean`` instead.
    """
    csv = table.csv
    ages = csv["age_years"].to_numpy(dtype=float)
    known = ages[~np.isnan(ages)]
    return {
        "dataset": table.name,
        "images": len(table),
        "patients": _patients(table),
        "views": {str(view): int(count) for view, count in csv["view"].value_counts().items()},
        "sex": {
            str(sex) or "unknown": int(count) for sex, count in csv["sex"].value_counts(sort=True).items()
        },
        "age_years": {
            "min": float(known.min()) if len(known) else None,
            "mean": round(float(known.mean()), 1) if len(known) else None,
            "max": float(known.max()) if len(known) else None,
            "unknown": len(ages) - len(known),
        },
        "with_masks": int(csv["has_masks"].sum()),
        "notes": list(table.notes),
        "labels": [
            _label(name, column) for name, column in zip(table.pathologies, table.labels.T, strict=True)
        ],
    }


def _patients(table: LabelTable) -> int | None:
    """How many patients there are; ids of a dataset whose owner names images, not patients, are none."""
    of = set(table.name.split("+"))
    if any(entry.name in of and not entry.patients_published for entry in entries()):
        return None
    patients = table.csv["patientid"]
    return int(patients[patients != ""].nunique())


def _label(name: str, column: np.ndarray[Any, np.dtype[np.float32]]) -> dict[str, Any]:
    known = column[~np.isnan(column)]
    row: dict[str, Any] = {"label": name, "unknown": len(column) - len(known)}
    if not np.isin(known, (0, 1)).all():
        return row | {"mean": round(float(known.mean()), 2)}
    present = int(known.sum())
    share = round(present / len(known), 4) if len(known) else None
    return row | {"present": present, "absent": len(known) - present, "prevalence": share}
