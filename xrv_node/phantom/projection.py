"""From a voxel anatomy to what a beam meets on its way to each point of the detector, by tissue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import grid_sample, interpolate

from xrv_node.phantom.pose import Pose, turn
from xrv_node.phantom.template import ORGANS, Template

FIELD_MM = 350.0
"""Side of the square that is projected, at the detector: what a computed tomography of the chest holds."""

NAMES = ("soft", "lung", "vessels", "ribs", "spine", "girdle_right", "girdle_left", "arms")

STRIP = 32
"""Rows that are projected at a time: bounds the memory (about 100 MB at 256 columns)."""


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
    "arms": Tissue((ORGANS["other_bone"], ORGANS["clavicle_right"], ORGANS["clavicle_left"]), "soft", 1.0),
}
"""The layers above ``soft`` and ``lung``. They can be moved and left out without leaving a hole. Of ``arms``,
which are raised in a scanner, nothing is used."""

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
        Rows and columns. At 256 it takes about a second of one core.
    """
    beam = BEAMS[view]
    spacing = FIELD_MM / size
    volume = torch.from_numpy(template.hu.astype(np.float32))[None, None]
    labels = torch.from_numpy(template.labels.astype(np.float32))[None, None]
    base, cap, above, depth = _tables()
    mass = np.zeros((len(NAMES), size * size), np.float32)
    thick = np.zeros((len(DEPTHS), size * size), np.float32)
    for top in range(0, size, STRIP):
        rows = np.arange(top, min(top + STRIP, size))
        points, steps = _points(template, beam, rows, size)
        grid = _grid(template, pose, points)
        hu = grid_sample(volume, grid, mode="bilinear", padding_mode="border", align_corners=True)
        label = grid_sample(labels, grid, mode="nearest", padding_mode="border", align_corners=True)
        inside = (grid[..., :2].abs() <= 1).all(dim=-1)[0].numpy()  # the body goes on above and below
        density = np.where(inside, np.clip(1 + hu[0, 0].numpy() / 1000, 0, None), 0).astype(np.float32)
        organ = np.where(inside, label[0, 0].numpy(), 0).astype(np.uint8)
        beneath = np.minimum(density, cap[organ])
        _add(mass, base[organ], beneath * steps, rows, size)
        extra = np.where(above[organ] >= 0, density - beneath, 0)
        _add(mass, above[organ].clip(0), extra * steps, rows, size)
        for row, of in enumerate(depth):
            thick[row].reshape(size, size)[rows] += (of[organ] * steps).sum(axis=0)
    return Layers(
        {name: mass[row].reshape(size, size) for row, name in enumerate(NAMES)},
        {name: thick[row].reshape(size, size) for row, name in enumerate(DEPTHS)},
        spacing,
        view,
    )


def _tables() -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """By label: the layer beneath and its density at most, the layer above or -1; which `DEPTHS` count it."""
    base, above = np.zeros(256, np.int64), np.full(256, -1)
    cap = np.full(256, DENSEST, np.float32)
    base[list(LOBES)] = NAMES.index("lung")
    for name, tissue in TISSUES.items():
        at = list(tissue.labels)
        base[at], cap[at], above[at] = NAMES.index(tissue.under), tissue.density, NAMES.index(name)
    depth = np.zeros((len(DEPTHS), 256), np.float32)
    for row, labels in enumerate(DEPTHS.values()):
        depth[row, list(labels)] = 1
    return base, cap, above, depth


def _points(
    template: Template, beam: Beam, rows: NDArray[np.int64], size: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return where rays are, ``[depth, rows, columns, 3]`` in mm from the middle of the volume, and how long
    their way between two planes is, ``[1, rows, columns]``."""
    spacing = FIELD_MM / size
    step, count = template.spacing[beam.axis], template.hu.shape[beam.axis]
    plane = (np.arange(count) - (count - 1) / 2) * step  # along the beam
    away = beam.gap + (plane if beam.front else -plane)  # from the detector
    shrunk = (1 - away / beam.distance).astype(np.float32)
    up = ((size - 1) / 2 - rows).astype(np.float32) * spacing
    across = (np.arange(size) - (size - 1) / 2).astype(np.float32) * spacing
    other = 3 - beam.axis  # 1 and 2 are the axes y and x
    points = np.empty((count, len(rows), size, 3), np.float32)
    points[..., 0] = shrunk[:, None, None] * up[None, :, None]
    points[..., beam.axis] = plane[:, None, None]
    points[..., other] = shrunk[:, None, None] * across[None, None, :]
    slant = np.sqrt(1 + (up[:, None] ** 2 + across[None, :] ** 2) / beam.distance**2)
    return points, (step * slant[None]).astype(np.float32)


def _grid(template: Template, pose: Pose, points: NDArray[np.float32]) -> torch.Tensor:
    """Return where in the template the points of the picture are, as `grid_sample` wants them (x, y, z)."""
    half = [(count - 1) / 2 * step for count, step in zip(template.hu.shape, template.spacing, strict=True)]
    there = points @ turn(pose).astype(np.float32)
    height = there[..., 0] / half[0]
    there[..., 2] -= pose.scoliosis * (1 - height**2)
    wide = pose.scale[2] * (1 + pose.taper * height)
    there /= np.stack([np.full_like(wide, pose.scale[0]), np.full_like(wide, pose.scale[1]), wide], axis=-1)
    grid = torch.from_numpy(there[..., ::-1] / np.asarray(half[::-1], np.float32))[None]
    if pose.knots is None:
        return grid
    # linear between finer knots that lie on a cubic: smooth, and as cheap as a look-up
    coarse = torch.from_numpy(pose.knots)
    fine = _cubic(_cubic(_cubic(coarse, 1), 2), 3)
    shift = grid_sample(fine[None], grid, mode="bilinear", padding_mode="border", align_corners=True)[0]
    return grid + shift.permute(1, 2, 3, 0)[None, ..., [2, 1, 0]] / torch.tensor(half[::-1])


def _cubic(knots: torch.Tensor, axis: int) -> torch.Tensor:
    """Make a grid four times finer along an axis."""
    moved = knots.movedim(axis, -1)
    flat = moved.reshape(-1, 1, 1, moved.shape[-1])
    size = (1, (moved.shape[-1] - 1) * 4 + 1)
    finer = interpolate(flat, size=size, mode="bicubic", align_corners=True)
    return finer.reshape(*moved.shape[:-1], size[1]).movedim(-1, axis)


def _add(
    mass: NDArray[np.float32],
    layer: NDArray[np.int64],
    amount: NDArray[np.float32],
    rows: NDArray[np.int64],
    size: int,
) -> None:
    """Add what lies on each ray to its layer."""
    count = len(rows) * size
    pixel = np.arange(count).reshape(1, len(rows), size)
    found = np.bincount(
        (layer * count + pixel).ravel(), weights=amount.ravel(), minlength=mass.shape[0] * count
    )
    mass[:, rows[0] * size : rows[0] * size + count] += found.reshape(mass.shape[0], count).astype(np.float32)
