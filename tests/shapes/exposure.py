"""From shapes to the pixels of a radiograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from shapes.anatomy import Chest, chest
from shapes.marker import LETTERS, stamp
from shapes.rays import Beam, Plane, common, covered, left_over

VIEWS = ("PA", "AP", "LATERAL")
FEATURES = ("effusion", "nodule", "cardiomegaly", "pneumothorax")

BITS_STORED = 12
WHITE = 2**BITS_STORED - 1

FIELD_MM = 430.0
"""Height of the detector, the long side of a 35 x 43 cm one."""

LATERAL_WIDTH = 0.84
"""Width of a lateral image over its height (35 x 43 cm is 0.81)."""

SOFT_TISSUE = 0.0195
"""Attenuation per millimetre of soft tissue. Water has 0.0193 at 70 keV (NIST XCOM)."""

LUNG = 0.24 * SOFT_TISSUE
"""Of inflated lung: about a quarter of the density of water."""

BONE = 0.015
"""Of spongy bone, over soft tissue."""

CORTEX = 0.04
"""Of a rib's cortex, over soft tissue."""

SCATTER = 0.012
"""Scattered over direct, unattenuated radiation behind a grid."""

QUANTA = 2.5e4
"""Detected per pixel of the internal grid without a patient; sets the noise."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a view is taken, in millimetres."""

    axis: int
    source: float
    detector: float


SETTINGS = {
    "PA": Setting(axis=1, source=1650.0, detector=-150.0),
    "AP": Setting(axis=1, source=-850.0, detector=150.0),
    "LATERAL": Setting(axis=0, source=-1600.0, detector=200.0),
}
"""Source to detector: 1.8 m, 1 m in bed, 1.8 m. In the lateral view the left side lies on the detector."""


def radiograph(
    view: str,
    *,
    rows: int = 1024,
    columns: int | None = None,
    seed: int = 0,
    features: tuple[str, ...] = (),
    marker: str = "",
) -> NDArray[np.uint16]:
    """Compute a synthetic chest radiograph.

    Parameters
    ----------
    view : {"PA", "AP", "LATERAL"}
        Frontal views show the patient's left on the right, the (left) lateral one the front on the left.
    rows, columns : int
        Size of the image, at least 64 each. Without ``columns`` a frontal image is square and a lateral one
        0.84 as wide as high. The pixel spacing is 430 mm over ``rows``.
    seed : int
        Draws build, vessels and noise; the same arguments give the same pixels.
    features : tuple of str
        Any of ``FEATURES``: effusion and pneumothorax on the patient's right, a nodule on the left.
    marker : str
        A letter of lead, ``L`` or ``R``, burned in on its side; none when empty.

    Returns
    -------
    numpy.ndarray
        ``[rows, columns]`` uint16 in [0, 4095], MONOCHROME2: air is dark.

    Raises
    ------
    ValueError
        If the view, a feature, the marker or the size is none of these.
    """
    columns = columns or (round(rows * LATERAL_WIDTH) if view == "LATERAL" else rows)
    unknown = [name for name in features if name not in FEATURES]
    if view not in VIEWS or unknown or marker not in ("", *LETTERS) or min(rows, columns) < 64:
        raise ValueError(
            f"view is one of {VIEWS}, features of {FEATURES}, marker L or R, size 64 x 64 or more"
        )
    rng = np.random.default_rng([seed, VIEWS.index(view)])
    build = np.random.default_rng(seed)  # the same patient in every view
    # Shapes are smooth: half the resolution is enough for large images, and four times faster.
    coarse = 2 if rows > 640 else 1
    setting, spacing = SETTINGS[view], FIELD_MM / rows * coarse
    beam = Beam(
        setting.axis, setting.source, setting.detector, -(-rows // coarse), -(-columns // coarse), spacing
    )
    attenuation = _attenuation(chest(view, frozenset(features), build), beam, rng)
    detected = np.exp(-attenuation) + SCATTER
    image = _smooth(-np.log(detected))
    if coarse > 1:
        image = _resized(image, rows, columns)
    image = image + _noise(image, rng)
    pixels = _shades(image)
    if marker:
        stamp(pixels, marker, WHITE)
    return pixels


def _attenuation(patient: Chest, beam: Beam, rng: Generator) -> Plane:
    """Return the exponent of Beer and Lambert for every ray."""
    taken = [beam.cross(shape) for shape in patient.displaced]
    soft = covered([beam.cross(shape) for shape in patient.body]) * beam.lengths
    aerated = np.zeros_like(soft)
    for lung in patient.lungs:
        side = beam.cross(lung.chest)
        room = left_over(side, taken) * beam.lengths
        inside = side
        for shape in lung.aerated:
            inside = common(inside, beam.cross(shape))
        filled = left_over(inside, taken) * beam.lengths if lung.aerated else room
        aerated += filled
        soft -= room if lung.free_air else filled
    soft -= sum(beam.through(shape) for shape in patient.air)
    bones = sum((beam.through(shape) for shape in patient.bones), np.zeros_like(soft))
    nodules = sum((beam.through(shape) for shape in patient.nodules), np.zeros_like(soft))
    vessels = np.minimum(beam.deposit(patient.vessels), aerated)
    ribs = beam.deposit(patient.ribs)
    mottled = aerated * (1 + 0.10 * _mottle(beam.rows, beam.columns, rng))
    total: Plane = SOFT_TISSUE * np.maximum(soft, 0) + LUNG * mottled
    total += (SOFT_TISSUE - LUNG) * (nodules + vessels) + BONE * bones + CORTEX * ribs
    return total


def _mottle(rows: int, columns: int, rng: Generator) -> Plane:
    """Return smooth random texture of about unit variance: the vessels too small to be drawn."""
    total = np.zeros((rows, columns), np.float32)
    for cells in (24, 60):
        total += _resized(rng.standard_normal((cells, cells), np.float32), rows, columns)
    return total


def _noise(image: Plane, rng: Generator) -> Plane:
    """Return quantum noise of the logarithm of the signal, a little correlated as in a scintillator."""
    sigma = np.sqrt(np.exp(image) / np.float32(QUANTA))
    noise: Plane = _smooth(rng.standard_normal(image.shape, np.float32)) * np.float32(1.6) * sigma
    return noise


def _smooth(image: Plane) -> Plane:
    """Blur with the binomial kernel 1 2 1 in both directions: focal spot and detector."""
    padded = np.pad(image, 1, mode="edge")
    across = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    smooth: Plane = (across[:-2] + 2 * across[1:-1] + across[2:]) / np.float32(16)
    return smooth


def _resized(image: Plane, rows: int, columns: int) -> Plane:
    """Resize with linear interpolation, corners to corners."""
    for axis, n in ((0, rows), (1, columns)):
        at = np.linspace(0, image.shape[axis] - 1, n, dtype=np.float32)
        low = np.minimum(at.astype(np.int64), image.shape[axis] - 2)
        share = (at - low).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
        image = np.take(image, low, axis) * (1 - share) + np.take(image, low + 1, axis) * share
    return image


def _shades(image: Plane) -> NDArray[np.uint16]:
    """Spread what lies behind the patient over the grey values, as a reader's automatic ranging does."""
    behind = image[image > 0.5][::7]
    low, high = np.percentile(behind, [1.0, 99.5])
    low -= 0.12 * (high - low)
    grey = np.clip((image - low) / (high - low), 0, 1) ** 0.9
    pixels: NDArray[np.uint16] = (grey * (0.97 * WHITE)).round().astype(np.uint16)
    return pixels
