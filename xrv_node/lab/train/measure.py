"""What a network says of a part of the data, and how good that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from xrv_node.errors import DatasetError
from xrv_node.lab.statistics.labelled_scores import LabelledScores
from xrv_node.lab.statistics.thresholds import INSIDE, suggest
from xrv_node.lab.statistics.weighted_auc import RankedScores
from xrv_node.lab.train.image_batches import batches
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
    kept = np.concatenate(parts)
    return Answers(kept, np.concatenate(logits), images.table.labels[kept])


def aucs(found: Answers) -> list[float | None]:
    """Area under the ROC curve of each finding over its known labels; None without both classes."""
    return [
        RankedScores(found.logits[known, i], found.labels[known, i] == 1).auc()
        for i, known in enumerate(~np.isnan(found.labels).T)
    ]


def operating_points(found: Answers) -> tuple[float | None, ...]:
    """Return the threshold of each finding with the highest sum of sensitivity and specificity (Youden 1950).

    On the sigmoid's scale, in (0, 1); None without both classes.
    """
    sigmoids, points = found.sigmoids, []
    for i, known in enumerate(~np.isnan(found.labels).T):
        suggested = {s.rule: s.threshold for s in suggest(sigmoids[known, i], found.labels[known, i] == 1)}
        point = suggested.get("youden")
        points.append(None if point is None else float(np.clip(point, *INSIDE)))
    return tuple(points)


def labelled_scores(table: LabelTable, found: Answers, points: tuple[float | None, ...]) -> LabelledScores:
    """Return what ``statistics.evaluate`` takes, of the findings that have an operating point."""
    kept = [i for i, point in enumerate(points) if point is not None]
    sigmoids = found.sigmoids[:, kept]
    thresholds = torch.tensor([points[i] for i in kept])
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
    )
