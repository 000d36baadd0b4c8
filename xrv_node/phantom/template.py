"""The voxel anatomy that phantoms are projected from: tissue and labels, derived from a public CT.

What is in a template is not the CT. The table, the tumour and the contrast medium are taken out, noise is
calmed, Hounsfield units are rounded; ``tools/anatomy`` makes it anew and ``NOTICE`` says of whom it is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

import numpy as np
from numpy.typing import NDArray

from xrv_node.errors import ConfigError

ORGANS: dict[str, int] = {
    "lung_upper_right": 1,
    "lung_middle_right": 2,
    "lung_lower_right": 3,
    "lung_upper_left": 4,
    "lung_lower_left": 5,
    "heart": 6,
    "aorta": 7,
    "great_vessels": 8,  # venae cavae, brachiocephalic, subclavian and carotid vessels
    "pulmonary_vessels": 9,  # outside the lungs: trunk, both arteries, veins at the hila
    "trachea": 10,
    "oesophagus": 11,
    "vertebrae": 12,
    "sternum": 13,
    "costal_cartilage": 14,
    "clavicle_right": 15,
    "clavicle_left": 16,
    "scapula_right": 17,
    "scapula_left": 18,
    "liver": 19,
    "stomach": 20,
    "spleen": 21,
    "other_bone": 22,
    "lung_vessels": 23,  # within the lungs, by threshold
    "colon_bowel": 24,
    "kidneys": 25,
    **{f"rib_right_{number}": 31 + number for number in range(1, 13)},
    **{f"rib_left_{number}": 47 + number for number in range(1, 13)},
}
"""Labels of a template by name; 0 is everything else."""

NAMES = ("a", "b")
"""The templates: ``a`` is the one to train on, ``b``, of another person, the one to measure on."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """One person's chest, on a grid."""

    hu: NDArray[np.int16]
    """``[z, y, x]``: Hounsfield units; z from foot to head, y from front to back, x from right to left."""
    labels: NDArray[np.uint8]
    """The same shape: values of ``ORGANS``."""
    spacing: tuple[float, float, float]
    """Of z, y and x, in millimetres."""
    name: str


@lru_cache(maxsize=2)
def load(name: str = "a") -> Template:
    """Return a template of the package.

    Parameters
    ----------
    name : str
        One of ``NAMES``.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in NAMES:
        raise ConfigError(f"no anatomy named {name!r}: choose one of {', '.join(NAMES)}")
    with _file(name).open("rb") as file, np.load(file) as stored:
        hu = stored["levels"][stored["hu"]].astype(np.int16)
        labels = stored["labels"]
        dz, dy, dx = (float(v) for v in stored["spacing"])
    for array in (hu, labels):
        array.setflags(write=False)
    return Template(hu, labels, (dz, dy, dx), name)


def digest(name: str) -> str:
    """Return the SHA-256 of a template's file."""
    return hashlib.sha256(_file(name).read_bytes()).hexdigest()


def _file(name: str) -> Traversable:
    return files("xrv_node.phantom") / f"anatomy_{name}.npz"
