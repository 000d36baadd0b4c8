"""The loss: binary cross entropy of every known label, unknown ones left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits

if TYPE_CHECKING:
    from torch import Tensor


def class_weights(labels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weigh absence and presence of each finding so that both count as much.

    ``n / (2 n_class)``, the "balanced" weights of King and Zeng (2001): their mean over the labels is 1, so a
    rare finding moves the others' balance in no way.

    Parameters
    ----------
    labels
        ``[n, findings]``, 1 present, 0 absent, NaN unknown.

    Returns
    -------
    numpy.ndarray
        ``[2, findings]``: of absence, of presence; 1 where a class does not occur.
    """
    counts = np.stack([(labels == 0).sum(axis=0), (labels == 1).sum(axis=0)]).astype(np.float64)
    both = (counts > 0).all(axis=0)
    weights: NDArray[np.float64] = counts.sum(axis=0) / (2 * np.where(both, counts, 1))
    return np.where(both, weights, 1).astype(np.float32)


def task_weights(labels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weigh the findings, rare ones up to 1, as the released classifiers were trained.

    With k a finding's positives: ``max(k) - k + mean(k)``, over the highest of them (torchxrayvision,
    ``scripts/train_utils.py``).

    Parameters
    ----------
    labels
        As `class_weights`.

    Returns
    -------
    numpy.ndarray
        ``[findings]``, in (0, 1]; all 1 where nothing is present.
    """
    positives = np.nansum(labels, axis=0, dtype=np.float64)
    weights = positives.max(initial=0) - positives + positives.mean()
    scaled: NDArray[np.float64] = weights / weights.max() if weights.any() else np.ones_like(weights)
    return scaled.astype(np.float32)


def masked_bce(logits: Tensor, labels: Tensor, classes: Tensor, tasks: Tensor) -> Tensor:
    """Average over the batch for each finding, over its known labels; then over the findings that have any.

    Parameters
    ----------
    logits
        ``[B, findings]``.
    labels
        ``[B, findings]``, 1, 0 or NaN.
    classes
        As `class_weights`.
    tasks
        As `task_weights`.

    Returns
    -------
    Tensor
        Scalar; 0 with gradient 0 where nothing is known.
    """
    known = ~labels.isnan()
    targets = labels.nan_to_num()  # before the arithmetic: a NaN that is masked afterwards poisons gradients
    each = binary_cross_entropy_with_logits(logits.float(), targets, reduction="none")
    each = each * classes[1].where(targets > 0, classes[0]) * known
    number = known.sum(dim=0)
    mean = each.sum(dim=0) / number.clamp(min=1)
    return (mean * tasks).sum() / (number > 0).sum().clamp(min=1)
