"""How good a small network is, on images of other seeds and of an anatomy that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from xrv_node.analyse.gate import ssim
from xrv_node.lab.statistics.intervals import delong
from xrv_node.lab.statistics.overlap import pointing
from xrv_node.lab.statistics.thresholds import INSIDE, told
from xrv_node.lab.train.steps import tasks
from xrv_node.lab.train.steps.drawing import Example, Origin
from xrv_node.models import inference
from xrv_node.models.inputs import LIMIT

if TYPE_CHECKING:
    from torch import nn

    from xrv_node.lab.train.steps.plan import Kind
    from xrv_node.models.pyramid import PyramidClassifier
    from xrv_node.models.small_autoencoder import SmallAutoencoder

FALSE_ALARMS = 0.05
"""The share at which the sensitivity is given."""

RIDGE = 1e-3
"""Penalty on the squared slope of the regression that places operating points."""

Points = Mapping[str, float | None]
"""Operating point of each finding on the sigmoid's scale; None: it has none, and is in no result."""

Figures = dict[str, dict[str, float | None]]
"""By what is measured (a finding, a structure), the figures by name; None where one is not defined."""


def operating_points(
    network: nn.Module, origin: Origin, examples: Sequence[Example], leave_out: Sequence[str]
) -> dict[str, float | None]:
    """Choose the operating point of each finding: where, both as frequent, both are as likely.

    On phantoms nearly every threshold between the classes is as good as another, and Youden's index prefers
    none of them. A logistic regression of the logit, in which both classes weigh the same (Platt 1999), looks
    at how far either class reaches.

    None for a finding of which nothing is known, which is not told from chance, or which is left out.
    """
    with inference.exact():
        logits = torch.cat(tasks.outputs(network, examples)).cpu().numpy()
    labels, _ = tasks.answers(origin, tasks.stacked(examples))
    points: dict[str, float | None] = dict.fromkeys(tasks.findings())
    for head, name in enumerate(tasks.findings()):
        known = ~np.isnan(labels[:, head])
        own, positive = logits[known, head].astype(np.float64), labels[known, head] == 1
        if name not in leave_out and known.any() and told(delong(own, positive)):
            points[name] = float(np.clip(1 / (1 + np.exp(-between(own, positive))), *INSIDE))
    return points


def between(logits: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the logit at which a logistic regression with classes of equal weight gives one half.

    Parameters
    ----------
    logits
        ``[n]``.
    positive
        ``[n]``, of both classes.
    """
    centre, scale = float(logits.mean()), float(logits.std()) or 1.0
    x = np.stack([(logits - centre) / scale, np.ones_like(logits)], axis=1)
    weights = np.where(positive, 0.5 / positive.mean(), 0.5 / (~positive).mean()) / len(logits)
    slope = np.zeros(2)
    penalty = np.array([RIDGE, 0.0])  # classes that are apart would have it rise for ever
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ slope))
        gradient = x.T @ (weights * (p - positive)) + penalty * slope
        curvature = (x * (weights * p * (1 - p))[:, None]).T @ x + np.diag(penalty + 1e-9)
        slope -= np.clip(np.linalg.solve(curvature, gradient), -2, 2)
    return centre - scale * float(slope[1] / slope[0])


def sensitivity(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float | None:
    """Share of the positives above all but `FALSE_ALARMS` of the negatives; None without both classes."""
    if positive.all() or not positive.any():
        return None
    negatives = np.sort(scores[~positive])[::-1]
    threshold = negatives[int(FALSE_ALARMS * len(negatives))]
    return float((scores[positive] > threshold).mean())


def _of_findings(network: nn.Module, origin: Origin, examples: Sequence[Example], points: Points) -> Figures:
    own = cast("PyramidClassifier", network)
    logits, maps = [], []
    for first in range(0, len(examples), 20):
        truth = tasks.stacked(examples[first : first + 20])
        x = tasks.images(truth, next(network.parameters()).device)
        one, features = own.forward_with_map(x)
        logits.append(one.cpu())
        maps.append(own.finding_maps(features).cpu().numpy())
    scores, heat = torch.cat(logits).sigmoid().numpy(), np.concatenate(maps)
    labels, places = tasks.answers(origin, tasks.stacked(examples))
    figures: Figures = {}
    for head, name in enumerate(tasks.findings()):
        known = ~np.isnan(labels[:, head])
        if not known.any():
            continue
        own_scores, positive = scores[known, head], labels[known, head] == 1
        area = delong(own_scores, positive)
        hits = [pointing(heat[row, head], places[row, head], tolerance=1) for row in np.flatnonzero(known)]
        pointed = [hit.hit for hit in hits if hit is not None]
        figures[name] = {
            "present": float(positive.sum()),
            "AUC": area.value,
            "from": area.low,
            "to": area.high,
            "sens. at 5 %": sensitivity(own_scores, positive),
            "points": float(np.mean(pointed)) if pointed else None,
        }
        if (point := points.get(name)) is not None:
            called = own_scores >= point
            figures[name]["sensitivity"] = float(called[positive].mean()) if positive.any() else None
            figures[name]["specificity"] = float((~called[~positive]).mean()) if not positive.all() else None
    return figures


def _of_structures(network: nn.Module, origin: Origin, examples: Sequence[Example], _: Points) -> Figures:
    dices = tasks.dices(network, examples)
    figures: Figures = {}
    for name, one in zip(origin.structures, dices.T, strict=True):
        there = one[~np.isnan(one)]
        low = float(np.quantile(there, 0.05)) if len(there) else None
        figures[name] = {"Dice": float(there.mean()) if len(there) else None, "one in 20 below": low}
    return figures


def _of_images(network: nn.Module, _: Origin, examples: Sequence[Example], __: Points) -> Figures:
    own, similar = cast("SmallAutoencoder", network), []
    device = next(network.parameters()).device
    for example in examples:
        x = tasks.images(tasks.stacked([example]), device)
        made = own.rebuilt(x).clamp(-LIMIT, LIMIT)
        similar.append(ssim(x[0, 0].cpu().numpy(), made[0, 0].cpu().numpy()))
    off = tasks.differences(network, examples)
    return {"image": {"mean difference": float(off.mean()), "SSIM": float(np.mean(similar))}}


_MEASURES: dict[Kind, Callable[[nn.Module, Origin, Sequence[Example], Points], Figures]] = {
    "classifier": _of_findings,
    "segmenter": _of_structures,
    "autoencoder": _of_images,
}

MAIN: dict[Kind, tuple[str, ...]] = {
    "classifier": ("AUC", "sens. at 5 %", "points"),
    "segmenter": ("Dice",),
    "autoencoder": ("mean difference", "SSIM"),
}
"""By kind, the figures that the table shows for each row of images."""


def measure(
    kind: Kind, network: nn.Module, origin: Origin, examples: Sequence[Example], points: Points
) -> Figures:
    """Measure a network on images.

    Returns
    -------
    Figures
        Of a classifier the area under the ROC curve with DeLong's interval, the sensitivity at 5 % false
        alarms, the share of present findings whose map is highest within a cell of the truth, and what the
        operating point gives; of a segmenter the mean Dice over images, and below which one in 20 lies; of an
        autoencoder mean absolute difference and structural similarity.
    """
    with inference.exact():
        return _MEASURES[kind](network, origin, examples, points)


def table(kind: Kind, measured: Mapping[str, Figures]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the figures as the columns and lines of a table, with their means as its last line.

    Parameters
    ----------
    measured
        By what each set of images is called.
    """
    what = "finding" if kind == "classifier" else "structure" if kind == "segmenter" else "of"
    columns = [what, *(f"{figure} {name}" for name in measured for figure in MAIN[kind])]
    labels = list(dict.fromkeys(label for figures in measured.values() for label in figures))
    lines: list[dict[str, Any]] = []
    for label in labels:
        line: dict[str, Any] = {what: label}
        for name, figures in measured.items():
            for figure in MAIN[kind]:
                value = figures.get(label, {}).get(figure)
                line[f"{figure} {name}"] = "" if value is None else f"{value:.3f}"
        lines.append(line)
    if len(labels) > 1:
        average = means(kind, measured)
        lines.append({what: "mean"} | {column: f"{average[column]:.3f}" for column in columns[1:]})
    return columns, lines


def means(kind: Kind, measured: Mapping[str, Figures]) -> dict[str, float]:
    """Return the mean of each column of `table`, over what it is defined for."""
    found = {}
    for name, figures in measured.items():
        for figure in MAIN[kind]:
            some = [v for one in figures.values() if (v := one.get(figure)) is not None]
            found[f"{figure} {name}"] = float(np.mean(some)) if some else float("nan")
    return found
