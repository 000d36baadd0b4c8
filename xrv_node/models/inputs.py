"""What every network asks of its input, checked once and brought to the network's size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from torch.nn import functional

from xrv_node.errors import ImageError, XrvNodeWarning
from xrv_node.reasons import Reason

if TYPE_CHECKING:
    from torch import Tensor

LIMIT = 1024.0
"""The networks were trained on [-1024, 1024]: 8-bit black is -1024, white is +1024 (torchxrayvision
``datasets.normalize``)."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""ImageNet's mean of red, green and blue in [0, 1]."""

IMAGENET_STD = (0.229, 0.224, 0.225)
"""ImageNet's standard deviation, as ``IMAGENET_MEAN``."""

REACHED = 255.0
"""A batch of radiographs reaches below the one and above the other sign of this (torchxrayvision's
``models.warn_normalization``)."""

NOT_REACHED = (
    f"this batch does not reach from below {-REACHED:g} to above {REACHED:g}, as radiographs in [{-LIMIT:g}, "
    f"{LIMIT:g}] do, and its scores may mean nothing: bring pixels there with xrv_node.prepare(xrv_node.read("
    "file), model.size), or scale them by (x / largest * 2 - 1) * 1024, where the largest is 1 for pixels in "
    "[0, 1] and 255 for those in [0, 255]; undo a normalisation by ImageNet's mean first"
)

_OURS: ContextVar[bool] = ContextVar("_OURS", default=False)

SLACK = 1.0
"""Resampling in float32 overshoots by rounding only: torchxrayvision tolerates [-1025, 1025] too."""


def check(x: Tensor) -> None:
    """Refuse what is not a batch of grey, square images in [-1024, 1024].

    Users of torchxrayvision feed images in [0, 1] or [0, 255] and wonder why every answer is the same. They
    lie inside the range and cannot be told from dark ones for certain, so they are warned of as there, by
    Python's rules once; anything outside the range is an error. Not warned of is what the project has scaled
    itself (`scaled_here`).

    Parameters
    ----------
    x
        Should be float ``[B, 1, H, H]`` with B >= 1, in [-1024, 1024].

    Raises
    ------
    ImageError
        Another shape or dtype, NaN or infinite values, or values outside [-1025, 1025].
    """
    if x.ndim != 4 or x.shape[1] != 1 or x.shape[0] < 1 or not x.is_floating_point():
        raise ImageError(Reason("not-floating-point", type=str(x.dtype), shape=str(list(x.shape))))
    if x.shape[2] != x.shape[3] or x.shape[2] < 1:
        raise ImageError(Reason("not-square", rows=x.shape[2], columns=x.shape[3]))
    low, high = (value.item() for value in x.aminmax())
    if not (low >= -LIMIT - SLACK and high <= LIMIT + SLACK):  # false for NaN too
        raise ImageError(Reason("not-scaled", low=f"{low:g}", high=f"{high:g}"))
    if not (low < -REACHED and high > REACHED) and not _OURS.get():
        warnings.warn(NOT_REACHED, XrvNodeWarning, stacklevel=1)


@contextmanager
def scaled_here() -> Iterator[None]:
    """Within it, images are ``radiograph.prepare``'s: dark ones are dark."""
    before = _OURS.set(True)
    try:
        yield
    finally:
        _OURS.reset(before)


def resize(x: Tensor, size: int) -> Tensor:
    """Bring square images to the network's size as torchxrayvision (1.3 and later) does inside its networks.

    Bilinear with antialiasing, ``align_corners=False``; untouched where the size is right already. Another
    resampler moves scores: the same image gave Pneumonia 0.18, 0.14 and 0.31 with three of them.

    Parameters
    ----------
    x
        ``[B, C, H, H]``, floating point.
    size
        Rows and columns of the result.

    Returns
    -------
    Tensor
        ``[B, C, size, size]``, the dtype and range of ``x`` (up to rounding).
    """
    if x.shape[-1] == size:
        return x
    return functional.interpolate(x, size=(size, size), mode="bilinear", antialias=True)


def checked(x: Tensor, size: int) -> Tensor:
    """Return ``resize(x, size)`` of a batch that passed ``check``; raises what ``check`` raises."""
    check(x)
    return resize(x, size)


def imagenet(x: Tensor) -> Tensor:
    """Normalise as networks that were pre-trained on ImageNet expect.

    Parameters
    ----------
    x
        ``[B, 1, H, W]`` in [-1024, 1024].

    Returns
    -------
    Tensor
        ``[B, 3, H, W]``: the grey image in [0, 1] as red, green and blue, less ``IMAGENET_MEAN``, over
        ``IMAGENET_STD``; in about [-2.2, 2.7].
    """
    mean, std = (x.new_tensor(value).view(1, 3, 1, 1) for value in (IMAGENET_MEAN, IMAGENET_STD))
    return ((x + LIMIT) / (2 * LIMIT) - mean) / std


def rgb(x: Tensor) -> Tensor:
    """Repeat the one channel of ``[B, 1, H, W]`` three times, without a copy."""
    return x.expand(-1, 3, -1, -1)
