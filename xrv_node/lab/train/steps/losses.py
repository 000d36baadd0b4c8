"""What small networks are trained to: losses of images, of pixels, and of masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional
from torch.nn.functional import binary_cross_entropy_with_logits

if TYPE_CHECKING:
    from torch import Tensor

PRESENT = 3.0
"""How much more a present finding weighs than an absent one: an image has one or two of fifteen."""
PIXELS, OVERLAP, PLACES, BESIDE = 2.0, 0.4, 0.35, 0.3
"""Weights of the further parts of a classifier's loss."""
SMALL = 1.5
"""Weight of findings of a few pixels in the part that is balanced over pixels."""
SMOOTH = 1.0
"""Pixels that are added to both sides of a Dice, so that an empty mask has one too (Milletari 2016)."""
RAREST = 1 / 400
"""Share of an image below which a structure is weighed up no further."""
EDGES = 0.5
"""Weight of differences between neighbouring pixels in the loss of an autoencoder, which keep it sharp."""


def classifier(
    outputs: tuple[Tensor, Tensor, Tensor], labels: Tensor, places: Tensor, beside: Tensor, small: Tensor
) -> Tensor:
    """Return the loss of findings, of their maps, and of what lies beside them.

    Parameters
    ----------
    outputs
        Logits ``[B, n]``, maps ``[B, n, h, w]`` and auxiliary maps ``[B, 3, h, w]``.
    labels
        ``[B, n]``: 1 present, 0 absent, NaN unknown.
    places
        ``[B, n, h, w]``, 1 where a finding is. A present one without a place trains no map.
    beside
        ``[B, 3, h, w]``.
    small
        ``[n]``: how much a finding's places weigh in the part that is balanced over pixels.
    """
    logits, maps, auxiliary = outputs
    known = ~labels.isnan()
    truth = labels.nan_to_num()  # before the arithmetic: a NaN that is masked afterwards poisons gradients
    each = binary_cross_entropy_with_logits(logits, truth, reduction="none")
    weights = known * torch.where(truth > 0, PRESENT, 1.0)
    image = (each * weights).sum() / known.sum().clamp(min=1)

    sizes = places.sum(dim=(2, 3))
    placed = (truth > 0) & (sizes > 0)
    mapped = (known & (truth == 0)) | placed
    pixels = binary_cross_entropy_with_logits(maps, places, reduction="none")
    flat = (pixels.mean(dim=(2, 3)) * mapped).sum() / mapped.sum().clamp(min=1)
    overlap = ((1 - _dice(maps.sigmoid(), places)) * placed).sum() / placed.sum().clamp(min=1)
    inside = (pixels * places).sum(dim=(2, 3)) / sizes.clamp(min=1)
    others = (1 - places).sum(dim=(2, 3)).clamp(min=1)
    outside = (pixels * (1 - places)).sum(dim=(2, 3)) / others
    balanced = ((inside + outside) * placed * small).sum() / placed.sum().clamp(min=1)
    return image + PIXELS * flat + OVERLAP * overlap + PLACES * balanced + BESIDE * masks(auxiliary, beside)


def masks(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the loss of structures: cross entropy, the thin ones weighed up, and Dice, which has no size.

    Parameters
    ----------
    logits
        ``[B, n, H, W]``.
    truth
        The same, 1 where a structure is. A structure that no image of the batch has trains nothing: it may
        not have been outlined.
    """
    share = truth.mean(dim=(0, 2, 3))
    there = share > 0
    # a structure of half the pixels weighs 1, one of a two-hundredth ten times as much
    weights = (0.5 / share.clamp(min=RAREST)).sqrt() * there
    pixels = binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(dim=(0, 2, 3))
    drawn = truth.sum(dim=(2, 3)) > 0
    overlap = ((1 - _dice(logits.sigmoid(), truth)) * drawn).sum() / drawn.sum().clamp(min=1)
    return (pixels * weights).sum() / there.sum().clamp(min=1) + overlap


def reconstruction(made: Tensor, image: Tensor) -> Tensor:
    """Return the mean absolute difference of images ``[B, 1, H, W]``, and of neighbours' differences."""
    difference = made - image
    edges = sum(difference.diff(dim=axis).abs().mean() for axis in (2, 3))
    return functional.l1_loss(made, image) + EDGES * edges


def _dice(found: Tensor, truth: Tensor) -> Tensor:
    """Soft Dice of each image and channel, ``[B, n]``."""
    both = (found * truth).sum(dim=(2, 3))
    return (2 * both + SMOOTH) / (found.sum(dim=(2, 3)) + truth.sum(dim=(2, 3)) + SMOOTH)
