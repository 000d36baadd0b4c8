"""From a voxel anatomy to what a beam meets on its way to each point of the detector, by tissue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import grid_sample, interpolate

from xrv_node.phantom.pose import Pose, turn
from xrv_node.phantom.template import ORGANS, Template

FIELD_MM = 350.0
"""Side of the square that is projected, at the detector: what a computed tomography of the chest holds."""

NAMES = ("soft", "lung", "vessels", "ribs", "spine", "girdle_right", "girdle_left")

SLAB_MM = 6.5
"""Thickness at most of what is added up before it is projected: rays that run in a slant of one in ten are a
third of a millimetre off at its faces."""


@dataclass(frozen=True, slots=True)
class Beam:
    """How a view is taken, in mm."""

    axis: int
    """Along which it runs: 1 through front and back, 2 from side to side."""
    distance: float
    """From the source to the detector."""
    front: bool
    """Whether the detector lies before the front (postero-anterior), or behind the back."""
    gap: float
    """From the middle of the body to the detector."""


BEAMS = {
    "PA": Beam(1, 1800.0, True, 140.0),
    "AP": Beam(1, 1100.0, False, 150.0),
    "LATERAL": Beam(2, 1800.0, True, 180.0),
}
"""1.8 m standing; 1.0 to 1.2 m at the bedside, where the heart is far from the detector and grows. The left
side lies on the detector in the lateral view."""


@dataclass(frozen=True, slots=True)
class Tissue:
    """One layer: which labels, and what of them is not the layer's own."""

    labels: tuple[int, ...]
    under: str
    """The layer that holds what would be there without it: bones lie in soft tissue, vessels in the lung."""
    density: float
    """Of that, in g/cm3. What is above it is the layer's."""


LOBES = tuple(
    ORGANS[f"lung_{lobe}"]
    for lobe in ("upper_right", "middle_right", "lower_right", "upper_left", "lower_left")
)
RIBS = (*range(ORGANS["rib_right_1"], ORGANS["rib_left_12"] + 1), ORGANS["sternum"])

TISSUES = {
    "vessels": Tissue((ORGANS["lung_vessels"],), "lung", 0.25),
    "ribs": Tissue(RIBS, "soft", 1.0),
    "spine": Tissue((ORGANS["vertebrae"],), "soft", 1.0),
    "girdle_right": Tissue((ORGANS["scapula_right"],), "soft", 1.0),
    "girdle_left": Tissue((ORGANS["scapula_left"],), "soft", 1.0),
}
"""The layers above ``soft`` and ``lung``. They can be moved and left out without leaving a hole. Of the bones
of arms, which are raised in a scanner, and of the clavicles that they take with them nothing is used."""

HARDEST = {"ribs": 1.5, "spine": 1.6, "girdle_right": 1.6, "girdle_left": 1.6}
"""Of a layer, in g/cm3 of a voxel: calcified cartilage at the ends of ribs would glare."""

DENSEST = 1.07
"""Of soft tissue, in g/cm3; muscle has 1.05 (ICRU 44). What is above it is contrast medium: left out."""

DEPTHS: dict[str, tuple[int, ...]] = {
    "lung_right": tuple(ORGANS[f"lung_{lobe}_right"] for lobe in ("upper", "middle", "lower")),
    "lung_left": tuple(ORGANS[f"lung_{lobe}_left"] for lobe in ("upper", "lower")),
    "heart": (ORGANS["heart"],),
    "aorta": (ORGANS["aorta"],),
    "great_vessels": (ORGANS["great_vessels"],),
    "hila": (ORGANS["pulmonary_vessels"], ORGANS["lung_vessels"]),
    "trachea": (ORGANS["trachea"],),
    "oesophagus": (ORGANS["oesophagus"],),
    "abdomen": (ORGANS["liver"], ORGANS["stomach"], ORGANS["spleen"]),
    "vertebrae": (ORGANS["vertebrae"],),
    "scapula_right": (ORGANS["scapula_right"],),
    "scapula_left": (ORGANS["scapula_left"],),
}
"""Labels whose thickness is kept, for masks and for what is drawn into them."""


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """What the beam meets, each ``float32 [size, size]``, the head above and the person's right to the left.

    A lateral view has the front to the left.
    """

    mass: dict[str, NDArray[np.float32]]
    """By tissue, its mass along the beam in mm of water: 10 mm of water are 1 g/cm2."""
    depth: dict[str, NDArray[np.float32]]
    """By structure, its thickness along the beam in mm."""
    spacing: float
    """mm a pixel, at the detector."""
    view: str

    def each(self, change: Callable[[NDArray[Any]], NDArray[Any]], spacing: float | None = None) -> Layers:
        """Return layers of which every plane is changed, at another spacing where one is given."""
        mass, depth = ({n: change(plane) for n, plane in of.items()} for of in (self.mass, self.depth))
        return Layers(mass, depth, self.spacing if spacing is None else spacing, self.view)


def project(template: Template, pose: Pose, view: str = "PA", size: int = 256) -> Layers:
    """Send a diverging beam through a person.

    Parameters
    ----------
    template
        The anatomy.
    pose
        What is changed of it.
    view
        A key of `BEAMS`.
    size
        Rows and columns.
    """
    beam = BEAMS[view]
    spacing = FIELD_MM / size
    slabs, places = _slabs(template, beam.axis)
    knots = None if pose.knots is None else _finer(pose.knots)
    beside = 3 - beam.axis  # 1 and 2 are the axes y and x
    up = (((size - 1) / 2 - np.arange(size)) * spacing).astype(np.float32)[:, None]
    across = -up.reshape(1, -1)
    slant = np.sqrt(1 + (up**2 + across**2) / beam.distance**2)
    total = torch.zeros(slabs.shape[1], size, size)
    for slab, place in zip(slabs, places * pose.scale[beam.axis], strict=True):
        away = beam.gap + (place if beam.front else -place)  # from the detector
        shrunk = np.float32(1 - away / beam.distance)
        points = np.empty((size, size, 3), np.float32)
        points[..., 0], points[..., beside] = shrunk * up, shrunk * across
        points[..., beam.axis] = place
        grid = _grid(template, pose, knots, points)[..., [2 - beside, 2]]
        met = grid_sample(slab.float()[None], grid[None], padding_mode="border", align_corners=True)[0]
        total += met * (grid[..., 0].abs() <= 1)  # the body goes on above and below
    planes = total.numpy() * (pose.scale[beam.axis] * slant)
    return Layers(
        dict(zip(NAMES, planes, strict=False)),
        dict(zip(DEPTHS, planes[len(NAMES) :], strict=True)),
        spacing,
        view,
    )


@lru_cache(maxsize=1)
def _slabs(template: Template, axis: int) -> tuple[torch.Tensor, NDArray[np.float64]]:
    """Return what lies in slabs across an axis, ``float16 [slabs, planes, z, other axis]``, and where.

    Planes are those of `NAMES` in mm of water, then those of `DEPTHS` in mm. Slabs are sampled between their
    voxels, so that no border shows the steps of the grid.
    """
    step, count = template.spacing[axis], template.hu.shape[axis]
    many = max(1, int(SLAB_MM / step))
    firsts = np.arange(0, count, many)
    base, cap, above, hardest, depth = _tables()
    slabs = np.empty((len(firsts), len(NAMES) + len(depth), *np.delete(template.hu.shape, axis)), np.float16)
    for slab, first in zip(slabs, firsts, strict=True):
        part = (slice(None),) * axis + (slice(first, first + many),)
        organ = template.labels[part]
        density = np.clip(1 + template.hu[part] * np.float32(0.001), 0, None)
        beneath = np.minimum(density, cap[organ])
        extra = np.clip(np.minimum(density, hardest[organ]) - beneath, 0, None)
        lower, upper = base[organ], above[organ]
        for row in range(len(NAMES)):
            held = beneath * (lower == row) if row in base else extra * (upper == row)
            slab[row] = held.sum(axis=axis) * step
        for row, counted in enumerate(depth, start=len(NAMES)):
            slab[row] = counted[organ].sum(axis=axis, dtype=np.uint8) * step
    lasts = np.minimum(firsts + many, count) - 1
    return torch.from_numpy(slabs), ((firsts + lasts) / 2 - (count - 1) / 2) * step


def _tables() -> tuple[NDArray[Any], ...]:
    """By label: the layer beneath and its density at most, the layer above or -1 and its; which `DEPTHS`
    count it."""
    base, above = np.zeros(256, np.int8), np.full(256, -1, np.int8)
    cap, hardest = np.full(256, DENSEST, np.float32), np.full(256, DENSEST, np.float32)
    base[list(LOBES)] = NAMES.index("lung")
    for name, tissue in TISSUES.items():
        at = list(tissue.labels)
        base[at], cap[at], above[at] = NAMES.index(tissue.under), tissue.density, NAMES.index(name)
        hardest[at] = HARDEST.get(name, DENSEST)
    depth = np.zeros((len(DEPTHS), 256), np.uint8)
    for row, labels in enumerate(DEPTHS.values()):
        depth[row, list(labels)] = 1
    return base, cap, above, hardest, depth


def _grid(
    template: Template, pose: Pose, knots: torch.Tensor | None, points: NDArray[np.float32]
) -> torch.Tensor:
    """Return where in the template points of the picture are, from -1 to 1 in the order x, y, z."""
    half = [(count - 1) / 2 * step for count, step in zip(template.hu.shape, template.spacing, strict=True)]
    there = points @ turn(pose).astype(np.float32)
    height = there[..., 0] / half[0]
    there[..., 2] -= pose.scoliosis * (1 - height**2)
    wide = pose.scale[2] * (1 + pose.taper * height)
    there /= np.stack([np.full_like(wide, pose.scale[0]), np.full_like(wide, pose.scale[1]), wide], axis=-1)
    grid = torch.from_numpy(there[..., ::-1] / np.asarray(half[::-1], np.float32))
    if knots is None:
        return grid
    shift = grid_sample(knots[None], grid[None, None], padding_mode="border", align_corners=True)[0, :, 0]
    return grid + shift.permute(1, 2, 0)[..., [2, 1, 0]] / torch.tensor(half[::-1])


def _finer(knots: NDArray[np.float32]) -> torch.Tensor:
    """Put knots between those of a pose that lie on a cubic: linear between them is smooth, and as cheap as a
    look-up."""
    return _cubic(_cubic(_cubic(torch.from_numpy(knots), 1), 2), 3)


def _cubic(knots: torch.Tensor, axis: int) -> torch.Tensor:
    """Make a grid four times finer along an axis."""
    moved = knots.movedim(axis, -1)
    flat = moved.reshape(-1, 1, 1, moved.shape[-1])
    size = (1, (moved.shape[-1] - 1) * 4 + 1)
    finer = interpolate(flat, size=size, mode="bicubic", align_corners=True)
    return finer.reshape(*moved.shape[:-1], size[1]).movedim(-1, axis)
