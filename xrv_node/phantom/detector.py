"""From what the beam meets to the picture that a vendor's software shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from xrv_node.phantom.canvas import Canvas, blurred

WATER = 0.02
"""Attenuation of water per mm at 63 keV, about the mean of a 120 kV spectrum behind its filter (NIST,
XrayMassCoef, table 4: 0.2059 cm2/g at 60 keV, 0.1837 at 80)."""

BONE = 1.45
"""Attenuation of a gram of cortical bone over that of water at that energy (ICRU 44; NIST: 0.3148 at 60 keV,
0.2229 at 80)."""

SPINE = 0.4
"""Weight of the vertebrae among the bones: most of one is spongy, and its small voxels have lost less."""

CRISP_MM = 1.6
"""Blur of 2.5 mm slices that is taken back from the ribs."""


@dataclass(frozen=True, slots=True)
class Look:
    """How images of one device look."""

    bones: float = 2.4
    """Weight of what is denser than water, by which small voxels have lost contrast: times `BONE`."""
    vessels: float = 1.7
    """Weight of the vessels in the lungs."""
    scatter: float = 0.35
    """Scattered over direct radiation, in the mean of the image: of what reaches the mediastinum then a half
    is scattered, as behind a grid of 12:1 (Niklason, Sorenson and Nelson, Med. Phys. 8, 1981)."""
    spread_mm: float = 35.0
    """Reach of the scattered radiation."""
    quanta: float = 1e5
    """Detected in a square of a mm without a patient; sets the noise."""
    sharpness_mm: float = 0.15
    """Blur of the detector."""
    coarse: float = 0.52
    """What is left of differences over more than 40 mm."""
    fine: float = 1.25
    """Gain of differences over less than 6 mm."""
    gamma: float = 0.95
    curve: float = 0.5
    """How far the characteristic curve is that of a film, an S: contrast in the middle, less at both ends."""
    low: float = 0.5
    """Percentile of the body that becomes black, in percent."""
    high: float = 99.5
    """Percentile that becomes white."""


VENDORS = {
    "a": Look(),
    "b": Look(bones=2.1, coarse=0.62, fine=1.05, gamma=1.05, quanta=6e4, sharpness_mm=0.25),
    "c": Look(bones=2.7, coarse=0.46, fine=1.5, gamma=0.88, quanta=1.6e5, high=99.2),
}
"""Three devices that stay as they are, for acceptance: a middle one, an older plate, one with much detail."""


def draw(dice: Generator, wide: bool = False) -> Look:
    """Draw a device; a wide range is for training, where what does not matter must vary more than it will."""
    w = 1.0 if wide else 0.35

    def about(value: float, spread: float) -> float:
        return float(value * np.exp(dice.uniform(-spread, spread) * w))

    return Look(
        bones=about(2.4, 0.45),
        vessels=about(1.7, 0.5),
        scatter=about(0.35, 0.5),
        spread_mm=about(35.0, 0.3),
        quanta=about(1e5, 1.0),
        sharpness_mm=about(0.15, 0.8),
        coarse=about(0.52, 0.35),
        fine=about(1.25, 0.35),
        gamma=about(0.95, 0.3),
        curve=float(np.clip(dice.normal(0.5, 0.3 * w), 0, 1)),
        low=float(dice.uniform(0.1, 1.5)),
        high=float(dice.uniform(98.5, 99.8)),
    )


def attenuation(canvas: Canvas, look: Look) -> NDArray[np.float32]:
    """Return what the beam loses, as the exponent of Beer and Lambert's law, ``float32 [size, size]``."""
    mass = canvas.mass
    ribs = mass["ribs"]
    crisp = np.clip(ribs + 1.2 * (ribs - blurred(ribs, canvas.pixels(CRISP_MM))), 0, None)
    bones = crisp + mass["spine"] * SPINE + mass["girdle_right"] + mass["girdle_left"] + mass["drawn_bone"]
    water = mass["soft"] + mass["lung"] + look.vessels * mass["vessels"] + mass["added"]
    return np.asarray(WATER * (np.clip(water, 0, None) + look.bones * BONE * bones), np.float32)


def expose(loss: NDArray[np.float32], spacing: float, look: Look, dice: Generator) -> NDArray[np.float32]:
    """Return the picture of a body, ``float32 [size, size]`` in [0, 1], dense is high.

    Parameters
    ----------
    loss
        As `attenuation`.
    spacing
        mm a pixel.
    look
        The device.
    dice
        Of the noise.
    """
    direct = np.exp(-loss)
    scattered = look.scatter * blurred(direct, look.spread_mm / spacing)
    quanta = look.quanta * spacing**2
    signal = blurred(direct, look.sharpness_mm / spacing) + scattered
    noise = dice.standard_normal(loss.shape, dtype=np.float32) * np.sqrt(signal / quanta)
    log = -np.log(np.clip(signal + noise, 1e-5, None)).astype(np.float32)
    return shown(log, loss > 0.4, spacing, look)


def shown(
    log: NDArray[np.float32], body: NDArray[np.bool_], spacing: float, look: Look
) -> NDArray[np.float32]:
    """Return a logarithmic image as a vendor's software shows it: in bands, each with its own gain."""
    coarse, middle = blurred(log, 40 / spacing), blurred(log, 6 / spacing)
    # differences over 40 mm are taken about the mean, so that lungs and abdomen come nearer to one another
    picture = look.coarse * (coarse - coarse.mean()) + (middle - coarse) + look.fine * (log - middle)
    inside = picture[body] if body.any() else picture.ravel()
    low, high = np.percentile(inside[:: max(1, inside.size // 20000)], (look.low, look.high))
    part = np.clip((picture - low) / max(float(high - low), 1e-6), 0, 1)
    part = part**look.gamma
    return np.asarray(part + look.curve * (part * part * (3 - 2 * part) - part), np.float32)
