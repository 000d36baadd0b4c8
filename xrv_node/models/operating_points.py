"""From a head's sigmoid to a score whose operating point is 0.5."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

UNTRAINED = 0.5
"""What torchxrayvision answers for a head without a threshold. The node leaves such heads out
(``entry.ModelEntry.trained_heads``)."""


def op_norm(p: Tensor, thresholds: Tensor) -> Tensor:
    """Rescale sigmoid outputs piecewise linearly so that each head's threshold lands on 0.5.

    ``p / 2t`` below the threshold t and ``1 - (1 - p) / 2(1 - t)`` from it on, as torchxrayvision's
    ``models.op_norm``. The result is a score, not a probability: t is the point of the highest sum of
    sensitivity and specificity on held-out training data, and says nothing of prevalence.

    Parameters
    ----------
    p
        ``[..., heads]``, any floating dtype, in [0, 1]. NaN stays NaN.
    thresholds
        ``[heads]``, in (0, 1), or NaN for an untrained head.

    Returns
    -------
    Tensor
        As ``p`` in shape, dtype and device, in [0, 1]; 0.5 (and gradient 0) for an untrained head.
    """
    t = thresholds.to(p)
    untrained = t.isnan()
    t = t.nan_to_num(
        UNTRAINED
    )  # before any arithmetic: a NaN that is masked afterwards still poisons gradients
    score = (p / (2 * t)).where(p < t, 1 - (1 - p) / (2 * (1 - t)))
    return score.masked_fill(untrained, UNTRAINED)
