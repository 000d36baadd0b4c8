"""Where a finding is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Side = Literal["right", "left", "both", "middle"]


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """The truth of one finding in one image."""

    side: Side
    """The person's."""
    size_mm: float
    """Largest extent of one of its parts; of what has no border, of the area that it takes."""
    mask: NDArray[np.bool_]
    """``[rows, columns]``."""
