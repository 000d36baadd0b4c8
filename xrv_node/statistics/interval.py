"""How sure a share is."""

from __future__ import annotations

import math

Z = 1.959963984540054
"""The standard normal's quantile at 0.975, of a 95 % interval."""


def wilson(successes: float, number: float) -> tuple[float, float]:
    """Give the 95 % score interval of a share (Wilson 1927, J Am Stat Assoc 22:209).

    Parameters
    ----------
    successes, number
        `number` above 0; need not be whole.
    """
    p, z2 = successes / number, Z * Z
    centre = (p + z2 / (2 * number)) / (1 + z2 / number)
    half = Z * math.sqrt(p * (1 - p) / number + z2 / (4 * number**2)) / (1 + z2 / number)
    # exactly 0 and 1 where it begins and ends there: rounding leaves a little
    return (centre - half if successes > 0 else 0.0, centre + half if successes < number else 1.0)
