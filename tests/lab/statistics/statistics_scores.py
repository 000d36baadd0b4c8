"""Scores beside the truth, with ties or without."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cases(n: int = 300, seed: int = 0, ties: bool = True) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Normal scores on the sigmoid's scale, one apart; three in ten are positive."""
    generator = np.random.default_rng(seed)
    positive = generator.random(n) < 0.3
    scores = 1 / (1 + np.exp(-generator.normal(positive * 1.0, 1)))
    return (np.round(scores, 2) if ties else scores), positive
