"""Whether a thorax is as wide as one of the patient's age and sex can be: ``dicom_config/thorax.toml``.

A picture that was shrunk on its way keeps the spacing of what it was made from, and all lengths are wrong.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pydicom import Dataset

from xrv_node.attributes import text
from xrv_node.frontal.gates import age_years


@dataclass(frozen=True, slots=True)
class _Row:
    from_years: float
    to_years: float
    sex: str
    """M, F, or empty for both."""
    mean_mm: float


def plausible(width_mm: float, header: Dataset) -> bool:
    """Say whether an internal diameter of the thorax is possible.

    Parameters
    ----------
    width_mm : float
        As measured on a frontal radiograph.
    header : Dataset
        For age and sex. Of an unknown sex both rows count, of an unknown age those of all adults, for whom
        the networks are.

    Returns
    -------
    bool
        False for an age that the table does not have.
    """
    least, most, rows = _table()
    age, sex = age_years(header), text(header, "PatientSex")
    chosen = [
        row
        for row in rows
        if (row.from_years <= age < row.to_years if age is not None else row.sex)
        and (row.sex in ("", sex) or sex not in ("M", "F"))
    ]
    means = [row.mean_mm for row in chosen]
    return bool(means) and least * min(means) <= width_mm <= most * max(means)


@cache
def _table() -> tuple[float, float, tuple[_Row, ...]]:
    read = tomllib.loads(files("dicom_config").joinpath("thorax.toml").read_text(encoding="utf-8"))
    rows = (_Row(r["from"], r["to"], r.get("sex", ""), r["mean_mm"]) for r in read["thorax"])
    return read["least"], read["most"], tuple(rows)
