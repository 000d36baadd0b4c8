"""What a network says of a part of the data, and how good that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from xrv_node.errors import DatasetError
from xrv_node.lab.statistics.intervals import Estimate, delong
from xrv_node.lab.statistics.labelled_scores import LabelledScores, numbered
from xrv_node.lab.statistics.thresholds import INSIDE, suggest
from xrv_node.lab.statistics.weighted_auc import RankedScores
from xrv_node.lab.train.image_batches import batches
from xrv_node.lab.train.no_number import NoNumberError
from xrv_node.models import inference
from xrv_node.models.operating_points import op_norm

if TYPE_CHECKING:
    from torch import nn

    from xrv_node.lab.datasets.table import LabelTable
    from xrv_node.lab.datasets.torch_dataset import Images


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Logits beside labels, of the images that could be read."""

    rows: NDArray[np.intp]
    logits: NDArray[np.float32]
    """``[n, findings]``."""
    labels: NDArray[np.float32]
    """``[n, findings]``, NaN unknown."""
    patients: NDArray[np.intp]
    """``[n]``: the patient of each image, numbers from 0."""

    @property
    def sigmoids(self) -> NDArray[np.float32]:
        """``[n, findings]`` in [0, 1]."""
        return torch.from_numpy(self.logits).sigmoid().numpy()


def answers(
    network: nn.Module,
    images: Images,
    rows: NDArray[np.intp],
    batch: int,
    unread: dict[str, str],
) -> Answers:
    """Run a network over rows of a table, in evaluation mode and float32, as it is served.

    Raises
    ------
    DatasetError
        Not one image can be read.
    NoNumberError
        An output for an image is none.
    """
    network.eval()
    device = next(network.parameters()).device
    parts, logits = [], []
    with inference.exact():
        for some in batches(images, rows, batch, unread):
            if len(some.rows):
                logits.append(network(some.images.to(device)).float().cpu().numpy())
                parts.append(some.rows)
    if not parts:
        raise DatasetError(
            f"none of {len(rows)} images of {images.table.name} can be read: look for them in its folder"
        )
    kept, outputs = np.concatenate(parts), np.concatenate(logits)
    if (wrong := ~np.isfinite(outputs)).any():
        names = [n for n, any_ in zip(images.table.pathologies, wrong.any(axis=0), strict=True) if any_]
        raise NoNumberError(
            f"the network's output for {', '.join(names)} on {int(wrong.any(axis=1).sum())} of {len(kept)} "
            "images is"
        )
    patients = numbered(images.table.csv["patientid"].to_numpy(dtype=str)[kept])
    return Answers(kept, outputs, images.table.labels[kept], patients)


def aucs(found: Answers) -> list[float | None]:
    """Area under the ROC curve of each finding over its known labels; None without both classes, and where an
    output is no number."""
    return [
        RankedScores(found.logits[known, i], found.labels[known, i] == 1).auc()
        for i, known in enumerate(~np.isnan(found.labels).T)
    ]


def operating_points(found: Answers) -> tuple[float | None, ...]:
    """Return the threshold of each finding with the highest sum of sensitivity and specificity (Youden 1950).

    On the sigmoid's scale, in (0, 1); None where a finding is not told from chance (`statistics.thresholds`),
    which takes both classes.
    """
    sigmoids, points = found.sigmoids, []
    for i, known in enumerate(~np.isnan(found.labels).T):
        positive = found.labels[known, i] == 1
        suggested = {
            s.rule: s.threshold for s in suggest(sigmoids[known, i], positive, found.patients[known])
        }
        point = suggested.get("youden")
        points.append(None if point is None else float(np.clip(point, *INSIDE)))
    return tuple(points)


def areas(found: Answers) -> tuple[Estimate, ...]:
    """Return the area under the ROC curve of each finding with its interval over patients; undefined as
    `aucs`."""
    return tuple(
        delong(found.sigmoids[known, i], found.labels[known, i] == 1, found.patients[known])
        for i, known in enumerate(~np.isnan(found.labels).T)
    )


def without_point(
    labels: Sequence[str], points: Sequence[float | None], valid: Sequence[Estimate]
) -> dict[str, str]:
    """Return why a finding has no operating point, of those that have none.

    Parameters
    ----------
    labels, points
        Of each output.
    valid
        As `areas` of the validation part.
    """
    return {
        label: "not both present and absent in validation"
        if area.value is None
        else f"not told from chance in validation (AUC {area.value:.3f}, {area.low:.3f} to {area.high:.3f})"
        for label, point, area in zip(labels, points, valid, strict=True)
        if point is None
    }


def labelled_scores(table: LabelTable, found: Answers, points: tuple[float | None, ...]) -> LabelledScores:
    """Return what ``statistics.evaluate`` takes, of the findings that have an operating point; where none has
    one, of all, and the scores are sigmoids."""
    kept = [i for i, point in enumerate(points) if point is not None] or list(range(len(points)))
    sigmoids = found.sigmoids[:, kept]
    # a point at 0.5 leaves a sigmoid as it is
    thresholds = torch.tensor([0.5 if (point := points[i]) is None else point for i in kept])
    rows = table.csv.iloc[found.rows]
    return LabelledScores(
        pathologies=tuple(table.pathologies[i] for i in kept),
        scores=op_norm(torch.from_numpy(sigmoids), thresholds).numpy(),
        labels=found.labels[:, kept],
        patientid=rows["patientid"].to_numpy(dtype=str),
        sex=rows["sex"].to_numpy(dtype=str),
        age_years=rows["age_years"].to_numpy(dtype=np.float64),
        view=rows["view"].to_numpy(dtype=str),
        sigmoids=sigmoids,
        calls=any(points),
    )
