"""What DICOM headers say, for datasets whose owner publishes it nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from xrv_node.attributes import text
from xrv_node.lab.datasets.images import unpacked

_KEYWORDS = ("ViewPosition", "PatientAge", "PatientSex")


def read_headers(root: Path, files: Sequence[str]) -> pd.DataFrame:
    """Read view, age and sex of DICOM files; pixel data is not read.

    Parameters
    ----------
    root
        The folder that ``files`` are relative to.
    files
        Any files, in zip archives too: one that is missing or no DICOM has nothing to say.

    Returns
    -------
    DataFrame
        Columns ``ViewPosition``, ``PatientAge`` and ``PatientSex``, a row a file in their order; None where
        the header says nothing.
    """
    import pydicom

    def header(name: str) -> tuple[str | None, ...]:
        try:
            with unpacked(root / name) as file:
                said = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_KEYWORDS))
            return tuple(text(said, keyword) or None for keyword in _KEYWORDS)
        except Exception:  # damaged bytes raise whatever the parser trips over; `verify` reports the file
            return (None,) * len(_KEYWORDS)

    return pd.DataFrame([header(name) for name in files], columns=list(_KEYWORDS), dtype=object)
