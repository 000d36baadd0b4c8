"""The learning-rate finder: how high a rate the network bears (Smith 2017, the learning rate range test)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

LOWEST, HIGHEST = 1e-6, 1.0
DECADE = 10
"""Steps for each factor of ten; a step's loss is of one batch, so that fewer would be noise."""
MEMORY = 0.8
"""Of the running mean of the losses: a step's own counts a fifth."""
DIVERGED = 4.0
"""The test ends once the running mean is so many times its lowest."""


def range_test(step: Callable[[float], float]) -> tuple[list[float], list[float]]:
    """Train with a rate that rises from step to step, `LOWEST` to `HIGHEST`, until the loss breaks out.

    Parameters
    ----------
    step
        Trains one step at a rate and returns its loss; what is no number ends the test.

    Returns
    -------
    tuple
        Rates, and the loss at each.
    """
    rates: list[float] = []
    losses: list[float] = []
    mean, lowest = 0.0, math.inf
    steps = round(math.log10(HIGHEST / LOWEST)) * DECADE + 1
    for number, rate in enumerate(np.geomspace(LOWEST, HIGHEST, steps).tolist(), start=1):
        loss = step(rate)
        if not math.isfinite(loss):
            break
        rates.append(rate)
        losses.append(loss)
        mean = MEMORY * mean + (1 - MEMORY) * loss
        unbiased = mean / (1 - MEMORY**number)
        lowest = min(lowest, unbiased)
        if unbiased > DIVERGED * lowest:
            break
    return rates, losses


def suggest(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """Return a tenth of the rate at which the loss is lowest (Howard and Gugger 2020, chapter 5).

    The loss is averaged over half a decade to either side. Where it falls steepest, which others take, is
    lost in the noise of batches: on radiographs that was the first step.

    Parameters
    ----------
    rates, losses
        As `range_test` returns them.

    Returns
    -------
    float or None
        None where the loss does not fall over the first decade or more, or is no number: no rate is known to
        be good.
    """
    if len(losses) <= DECADE or not np.isfinite(losses).all():
        return None
    window = np.ones(DECADE + 1)
    smooth = np.convolve(losses, window, "same") / np.convolve(np.ones(len(losses)), window, "same")
    lowest = int(np.argmin(smooth))
    return float(rates[lowest]) / 10 if lowest >= DECADE else None
