"""One radiograph of the phantom, by its seed, with everything that is true of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from xrv_node.errors import ConfigError
from xrv_node.phantom import letters, mark, template
from xrv_node.phantom.composition import compose
from xrv_node.phantom.detector import VENDORS
from xrv_node.phantom.findings import APART, DRAWABLE, FOLLOWING, UNTOLD, can_be_together, truth
from xrv_node.phantom.place import Place
from xrv_node.phantom.pose import draw
from xrv_node.phantom.projection import BEAMS, FIELD_MM, Layers, project
from xrv_node.phantom.structures import STRUCTURES

VIEWS = tuple(BEAMS)
LABELS = tuple(sorted({*DRAWABLE, *FOLLOWING, *UNTOLD}))
"""torchxrayvision's 18 findings, in the order of its ``default_pathologies`` by name."""

BITS_STORED = 12
WHITE = 2**BITS_STORED - 1

PROJECTED = 384
"""Rows and columns at most that are projected; a voxel is larger than what is lost."""

SMALLEST, LARGEST = 64, 4096

LATERAL_WIDTH = 0.84
"""Width of a lateral image over its height."""


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """An image and its truth."""

    pixels: NDArray[np.uint16]
    """``[rows, columns]``, 12 bits, dense is high (MONOCHROME2)."""
    view: str
    spacing: float
    """mm a pixel, at the detector."""
    findings: dict[str, bool | None]
    """By each of `LABELS`; None where there is no truth."""
    places: dict[str, Place]
    """Of the findings that are drawn and there."""
    masks: dict[str, NDArray[np.bool_]]
    """By each of `structures.STRUCTURES`, ``[rows, columns]``; empty for a lateral view."""
    cardiothoracic_ratio: float
    """Measured from the masks; 0 for a lateral view."""


def make(
    seed: int,
    *,
    view: str = "PA",
    findings: Sequence[str] = (),
    rows: int = 1024,
    columns: int | None = None,
    anatomy: str = "a",
    person: int | None = None,
    vendor: str = "a",
    collimated: float = 0.0,
    marker: str = "L",
    marked: bool = True,
) -> Phantom:
    """Make an image; the same for the same arguments, on every machine of a kind.

    Parameters
    ----------
    seed
        Decides everything that is left open.
    view
        One of `VIEWS`; ``AP`` is taken lying, from 1.1 m.
    findings
        Of `findings.DRAWABLE`: what is in it, and nothing else. None in a lateral view.
    rows, columns
        Size; a lateral view is by default narrower than high. A size that is not square is cut out of the
        middle.
    anatomy
        A name of `template.NAMES`.
    person
        Who is shown: images of one person are made faster. None: another one for each seed.
    vendor
        One of `detector.VENDORS`.
    collimated
        Share of the image at each border that the beam does not reach: 0 to 0.25.
    marker
        Letters of lead, on the side that they name; empty: none.
    marked
        Whether the image bears the mark (`mark.stamp`), by which a phantom is known.

    Raises
    ------
    ConfigError
        A view, finding, anatomy or size that there is not, or findings that exclude one another.
    """
    wide = columns or (round(rows * LATERAL_WIDTH) if view == "LATERAL" else rows)
    _check(view, findings, rows, wide)
    if vendor not in VENDORS:
        raise ConfigError(f"no vendor {vendor!r}: choose one of {', '.join(VENDORS)}")
    if not 0 <= collimated <= 0.25:
        raise ConfigError(f"collimated is {collimated:g}: choose a share of 0 to 0.25")
    size = max(rows, wide)
    who = seed if person is None else person
    dice = np.random.default_rng((seed, VIEWS.index(view)))
    layers = _enlarged(_projected(anatomy, who, view, min(size, PROJECTED)), size)
    image = compose(layers, findings, dice, look=VENDORS[vendor])
    cut = _middle(size, rows), _middle(size, wide)
    picture = image.picture[cut].copy()
    _collimate(picture, collimated)
    if marker:
        letters.stamp(picture, marker, right=not marker.startswith("R"))
    pixels = (picture * WHITE).round().astype(np.uint16)
    frontal = view != "LATERAL"
    return Phantom(
        pixels=mark.stamp(pixels, WHITE) if marked else pixels,
        view=view,
        spacing=image.spacing,
        findings=truth(findings, LABELS) if frontal else dict.fromkeys(LABELS),
        places={n: Place(p.side, p.size_mm, p.mask[cut].copy()) for n, p in image.places.items()},
        masks={n: image.masks[row][cut].copy() for row, n in enumerate(STRUCTURES)} if frontal else {},
        cardiothoracic_ratio=image.cardiothoracic_ratio,
    )


def _collimate(picture: NDArray[np.float32], share: float) -> None:
    """Darken what lies outside the beam, in place: what is scattered there is a fiftieth."""
    rows, columns = (round(side * share) for side in picture.shape)
    outside = np.ones(picture.shape, np.bool_)
    outside[rows : picture.shape[0] - rows, columns : picture.shape[1] - columns] = False
    picture[outside] *= np.float32(0.02)


def _check(view: str, findings: Sequence[str], rows: int, columns: int) -> None:
    if view not in VIEWS:
        raise ConfigError(f"no view {view!r}: choose one of {', '.join(VIEWS)}")
    if not (min(rows, columns) >= SMALLEST and max(rows, columns) <= LARGEST):
        raise ConfigError(f"an image of {rows} x {columns}: rows and columns are {SMALLEST} to {LARGEST}")
    if unknown := [name for name in findings if name not in DRAWABLE]:
        raise ConfigError(f"{', '.join(unknown)} cannot be drawn: choose of {', '.join(DRAWABLE)}")
    if findings and view == "LATERAL":
        raise ConfigError("findings are drawn in frontal views only: leave them out, or choose PA or AP")
    if not can_be_together(findings):
        pair = next(pair for pair in APART if pair <= set(findings))
        raise ConfigError(f"{' and '.join(sorted(pair))} are not drawn in one image: choose one of them")


@lru_cache(maxsize=12)
def _projected(anatomy: str, person: int, view: str, size: int) -> Layers:
    return project(template.load(anatomy), draw(np.random.default_rng((person, 7))), view, size)


def _enlarged(layers: Layers, size: int) -> Layers:
    def larger(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        grown = cv2.resize(plane, (size, size), interpolation=cv2.INTER_CUBIC)
        return np.maximum(np.asarray(grown, np.float32), 0)

    if len(layers.mass["soft"]) == size:
        return layers
    return layers.each(larger, FIELD_MM / size)


def _middle(size: int, part: int) -> slice:
    start = (size - part) // 2
    return slice(start, start + part)
