"""Training images: as many as are wanted, each by its number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrv_node.models.inputs import LIMIT
from xrv_node.phantom import template
from xrv_node.phantom.composition import compose
from xrv_node.phantom.findings import DRAWABLE, choose
from xrv_node.phantom.pose import draw
from xrv_node.phantom.projection import project


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One image with its truth."""

    image: NDArray[np.float32]
    """``[size, size]`` in [-1024, 1024], dense is high."""
    findings: NDArray[np.float32]
    """``[15]`` in the order of `findings.DRAWABLE`: 0 or 1."""
    places: NDArray[np.bool_]
    """``[15, size, size]``."""
    masks: NDArray[np.bool_]
    """``[14, size, size]`` in the order of `structures.STRUCTURES`."""


class Stream:
    """Images of many people, drawn from projected poses.

    Parameters
    ----------
    anatomy
        A name of `template.NAMES`.
    poses
        How many people are projected, at the start: a second of one core each.
    size
        Rows and columns.
    seed
        Of poses and images.
    wide
        Share of the images that vary more than people and devices do.
    conspicuity
        As `composition.compose`.
    varied
        How much more than people do these differ in shape, as a factor.
    """

    def __init__(
        self,
        *,
        anatomy: str = "a",
        poses: int = 64,
        size: int = 192,
        seed: int = 0,
        wide: float = 0.8,
        conspicuity: float = 1.0,
        varied: float = 1.0,
    ) -> None:
        self._seed, self._wide, self._conspicuity, self.size = seed, wide, conspicuity, size
        source = template.load(anatomy)
        self._layers = [
            # half the memory: lengths of some 300 mm to a tenth of a mm
            project(source, draw(np.random.default_rng((seed, 0, number)), varied), _view(number), size).each(
                lambda plane: plane.astype(np.float16)
            )
            for number in range(poses)
        ]

    def sample(self, number: int, findings: tuple[str, ...] | None = None) -> Sample:
        """Return an image; the same for the same number, whatever was asked for before.

        Parameters
        ----------
        number
            From 0 on.
        findings
            What is in it; None: drawn.
        """
        dice = np.random.default_rng((self._seed, 1, number))
        packed = self._layers[int(dice.integers(len(self._layers)))]
        layers = packed.each(lambda plane: plane.astype(np.float32))
        drawn = choose(dice)
        present = drawn if findings is None else findings
        wide = bool(dice.random() < self._wide)
        image = compose(layers, present, dice, wide=wide, conspicuity=self._conspicuity)
        nothing = np.zeros((self.size, self.size), np.bool_)
        return Sample(
            (image.picture * 2 - 1) * np.float32(LIMIT),
            np.array([name in present for name in DRAWABLE], np.float32),
            np.stack([image.places[n].mask if n in image.places else nothing for n in DRAWABLE]),
            image.masks,
        )


def _view(number: int) -> str:
    """One in four lies in bed."""
    return "AP" if number % 4 == 3 else "PA"
