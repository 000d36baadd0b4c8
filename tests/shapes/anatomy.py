"""The shapes of a chest, in millimetres, in the patient's coordinates (see ``rays``).

The sizes are rounded ones of an adult: a ribcage about 280 mm wide inside and 200 mm deep, a heart a little
under half of that width, twelve thoracic vertebrae over about 290 mm.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from shapes.rays import Ellipsoid, Tube

RIGHT, LEFT = -1, 1
"""The sign of x on each side of the patient."""

HEART_SCALE = 1.32
"""Of an enlarged heart: it brings the cardiothoracic ratio from about 0.45 to about 0.6."""


@dataclass(slots=True)
class Lung:
    """One side of the chest."""

    chest: Ellipsoid
    """What the ribs enclose on this side."""
    aerated: list[Ellipsoid] = field(default_factory=list)
    """Shapes that the lung is confined to: above an effusion, or collapsed from a pneumothorax."""
    free_air: bool = False
    """Whether air, and not fluid, fills what the lung leaves of its side."""


@dataclass(slots=True)
class Chest:
    """Everything that X-rays pass in one patient."""

    body: list[Ellipsoid]
    lungs: list[Lung]
    displaced: list[Ellipsoid]
    """Soft tissue that takes its room from the lungs: heart, great vessels, mediastinum, diaphragm."""
    air: list[Ellipsoid]
    nodules: list[Ellipsoid]
    bones: list[Ellipsoid]
    ribs: list[Tube]
    vessels: list[Tube]


def chest(view: str, features: frozenset[str], rng: Generator) -> Chest:
    """Return one patient's chest, as it is positioned for a view.

    Parameters
    ----------
    view : str
        ``PA`` (standing, deep breath, shoulders forward), ``AP`` (in bed: higher diaphragm, shoulder blades
        over the lungs) or ``LATERAL`` (arms raised).
    features : frozenset of str
        ``effusion``, ``pneumothorax`` (both on the right), ``nodule`` (left), ``cardiomegaly``.
    rng : numpy.random.Generator
        Draws the patient's build.
    """
    up = (14.0 if view == "AP" else 0.0) + rng.uniform(-6, 6)
    wide, heart = rng.uniform(0.95, 1.04), rng.uniform(0.95, 1.03)
    if "cardiomegaly" in features:
        heart *= HEART_SCALE
    lungs = [_lung(side, wide, features) for side in (RIGHT, LEFT)]
    return Chest(
        body=_body(view, wide),
        lungs=lungs,
        displaced=_displaced(up, wide, heart),
        air=[
            Ellipsoid((-4, 4, 128), (10, 12, 86)),  # trachea
            Ellipsoid((-18, 14, 38), (5, 5, 24), tilt=42),  # right main bronchus
            Ellipsoid((17, 14, 36), (4.5, 4.5, 27), tilt=-50),
            Ellipsoid((66, -8, -128 + up), (30, 30, 15)),  # air in the stomach
        ],
        nodules=[Ellipsoid((82, -20, 32), (13, 12, 13))] if "nodule" in features else [],
        bones=_bones(view),
        ribs=[*_ribs(wide), *(_clavicles(view) if view != "LATERAL" else [])],
        vessels=[
            tube
            for lung, side in zip(lungs, (RIGHT, LEFT), strict=True)
            for tube in _vessels(lung, side, rng)
        ],
    )


def _lung(side: int, wide: float, features: frozenset[str]) -> Lung:
    space = Ellipsoid((side * 72 * wide, 2, -62), (67 * wide, 97, 192), tilt=side * -7)
    lung = Lung(space)
    if side == RIGHT and "pneumothorax" in features:
        lung.aerated.append(Ellipsoid((-56 * wide, 10, -72), (58 * wide, 82, 158), tilt=7))
        lung.free_air = True
    if side == RIGHT and "effusion" in features:
        lung.aerated.append(Ellipsoid((-62 * wide, 0, 62), (84, 125, 128)))  # its underside is the meniscus
    return lung


def _body(view: str, wide: float) -> list[Ellipsoid]:
    shapes = [
        Ellipsoid((0, 8, -150), (184 * wide, 124, 430)),
        Ellipsoid((0, 22, 210), (58, 58, 150)),  # neck
        Ellipsoid((78, -66, -45), (62, 54, 80)),  # soft tissue of the chest wall
        Ellipsoid((-78, -66, -45), (62, 54, 80)),
    ]
    if view == "LATERAL":
        return [*shapes, Ellipsoid((0, -30, 175), (150, 55, 60))]  # raised arms, above the lungs
    shoulders = [Ellipsoid((s * 130, 15, 118), (98, 62, 66), tilt=s * 18) for s in (RIGHT, LEFT)]
    arms = [Ellipsoid((s * 222, 15, -10), (46, 50, 190), tilt=s * -5) for s in (RIGHT, LEFT)]
    return [*shapes, *shoulders, *arms]


def _displaced(up: float, wide: float, heart: float) -> list[Ellipsoid]:
    left_shift = 22 + 14 * (heart - 1)
    return [
        Ellipsoid((left_shift, -22, -60 + up / 2), (68 * heart, 62 * heart, 53 * heart), tilt=32, turn=-15),
        Ellipsoid((0, 8, 40), (27, 80, 150)),  # mediastinum
        Ellipsoid((13, 5, 70), (24, 50, 22)),  # arch of the aorta
        Ellipsoid((20, -25, 22), (22, 45, 34)),  # trunk of the pulmonary artery
        Ellipsoid((22, 50, -20), (13, 13, 110)),  # descending aorta
        Ellipsoid((-20, -8, 55), (14, 22, 55)),  # superior vena cava
        Ellipsoid((-70 * wide, -4, -205 + up), (98, 118, 118)),  # right dome of the diaphragm
        Ellipsoid((72 * wide, -4, -216 + up), (96, 118, 116)),
    ]


def _bones(view: str) -> list[Ellipsoid]:
    vertebrae = [
        Ellipsoid((0, _spine_y(z), z), (15 + 0.02 * (150 - z), 14, 9.6))
        for z in np.arange(-200.0, 210.0, 23.5)
    ]
    spines = [Ellipsoid((0, shape.centre[1] + 36, shape.centre[2] - 8), (2.5, 14, 7)) for shape in vertebrae]
    pedicles = [
        Ellipsoid((s * 13, shape.centre[1] + 17, shape.centre[2] + 2), (4, 8, 5))
        for shape in vertebrae
        for s in (RIGHT, LEFT)
    ]
    sternum = Ellipsoid((0, -98, 10), (16, 5, 72))
    if view == "LATERAL":
        return [*vertebrae, *spines, *pedicles, sternum]
    spread, depth = (112, 84) if view == "AP" else (140, 62)
    shoulders = [
        bone
        for s in (RIGHT, LEFT)
        for bone in (
            Ellipsoid((s * spread, depth, 58), (33, 7, 68), tilt=-s * 14, turn=s * 25),  # shoulder blade
            Ellipsoid((s * (spread + 8), depth - 6, 112), (40, 6, 6), tilt=s * -14),  # its spine
            Ellipsoid((s * 186, 20, 112), (24, 24, 25)),  # head of the humerus
        )
    ]
    return [*vertebrae, *spines, *pedicles, sternum, *shoulders]


def _spine_y(z: float) -> float:
    """Return how far back a vertebra's body lies: the kyphosis of the thoracic spine."""
    return 66 - 0.0012 * (z + 20) ** 2


def _ribs(wide: float) -> list[Tube]:
    tubes = []
    shape = np.sin(np.linspace(0, np.pi, 60)).clip(0.35, 0.5) / 0.5  # both ends taper
    for number in range(1, 12):
        top = 140 - 23.0 * (number - 1)
        width = (66, 99, 114, 126, 135, 141, 144, 145, 143, 137, 128)[number - 1] * wide
        depth = 104 * min(1.0, 0.5 + 0.17 * number)
        fall = 22 + 11.5 * min(number, 7)
        end = np.radians([138, 138, 138, 144, 147, 148, 146, 138, 128, 116, 96][number - 1])
        angle = np.linspace(np.radians(9), end, 60)
        # Up and out from the spine for a moment, then down towards the front.
        height = top - fall * (1 - np.cos(angle)) / 2 * 1.25 + 5 * np.sin(2 * angle).clip(0)
        for side in (RIGHT, LEFT):
            curve = np.stack(
                [side * width * np.sin(angle), -4 + depth * np.cos(angle) * 0.94, height], axis=1
            )
            tubes.append(Tube(curve, np.linspace(5.4, 6.6, 60) * shape, hollow=0.72))
    return tubes


def _clavicles(view: str) -> list[Tube]:
    rise = 20 if view == "AP" else 8
    t = np.linspace(0, 1, 50)
    tubes = []
    for side in (RIGHT, LEFT):
        bend = 10 * np.sin(2 * np.pi * t)
        curve = np.stack([side * (14 + 142 * t), -82 + 60 * t + bend, 98 + rise * t + 0.6 * bend], axis=1)
        tubes.append(
            Tube(curve, (5.5 + 2.5 * (2 * t - 1) ** 2) * np.sin(np.pi * t).clip(0.2, 0.3) / 0.3, hollow=0.7)
        )
    return tubes


def _vessels(lung: Lung, side: int, rng: Generator) -> list[Tube]:
    """Return a lung's vessels: from the hilum outwards, each branch thinner than its stem."""
    hilum = np.array([side * 30.0, 10.0, 22.0 if side == LEFT else 10.0])  # the left one is higher
    inside = [lung.chest, *lung.aerated]
    tubes: list[Tube] = []
    out = np.array([side, 1.0, 1.0])
    ends = [
        (hilum + rng.normal(0, 5, 3), out * rng.uniform([0.2, -1, -1.3], [1.2, 1, 1.2]), 6.2)
        for _ in range(11)
    ]
    while ends:
        start, heading, radius = ends.pop()
        heading = heading / np.linalg.norm(heading)
        length = rng.uniform(16, 34)
        bow = rng.normal(0, 3.5, 3)
        t = np.linspace(0, 1, 12)[:, None]
        curve = start + heading * length * t + bow * np.sin(np.pi * t)
        kept = curve[np.all([_inside(shape, curve) for shape in inside], axis=0)]
        if len(kept) > 2:
            tubes.append(Tube(kept, np.linspace(radius, 0.8 * radius, len(kept))))
        if len(kept) == len(curve) and radius > 1.0:
            for _ in range(2):
                ends.append((curve[-1], heading + rng.normal(0, 0.42, 3), radius * rng.uniform(0.6, 0.78)))
    return tubes


def _inside(shape: Ellipsoid, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which points lie inside an ellipsoid, its tilt left aside: near enough for vessels."""
    offset = (points - np.array(shape.centre)) / (0.97 * np.array(shape.semi_axes))
    within: NDArray[np.bool_] = (offset**2).sum(axis=1) < 1
    return within
