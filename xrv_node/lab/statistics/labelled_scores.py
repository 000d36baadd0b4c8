"""What a validation run hands to the statistics: scores beside labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class LabelledScores:
    """Scores and labels of the same images, with what subgroups are made of.

    Raises
    ------
    ValueError
        The parts do not belong together, or a score or sigmoid is no number in [0, 1].
    """

    pathologies: tuple[str, ...]
    """The findings that both the model and the dataset know, torchxrayvision's names."""
    scores: NDArray[np.float32]
    """``[n, len(pathologies)]``, normalised to the operating point, in [0, 1]; NaN without an answer."""
    labels: NDArray[np.float32]
    """``[n, len(pathologies)]``: 1 present, 0 absent, NaN unknown."""
    patientid: NDArray[np.str_]
    """``[n]``; images of one patient are not independent. Empty: each such image is a patient of its own."""
    sex: NDArray[np.str_]
    """``[n]``: M, F or empty."""
    age_years: NDArray[np.float64]
    """``[n]``, NaN where unknown."""
    view: NDArray[np.str_]
    """``[n]``: PA, AP, ..., as the dataset has it."""
    sigmoids: NDArray[np.float32] | None = None
    """As `scores`: the classifier's own outputs, before they are normalised. Calibration and the suggested
    operating points are of these; without them there are neither."""
    unusual: NDArray[np.bool_] | None = None
    """``[n]``: the gate found the image unlike those that the models were trained on."""
    calls: bool = True
    """Whether a score of ``values.OPERATING_POINT`` says that a finding is there. Without it no figure is of
    calls: no sensitivity, no F1."""

    def __post_init__(self) -> None:
        n, findings = len(self.patientid), len(self.pathologies)
        for name in ("scores", "labels", "sigmoids"):
            part = getattr(self, name)
            if part is not None and part.shape != (n, findings):
                raise ValueError(f"{name} is {part.shape}, not {(n, findings)}")
        answered = ~np.isnan(self.scores)
        for name in ("scores", "sigmoids"):
            part = getattr(self, name)
            if part is not None and not ((part[answered] >= 0) & (part[answered] <= 1)).all():
                raise ValueError(f"{name} has what is no number in [0, 1]")
        for name in ("sex", "age_years", "view", "unusual"):
            part = getattr(self, name)
            if part is not None and len(part) != n:
                raise ValueError(f"{name} has {len(part)} entries, not {n}")

    def __len__(self) -> int:
        """Return how many images there are."""
        return len(self.patientid)

    @property
    def patients(self) -> NDArray[np.intp]:
        """``[n]``: a number for each patient, counted from 0; images without a name have one each."""
        return numbered(self.patientid)

    def where(self, chosen: NDArray[np.bool_]) -> LabelledScores:
        """Return the images where `chosen` (``[n]``) is True."""
        parts: dict[str, Any] = {
            name: None if (part := getattr(self, name)) is None else part[chosen]
            for name in (
                "scores",
                "labels",
                "patientid",
                "sex",
                "age_years",
                "view",
                "sigmoids",
                "unusual",
            )
        }
        return replace(self, **parts)


def numbered(patientid: NDArray[np.str_]) -> NDArray[np.intp]:
    """``[n]``: a number for each patient of ``[n]`` names, from 0; an empty name is a patient of its own."""
    names = patientid.astype(str)
    unnamed = np.flatnonzero(names == "")
    named = np.unique(names, return_inverse=True)[1]
    numbers = named.astype(np.intp)
    numbers[unnamed] = named.max(initial=-1) + 1 + np.arange(len(unnamed))
    return np.unique(numbers, return_inverse=True)[1].astype(np.intp)
