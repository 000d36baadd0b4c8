"""The learning-rate finder: how high a rate the network bears (Smith 2017, the learning rate range test)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

LOWEST, HIGHEST = 1e-6, 1.0
STEPS = 60
"""Ten for each factor of ten."""
MEMORY = 0.8
"""Of the running mean of the losses: a step's own counts a fifth."""
DIVERGED = 4.0
"""The test ends once the smoothed loss is so many times its lowest."""


def range_test(step: Callable[[float], float], steps: int = STEPS) -> tuple[list[float], list[float]]:
    """Train with a rate that rises from step to step until the loss breaks out.

    Parameters
    ----------
    step
        Trains one step at a rate and returns its loss.
    steps
        At most so many, from `LOWEST` to `HIGHEST`.

    Returns
    -------
    tuple
        Rates, and the smoothed loss at each.
    """
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    for number, rate in enumerate(np.geomspace(LOWEST, HIGHEST, steps).tolist()):
        loss = step(rate)
        if not math.isfinite(loss):
            break
        mean = MEMORY * mean + (1 - MEMORY) * loss
        rates.append(rate)
        losses.append(mean / (1 - MEMORY ** (number + 1)))
        if losses[-1] > DIVERGED * min(losses):
            break
    return rates, losses


def suggest(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """Return the rate where the smoothed loss falls steepest on a logarithmic axis, before its lowest point.

    None where it falls nowhere.
    """
    lowest = int(np.argmin(losses)) if len(losses) else 0
    if lowest < 2:
        return None
    slope = np.gradient(np.array(losses[: lowest + 1]), np.log(rates[: lowest + 1]))
    return float(rates[int(np.argmin(slope))])
