"""Whether an image is one that the networks can say anything about.

Three looks: how far the autoencoder's reconstruction is from the image (mean absolute error), how much of its
structure it keeps (SSIM), and whether the anatomy network finds lungs of a possible size. Which error is high
depends on a site's detectors, so limits for the first two are fitted on the site's own images; without a fit
there are none. Pure: numbers in, reasons out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from xrv_node.errors import ConfigError, WeightsError
from xrv_node.models import model_dir
from xrv_node.reasons import Reason
from xrv_node.values import ModelSet

_LIMIT = 1024.0
"""Images are in [-1024, 1024]; SSIM is computed on [0, 1]."""
_WINDOW, _SIGMA, _K1, _K2 = 11, 1.5, 0.01, 0.03
"""Gaussian window and constants of Wang et al. 2004 (IEEE Trans. Image Process. 13(4), section III-C)."""

LUNGS = ("Left Lung", "Right Lung")
"""The segmenter's names."""
SMALLEST_LUNG = 0.005
"""Share of the square that the networks see, below which a lung counts as not found. This and the next are
wide bounds of plausibility, not fitted ones."""
LUNGS_TOGETHER = (0.02, 0.60)
"""Lowest and highest share that both lungs cover."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the site's own images stay within, for one set of models."""

    model_set: str
    """``ModelSet.weights_digest``: another autoencoder has other errors."""
    resampler: str
    """How the images were brought to size: another resampler, other errors."""
    quantile: float
    """The part of such images that is expected to stay within each limit, in (0, 1)."""
    images: int
    """How many were fitted on."""
    error: float
    """Highest mean absolute error, on the [-1024, 1024] scale."""
    ssim: float
    """Lowest structural similarity."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the gate says of one image."""

    flags: tuple[Reason, ...]
    """One for each thing that is unusual."""
    refused: Reason | None
    """Why no findings may be reported; only with fitted limits."""


NOT_JUDGED = GateResult((), None)
"""Of networks for phantoms: no image comes to them that is unlike a phantom."""


def ssim(image: NDArray[np.float32], reconstruction: NDArray[np.float32]) -> float:
    """Compute the mean structural similarity.

    Parameters
    ----------
    image, reconstruction
        ``[n, n]`` in [-1024, 1024], n at least 11.

    Returns
    -------
    float
        At most 1. Windows and constants are those of the paper, on [0, 1]; windows that reach over the border
        are left out, as in the paper and scikit-image. (8 x 8 blocks on the upper half of the range, as the
        browser demonstration of these networks uses, give higher values that do not compare.)
    """
    x, y = ((a.astype(np.float64) / _LIMIT + 1) / 2 for a in (image, reconstruction))
    mean_x, mean_y = _window(x), _window(y)
    var_x, var_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    c1, c2 = _K1**2, _K2**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return float((luminance * structure).mean())


def _window(a: NDArray[np.float64]) -> NDArray[np.float64]:
    edge = _WINDOW // 2
    blurred: NDArray[np.float64] = np.asarray(cv2.GaussianBlur(a, (_WINDOW, _WINDOW), _SIGMA), np.float64)
    return blurred[edge:-edge, edge:-edge]


def lung_flags(masks: NDArray[np.bool_], structures: Sequence[str]) -> tuple[Reason, ...]:
    """Say what is unusual about the lungs. Never which side: that is checked elsewhere.

    A lung that is not found may be the finding (a white hemithorax), so this alone refuses nothing.

    Parameters
    ----------
    masks
        ``[k, n, n]``.
    structures
        The k names; nothing is said where the lungs are not among them.
    """
    if not set(LUNGS) <= set(structures):
        return ()
    left, right = (masks[structures.index(name)] for name in LUNGS)
    missing = sum(bool(lung.mean() < SMALLEST_LUNG) for lung in (left, right))
    together = float((left | right).mean())
    low, high = LUNGS_TOGETHER
    if missing:
        return (Reason("no-lung" if missing == len(LUNGS) else "one-lung"),)
    if not low <= together <= high:
        shares = {"share": f"{together:.0%}", "low": f"{low:.0%}", "high": f"{high:.0%}"}
        return (Reason("lungs-implausible", **shares),)
    return ()


def judge(
    error: float,
    similarity: float,
    masks: NDArray[np.bool_],
    structures: Sequence[str],
    limits: Limits | None,
) -> GateResult:
    """Judge one image.

    Parameters
    ----------
    error
        Mean absolute difference of image and reconstruction, on the [-1024, 1024] scale.
    similarity
        As `ssim` returns it.
    masks, structures
        As `lung_flags` takes them.
    limits
        Fitted ones; without them nothing is refused.
    """
    flags = list(lung_flags(masks, structures))
    if limits is None:
        return GateResult(tuple(flags), None)
    share = f"{limits.quantile * 100:g}"
    by_error = {"error": f"{error:.4g}", "share": share, "most": f"{limits.error:.4g}"}
    by_structure = {"ssim": f"{similarity:.3f}", "part": share, "least": f"{limits.ssim:.3f}"}
    far, unlike = not error <= limits.error, not similarity >= limits.ssim  # true for NaN too
    if far and unlike:
        refused = Reason("unlike-by-both", **by_error, **by_structure)
    elif far:
        refused = Reason("unlike-by-error", **by_error)
    elif unlike:
        refused = Reason("unlike-by-structure", **by_structure)
    else:
        return GateResult(tuple(flags), None)
    return GateResult((refused, *flags), refused)


def fit(
    errors: Sequence[float],
    similarities: Sequence[float],
    quantile: float,
    model_set: ModelSet,
    resampler: str,
) -> Limits:
    """Find the limits that a site's images stay within.

    The limit for n images is the value of rank ceil((n + 1) q): one more image like them stays within it with
    a probability of at least q, whatever the distribution (Vovk et al. 2005, inductive conformal prediction).
    That is for each of the two; together they refuse at most 2 (1 - q) of such images.

    Parameters
    ----------
    errors, similarities
        Of adult, frontal chest radiographs that the networks should answer; equally many.
    quantile
        q, in (0, 1).
    model_set, resampler
        That the numbers are from.

    Raises
    ------
    ConfigError
        Too few images for the quantile, and as `check_fit`.
    """
    check_fit(quantile, model_set)
    place = rank(len(errors), quantile)
    return Limits(
        model_set=model_set.weights_digest,
        resampler=resampler,
        quantile=quantile,
        images=len(errors),
        error=sorted(errors)[place - 1],
        ssim=sorted(similarities, reverse=True)[place - 1],
    )


def rank(images: int, quantile: float) -> int:
    """Which of so many values, from 1 in their order, is the limit (`fit`).

    Raises
    ------
    ConfigError
        A quantile that is none, or too few images for it.
    """
    check_quantile(quantile)
    found = math.ceil((images + 1) * quantile)
    if found > images:
        needed = math.ceil(quantile / (1 - quantile) - 1e-9)
        raise ConfigError(
            f"{images} images are too few for the quantile {quantile:g}: it takes at least {needed}, or "
            "a lower --quantile"
        )
    return found


def check_quantile(quantile: float) -> None:
    """Refuse a quantile that is none.

    Raises
    ------
    ConfigError
        It does not lie in (0, 1).
    """
    if not 0 < quantile < 1:
        raise ConfigError(f"a quantile lies between 0 and 1, not at {quantile:g}: try 0.99")


def check_fit(quantile: float, model_set: ModelSet) -> None:
    """Refuse what cannot be fitted, before any image is read.

    Raises
    ------
    ConfigError
        A quantile that is none, or networks for phantoms.
    """
    check_quantile(quantile)
    if model_set.phantom:
        raise ConfigError("the gate is not fitted on networks for phantoms: get the weights first")


def path(directory: Path, model_set: ModelSet) -> Path:
    """Where the limits of a set of models lie in the model directory."""
    return directory / f"gate-{model_set.weights_digest[:16]}.json"


def save(limits: Limits, directory: Path, model_set: ModelSet) -> Path:
    """Keep limits beside the weights; returns the file.

    Raises
    ------
    WeightsError
        The directory cannot be written.
    """
    target = path(directory, model_set)
    model_dir.write(target, json.dumps(asdict(limits), indent=2).encode())
    return target


def load(directory: Path, model_set: ModelSet, resampler: str) -> Limits | None:
    """Return the limits of a set of models, or None where none were fitted.

    Raises
    ------
    WeightsError
        The file cannot be read, is damaged, or of other models or another resampler: an image is not judged
        by limits that are not its own.
    """
    source = path(directory, model_set)
    if not model_dir.is_here(source):
        return None
    try:
        limits = Limits(**json.loads(source.read_bytes()))
        numbers = (limits.error, limits.ssim, limits.quantile)
        whole = limits.model_set == model_set.weights_digest and all(isinstance(n, float) for n in numbers)
    except (OSError, ValueError, TypeError):
        whole = False
    if not whole or limits.resampler != resampler:
        raise WeightsError(
            f"{source} is damaged, or not of these models: remove it and run `xrv-node models fit-gate`"
        )
    return limits
