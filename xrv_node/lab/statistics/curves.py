"""ROC and precision-recall curves, thin enough to draw and to keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrv_node.lab.statistics.weighted_auc import Floats, RankedScores

POINTS = 200
"""How many of a curve are kept; more cannot be seen."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a curve, from the highest threshold down."""

    x: tuple[float, ...]
    """False positive rate, or recall."""
    y: tuple[float, ...]
    """True positive rate, or precision."""


def roc(ranked: RankedScores) -> Curve | None:
    """The ROC curve, from (0, 0) to (1, 1); None without both classes."""
    hits, alarms = ranked.counts()
    if not len(hits) or not hits[-1] or not alarms[-1]:
        return None
    x = np.concatenate(([0.0], alarms / alarms[-1]))
    return _thinned(x, np.concatenate(([0.0], hits / hits[-1])))


def precision_recall(ranked: RankedScores) -> Curve | None:
    """Precision over recall; None without both classes."""
    hits, alarms = ranked.counts()
    if not len(hits) or not hits[-1] or not alarms[-1]:
        return None
    return _thinned(hits / hits[-1], hits / (hits + alarms))


def mean_roc(curves: list[Curve]) -> Curve | None:
    """Macro average: the mean true positive rate of all curves at each false positive rate, from (0, 0)."""
    if not curves:
        return None
    x = np.linspace(0, 1, POINTS)
    y = np.mean([np.interp(x, curve.x, curve.y) for curve in curves], axis=0)
    return Curve((0.0, *x.tolist()), (0.0, *y.tolist()))


def mean_precision_recall(curves: list[Curve]) -> Curve | None:
    """Macro average: the mean precision of all curves at each recall.

    A curve's precision at a recall is that of the first point that reaches it, as in the average precision:
    between points precision is not linear (Davis and Goadrich 2006).
    """
    if not curves:
        return None
    x = np.linspace(0, 1, POINTS)
    y = np.mean([np.array(curve.y)[np.searchsorted(curve.x, x)] for curve in curves], axis=0)
    return Curve(tuple(x.tolist()), tuple(y.tolist()))


def _thinned(x: Floats, y: Floats) -> Curve:
    """Keep the ends and points at even steps of the curve's length."""
    if len(x) > POINTS:
        way = np.concatenate(([0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))))
        kept: NDArray[np.intp] = np.unique(np.searchsorted(way, np.linspace(0, way[-1], POINTS)))
        x, y = x[kept], y[kept]
    return Curve(tuple(x.tolist()), tuple(y.tolist()))
